"""Numbers of lines: the interval below a level, and the barrier between two runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from landscape.errors import InputError
from landscape.geometry.grid import (
    CELLS,
    NO_UNIT,
    NOT_RESOLVED,
    ROUNDING,
    Number,
    Status,
    index_of,
    rise_unit,
    specification,
    step_of,
    undefined,
)
from landscape.lazy import np, xr

WELL = 0.5
"""Height of a well over the loss at its point (claim 2), in units of `grid.rise_unit`."""


_LOWER_IS_WORSE = ("accuracy", "r2")
_HIGHER_IS_WORSE = ("loss", "perplexity")


@dataclass(frozen=True)
class Well:
    """Interval around a point of a line on which the loss is less than `WELL` units above the loss at the point.

    Attributes:
        level: the loss at its ends, where the line does not cut it.
        low, high: its ends, in multiples of the direction; NaN without a finite loss at the point.
        cut: the line, or its finite part, ends below the level, so that `width` is a lower bound.
        width: high - low; NaN, with the reason, where fewer than `CELLS` cells of the grid span it.
    """

    level: float
    low: float
    high: float
    cut: bool
    width: Number


def interval(x: np.ndarray, values: np.ndarray, level: float, start: int) -> tuple[float, float]:
    """Return the ends of the interval around x[start] on which the piecewise linear `values` is at most `level`.

    Without a crossing, an end is the last point of the grid, or the last before one that is not finite.
    Both are NaN if values[start] is above the level.
    """
    if not values[start] <= level:
        return math.nan, math.nan
    return _crossing(x, values, level, range(start, -1, -1)), _crossing(x, values, level, range(start, x.size))


def other_end(line: xr.Dataset) -> str:
    """Return the run or state at alpha = 1 of a line between two runs.

    Raises:
        InputError: if the surface is no such line.
    """
    spec = specification(line)
    others = {"to": [spec.get("run")], "through": spec.get("runs") or []}.get(spec["directions"], [])
    if line.sizes["beta"] > 1 or len(others) != 1:
        raise InputError(
            f"plane {line.attrs.get('plane', '')!r} has directions: {spec['directions']} and {line.sizes['beta']} points "
            "along beta; a line between two runs has directions: to, or through one other run, and no beta"
        )
    return str(others[0])


def well(line: xr.Dataset, x: float) -> Well:
    """Measure the interval around alpha = x of a line on which the train loss is below L(x) + `WELL` units (claim 2).

    Raises:
        InputError: if the surface is a plane.
    """
    if line.sizes["beta"] > 1:
        raise InputError(
            f"plane {line.attrs.get('plane', '')!r} has {line.sizes['beta']} points along beta; a line has one"
        )
    alpha, values = line.alpha.values, line.train_loss.values.reshape(-1)
    step = step_of(alpha)
    at = index_of(alpha, x)
    level, reason = math.nan, f"no point at alpha = {x:g}"
    if at is not None:
        level = float(values[at]) + WELL * rise_unit(line, float(values[at]))
        reason = NO_UNIT if np.isfinite(values[at]) else f"not finite at alpha = {x:g}"
    if at is None or not np.isfinite(level):
        return Well(math.nan, math.nan, math.nan, False, undefined(step, reason))
    low, high = interval(alpha, values, level, at)
    width = Number(high - low, step) if high - low >= (CELLS - ROUNDING) * step else undefined(step, NOT_RESOLVED)
    return Well(level, low, high, bool((values[np.isin(alpha, (low, high))] < level).any()), width)


def barrier(line: xr.Dataset, variable: str = "train_loss") -> Number:
    """Return the barrier of a line between two runs: max over 0 <= a <= 1 of L(a) - ((1 - a) L(0) + a L(1)).

    L is a loss or the perplexity; the error as a share, 1 - accuracy; or -R2. The barrier is never below 0, its value at the
    ends. Nothing says if a score of the user's own is better high or low: there it is the deviation from the straight line,
    with its sign, that is largest in magnitude.
    It is NaN, with a reason, where the grid lacks 0 or 1, has fewer than `CELLS` cells between them, or has a point
    there that is not finite, which could be the highest.

    Raises:
        InputError: if the surface is no line between two runs.
    """
    other_end(line)
    alpha = line.alpha.values
    step = step_of(alpha)
    first, last = index_of(alpha, 0), index_of(alpha, 1)
    if first is None or last is None:
        return undefined(step, f"no point at alpha = {0 if first is None else 1}")
    if last - first < CELLS:
        return undefined(step, NOT_RESOLVED)
    between = line.isel(alpha=slice(first, last + 1))
    a, values = between.alpha.values, between[variable].values.reshape(-1)
    if missing := int((~np.isfinite(values)).sum()):
        negative = int((between.status == Status.negative_variance).sum()) if "status" in between else 0
        why = f", {negative} for a negative variance" if negative else ""
        return undefined(step, f"{missing} of {a.size} points between the runs not finite{why}")
    of = variable.partition("_")[2]
    if of in _LOWER_IS_WORSE:
        values = 1 - values
    above = values - ((1 - a) * values[0] + a * values[-1])
    at = above.argmax() if of in (*_LOWER_IS_WORSE, *_HIGHER_IS_WORSE) else np.abs(above).argmax()
    return Number(float(above[at]), step)


def _crossing(x: np.ndarray, values: np.ndarray, level: float, order: range) -> float:
    """Find the coordinate at which `values`, followed in `order`, first rises above `level`, by linear interpolation."""
    for k, following in zip(order, order[1:], strict=False):
        if not np.isfinite(values[following]):
            return float(x[k])
        if values[following] > level:
            share = (level - values[k]) / (values[following] - values[k])
            return float(x[k] + share * (x[following] - x[k]))
    return float(x[order[-1]])
