"""Networks by name: the built-in ones and the user's own."""
