"""A number of the surface against the test error, or another score, a point per network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.errors import InputError, one_of
from landscape.figures.kind import OfRuns
from landscape.figures.shared import style, ticks, words
from landscape.figures.shared.groups import group
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panel_grid import NOTE, Grid, fits, grid
from landscape.geometry import comparisons
from landscape.lazy import mpl, np, pd
from landscape.objective import meanings
from landscape.training import run_factors


class Sharpness(OfRuns):
    """A number of the surface against the test error, or another score, a point per network."""

    example: ClassVar[str] = "surface, history"
    draw: Literal["sharpness"]
    planes: Annotated[Names, Ref("planes", axes=2)] = Field(
        min_length=1, description="over which the number is averaged; * stands for several"
    )
    number: str = Field("area_rise_0.5", description="a number of geometry")

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one panel with a point per run; thin lines join runs that differ in one factor."""
        if self.number not in geometry.NAMES:
            raise InputError(f"the number {self.number!r} is none of geometry's; {one_of(geometry.NAMES)}")
        points = [point_of(of.members, self.number) for of in group(members)]
        shown = [point for point in points if np.isfinite(point.mean)]
        families = list(dict.fromkeys(point.family for point in shown))
        markers = dict(zip(families, cycle(style.MARKERS), strict=False))
        verdict, beware, pairs = str(compare(points, self.number)), confounded(shown), joined(shown)
        panels = grid(1, heading=self.title)
        (ax,) = panels.axes
        colours = _colours([point.depth for point in shown if point.depth is not None])
        scatter(ax, shown, pairs, markers, colours)
        care = bool(beware) or len(shown) < len(points)
        ax.set_title(words.with_care(verdict, care), fontsize=NOTE, parse_math=False)
        ax.set(xlabel=f"{_named(self.number, points)} (train loss)", ylabel=_judged_by(points)[1])
        _depth_bar(panels, shown, colours)
        look: style.Look = {"linestyle": "none", "markerfacecolor": "white", "markeredgecolor": "black"}
        look |= {"markersize": 4, "markeredgewidth": 0.6}
        keys = [style.key(family, marker=marker, **look) for family, marker in markers.items()]
        beside = [n for n in (3, 2) if all(fits(family, 3.0 / n - 0.35, NOTE) for family in families)]
        panels.legend(keys, beside[0] if beside else 1)
        panels.fit(0.86)
        return Drawing(panels.figure, _numbers(points, self.number), _caption(self, points, pairs, [verdict, *beware]))


_GREY = "0.6"
_FLAT = ("width_", "area_", "convex_")
"""Prefixes of the numbers that grow with flatness."""


@dataclass(frozen=True)
class Plotted:
    """One run: the number on each of its planes, and its test error."""

    members: tuple[Member, ...]
    values: np.ndarray  # (planes,), NaN where the number is not defined

    @property
    def first(self) -> Member:
        return self.members[0]

    @property
    def known(self) -> np.ndarray:
        return np.asarray(self.values[np.isfinite(self.values)])

    @property
    def mean(self) -> float:
        """Mean over the planes where the number is defined; NaN if there is none."""
        return float(self.known.mean()) if self.known.size else float("nan")

    @cached_property
    def errors(self) -> run_factors.Errors | None:
        return run_factors.errors(self.first.history, self.first.row)

    def error(self, variable: str) -> tuple[float, float, float]:
        """Test error in percent with its Wilson interval; or another score or loss, which has none."""
        if self.errors is not None and variable == "test_accuracy":
            return self.errors.percent, *self.errors.interval
        value = float(self.first.row[variable])
        return 3 * (100 * (1 - value),) if variable == "test_accuracy" else 3 * (value,)

    @cached_property
    def factors(self) -> dict[str, Any]:
        return run_factors.factors(self.first.history)

    @property
    def family(self) -> str:
        return str(self.factors["network"])

    @property
    def depth(self) -> int | None:
        depth = self.factors.get("args.depth")
        return depth if isinstance(depth, int) else None


