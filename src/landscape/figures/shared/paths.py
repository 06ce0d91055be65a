"""One panel of a trajectory: the view, the path with its dots and diamonds, and the strip of losses below."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from landscape.figures.shared import style, ticks, value_words, words
from landscape.figures.shared.labels import annotate
from landscape.figures.shared.members import Member
from landscape.lazy import mpl, np, xr

EPOCHS = "Blues"
"""The colour map of epochs, light at the start; the dots have dark edges, to be visible on any ground."""

RED = "#D00000"
FALLS = "learning rate falls"
START: style.Look = {"marker": "s", "markersize": 4.5, "markerfacecolor": "white", "markeredgecolor": "black"}
END: style.Look = {"marker": "*", "markersize": 8, "markerfacecolor": "white", "markeredgecolor": "black"}
FALL: style.Look = {"marker": "D", "markersize": 4, "markerfacecolor": RED, "markeredgecolor": "black"}
_THIN: style.Look = {"linestyle": "none", "markeredgewidth": 0.6}

LOSSES: dict[str, tuple[str, style.Look]] = {
    "projected_loss": ("on the plane", {"color": "black", "linestyle": ":", "linewidth": 1.1}),
    "weights_loss": ("weights alone", {"color": "#56B4E9", "linestyle": "--"}),
    "saved_loss": ("as saved", {"color": style.LOSS, "linestyle": "-"}),
}
NBSP = "\N{NO-BREAK SPACE}"
_LOWEST, _HIGHEST = 1e-6, 1e3  # of the strips, at most

Limits = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """A panel of a figure of trajectories: a member at a scale.

    Attributes:
        again: True if an earlier panel shows the same path.
    """

    member: Member
    scale: Literal["equal", "auto"]
    again: bool

    @property
    def path(self) -> xr.Dataset:
        return self.member.path

    @property
    def falls(self) -> dict[int, int]:
        return drops(self.member.history, self.path)


def points_of(path: xr.Dataset) -> np.ndarray:
    """Return the coordinates of the kept epochs, shape (epochs, 2)."""
    return np.stack([path.alpha.values, path.beta.values], axis=1)


def finite_points(path: xr.Dataset) -> np.ndarray:
    points = points_of(path)
    return np.asarray(points[np.isfinite(points).all(axis=1)])


def drops(history: xr.Dataset, path: xr.Dataset) -> dict[int, int]:
    """Find the epochs after which a step schedule lowers the learning rate to less than half, and where to show each.

    Returns:
        The last kept epoch at or before each drop, by the drop's epoch. Empty for other schedules, which fall smoothly.
    """
    if json.loads(history.attrs["spec"]).get("schedule") != "step":
        return {}
    rate, epoch, kept = history.learning_rate.values, history.epoch.values, path.epoch.values
    after = epoch[:-1][rate[1:] < rate[:-1] / 2]
    return {int(drop): int(kept[kept <= drop][-1]) for drop in after if (kept <= drop).any()}


def view(path: xr.Dataset, surface: xr.Dataset | None, scale: Literal["equal", "auto"], ratio: float) -> Limits:
    """Compute the limits of alpha and of beta.

    auto: the path's limits, each axis for itself. equal: the limits of path and grid together; one axis is extended
    until both have the same scale in a panel whose height is `ratio` times its width.
    """
    finite = finite_points(path)
    low, high = finite.min(axis=0), finite.max(axis=0)
    margin = 0.08 * np.where(high > low, high - low, max(float((high - low).max()), 1e-9))
    if scale == "auto" or surface is None:
        low, high = low - margin, high + margin
    else:
        first, last = _ends(surface)
        low, high = np.where(low < first, low - margin, first), np.where(high > last, high + margin, last)
    if scale == "equal":
        wanted = max(high[0] - low[0], (high[1] - low[1]) / ratio) * np.array([1, ratio])
        middle = (low + high) / 2
        low, high = middle - wanted / 2, middle + wanted / 2
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def outside(path: xr.Dataset, surface: xr.Dataset) -> int:
    """Count the kept epochs outside the grid."""
    first, last = _ends(surface)
    points = points_of(path)
    return int(((points < first) | (points > last)).any(axis=1).sum())


def _ends(surface: xr.Dataset) -> np.ndarray:
    """Return the first and the last point of the grid, shape (2, 2)."""
    return np.array([surface[axis].values[[0, -1]] for axis in ("alpha", "beta")]).T


def hidden(path: xr.Dataset) -> list[str]:
    """Say in words which values a panel and its strip cannot show."""
    values = np.stack([path[name].values for name in LOSSES])
    counts = {
        "epochs with no place, since weights are not finite": ~np.isfinite(points_of(path)).all(axis=1),
        "losses not finite": ~np.isfinite(values),
        f"losses above {_HIGHEST:,.0f}": np.isfinite(values) & (values > _HIGHEST),
    }
    return [f"{int(there.sum()):,} {what}" for what, there in counts.items() if there.any()]


def axis_label(path: xr.Dataset, axis: Literal["alpha", "beta"]) -> str:
    """Label the axis: its direction, its share of the path, and the share expected by chance."""
    share, walk, expected = (
        float(path[name].sel(axis=axis)) for name in ("share", "random_walk_share", "expected_share")
    )
    beside = f"(random walk {percent(walk)})" if np.isfinite(walk) else f"(expected {percent(expected)})"
    said = f"{_name(words.plane(path), axis)} {percent(share)}"
    return f"{said} {beside.replace(' ', NBSP)}" if np.isfinite([walk, expected]).any() else said


def percent(share: float) -> str:
    """Write a share in two digits: 72 %, 6.1 %, 0.021 %."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value_words.loss(value)} %"


