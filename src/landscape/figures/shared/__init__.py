"""What several kinds of figures have in common: panels, style, words."""
