"""Data sets: their sources, and normalised tensors for networks."""
