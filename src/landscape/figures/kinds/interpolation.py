"""From one run to another: the loss between them, their weight norms, their weights (Li et al. 2018, Figure 2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.config.section import Section
from landscape.errors import InputError
from landscape.figures.kind import FigureKind
from landscape.figures.shared import line_axes, style, ticks, weight_density, widths, words
from landscape.figures.shared.groups import descriptions, group, loss_names
from landscape.figures.shared.members import Drawing, Member, numbers
from landscape.figures.shared.panel_grid import Grid, grid
from landscape.lazy import mpl, np, pd


class InterpolationRow(Section):
    """Two runs and the line from the one to the other."""

    run: Annotated[str, Ref("runs")]
    to: Annotated[str, Ref("runs")]
    plane: Annotated[str, Ref("planes", axes=1)] = Field(description="a plane with directions: to, and `to` as its run")
    recalibrated: Annotated[str, Ref("planes", axes=1)] | None = Field(
        None, description="the same line with batchnorm: recalibrated, drawn thin beside the first"
    )


class Interpolation(FigureKind):
    """From one run to another: the loss between them, their weight norms, their weights (Li et al. 2018, Figure 2)."""

    example: ClassVar[str] = (
        'between, history, other, weights=weights, rows=[{"run": "net", "to": "other", "plane": "between"}]'
    )
    draw: Literal["interpolation"]
    rows: tuple[InterpolationRow, ...] = Field(min_length=1, description="one row of three panels for each")

    def problems(self, experiment: Any) -> Iterator[str]:
        for i, row in enumerate(self.rows):
            for key, name in (("plane", row.plane), ("recalibrated", row.recalibrated)):
                plane = experiment.planes.get(name or "")
                if plane is not None and (plane.directions, plane.run) != ("to", row.to):
                    yield f".rows[{i}].{key} is {name!r}, which must be a plane with directions: to and run: {row.to}"
                elif plane is not None and key == "recalibrated" and plane.statistics != "recalibrated":
                    yield f".rows[{i}].{key} is {name!r}, which has batchnorm: {plane.statistics}"

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw, for each pair of runs, the line between them, the norms of their weights, and the weights."""
        rows = [_row(of, members) for of in self.rows]
        named = descriptions([end for row in rows for end in row.ends])
        panels = grid(3 * len(rows), columns=3, heading=self.title, share="none")
        surfaces = [member.seen for row in rows for member in row.lines]
        limits, right = line_axes.widest(surfaces), line_axes.score_axis(surfaces)
        norms = panels.axes[1::3]
        for ax in norms[1:]:
            ax.sharex(norms[0])
            ax.sharey(norms[0])
        for k, row in enumerate(rows):
            of_row = panels.axes[3 * k : 3 * k + 3]
            line_panel(of_row[0], row, limits, right)
            norm_panel(of_row[1], row)
            weight_panel(of_row[2], row)
            title = words.with_care(_title(*named[2 * k : 2 * k + 2]), bool(row.run.findings))
            titles = (title, "norm of the weights", "density of the weights")
            for ax, text, notes in zip(of_row, titles, (_line_notes, _norm_notes, _weight_notes), strict=True):
                ax.set_title(text, parse_math=False)
                panels.note(ax, notes(row))
        _norm_ticks(norms[0], any(len(weight_density.norms(end)) for row in rows for end in row.ends))
        _legend(panels, rows)
        panels.fit(0.95)
        return Drawing(panels.figure, _numbers(rows), _caption(self, rows, limits[1], right))

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(state for row in self.rows for state in (row.run, row.to)))

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(row.run, plane) for row in self.rows for plane in (row.plane, row.recalibrated) if plane]

    @property
    def weighed(self) -> tuple[str, ...]:
        return self.states


THICK, THIN = 1.2, 0.5  # points: the line itself, and the line with recalibrated statistics
ENDS: tuple[tuple[int, str, Literal["-", "--"]], ...] = ((0, "0.1", "-"), (1, "#B0508A", "--"))
"""The runs at alpha = 0 and 1 in the panels of norms and weights: colour and dashes."""


@dataclass(frozen=True)
class Row:
    """Data of one row of the figure.

    Attributes:
        run: the state at alpha = 0, on the line.
        recalibrated: the same with batch norm's statistics recomputed at every point.
        to: the state at alpha = 1.
    """

    run: Member
    recalibrated: Member | None
    to: Member

    @property
    def ends(self) -> tuple[Member, Member]:
        return self.run, self.to

    @property
    def lines(self) -> list[Member]:
        return [self.run] if self.recalibrated is None else [self.run, self.recalibrated]

    @cached_property
    def densities(self) -> weight_density.Densities:
        return weight_density.densities([weight_density.flat(member) for member in self.ends])


