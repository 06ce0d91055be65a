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
from landscape.figures.shared.groups import group, judged
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panel_grid import NOTE, Grid, fits, grid
from landscape.geometry import comparisons
from landscape.geometry.error_rates import Errors
from landscape.geometry.means import Mean, Sample, mean_of
from landscape.lazy import mpl, np, pd
from landscape.objective import meanings
from landscape.training import run_factors, seed_groups


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
        shown = [point for point in points if point.mean.known]
        families = list(dict.fromkeys(point.family for point in shown))
        markers = dict(zip(families, cycle(style.MARKERS), strict=False))
        found, pairs = compare(points, self.number), joined(shown)
        panels = grid(1, heading=self.title)
        (ax,) = panels.axes
        colours = _colours([point.depth for point in shown if point.depth is not None])
        scatter(ax, shown, pairs, markers, colours)
        care = len(shown) < len(points)
        ax.set_title(words.with_care(found.short, care), fontsize=NOTE, parse_math=False)
        ax.set(xlabel=f"{_named(self.number, points)} (train loss)", ylabel=_judged_by(points)[1])
        _depth_bar(panels, shown, colours)
        look: style.Look = {"linestyle": "none", "markerfacecolor": "white", "markeredgecolor": "black"}
        look |= {"markersize": 4, "markeredgewidth": 0.6}
        keys = [style.key(family, marker=marker, **look) for family, marker in markers.items()]
        beside = [n for n in (3, 2) if all(fits(family, 3.0 / n - 0.35, NOTE) for family in families)]
        panels.legend(keys, beside[0] if beside else 1)
        panels.fit(0.86)
        return Drawing(panels.figure, _numbers(points, self.number), _caption(self, points, pairs, str(found)))


_GREY = "0.6"


@dataclass(frozen=True)
class Plotted:
    """One run: the number on each of its planes, and its test error."""

    members: tuple[Member, ...]
    judged: seed_groups.JudgedRun
    samples: tuple[Sample, ...]

    @property
    def first(self) -> Member:
        return self.members[0]

    @property
    def values(self) -> np.ndarray:
        """The number on each plane, (planes,); NaN where it is not defined."""
        return np.array([sample.value for sample in self.samples])

    @property
    def known(self) -> np.ndarray:
        return np.asarray(self.values[np.isfinite(self.values)])

    @cached_property
    def mean(self) -> Mean:
        """The mean over the planes where the number is defined; a bound if it is one on some."""
        return mean_of(self.samples)

    @property
    def errors(self) -> Errors | None:
        return self.judged.errors

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
        np.array([point.mean.value for point in points]),
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
        if point.mean.bound:
            mark = ">" if point.mean.bound > 0 else "<"
            beside = mpl.transforms.offset_copy(
                ax.transData, ax.get_figure(root=True), 6 * point.mean.bound, units="points"
            )
            ax.plot(x[k], y[k, 0], mark, color="black", markersize=3, zorder=4, transform=beside)
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
    if len({meanings.mean_loss(point.first.seen.attrs) for point in points}) > 1:
        return comparisons.Comparison(len(points), untested="the losses are of several kinds")
    return seed_groups.compare_runs([point.judged for point in points], number)


def point_of(members: tuple[Member, ...], number: str) -> Plotted:
    """Compute the number on each plane of one run."""
    run = judged(members)
    return Plotted(members, run, tuple(run.samples(number, list(run.surfaces))))


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
    """Tabulate each run and plane: member, plane, family, depth, the number (and if it is a bound), test error in percent with its interval."""
    rows = []
    variable, _ = _judged_by(points)
    name = "test_error" if variable == "test_accuracy" else variable
    for point in points:
        error, low, high = point.error(variable)
        for member, found in zip(point.members, point.samples, strict=True):
            named = {"member": member.state, "plane": member.plane, "family": point.family, "depth": point.depth}
            rows.append(
                named
                | {number: found.value, "bound": found.bound, name: error, f"{name}_low": low, f"{name}_high": high}
            )
    return pd.DataFrame(rows)


def _caption(spec: Sharpness, points: Sequence[Plotted], pairs: Sequence[tuple[int, int]], compared: str) -> str:
    missing = [point for point in points if not point.mean.known]
    planes = words.each(sorted({len(point.members) for point in points}))
    sharper = "smaller" if spec.number.startswith(seed_groups.FLATTER) else "larger"
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
        f"their test error: {compared}.",
        any(point.mean.bound for point in points)
        and "A black arrow marks a bound: the border of the plane, or its grid, cuts the number on that side.",
        bool(missing) and f"{words.DAGGER} above: some runs are not drawn.",
    )
    items = [_item(point, spec.number) for point in points]
    return words.caption(spec.about, seen, words.surface_made(members), items)


def _item(point: Plotted, number: str) -> str:
    known, bound = point.known, {1: "at least ", 0: "", -1: "at most "}[point.mean.bound]
    told = f"{bound}{known.mean():.3g} ({known.min():.3g} to {known.max():.3g})" if known.size else "not defined"
    few = f", defined on {known.size} of {point.values.size} planes" if 0 < known.size < point.values.size else ""
    without = [m.seen for m, value in zip(point.members, point.values, strict=True) if not np.isfinite(value)]
    reasons = dict.fromkeys(geometry.reasons(surface)[number] for surface in without)
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return f"{words.run_item(point.first)} {_named(number, [point]).capitalize()}: {told}{few}{why}."
