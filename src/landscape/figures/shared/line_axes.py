"""Loss and score along a line: the axes, the curves, several curves as one band, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from landscape import geometry
from landscape.config.fields import INERT, with_trait
from landscape.errors import InputError
from landscape.figures.shared import style, ticks, value_words, words
from landscape.figures.shared.groups import Group, loss_names, not_finite
from landscape.figures.shared.level_lines import HATCH
from landscape.figures.shared.loss_scale import usual_top
from landscape.lazy import mpl, np, xr
from landscape.measures.plane import Plane
from landscape.objective import meanings

_SHADES = {("train", True): 0.22, ("test", True): 0.12, ("train", False): 0.14, ("test", False): 0.08}
"""Opacity of the bands of losses (True) and scores."""
_SPLITS = ("train", "test")


@dataclass(frozen=True)
class ScoreAxis:
    """The right axis of a figure: the score that all its lines have, and the limits."""

    score: str
    low: float
    high: float

    @property
    def label(self) -> str:
        return "accuracy (%)" if self.score == "accuracy" else meanings.score_word(self.score)

    def twin(self, ax: mpl.axes.Axes) -> mpl.axes.Axes:
        """Make a twin of `ax`; accuracies are in percent."""
        twin = ax.twinx()
        twin.set(ylim=(self.low, self.high))
        twin.spines["right"].set_visible(True)
        twin.tick_params(axis="y", labelcolor=style.ACCURACY)
        return twin


def score_axis(surfaces: Sequence[xr.Dataset]) -> ScoreAxis | None:
    """Choose the right axis; None if the lines have no score, or different ones."""
    score = meanings.common_score(surface.attrs for surface in surfaces)
    if score is None:
        return None
    if score == "accuracy":
        return ScoreAxis(score, 0, 100)
    names = [f"{split}_{score}" for split in _SPLITS]
    values = np.concatenate([surface[name].values.ravel() for surface in surfaces for name in names if name in surface])
    known = values[np.isfinite(values)] if np.isfinite(values).any() else np.array([0.0, 1.0])
    if score == "r2":  # 1 is the best, 0 the mean of the targets, and there is no lower end
        return ScoreAxis(score, max(-1.0, min(0.0, float(known.min()))), 1.0)
    low, high = float(known.min()), usual_top(known)
    margin = 0.05 * (high - low or 1.0)
    return ScoreAxis(score, low - margin, high + margin)


def and_score(right: ScoreAxis | None) -> str:
    """Write which axis is whose; empty if there is no right one."""
    if right is None:
        return ""
    name = meanings.score_word(right.score)
    return f" (blue, left axis) and {name} (vermilion, right axis)"


def variables(surfaces: Sequence[xr.Dataset]) -> list[str]:
    """List the losses and the scores of lines."""
    scores = [score for surface in surfaces if (score := meanings.score_in(surface.attrs))]
    return [f"{split}_{of}" for of in dict.fromkeys(["loss", *scores]) for split in _SPLITS]


def frame(ax: mpl.axes.Axes, surfaces: Sequence[xr.Dataset], *, limits: tuple[float, float]) -> None:
    """Set limits and ticks of the loss along a line.

    Hatch spans where a loss of any surface is not finite; grey out the parts of a line beyond its two runs.
    """
    alpha = surfaces[0].alpha.values
    if words.plane(surfaces[0])["directions"] in ("to", "through"):
        for beyond in ((alpha[0], min(0.0, alpha[-1])), (max(1.0, alpha[0]), alpha[-1])):
            if beyond[0] < beyond[1]:
                ax.axvspan(*beyond, facecolor="0.95", linewidth=0, zorder=0)
    grids: dict[bytes, list[xr.Dataset]] = {}
    for surface in surfaces:
        grids.setdefault(surface.alpha.values.tobytes(), []).append(surface)
    for alike in grids.values():
        x = alike[0].alpha.values
        finite = np.all([np.isfinite(stack(alike, name)).all(axis=0) for name in loss_names(alike)], axis=0)
        for left, right in _spans(x, ~finite):
            ax.axvspan(left, right, facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, zorder=0.5)
        ticks.hold(ax, x)
    ax.set(ylim=limits)
    ticks.plain(ax.xaxis, ax.yaxis)


def curves(ax: mpl.axes.Axes, surfaces: Sequence[xr.Dataset], of: str = "loss", linewidth: float = 0.8) -> None:
    """Draw losses, or a score, accuracies in percent; several surfaces become the median, and a band between the extremes."""
    color, unit = style.LOSS if of == "loss" else style.ACCURACY, 100 if of == "accuracy" else 1
    for name in loss_names(surfaces):
        split = name.partition("_")[0]
        if not all(f"{split}_{of}" in surface for surface in surfaces):
            continue
        values = unit * stack(surfaces, f"{split}_{of}")
        look: style.Look = {"color": color, "shade": _SHADES[split, of == "loss"], "linewidth": linewidth}
        band(ax, surfaces[0].alpha.values, values, style.SPLITS[split], **look)


def loss_limits(surfaces: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Return the common ends of the loss axes: 0 and the highest loss, but no more than the end of `widest`."""
    finite = _finite_losses(surfaces)
    low, cap = widest(surfaces)
    high = float(finite.max(initial=-np.inf))
    return low, min(cap, high + 0.05 * (high - low)) if finite.size and high > low else cap


