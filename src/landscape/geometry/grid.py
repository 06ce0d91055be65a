"""The grid of a surface: its centre, its steps, its values; and `Number`, a number about a surface."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from landscape.lazy import np, xr
from landscape.objective import meanings

CELLS = 6
"""A feature is measured if it spans this many cells along each axis: at least six points then lie in it."""

ROUNDING = 1e-9
"""Rounding may move a coordinate by this share of a grid step."""

NOT_RESOLVED = "not resolved"
NO_CENTRE = "no centre on the grid"
NOT_FINITE = "centre not finite"
ABOVE = "centre above the level"
NO_GUESSING = "the loss is no cross-entropy of classes"
NO_NATS = "the loss is not in natural logarithms"
NO_UNIT = "the loss there is not above 0, so no multiple of it is a level"
LINE = "a line"


class Status(IntEnum):
    """Values of the variable `status` at a grid point."""

    absent = 0
    computed = 1
    non_finite = 2
    not_converged = 3
    negative_variance = 4
    wrong_derivatives = 5


@dataclass(frozen=True)
class Number:
    """A number about a surface.

    Attributes:
        value: NaN if undefined.
        step: the coarser grid step of the two axes, in multiples of the direction.
        reason: why the value is NaN; empty otherwise.
        bound: 1 if the border of the grid cuts what is measured, so that the true value is at least `value`; -1 if the
            grid is too coarse, so that it is at most that; 0 if `value` is the value.
        most: the most that a value can be which the grid does not resolve; NaN if that is unknown.
    """

    value: float
    step: float
    reason: str = ""
    bound: int = 0
    most: float = math.nan


def undefined(step: float, reason: str, most: float = math.nan) -> Number:
    return Number(math.nan, step, reason, most=most)


def specification(surface: xr.Dataset) -> dict[str, Any]:
    """Return the specification of a surface's plane, every key stated."""
    spec: dict[str, Any] = json.loads(surface.attrs["spec"])
    return spec


def guessing(surface: xr.Dataset) -> float:
    """Return the loss of guessing, ln(classes); NaN if the loss is not the cross-entropy of classes."""
    return meanings.guessing(surface.attrs)


def rise_unit(surface: xr.Dataset, loss: float) -> float:
    """Return the unit of rises over a point with this `loss`, and of persistences.

    It is 1 for a loss in natural logarithms. A loss of another scale says nothing by its absolute value: there the unit is
    the loss at the point, so that a rise of 0.5 leads to 1.5 times that loss, whatever the loss is multiplied by. NaN if
    that loss is not above 0.
    """
    if meanings.in_nats(surface.attrs):
        return 1.0
    return loss if 0 < loss < math.inf else math.nan


def points_of(whole: xr.Dataset, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return alpha and beta of the points with these row-major indices."""
    alpha, beta = np.meshgrid(whole.alpha.values, whole.beta.values, indexing="ij")
    return alpha.ravel()[index], beta.ravel()[index]


def values_of(surface: xr.Dataset, variable: str) -> np.ndarray:
    """Return the values of `variable` as float64, shape (alpha, beta)."""
    return np.asarray(surface[variable].transpose("alpha", "beta").values, np.float64)


def is_line(surface: xr.Dataset) -> bool:
    """Say if one of the axes has a single point."""
    return min(surface.sizes["alpha"], surface.sizes["beta"]) == 1


def step_of(x: np.ndarray) -> float:
    """Return the distance of neighbouring coordinates; NaN for a single one."""
    return float(x[-1] - x[0]) / (x.size - 1) if x.size > 1 else math.nan


def coarser_step(surface: xr.Dataset) -> float:
    """Return the larger of the two grid steps, or a line's only step; NaN for a single point."""
    return float(np.fmax(step_of(surface.alpha.values), step_of(surface.beta.values)))


def index_of(x: np.ndarray, at: float) -> int | None:
    """Return the index of the coordinate `at` within `ROUNDING`; None if the grid has no such point."""
    away = np.abs(x - at)
    k = int(away.argmin())
    step = step_of(x)
    return None if away[k] > ROUNDING * (1.0 if math.isnan(step) else step) else k


def centre_index(surface: xr.Dataset) -> tuple[int, int] | None:
    """Return the indices of (0, 0) on the grid; None if it has no such point."""
    i, j = (index_of(surface[axis].values, 0.0) for axis in ("alpha", "beta"))
    return None if i is None or j is None else (i, j)


def centre(surface: xr.Dataset, variable: str) -> float:
    """Return the value of `variable` at (0, 0); NaN if the grid has no such point."""
    at = centre_index(surface)
    return math.nan if at is None else float(values_of(surface, variable)[at])


def without_component(surface: xr.Dataset, level: float, variable: str) -> str:
    """Say why {L <= level} has no part that holds the centre; empty if it has one."""
    at = centre_index(surface)
    if at is None:
        return NO_CENTRE
    here = values_of(surface, variable)[at]
    if not np.isfinite(here):
        return NOT_FINITE
    if math.isnan(level):
        return NO_GUESSING
    return "" if here <= level else ABOVE


def non_finite(surface: xr.Dataset, variable: str = "train_loss") -> int:
    """Count the grid points at which `variable` is infinite or NaN."""
    return int((~np.isfinite(surface[variable])).sum())
