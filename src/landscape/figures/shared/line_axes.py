"""Loss and accuracy along a line: the axes, the curves, several curves as one band, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from landscape import geometry
from landscape.config.fields import INERT, with_trait
from landscape.errors import InputError
from landscape.figures.shared import style, ticks, words
from landscape.figures.shared.groups import Group, loss_names, not_finite
from landscape.figures.shared.level_lines import HATCH
from landscape.lazy import mpl, np, xr
from landscape.measures.plane import Plane

VARIABLES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
_SHADES = {("train", "loss"): 0.22, ("test", "loss"): 0.12, ("train", "accuracy"): 0.14, ("test", "accuracy"): 0.08}
"""Opacity of the bands."""


def frame(ax: mpl.axes.Axes, surfaces: Sequence[xr.Dataset], *, top: float) -> None:
    """Set limits and ticks of the loss along a line, up to `top`.

    Hatch spans where a loss of any surface is not finite; grey out the parts of a line beyond its two runs.
    """
    alpha = surfaces[0].alpha.values
    if words.plane(surfaces[0])["directions"] in ("to", "through"):
        for beyond in ((alpha[0], min(0.0, alpha[-1])), (max(1.0, alpha[0]), alpha[-1])):
            if beyond[0] < beyond[1]:
                ax.axvspan(*beyond, facecolor="0.95", linewidth=0, zorder=0)
    finite = np.all([np.isfinite(stack(surfaces, name)).all(axis=0) for name in loss_names(surfaces)], axis=0)
    for left, right in _spans(alpha, ~finite):
        ax.axvspan(left, right, facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, zorder=0.5)
    ax.set(xlim=alpha[[0, -1]], ylim=(0, top))
    ticks.plain(ax.xaxis, ax.yaxis)


def curves(
    ax: mpl.axes.Axes, surfaces: Sequence[xr.Dataset], of: Literal["loss", "accuracy"], linewidth: float = 0.8
) -> None:
    """Draw losses, or accuracies in percent; several surfaces become the median, and a band between the extremes."""
    color, unit = (style.LOSS, 1) if of == "loss" else (style.ACCURACY, 100)
    for name in loss_names(surfaces):
        split = name.partition("_")[0]
        values = unit * stack(surfaces, f"{split}_{of}")
        look: style.Look = {"color": color, "shade": _SHADES[split, of], "linewidth": linewidth}
        band(ax, surfaces[0].alpha.values, values, style.SPLITS[split], **look)


def accuracy_axis(ax: mpl.axes.Axes) -> mpl.axes.Axes:
    """Make a twin of `ax` for accuracies in percent."""
    twin = ax.twinx()
    twin.set(ylim=(0, 100))
    twin.spines["right"].set_visible(True)
    twin.tick_params(axis="y", labelcolor=style.ACCURACY)
    return twin


def loss_limit(surfaces: Sequence[xr.Dataset]) -> float:
    """Return the common top of the loss axes: the highest loss, but no more than `highest`."""
    values = np.concatenate([surface[name].values.ravel() for surface in surfaces for name in loss_names([surface])])
    finite = values[np.isfinite(values)]
    cap = highest(surfaces)
    return min(cap, 1.05 * float(finite.max())) if finite.size and finite.max() > 0 else cap


def highest(surfaces: Sequence[xr.Dataset]) -> float:
    """Return a loss of 5 (Li et al. 2018), or twice that of guessing if this is more."""
    return max(5.0, *(2 * geometry.guessing(surface) for surface in surfaces))


def split_keys(surfaces: Sequence[xr.Dataset]) -> list[mpl.artist.Artist]:
    """Make the legend's entries for solid and dashed lines, and for hatching if there is some."""
    return [*style.split_keys(surfaces), *hatch_keys(surfaces)]


def hatch_keys(surfaces: Sequence[xr.Dataset]) -> list[mpl.patches.Patch]:
    """Make the legend's entry for hatching, if there is some."""
    if not not_finite(surfaces):
        return []
    return [mpl.patches.Patch(facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, label="not finite")]


def above(surfaces: Sequence[xr.Dataset], top: float) -> str:
    """Write a sentence on losses above the axis, if there are any."""
    count = sum(int((surface[name] > top).sum()) for surface in surfaces for name in loss_names([surface]))
    return f" {count:,} values lie above the loss axis, which ends at {top:.2g}." if count else ""


def error_at(surface: xr.Dataset, alpha: float) -> str | None:
    """Write the test error at a point of a line with its Wilson interval, if it was measured there."""
    line = surface.isel(beta=0)
    if "test_accuracy" not in line or alpha not in line.alpha:
        return None
    accuracy = float(line.test_accuracy.sel(alpha=alpha))
    return words.error_of(accuracy, int(surface.attrs["test_examples"])) if np.isfinite(accuracy) else None


def band(
    ax: mpl.axes.Axes,
    x: np.ndarray,
    curves: np.ndarray,
    dashes: str = "-",
    *,
    color: Any,
    shade: float = 0.22,
    **look: Any,
) -> mpl.lines.Line2D:
    """Draw the median of curves, shape (curve, x), over a band between their extremes; a single curve has no band."""
    low, middle, high = spread(curves)
    if len(curves) > 1:
        ax.fill_between(x, low, high, color=color, alpha=shade, linewidth=0, zorder=1.5)
    (line,) = ax.plot(x, middle, dashes, color=color, **look)
    return line


def spread(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lowest, median, highest finite value of curves, shape (curve, x), at every x; NaN where none is finite."""
    finite = np.ma.masked_invalid(curves)
    low, middle, high = (np.ma.filled(of(finite, axis=0), np.nan) for of in (np.ma.min, np.ma.median, np.ma.max))
    return low, middle, high


def stack(surfaces: Sequence[xr.Dataset], variable: str) -> np.ndarray:
    """Stack a variable along lines, shape (line, alpha)."""
    return np.stack([surface[variable].isel(beta=0).values for surface in surfaces])


def require_lines(groups: Sequence[Group], kind: str) -> None:
    """Refuse, with an InputError, a surface that is no line, or lines of one band that differ in more than the seed."""
    for group in groups:
        first = group.first.seen
        for surface in group.surfaces:
            if surface.sizes["beta"] > 1 or surface.sizes["alpha"] < 2:
                raise InputError(
                    f"the plane {surface.attrs['plane']!r} has {surface.sizes['alpha']} x {surface.sizes['beta']} points, and "
                    f"draw: {kind} needs a line: at least 2 points of alpha and no beta"
                )
            if unlike := _unlike(first, surface):
                raise InputError(
                    f"{group.label}: the lines {first.attrs['plane']!r} and {surface.attrs['plane']!r} differ in "
                    f"{', '.join(unlike)}; draw: {kind} makes one band of them, so they may differ in their seed alone"
                )


def _spans(x: np.ndarray, where: np.ndarray) -> list[tuple[float, float]]:
    """Find the intervals around runs of consecutive points, each ending half-way to the next point."""
    between = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [(float(between[a]), float(between[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _unlike(first: xr.Dataset, second: xr.Dataset) -> list[str]:
    """List the keys other than the seed in which two planes' specifications differ."""
    one, other = words.plane(first), words.plane(second)
    may_differ = {"seed", *with_trait(Plane, INERT)}
    return sorted(key for key in {*one, *other} - may_differ if one.get(key) != other.get(key))
