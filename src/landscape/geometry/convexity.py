"""Convexity of a surface: the share of convex points, and the height up to which its level lines look convex."""

from __future__ import annotations

import math

from landscape.geometry.grid import (
    CELLS,
    LINE,
    NO_UNIT,
    NOT_RESOLVED,
    Number,
    centre,
    coarser_step,
    guessing,
    is_line,
    rise_unit,
    step_of,
    undefined,
    values_of,
    without_component,
)
from landscape.geometry.levels import Component, LevelSets, basin
from landscape.lazy import np, xr

AT_BORDER = "the lowest level line reaches the border"

SOLIDITY = 0.97
"""Least solidity that the eye takes for convex."""

_NEGLIGIBLE = 1e-3  # an eigenvalue may lie below zero by this share of the median absolute eigenvalue
_LOWEST_RISE = 0.01  # of the lowest level tried, over the centre, in units of `rise_unit`
_PER_DECADE = 20
_HALVINGS = 10


def convex_share(surface: xr.Dataset, variable: str = "train_loss") -> Number:
    """Return the share of the points around the centre at which the surface is convex.

    It counts the grid points below ln(classes) that are connected with the centre (`levels.basin`) and have eight finite
    neighbours. One is convex if its Hessian of second differences

        [[L_aa, L_ab], [L_ab, L_bb]],  L_ab = (L(+,+) - L(+,-) - L(-,+) + L(-,-)) / (4 h_a h_b),

    has no eigenvalue below -1e-3 times the median absolute eigenvalue of all counted points. The share is NaN, with a
    reason, for a line, for a loss that is not the cross-entropy of classes, if the centre is missing or above ln(classes), and if the counted points lie in fewer than
    `CELLS` rows or columns of the grid.
    """
    step = coarser_step(surface)
    if is_line(surface):
        return undefined(step, LINE)
    level = guessing(surface)
    if reason := without_component(surface, level, variable):
        return undefined(step, reason)
    hessians = _hessians(surface, variable)
    counted = basin(surface, level, variable)[1:-1, 1:-1] & np.isfinite(hessians).all((-2, -1))
    if min(counted.any(0).sum(), counted.any(1).sum()) < CELLS:
        return undefined(step, NOT_RESOLVED)
    eigenvalues = np.linalg.eigvalsh(hessians[counted])
    negligible = _NEGLIGIBLE * np.median(np.abs(eigenvalues))
    return Number(float((eigenvalues.min(1) >= -negligible).mean()), step)


def convex_height(surface: xr.Dataset, variable: str = "train_loss") -> Number:
    """Find the level up to which all level lines around the centre look convex and stay off the border.

    A level looks convex if the part of {L <= level} that holds the centre has a solidity of at least 0.97. Levels are
    tried from a rise of 0.01 (`grid.rise_unit`) over the centre, 20 per decade; the step to the first that fails is halved ten times. Parts
    that fewer than `CELLS` cells span are skipped. Where the border ends it, the height is a lower bound: a part cut by
    the border looks convex. It is an upper bound if the first part judged does not look convex.

    NaN, with a reason, for a line, without a finite centre, without a unit of rises, if no level is resolved, and if the first part judged reaches
    the border.
    """
    step = coarser_step(surface)
    if reason := LINE if is_line(surface) else without_component(surface, math.inf, variable):
        return undefined(step, reason)
    here = centre(surface, variable)
    unit = rise_unit(surface, here)
    if not unit > 0:
        return undefined(step, NO_UNIT)
    sets = LevelSets.of(surface, variable)
    values = values_of(surface, variable)
    convex = None
    for level in _ladder(here, float(values[np.isfinite(values)].max()), _LOWEST_RISE * unit):
        found = sets.component(level)
        if found is None or not found.resolved:
            continue
        if _fails(found):
            return _height(sets, convex, level, found, step)
        convex = level
    return undefined(step, NOT_RESOLVED) if convex is None else Number(convex, step, bound=1)


def _fails(found: Component) -> bool:
    return found.touches_border or found.solidity < SOLIDITY


def _height(sets: LevelSets, convex: float | None, failing: float, found: Component, step: float) -> Number:
    """Bisect between the last convex level, None without one, and the first that fails."""
    if convex is None:
        return undefined(step, AT_BORDER) if found.touches_border else Number(failing, step, bound=-1)
    for _ in range(_HALVINGS):
        middle = (convex + failing) / 2
        part = sets.component(middle)
        if part is None or _fails(part):
            failing, found = middle, part or found
        else:
            convex = middle
    return Number(convex, step, bound=int(found.touches_border and found.solidity >= SOLIDITY))


def _hessians(surface: xr.Dataset, variable: str) -> np.ndarray:
    """Return the second differences at the inner points of the grid, shape (alpha - 2, beta - 2, 2, 2)."""
    values = values_of(surface, variable)
    a, b = step_of(surface.alpha.values), step_of(surface.beta.values)
    with np.errstate(invalid="ignore", over="ignore"):
        aa = (values[2:] - 2 * values[1:-1] + values[:-2])[:, 1:-1] / a**2
        bb = (values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2])[1:-1] / b**2
        ab = (values[2:, 2:] - values[2:, :-2] - values[:-2, 2:] + values[:-2, :-2]) / (4 * a * b)
    return np.stack([np.stack([aa, ab], -1), np.stack([ab, bb], -1)], -2)


def _ladder(centre: float, highest: float, lowest: float) -> list[float]:
    """Return levels from a little above the centre to the highest of the grid, with equal ratios of their rises."""
    if highest <= centre + lowest:
        return [highest]
    rungs = max(2, math.ceil(_PER_DECADE * math.log10((highest - centre) / lowest)))
    return [*(centre + np.geomspace(lowest, highest - centre, rungs))[:-1].tolist(), highest]
