"""Loss and accuracy along a line: the axes, the curves, and their legend."""

from __future__ import annotations

from collections.abc import Sequence

from landscape import geometry
from landscape.figures.shared import style, words
from landscape.figures.shared.bands import band, stack
from landscape.figures.shared.groups import loss_names, not_finite
from landscape.figures.shared.level_lines import HATCH
from landscape.figures.shared.panel_grid import few_ticks, plain_ticks
from landscape.lazy import mpl, np, xr

VARIABLES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
_SHADE = {"train_loss": 0.22, "test_loss": 0.12, "train_accuracy": 0.14, "test_accuracy": 0.08}  # of the bands


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
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(few_ticks())
    ax.xaxis.set_major_formatter(plain_ticks())


def losses(ax: mpl.axes.Axes, surfaces: Sequence[xr.Dataset], linewidth: float = 0.8) -> None:
    """Draw the losses; several surfaces become the median, and a band between the extremes."""
    for name in loss_names(surfaces):
        _curve(ax, surfaces, name, stack(surfaces, name), style.LOSS, linewidth)


def accuracy_axis(ax: mpl.axes.Axes) -> mpl.axes.Axes:
    """Make a twin of `ax` for accuracies in percent."""
    twin = ax.twinx()
    twin.set(ylim=(0, 100))
    twin.spines["right"].set_visible(True)
    twin.tick_params(axis="y", labelcolor=style.ACCURACY)
    return twin


def accuracies(ax: mpl.axes.Axes, surfaces: Sequence[xr.Dataset], linewidth: float = 0.8) -> None:
    """Draw accuracies in percent; several surfaces become the median, and a band between the extremes."""
    for loss in loss_names(surfaces):
        name = loss.replace("loss", "accuracy")
        _curve(ax, surfaces, name, 100 * stack(surfaces, name), style.ACCURACY, linewidth)


def loss_limit(surfaces: Sequence[xr.Dataset]) -> float:
    """Return the common top of the loss axes: the highest loss, but no more than `highest`."""
    values = np.concatenate([surface[name].values.ravel() for surface in surfaces for name in loss_names([surface])])
    finite = values[np.isfinite(values)]
    cap = highest(surfaces)
    return min(cap, 1.05 * float(finite.max())) if finite.size and finite.max() > 0 else cap


def highest(surfaces: Sequence[xr.Dataset]) -> float:
    """Return a loss of 5 (Li et al. 2018), or twice that of guessing if this is more."""
    return max(5.0, *(2 * geometry.guessing(surface) for surface in surfaces))


def split_keys(surfaces: Sequence[xr.Dataset]) -> list[mpl.lines.Line2D | mpl.patches.Patch]:
    """Make the legend's entries for solid and dashed lines, and for hatching if there is some."""
    splits = [
        mpl.lines.Line2D([], [], color=style.GREY, linestyle=dashes, label=split)
        for split, dashes in style.SPLITS.items()
        if any(f"{split}_loss" in surface for surface in surfaces)
    ]
    return [*splits, *hatch_keys(surfaces)]


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
    return words.error_of(accuracy, int(surface.attrs["test_images"])) if np.isfinite(accuracy) else None


def _curve(
    ax: mpl.axes.Axes, surfaces: Sequence[xr.Dataset], name: str, curves: np.ndarray, color: str, linewidth: float
) -> None:
    split = name.partition("_")[0]
    x = surfaces[0].alpha.values
    band(ax, x, curves, style.SPLITS[split], color=color, shade=_SHADE[name], linewidth=linewidth)


def _spans(x: np.ndarray, where: np.ndarray) -> list[tuple[float, float]]:
    """Find the intervals around runs of consecutive points, each ending half-way to the next point."""
    between = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [(float(between[a]), float(between[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]
