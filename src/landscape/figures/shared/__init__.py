"""Parts that several kinds of figures share: panels, style, words."""
