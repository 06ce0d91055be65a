"""Benchmarks of the engine, for `make bench`."""