def scatter(
    ax: mpl.axes.Axes,
    points: Sequence[Plotted],
    pairs: Sequence[tuple[int, int]],
    markers: Mapping[str, str],
    colours: mpl.colors.Normalize,
) -> None:
    """Draw the points with their bars, and the lines between joined points."""
    x, y = (
        np.array([point.mean for point in points]),
        np.array([point.error(_judged_by(points)[0]) for point in points]),
    )
    for i, j in pairs:
        ax.plot(x[[i, j]], y[[i, j], 0], "-", color="0.75", linewidth=0.5, zorder=1)
    for k, point in enumerate(points):
        across = [[x[k] - point.known.min()], [point.known.max() - x[k]]]
        up = [[y[k, 0] - y[k, 1]], [y[k, 2] - y[k, 0]]]
        colour = _GREY if point.depth is None else mpl.colormaps["viridis"](0.9 * float(colours(point.depth)))
        look: style.Look = {"markersize": 5, "color": colour, "markeredgecolor": "black", "markeredgewidth": 0.5}
        bars: style.Look = {"ecolor": "0.4", "elinewidth": 0.6, "zorder": 3}
        ax.errorbar(x[k], y[k, 0], xerr=across, yerr=up, fmt=markers[point.family], **look, **bars)
    ticks.plain(ax.xaxis, ax.yaxis)
    if points and x.min() > 0 and x.max() > 10 * x.min():
        ax.set_xscale("log")
        ticks.plain_numbers(ax.xaxis)


def joined(points: Sequence[Plotted]) -> list[tuple[int, int]]:
    """Find the pairs of runs that differ in one factor other than the seed."""
    factors = pd.DataFrame([point.factors for point in points])
    return [(i, j) for i, j, factor in comparisons.single_factor_pairs(factors) if factor != "seed"]


def compare(points: Sequence[Plotted], number: str) -> comparisons.Comparison:
    """Test if sharper networks, averaged over their seeds, have larger errors."""
    if any(point.errors is None for point in points):
        return comparisons.Comparison(len(points), untested="no test errors")
    networks = group([point.first for point in points], "seed")
    network = {member.state: k for k, of in enumerate(networks) for member in of.members}
    factors = {k: run_factors.factors(of.first.history) | {"seed": None} for k, of in enumerate(networks)}
    sign = -1 if number.startswith(_FLAT) else 1
    named = [{"network": network[point.first.state], "run": point.first.state} for point in points]
    values = [
        of | {"direction": member.plane, "value": sign * value}
        for of, point in zip(named, points, strict=True)
        for member, value in zip(point.members, point.values.tolist(), strict=True)
    ]
    errors = [
        of | {"wrong": point.errors.wrong, "images": point.errors.images}
        for of, point in zip(named, points, strict=True)
        if point.errors is not None
    ]
    return comparisons.compare(pd.DataFrame(values), pd.DataFrame(errors), factors)


def confounded(points: Sequence[Plotted]) -> list[str]:
    """Note why the runs cannot be compared; empty if they can."""
    losses = {point.first.label: float(point.first.row.train_loss) for point in points}
    if len({meanings.mean_loss(point.first.seen.attrs) for point in points}) > 1:
        return ["confounded: the losses are of several kinds"]
    reason = run_factors.confounded(losses, geometry.guessing(points[0].first.seen)) if points else ""
    return [f"confounded: {reason}"] if reason else []


def point_of(members: tuple[Member, ...], number: str) -> Plotted:
    """Compute the number on each plane of one run."""
    return Plotted(members, np.array([geometry.numbers(member.seen)[number] for member in members]))


def _named(number: str, points: Sequence[Plotted]) -> str:
    """Name the number, with every meaning that it has for the losses of these runs."""
    found = dict.fromkeys(geometry.named(number, point.first.seen) for point in points)
    return " or ".join(found) or geometry.NAMES[number]


