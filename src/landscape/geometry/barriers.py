"""Numbers of lines: intervals below a level, and what lies between two runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from landscape.errors import InputError
from landscape.geometry.grid import (
    CELLS,
    NOT_RESOLVED,
    ROUNDING,
    Number,
    Status,
    index_of,
    specification,
    step_of,
    undefined,
)
from landscape.lazy import np, xr

WELL = 0.5
"""Rise over the loss at a point of a line up to which the well around it is measured (claim 2)."""


@dataclass(frozen=True)
class Well:
    """The interval around a point of a line on which the loss is below the loss there plus a rise.

    Attributes:
        low, high: its ends, in multiples of the direction; NaN without a finite loss at the point.
        cut: whether the loss is still below the level at one of them, because the line ends there, or the next point is
            not finite; the width is then a lower bound.
        width: high - low; NaN, with the reason, where fewer than `CELLS` cells of the grid span it.
    """

    low: float
    high: float
    cut: bool
    width: Number


def interval(x: np.ndarray, values: np.ndarray, level: float, start: int) -> tuple[float, float]:
    """Ends of the interval around x[start] on which the piecewise linear `values` lies at or below `level`.

    An end is the grid's own end, or the last point before one that is not finite, if no crossing comes sooner.
    Both are NaN if values[start] is above the level.
    """
    if not values[start] <= level:
        return math.nan, math.nan
    return _crossing(x, values, level, range(start, -1, -1)), _crossing(x, values, level, range(start, x.size))


def other_end(line: xr.Dataset) -> str:
    """The run or state at alpha = 1 of a line between two runs.

    Raises:
        InputError: if the surface is no such line.
    """
    spec = specification(line)
    others = {"to": [spec.get("run")], "through": spec.get("runs") or []}.get(spec["directions"], [])
    if line.sizes["beta"] > 1 or len(others) != 1:
        raise InputError(
            f"plane {line.attrs.get('plane', '')!r} of directions: {spec['directions']} and {line.sizes['beta']} points "
            "along beta is no line between two runs: that has directions: to, or directions: through one other run and no "
            "beta"
        )
    return str(others[0])


def well(line: xr.Dataset, x: float, variable: str = "train_loss", rise: float = WELL) -> Well:
    """The interval around alpha = x of a line with L < L(x) + `rise` (between two runs at 0 and 1, claim 2's w).

    Raises:
        InputError: if the surface is a plane.
    """
    if line.sizes["beta"] > 1:
        raise InputError(
            f"plane {line.attrs.get('plane', '')!r} has {line.sizes['beta']} points along beta; a line has one"
        )
    alpha, values = line.alpha.values, line[variable].values.reshape(-1)
    step = step_of(alpha)
    at = index_of(alpha, x)
    if at is None or not np.isfinite(values[at]):
        reason = f"no point at alpha = {x:g}" if at is None else f"not finite at alpha = {x:g}"
        return Well(math.nan, math.nan, False, undefined(step, reason))
    level = values[at] + rise
    low, high = interval(alpha, values, level, at)
    width = Number(high - low, step) if high - low >= (CELLS - ROUNDING) * step else undefined(step, NOT_RESOLVED)
    return Well(low, high, bool((values[np.isin(alpha, (low, high))] < level).any()), width)


def end_widths(line: xr.Dataset, variable: str = "train_loss") -> tuple[float, float]:
    """Widths of the wells at alpha = 0 and alpha = 1 of a line between two runs; NaN as in `Well.width`.

    Raises:
        InputError: if the surface is no line between two runs.
    """
    other_end(line)
    return well(line, 0, variable).width.value, well(line, 1, variable).width.value


def barrier(line: xr.Dataset, variable: str = "train_loss") -> Number:
    """The barrier of a line between two runs: max over 0 <= a <= 1 of L(a) - ((1 - a) L(0) + a L(1)).

    Of an accuracy it is the barrier of the error, 1 - accuracy, as a share. Never below 0, which it is at the ends.
    NaN, with a reason, where the grid lacks 0 or 1, has fewer than `CELLS` cells between them, or where one of its
    points there is not finite: what happens at that point could be the highest.

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
    if variable.endswith("accuracy"):
        values = 1 - values
    if missing := int((~np.isfinite(values)).sum()):
        negative = int((between.status == Status.negative_variance).sum()) if "status" in between else 0
        why = f", {negative} for a negative variance" if negative else ""
        return undefined(step, f"{missing} of {a.size} points between the runs not finite{why}")
    return Number(float((values - ((1 - a) * values[0] + a * values[-1])).max()), step)


def _crossing(x: np.ndarray, values: np.ndarray, level: float, order: range) -> float:
    """Where `values`, followed in `order`, first rises above `level`, between two points by linear interpolation."""
    for k, following in zip(order, order[1:], strict=False):
        if not np.isfinite(values[following]):
            return float(x[k])
        if values[following] > level:
            share = (level - values[k]) / (values[following] - values[k])
            return float(x[k] + share * (x[following] - x[k]))
    return float(x[order[-1]])
