"""Numbers about a surface, and what to beware of in it. On L, never on log L; NaN with a reason where undefined.

A surface is a dataset of dimensions (alpha, beta) as `landscape.surface` makes it; a line is one with a single beta.
"""

from landscape.geometry.convexity import convex_height, convex_share
from landscape.geometry.findings import FIRST_LEVEL, UNTRAINED, Finding, findings
from landscape.geometry.grid import CELLS, Number, centre, centre_index, guessing, non_finite
from landscape.geometry.intervals import wilson
from landscape.geometry.levels import Component, LevelSets, basin, shape
from landscape.geometry.lines import WELL, Well, barrier, end_widths, interval, other_end, well
from landscape.geometry.minima import Minimum, minima
from landscape.geometry.numbers import NAMES, numbers, reasons
from landscape.geometry.slices import slice_rise

__all__ = [
    "CELLS",
    "FIRST_LEVEL",
    "NAMES",
    "UNTRAINED",
    "WELL",
    "Component",
    "Finding",
    "LevelSets",
    "Minimum",
    "Number",
    "Well",
    "barrier",
    "basin",
    "centre",
    "centre_index",
    "convex_height",
    "convex_share",
    "end_widths",
    "findings",
    "guessing",
    "interval",
    "minima",
    "non_finite",
    "numbers",
    "other_end",
    "reasons",
    "shape",
    "slice_rise",
    "well",
    "wilson",
]