def _judged_by(points: Sequence[Plotted]) -> tuple[str, str]:
    """Choose the variable of the histories on the vertical axis, and its label: the score of all runs, or the test loss.

    Raises:
        InputError: if a run has no test split.
    """
    score = meanings.common_score(point.first.history.attrs for point in points)
    variable = f"test_{score or 'loss'}"
    for point in points:
        if variable not in point.first.row:
            raise InputError(f"{point.first.state} has no test split, and draw: sharpness shows a test error")
    if score == "accuracy":
        return variable, "test error (%)"
    label = f"test {meanings.score_word(score)}" if score else "test loss"
    return variable, label if score else words.loss_label([point.first.history for point in points], label)


def _colours(depths: Sequence[int]) -> mpl.colors.Normalize:
    low, high = min(depths, default=1), max(depths, default=2)
    return mpl.colors.LogNorm(low, high) if high > low else mpl.colors.Normalize(low - 1, high + 1)


def _depth_bar(panels: Grid, points: Sequence[Plotted], colours: mpl.colors.Normalize) -> None:
    """Draw the colour bar of the depths, if there are some."""
    depths = sorted({point.depth for point in points if point.depth is not None})
    if not depths:
        return
    bar = panels.color_bar(mpl.cm.ScalarMappable(colours, style.colour_map("viridis", 0.9)))
    bar.ax.xaxis.set_major_locator(mpl.ticker.FixedLocator(depths))
    bar.ax.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    ticks.plain_numbers(bar.ax.xaxis)
    bar.set_label("depth (layers)" + (", of others grey" if any(p.depth is None for p in points) else ""))


def _numbers(points: Sequence[Plotted], number: str) -> pd.DataFrame:
    """Tabulate each run and plane: member, plane, family, depth, the number, test error in percent with its interval."""
    rows = []
    variable, _ = _judged_by(points)
    name = "test_error" if variable == "test_accuracy" else variable
    for point in points:
        error, low, high = point.error(variable)
        for member, value in zip(point.members, point.values, strict=True):
            named = {"member": member.state, "plane": member.plane, "family": point.family, "depth": point.depth}
            rows.append(named | {number: value, name: error, f"{name}_low": low, f"{name}_high": high})
    return pd.DataFrame(rows)


def _caption(
    spec: Sharpness, points: Sequence[Plotted], pairs: Sequence[tuple[int, int]], compared: Sequence[str]
) -> str:
    missing = [point for point in points if not np.isfinite(point.mean)]
    planes = words.each(sorted({len(point.members) for point in points}))
    sharper = "smaller" if spec.number.startswith(_FLAT) else "larger"
    members = [member for point in points for member in point.members]
    by = _judged_by(points)[1].removesuffix(" (%)")
    interval = ", the test error with its 95 % Wilson interval" * all(point.errors is not None for point in points)
    seen = words.sentences(
        f"{_named(spec.number, points).capitalize()}, of the train loss, against the {by}: a point per run, the number "
        f"being the mean over its planes ({planes}) with a bar from the lowest to the highest{interval}. "
        "A marker per family of networks, the colour their depth.",
        bool(pairs)
        and f"Thin lines join the {len(pairs)} pairs of runs that differ in one factor and have the same seed.",
        bool(missing)
        and f"Not drawn, since the number is not defined: {', '.join(words.escape(p.first.label) for p in missing)}.",
        f"Above, whether networks are the sharper (the {sharper} the number, in the mean of planes and seeds) the larger "
        f"their test error: {'; '.join(compared)}.",
        (bool(missing) or len(compared) > 1)
        and f"{words.DAGGER} above: the runs cannot be compared as they stand, or some are not drawn.",
    )
    items = [_item(point, spec.number) for point in points]
    return words.caption(spec.about, seen, words.surface_made(members), items)


def _item(point: Plotted, number: str) -> str:
    known = point.known
    told = f"{known.mean():.3g} ({known.min():.3g} to {known.max():.3g})" if known.size else "not defined"
    few = f", defined on {known.size} of {point.values.size} planes" if 0 < known.size < point.values.size else ""
    without = [m.seen for m, value in zip(point.members, point.values, strict=True) if not np.isfinite(value)]
    reasons = dict.fromkeys(geometry.reasons(surface)[number] for surface in without)
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return f"{words.run_item(point.first)} {_named(number, [point]).capitalize()}: {told}{few}{why}."
