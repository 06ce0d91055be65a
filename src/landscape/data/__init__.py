"""Data sets: where they come from, and how networks see them."""
