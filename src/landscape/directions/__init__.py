"""Directions in weight space: random, to other states, along a training path or eigenvectors, or from another plane."""

from landscape.directions.eigenvectors import eigenvectors
from landscape.directions.gaussian import (
    NORMALIZE,
    Axes,
    Axis,
    Directions,
    chosen,
    random,
    random_axis,
    random_pair,
    restricted,
    with_filters,
)
from landscape.directions.pairs import borrowed, describe, measured_over, unflatten
from landscape.directions.path import gram, pca, step_norms, variation, walk_shares
from landscape.directions.states import Place, through_one, through_two, towards

__all__ = [
    "NORMALIZE",
    "Axes",
    "Axis",
    "Directions",
    "Place",
    "borrowed",
    "chosen",
    "describe",
    "eigenvectors",
    "gram",
    "measured_over",
    "pca",
    "random",
    "random_axis",
    "random_pair",
    "restricted",
    "step_norms",
    "through_one",
    "through_two",
    "towards",
    "unflatten",
    "variation",
    "walk_shares",
    "with_filters",
]
