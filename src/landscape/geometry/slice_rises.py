"""The rise of a surface on a circle around its centre."""

from __future__ import annotations

import math

from landscape.geometry.grid import (
    CELLS,
    NOT_RESOLVED,
    ROUNDING,
    Number,
    centre,
    coarser_step,
    undefined,
    values_of,
    without_component,
)
from landscape.lazy import np, xr

_ANGLES = 720


def slice_rise(surface: xr.Dataset, r: float, variable: str = "train_loss") -> tuple[Number, Number]:
    """Return the mean and the maximum of L - L(0, 0) on the circle |(alpha, beta)| = r.

    A plane is interpolated bilinearly at 720 points. A line has the two points alpha = -r and r. Both are NaN, with a reason, if the grid has no finite centre, the circle
    leaves the grid, its diameter has fewer than `CELLS` steps (so the step must be at most r / 3), or a point next to
    the circle is not finite.

    This is no epsilon-sharpness: the maximum is over two directions, not over all.
    """
    step = coarser_step(surface)
    axes = [axis for axis in ("alpha", "beta") if surface.sizes[axis] > 1]
    ends = [(surface[axis].values[0], surface[axis].values[-1]) for axis in axes]
    reason = without_component(surface, math.inf, variable)
    if not reason and not step * CELLS <= 2 * r * (1 + ROUNDING):
        reason = NOT_RESOLVED
    if not reason and any(first > -r * (1 - ROUNDING) or last < r * (1 - ROUNDING) for first, last in ends):
        reason = "circle leaves the grid"
    if not reason:
        values = values_of(surface, variable).squeeze()
        rises = _interpolated(surface, axes, values, r) - centre(surface, variable)
        if np.isfinite(rises).all():
            return Number(float(rises.mean()), step), Number(float(rises.max()), step)
        reason = "not finite on the circle"
    return undefined(step, reason), undefined(step, reason)


def _interpolated(surface: xr.Dataset, axes: list[str], values: np.ndarray, r: float) -> np.ndarray:
    coordinates = [surface[axis].values for axis in axes]
    angles = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    circle = r * np.stack([np.cos(angles), np.sin(angles)], 1) if len(axes) == 2 else np.array([[-r], [r]])
    inside = np.clip(circle, [x[0] for x in coordinates], [x[-1] for x in coordinates])  # removes rounding
    from scipy.interpolate import RegularGridInterpolator  # takes long to import

    return np.asarray(RegularGridInterpolator(coordinates, values, method="linear")(inside))
