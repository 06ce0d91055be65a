"""One panel of a trajectory: the view, the path with its dots and diamonds, and the strip of losses below."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from landscape.figures.shared import style, words
from landscape.figures.shared.labels import annotate
from landscape.figures.shared.members import Member
from landscape.lazy import mpl, np, xr

EPOCHS = "Blues"
"""The colour map of epochs."""
"""Light at the start, dark at the end; the dots have dark edges, to be visible on any ground."""

RED = "#D00000"
FALLS = "learning rate falls"
START: dict[str, Any] = {"marker": "s", "markersize": 4.5, "markerfacecolor": "white", "markeredgecolor": "black"}
END: dict[str, Any] = {"marker": "*", "markersize": 8, "markerfacecolor": "white", "markeredgecolor": "black"}
FALL: dict[str, Any] = {"marker": "D", "markersize": 4, "markerfacecolor": RED, "markeredgecolor": "black"}
_THIN: dict[str, Any] = {"linestyle": "none", "markeredgewidth": 0.6}

LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "projected_loss": ("on the plane", {"color": "black", "linestyle": ":", "linewidth": 1.1}),
    "weights_loss": ("weights alone", {"color": "#56B4E9", "linestyle": "--"}),
    "saved_loss": ("as saved", {"color": style.LOSS, "linestyle": "-"}),
}
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
        assert self.member.trajectory is not None, self.member.state
        return self.member.trajectory

    @property
    def falls(self) -> dict[int, int]:
        return drops(self.member.history, self.path)


def points_of(path: xr.Dataset) -> np.ndarray:
    """Return the coordinates of the kept epochs, shape (epochs, 2)."""
    return np.stack([path.alpha.values, path.beta.values], axis=1)


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
    points = points_of(path)
    finite = points[np.isfinite(points).all(axis=1)]
    low, high = finite.min(axis=0), finite.max(axis=0)
    margin = 0.08 * np.where(high > low, high - low, max(float((high - low).max()), 1e-9))
    if scale == "auto" or surface is None:
        low, high = low - margin, high + margin
    else:
        grid = [(float(surface[axis][0]), float(surface[axis][-1])) for axis in ("alpha", "beta")]
        first, last = np.array(grid).T
        low, high = np.where(low < first, low - margin, first), np.where(high > last, high + margin, last)
    if scale == "equal":
        wanted = max(high[0] - low[0], (high[1] - low[1]) / ratio) * np.array([1, ratio])
        middle = (low + high) / 2
        low, high = middle - wanted / 2, middle + wanted / 2
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def outside(path: xr.Dataset, limits: Limits) -> int:
    """Count the kept epochs outside these limits."""
    points, (low, high) = points_of(path), np.array(limits).T
    return int(((points < low) | (points > high)).any(axis=1).sum())


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
    shares = path.sel(axis=axis)
    share, walk, expected = (float(shares[name]) for name in ("share", "random_walk_share", "expected_share"))
    beside = ""
    if np.isfinite(walk):
        beside = f" (random walk {percent(walk)})"
    elif np.isfinite(expected):
        beside = f" (expected {percent(expected)})"
    held = beside.replace(" ", "\N{NO-BREAK SPACE}").replace("\N{NO-BREAK SPACE}(", " (")
    return f"{_name(words.plane(path), axis)} {percent(share)}{held}"


def percent(share: float) -> str:
    """Write a share in two digits: 72 %, 6.1 %, 0.021 %."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{words.loss(value)} %"


def draw_path(
    ax: mpl.axes.Axes, path: xr.Dataset, falls: dict[int, int], *, colours: mpl.colors.Normalize, size: float = 6
) -> mpl.collections.PathCollection:
    """Draw joined dots, one per kept epoch; a square at the start, a star at the end, diamonds where the rate falls."""
    points, epochs = points_of(path), path.epoch.values
    ax.plot(*points.T, "-", color="0.2", linewidth=0.5, zorder=4)
    dots = ax.scatter(
        points[:, 0],
        points[:, 1],
        c=epochs,
        s=size,
        cmap=style.colour_map(EPOCHS),
        norm=colours,
        edgecolors="black",
        linewidths=0.3,
        zorder=5,
    )
    ax.plot(*points[0], label="start", zorder=6, **START, **_THIN)
    ax.plot(*np.reshape([*_seen(path, falls).values()], (-1, 2)).T, label="falls", zorder=6, **FALL, **_THIN)
    ax.plot(*points[-1], label="end", zorder=7, **END, **_THIN)
    return dots


def label_falls(ax: mpl.axes.Axes, path: xr.Dataset, falls: dict[int, int]) -> list[mpl.text.Annotation]:
    """Write the epoch beside each diamond, on axes of their final size."""
    seen, points = _seen(path, falls), points_of(path)
    places = np.reshape([*seen.values()], (-1, 2))
    return annotate(ax, places, [*map(str, seen)], avoid=points[np.isfinite(points).all(axis=1)], color=RED)


def strip(
    ax: mpl.axes.Axes, path: xr.Dataset, falls: Sequence[int], limits: tuple[float, float], last: int
) -> list[mpl.lines.Line2D]:
    """Draw the three losses over the kept epochs, on a logarithmic axis; thin red lines where the learning rate falls."""
    for drop in falls:
        ax.axvline(drop, color=RED, linewidth=0.5, zorder=1)
    drawn = [
        line
        for name, (_, look) in LOSSES.items()
        for line in ax.plot(path.epoch, path[name].where(np.isfinite).clip(_LOWEST), label=name, **look)
    ]
    ax.set(xlim=(0, max(last, 1)), yscale="log", ylim=limits)
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_locator(mpl.ticker.LogLocator(numticks=4))
    ax.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}".replace("e-0", "e-")))
    ax.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    return drawn


def loss_limits(paths: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Compute the strips' common limits: around the finite losses, from 1e-6 to 1000 at most."""
    values = np.concatenate([path[name].values for path in paths for name in LOSSES])
    finite = values[np.isfinite(values)].clip(_LOWEST, _HIGHEST)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.1, 1.0)
    return low / 1.5, min(high * 1.5, _HIGHEST)


def handles() -> list[mpl.lines.Line2D]:
    """Make the legend's entries for the three symbols."""
    named = {"start": START, "end": END, FALLS: FALL}
    return [mpl.lines.Line2D([], [], label=name, **look, **_THIN) for name, look in named.items()]


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
