"""Measurements at one point: one file for each `measure:` of a probe."""