def line_panel(ax: mpl.axes.Axes, row: Row, limits: tuple[float, float], right: line_axes.ScoreAxis | None) -> None:
    """Draw loss and score between the runs, and the width of the minimum at both ends."""
    line_axes.frame(ax, [row.run.seen], limits=limits)
    ax.set_xlabel("alpha")
    ax.set_ylabel(words.loss_label([row.run.seen]), color=style.LOSS)
    ax.tick_params(axis="y", labelcolor=style.LOSS)
    twin = None if right is None else right.twin(ax)
    if right is not None and twin is not None:
        twin.set_ylabel(right.label, color=style.ACCURACY)
    for member, linewidth in zip(row.lines, (THICK, THIN), strict=False):
        line_axes.curves(ax, [member.seen], "loss", linewidth)
        if right is not None and twin is not None:
            line_axes.curves(twin, [member.seen], right.score, linewidth)
    for end in (0, 1):
        widths.bar(ax, [row.run.seen], at=end)


def norm_panel(ax: mpl.axes.Axes, row: Row) -> None:
    """Draw the norm of each run's weights over its steps, with a tick where its learning rate drops."""
    for member, (_, colour, dashes) in zip(row.ends, ENDS, strict=True):
        norms = weight_density.norms(member).query("step > 0")  # a logarithmic axis cannot show 0
        ax.plot(norms.step, norms.weight_norm, dashes, color=colour)
        drops = norms[norms["rate_drops"]]
        ax.plot(drops.step, drops.weight_norm, "|", color=colour, markersize=6, markeredgewidth=0.8)
    ax.set(xscale="log", yscale="log", xlabel="steps")
    ax.tick_params(labelleft=True)


def weight_panel(ax: mpl.axes.Axes, row: Row) -> None:
    """Draw the density of each run's weights."""
    for density, (_, colour, dashes) in zip(row.densities.values, ENDS, strict=True):
        shown = np.where(density > 0, density, np.nan)
        ax.stairs(shown, row.densities.edges, baseline=None, color=colour, linestyle=dashes, linewidth=0.8)
    ax.set(yscale="log", xlabel="weight", xlim=row.densities.edges[[0, -1]])
    ax.yaxis.set_major_locator(mpl.ticker.LogLocator(numticks=5))
    ticks.plain(ax.xaxis)


def _row(of: InterpolationRow, members: Sequence[Member]) -> Row:
    """Build a row of the figure; raise InputError if a plane is no line from one run to the other."""
    places = {(member.state, member.plane): member for member in members}
    states = {member.state: member for member in members}
    recalibrated = places[of.run, of.recalibrated] if of.recalibrated else None
    row = Row(places[of.run, of.plane], recalibrated, states[of.to])
    for member in row.lines:
        line_axes.require_lines(group([member]), "interpolation")
        if (other := geometry.other_end(member.seen)) != of.to:
            raise InputError(
                f"the plane {member.plane!r} leads from {of.run} to {other}, and the figure says to {of.to}"
            )
    return row


def _title(run: str, to: str) -> str:
    """Title a row `decay 0: batch 128 to batch 8192`, the common part of both names first."""
    first, second = run.split(", "), to.split(", ")
    common = [part for part in first if part in second]
    ends = (", ".join(part for part in of if part not in common) for of in (first, second))
    return f"{', '.join(common)}{': ' if common else ''}{' to '.join(ends)}"


def _line_notes(row: Row) -> list[str]:
    """Write the test error, or another score, at both ends."""
    errors = {end: line_axes.error_at(row.run.seen, end) for end in (0, 1)}
    return [f"{error} at {end}" for end, error in errors.items() if error]


def _norm_notes(row: Row) -> list[str]:
    norms = [weight_density.norms(member).weight_norm.to_numpy() for member in row.ends]
    return [
        f"at {end}: from {of[0]:.3g} to {of[-1]:.3g}" if of.size else f"at {end}: not trained here"
        for end, of in enumerate(norms)
    ]


def _weight_notes(row: Row) -> list[str]:
    of = row.densities
    return [
        f"at {end}: norm {norm:.3g}, {100 * small:.0f} % below {weight_density.SMALL:g}"
        for (end, _, _), norm, small in zip(ENDS, of.norms, of.small, strict=True)
    ]


