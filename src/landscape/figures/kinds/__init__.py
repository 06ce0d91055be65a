"""One file for each `draw:`."""
