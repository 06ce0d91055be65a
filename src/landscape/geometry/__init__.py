"""Numbers about a surface, and warnings. They are of L, never of log L; an undefined one is NaN and has a reason.

A surface is a dataset of dimensions (alpha, beta), as `landscape.measures` makes it; a line is one with a single beta.
"""

from landscape.geometry.barriers import WELL, Well, barrier, interval, other_end, well
from landscape.geometry.convexity import convex_height, convex_share
from landscape.geometry.descent import basin_share, descends_away
from landscape.geometry.eigenvalue_ratio import RATIOS, ratio_bound, slice_is_convex, slice_ratio
from landscape.geometry.error_rates import wilson
from landscape.geometry.findings import FIRST_LEVEL, UNTRAINED, Finding, findings, is_trained
from landscape.geometry.grid import CELLS, Number, centre, centre_index, guessing, non_finite, rise_unit, values_of
from landscape.geometry.levels import Component, LevelSets, basin, shape
from landscape.geometry.minima import Minimum, minima
from landscape.geometry.numbers import NAMES, measured, named, numbers, reasons
from landscape.geometry.slice_rises import slice_rise
from landscape.geometry.stationary import KINDS, StationaryPoint, is_plateau, stationary_points

__all__ = [
    "CELLS",
    "FIRST_LEVEL",
    "KINDS",
    "NAMES",
    "RATIOS",
    "UNTRAINED",
    "WELL",
    "Component",
    "Finding",
    "LevelSets",
    "Minimum",
    "Number",
    "StationaryPoint",
    "Well",
    "barrier",
    "basin",
    "basin_share",
    "centre",
    "centre_index",
    "convex_height",
    "convex_share",
    "descends_away",
    "findings",
    "guessing",
    "interval",
    "is_plateau",
    "is_trained",
    "measured",
    "minima",
    "named",
    "non_finite",
    "numbers",
    "other_end",
    "ratio_bound",
    "reasons",
    "rise_unit",
    "shape",
    "slice_is_convex",
    "slice_ratio",
    "slice_rise",
    "stationary_points",
    "values_of",
    "well",
    "wilson",
]