def widest(surfaces: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Return 0 and a loss of 5 (Li et al. 2018), or twice that of guessing if this is more.

    Of a loss that is no logarithm of probabilities, return its lowest value, if negative, and the usual top of its values.
    """
    if all(meanings.in_nats(surface.attrs) for surface in surfaces):
        guesses = (2 * geometry.guessing(surface) for surface in surfaces)
        return 0.0, max([5.0, *(guess for guess in guesses if guess == guess)])
    finite = _finite_losses(surfaces)
    if not finite.size:
        return 0.0, 1.0
    low, top = float(min(0.0, finite.min())), usual_top(finite)
    return low, top + 0.05 * (top - low) if top > low else low + 1


def _finite_losses(surfaces: Sequence[xr.Dataset]) -> np.ndarray:
    values = np.concatenate([surface[name].values.ravel() for surface in surfaces for name in loss_names([surface])])
    return np.asarray(values[np.isfinite(values)])


def split_keys(surfaces: Sequence[xr.Dataset]) -> list[mpl.artist.Artist]:
    """Make the legend's entries for solid and dashed lines, and for hatching if there is some."""
    return [*style.split_keys(surfaces), *hatch_keys(surfaces)]


def splits(surfaces: Sequence[xr.Dataset]) -> str:
    """Write which line is whose, as far as splits were measured."""
    tested = any("test_loss" in surface for surface in surfaces)
    return "of the training examples solid and of the test examples dashed" if tested else "of the training examples"


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
    """Write `error 6.12 % (5.67 to 6.61)` of the test split at a point of a line, or another score, if it was measured there."""
    line = surface.isel(beta=0)
    score = meanings.score_in(surface.attrs)
    if score is None or f"test_{score}" not in line or alpha not in line.alpha:
        return None
    here = line.sel(alpha=alpha)
    return " ".join(value_words.outcome(surface.attrs, here) or ()) if np.isfinite(here[f"test_{score}"]) else None


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


def require_lines(groups: Sequence[Group], kind: str, any_range: bool = False) -> None:
    """Refuse, with an InputError, a surface that is no line, or lines of one band that differ in more than the seed.

    Args:
        any_range: their ranges may differ too.
    """
    for group in groups:
        first = group.first.seen
        for surface in group.surfaces:
            if surface.sizes["beta"] > 1 or surface.sizes["alpha"] < 2:
                raise InputError(
                    f"the plane {surface.attrs['plane']!r} has {surface.sizes['alpha']} x {surface.sizes['beta']} points, and "
                    f"draw: {kind} needs a line: at least 2 points of alpha and no beta"
                )
            if unlike := [key for key in _unlike(first, surface) if not (any_range and key == "alpha")]:
                raise InputError(
                    f"{group.label}: the lines {first.attrs['plane']!r} and {surface.attrs['plane']!r} differ in "
                    f"{', '.join(unlike)}; draw: {kind} makes one band of them, so they may differ in their seed alone"
                    + (": state the range instead of auto" if "rise" in surface.attrs else "")
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