def _norm_ticks(ax: mpl.axes.Axes, drawn: bool) -> None:
    """Set ticks of shared axes: powers of ten, or plain numbers within a decade; norms span at least a factor of 1.5."""
    if not drawn:
        ax.set(xlim=(1, 10), ylim=(1, 10))
    low, high = ax.get_ylim()
    more = max(1.0, math.sqrt(1.5 * low / high))
    ax.set_ylim(low / more, high * more)
    for axis, (first, last) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        ticks.decades(axis, 4)
        if last < 10 * first:
            ticks.plain(axis)


def _legend(panels: Grid, rows: Sequence[Row]) -> None:
    keys = line_axes.split_keys([member.seen for row in rows for member in row.lines])
    if any(row.recalibrated for row in rows):
        keys.append(style.key("thin: recalibrated", color=style.GREY, linewidth=THIN))
    width = widths.key("w")
    keys += [width, *(style.key(f"run at alpha {end}", color=c, linestyle=dashes) for end, c, dashes in ENDS)]
    keys.append(style.key("learning rate drops", color="0.1", marker="|", markersize=6, linestyle=""))
    panels.legend(keys, 4, handler_map={width: mpl.legend_handler.HandlerLine2D(numpoints=2)})


def _numbers(rows: Sequence[Row]) -> pd.DataFrame:
    """Tabulate the lines' points, the norms per epoch and the densities per bin; the column `panel` tells them apart."""
    frames = []
    for row in rows:
        frames.append(
            numbers(row.lines, line_axes.variables([member.seen for member in row.lines]), plane=True).assign(
                panel="line"
            )
        )
        edges = {"from": row.densities.edges[:-1], "to": row.densities.edges[1:]}
        for member, density in zip(row.ends, row.densities.values, strict=True):
            frames.append(weight_density.norms(member).assign(panel="norm", member=member.state))
            frames.append(pd.DataFrame(edges | {"density": density}).assign(panel="weights", member=member.state))
    whole = pd.concat(frames, ignore_index=True)
    return whole[["panel", *whole.columns.drop("panel")]]


def _caption(spec: Interpolation, rows: Sequence[Row], top: float, right: line_axes.ScoreAxis | None) -> str:
    shown = [member for row in rows for member in row.lines]
    outside = max(share for row in rows for share in row.densities.outside)
    seen = (
        f"Left: loss{line_axes.and_score(right)} on the line from one run, at alpha = 0, to "
        f"another one, at alpha = 1; {line_axes.splits([member.seen for member in shown])}; beyond the runs on grey."
        f"{line_axes.above([member.seen for member in shown], top)} Spans where a loss is not finite are hatched. The "
        "brackets are w, the length of the interval around each end on which the train loss "
        f"{widths.below([row.run.seen for row in rows], 'at the end')}{_scores_below(right)}. Middle: the norm of all parameters after each epoch, over the "
        "steps taken, both axes logarithmic, so that the norm before training is not drawn; below the panel those before and "
        "after training. Right: the density of the weights of all parameters with more than one dimension, in "
        f"{weight_density.BINS} bins within {weight_density.REACH} standard deviations of those of both runs together (at most "
        f"{100 * outside:.2g} % lie outside), on a logarithmic axis; the axes differ from row to row. Below it the norm of these "
        f"weights, and the share of them whose magnitude is below {weight_density.SMALL:g}."
    )
    made = ["The direction is the difference of the weights of the two runs.", *words.surface_made(shown)[1:]]
    if again := [row.recalibrated.seen for row in rows if row.recalibrated]:
        examples = words.each(int(surface.attrs["recalibration_examples"]) for surface in again)
        made.insert(
            3, f"The thin lines are with statistics recalibrated at every point on {examples} training examples."
        )
    items = []
    for row in rows:
        ends = ", ".join(f"w {widths.phrase(widths.wells([row.run.seen], end))} at alpha {end}" for end in (0, 1))
        line = words.member_item(row.run, loss_names([row.run.seen]))
        items += [f"{line} On the line to {words.escape(row.to.label)}: {ends}.", words.run_item(row.to)]
    return words.caption(spec.about, seen, made, items)


def _scores_below(right: line_axes.ScoreAxis | None) -> str:
    if right is None:
        return ""
    return f"; below the panel the test {'errors' if right.score == 'accuracy' else right.label} of both runs"
