"""The grid of a surface: its centre, its steps, its values; and how a number about it is told."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from landscape.lazy import np, xr

CELLS = 6
"""Cells of the grid that a feature must span along each axis to be measured: at least six points then lie in it."""

ROUNDING = 1e-9
"""Share of a grid step by which rounding may move a coordinate."""

NOT_RESOLVED = "not resolved"
NO_CENTRE = "no centre on the grid"
NOT_FINITE = "centre not finite"
ABOVE = "centre above the level"
LINE = "a line"


class Status(IntEnum):
    """What became of a grid point: the values of the variable `status`."""

    absent = 0
    computed = 1
    non_finite = 2
    not_converged = 3
    negative_variance = 4


@dataclass(frozen=True)
class Number:
    """A number about a surface.

    Attributes:
        value: NaN where it is undefined.
        step: the grid step it was measured with, the coarser of the two axes, in multiples of the direction.
        reason: why it is NaN; empty otherwise.
    """

    value: float
    step: float
    reason: str = ""


def undefined(step: float, reason: str) -> Number:
    return Number(math.nan, step, reason)


def specification(surface: xr.Dataset) -> dict[str, Any]:
    """The plane of a surface, every key stated."""
    spec: dict[str, Any] = json.loads(surface.attrs["spec"])
    return spec


def guessing(surface: xr.Dataset) -> float:
    """The loss of guessing, ln(classes)."""
    return math.log(surface.attrs["classes"])


def points_of(whole: xr.Dataset, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(alpha, beta) of the points with these row-major indices."""
    alpha, beta = np.meshgrid(whole.alpha.values, whole.beta.values, indexing="ij")
    return alpha.ravel()[index], beta.ravel()[index]


def values_of(surface: xr.Dataset, variable: str) -> np.ndarray:
    """The values of `variable`, shape (alpha, beta)."""
    return np.asarray(surface[variable].transpose("alpha", "beta").values, np.float64)


def is_line(surface: xr.Dataset) -> bool:
    """Whether one of the axes has a single point."""
    return min(surface.sizes["alpha"], surface.sizes["beta"]) == 1


def step_of(x: np.ndarray) -> float:
    """Distance of neighbouring coordinates; NaN if there is but one."""
    return float(x[-1] - x[0]) / (x.size - 1) if x.size > 1 else math.nan


def coarser_step(surface: xr.Dataset) -> float:
    """The larger of the two steps of the grid; of a line its step; NaN of a single point."""
    return float(np.fmax(step_of(surface.alpha.values), step_of(surface.beta.values)))


def index_of(x: np.ndarray, at: float) -> int | None:
    """Place of the coordinate `at`, which rounding may have moved; None if the grid has no such point."""
    away = np.abs(x - at)
    k = int(away.argmin())
    step = step_of(x)
    return None if away[k] > ROUNDING * (1.0 if math.isnan(step) else step) else k


def centre_index(surface: xr.Dataset) -> tuple[int, int] | None:
    """Place of (0, 0) on the grid, or None if it has no such point."""
    i, j = (index_of(surface[axis].values, 0.0) for axis in ("alpha", "beta"))
    return None if i is None or j is None else (i, j)


def centre(surface: xr.Dataset, variable: str) -> float:
    """Value of `variable` at (0, 0); NaN if the grid has no such point, or what was measured there is NaN."""
    at = centre_index(surface)
    return math.nan if at is None else float(values_of(surface, variable)[at])


def without_component(surface: xr.Dataset, level: float, variable: str) -> str:
    """Why {L <= level} has no part that holds the centre; empty if it has one."""
    at = centre_index(surface)
    if at is None:
        return NO_CENTRE
    here = values_of(surface, variable)[at]
    if not np.isfinite(here):
        return NOT_FINITE
    return "" if here <= level else ABOVE


def non_finite(surface: xr.Dataset, variable: str = "train_loss") -> int:
    """Number of grid points where `variable` is infinite or NaN."""
    return int((~np.isfinite(surface[variable])).sum())
