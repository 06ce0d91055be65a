"""Where a surface falls away from the centre, and how much of the plane belongs to the centre's basin."""

from __future__ import annotations

from landscape.geometry.grid import (
    CELLS,
    LINE,
    NO_GUESSING,
    NOT_RESOLVED,
    Number,
    coarser_step,
    guessing,
    is_line,
    step_of,
    undefined,
    values_of,
    without_component,
)
from landscape.geometry.levels import LevelSets
from landscape.lazy import np, xr


def descends_away(surface: xr.Dataset, level: float, variable: str = "train_loss") -> Number:
    """Return the share of the points below `level` at which steepest descent leads away from the centre.

    It counts the inner points of the grid, without the centre, whose four neighbours are finite. Descent leads away if
    the loss falls along the ray from the centre: a dL/da + b dL/db < 0, by central differences. This sign does not depend
    on the lengths of the directions or the angle between them. NaN, with a reason, for a line, and if the counted points
    lie in fewer than `CELLS` rows or columns.
    """
    step = coarser_step(surface)
    if is_line(surface):
        return undefined(step, LINE)
    if np.isnan(level):
        return undefined(step, NO_GUESSING)
    values = values_of(surface, variable)
    a, b = surface.alpha.values, surface.beta.values
    with np.errstate(invalid="ignore", over="ignore"):
        along_a = (values[2:, 1:-1] - values[:-2, 1:-1]) / (2 * step_of(a))
        along_b = (values[1:-1, 2:] - values[1:-1, :-2]) / (2 * step_of(b))
        outward = a[1:-1, None] * along_a + b[None, 1:-1] * along_b
    counted = (values[1:-1, 1:-1] < level) & np.isfinite(outward) & ((a[1:-1, None] != 0) | (b[None, 1:-1] != 0))
    if min(counted.any(0).sum(), counted.any(1).sum()) < CELLS:
        return undefined(step, NOT_RESOLVED)
    return Number(float((outward[counted] < 0).mean()), step)


def basin_share(surface: xr.Dataset, variable: str = "train_loss") -> Number:
    """Return the share of the plane in the part below ln(classes) that holds the centre.

    NaN, with a reason, for a line, for a loss that is not the cross-entropy of classes, and without a resolved part.
    """
    step, level = coarser_step(surface), guessing(surface)
    if is_line(surface):
        return undefined(step, LINE)
    if reason := without_component(surface, level, variable):
        return undefined(step, reason)
    found = LevelSets.of(surface, variable).component(level)
    if found is None or not found.resolved:
        return undefined(step, NOT_RESOLVED)
    return Number(found.area / float(np.prod([np.ptp(surface[axis].values) for axis in ("alpha", "beta")])), step)
