"""Widths of lines around a point, at a rise of 0.5 (`geometry.WELL`) above its loss: drawn and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from landscape import geometry
from landscape.figures.shared import style
from landscape.geometry.barriers import WELL, Well
from landscape.lazy import mpl, np, xr
from landscape.objective import meanings

_TO = "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}"


def wells(surfaces: Sequence[xr.Dataset], at: float = 0.0) -> list[Well]:
    """Find the interval of low train loss around `at` on each line."""
    return [geometry.well(surface, at) for surface in surfaces]


def bar(ax: mpl.axes.Axes, surfaces: Sequence[xr.Dataset], at: float = 0.0) -> None:
    """Draw the interval as a horizontal bar at its level; with several lines its ends and the level are medians."""
    level, low, high = np.median([(well.level, well.low, well.high) for well in wells(surfaces, at)], axis=0)
    ax.plot([low, high], 2 * [level], "|-", color="black", linewidth=0.9, markersize=5, zorder=4)


def below(surfaces: Sequence[xr.Dataset], at: str = "at the centre") -> str:
    """Write where the interval is, after `the train loss`: less than 0.5 above that `at` the point."""
    nats = {meanings.in_nats(surface.attrs) for surface in surfaces}
    above, times = f"is less than {WELL:g} above that {at}", f"is below {1 + WELL:g} times that {at}"
    if nats == {False}:
        return times
    return above if nats == {True} else f"{above} (if not in natural logarithms, {times})"


def key(label: str) -> mpl.lines.Line2D:
    """Make a legend's entry for the bar; the legend needs numpoints=2."""
    return style.key(label, color="black", marker="|", markersize=5)


def median(wells: Sequence[Well]) -> float:
    """Compute the median width; NaN if one of them is NaN."""
    return float(np.median([well.width.value for well in wells]))


def phrase(wells: Sequence[Well]) -> str:
    """Write `0.84`; for several directions the median and the extremes, `0.84 (0.80 to 0.90)`; or why there is none."""
    reasons = [well.width.reason for well in wells if math.isnan(well.width.value)]
    if reasons:
        return reasons[0] if len(wells) == 1 else f"{reasons[0]} on {len(reasons)} of {len(wells)} lines"
    values = [well.width.value for well in wells]
    said = _digits(median(wells))
    if len(values) > 1:
        said += f" ({_digits(min(values))}{_TO}{_digits(max(values))})"
    return f"at least {said}" if any(well.cut for well in wells) else said


def _digits(value: float) -> str:
    return f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"
