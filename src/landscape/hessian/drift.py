"""Drift of the extreme eigenvalues with more examples: on a subset the largest is too large, the smallest too small."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from landscape.data.datasets import subset
from landscape.data.examples import Examples
from landscape.geometry.grid import points_of
from landscape.hessian.lanczos import Extremes
from landscape.hessian.products import Hessian

MULTIPLES = (2, 4)
"""Multiples of the plane's number of examples over which the eigenvalues of a few points are found again."""

_NUMBERS = {
    "eigenvalue_min": "minimum",
    "eigenvalue_max": "maximum",
    "residual_min": "residual_min",
    "residual_max": "residual_max",
}
"""Variables of a surface, and the attributes of `Extremes` that they hold."""


def sample(whole: xr.Dataset) -> list[int]:
    """Choose up to five points of a plane: both ends, both quarters, the nearest to the centre; row-major indices."""
    points = whole.sizes["alpha"] * whole.sizes["beta"]
    alpha, beta = points_of(whole, np.arange(points))
    quarters = np.linspace(0, points - 1, 5).round().astype(int)
    return sorted({*np.delete(quarters, 2).tolist(), int(np.argmin(np.hypot(alpha, beta)))})


def drift(
    points: xr.Dataset,
    train: Examples,
    examples: int,
    over: Callable[[Examples], Hessian],
    find: Callable[[Hessian], Extremes],
) -> list[dict[str, Any]]:
    """Collect the eigenvalues at some points of a tile, and find them again over 2 and 4 times as many examples if available.

    Args:
        examples: number of examples that the tile is measured on.
        over: builds the Hessian over a split.
        find: finds the extreme eigenvalues of a Hessian at its current point.

    Returns:
        A dictionary for each point: `index`, `alpha`, `beta`, the list `examples` of numbers of examples, and lists as long of
        both eigenvalues and their residuals under the names of the surface's variables; None for a value not finite.
    """
    numbers = [examples, *(n for n in (multiple * examples for multiple in MULTIPLES) if n <= len(train))]
    entries = []
    for k in range(points.sizes["point"]):
        point = points.isel(point=k)
        entry: dict[str, Any] = {"index": int(point["index"]), "alpha": float(point.alpha), "beta": float(point.beta)}
        entries.append({**entry, "examples": numbers, **{name: [_number(float(point[name]))] for name in _NUMBERS}})
    for n in numbers[1:] if entries else []:
        hessian = over(subset(train, n))
        for entry in entries:
            hessian.move(entry["alpha"], entry["beta"])
            found = find(hessian)
            for name, of in _NUMBERS.items():
                entry[name].append(_number(getattr(found, of)))
    return entries


def _number(value: float) -> float | None:
    """Replace NaN and infinities by None, since JSON has neither."""
    return value if math.isfinite(value) else None