def draw_path(
    ax: mpl.axes.Axes, path: xr.Dataset, falls: dict[int, int], *, colours: mpl.colors.Normalize
) -> mpl.collections.PathCollection:
    """Draw joined dots, one per kept epoch; a square at the start, a star at the end, diamonds where the rate falls."""
    points, epochs = points_of(path), path.epoch.values
    ax.plot(*points.T, "-", color="0.2", linewidth=0.5, zorder=4)
    look: style.Look = {"cmap": style.colour_map(EPOCHS), "norm": colours, "edgecolors": "black", "linewidths": 0.3}
    dots = ax.scatter(points[:, 0], points[:, 1], c=epochs, s=8 if epochs.size <= 60 else 3, zorder=5, **look)
    ax.plot(*points[0], label="start", zorder=6, **START, **_THIN)
    ax.plot(*np.reshape([*_seen(path, falls).values()], (-1, 2)).T, label="falls", zorder=6, **FALL, **_THIN)
    ax.plot(*points[-1], label="end", zorder=7, **END, **_THIN)
    return dots


def label_falls(ax: mpl.axes.Axes, path: xr.Dataset, falls: dict[int, int]) -> list[mpl.text.Annotation]:
    """Write the epoch beside each diamond, on axes of their final size."""
    seen = _seen(path, falls)
    places = np.reshape([*seen.values()], (-1, 2))
    return annotate(ax, places, [*map(str, seen)], avoid=finite_points(path), color=RED)


def strip(ax: mpl.axes.Axes, path: xr.Dataset, falls: Iterable[int], limits: tuple[float, float], last: int) -> None:
    """Draw the three losses over the kept epochs, on a logarithmic axis; thin red lines where the learning rate falls."""
    for drop in falls:
        ax.axvline(drop, color=RED, linewidth=0.5, zorder=1)
    for name, (_, look) in LOSSES.items():
        ax.plot(path.epoch, path[name].where(np.isfinite).clip(_LOWEST), label=name, **look)
    ax.set(xlim=(0, max(last, 1)), yscale="log", ylim=limits)
    ticks.whole(ax.xaxis, 4)
    ticks.decades(ax.yaxis, 4)
    ticks.short_powers(ax.yaxis)


def loss_limits(paths: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Compute the strips' common limits: around the finite losses, from 1e-6 to 1000 at most."""
    values = np.concatenate([path[name].values for path in paths for name in LOSSES])
    finite = values[np.isfinite(values)].clip(_LOWEST, _HIGHEST)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.1, 1.0)
    return low / 1.5, min(high * 1.5, _HIGHEST)


def handles() -> list[mpl.lines.Line2D]:
    """Make the legend's entries for the three symbols."""
    return [style.key(name, **look, **_THIN) for name, look in (("start", START), ("end", END), (FALLS, FALL))]


def _seen(path: xr.Dataset, falls: dict[int, int]) -> dict[int, np.ndarray]:
    """Return the places of the diamonds by epoch, without epochs whose weights are not finite."""
    place = dict(zip(path.epoch.values.tolist(), points_of(path), strict=True))
    return {drop: place[kept] for drop, kept in falls.items() if np.isfinite(place[kept]).all()}


def _name(spec: dict[str, Any], axis: Literal["alpha", "beta"]) -> str:
    """Name a direction."""
    first = axis == "alpha"
    if spec["directions"] == "pca":
        return "PC1" if first else "PC2"
    if spec["directions"] == "start":
        return "to the start" if first else "random"
    if spec["directions"] == "through":
        runs = spec["runs"]
        return f"to {runs[0]}" if first else f"towards {runs[1]}" if len(runs) == 2 else "random"
    if spec["directions"] == "of":
        return f"{axis} of {spec['plane']}"
    return axis
