"""Many directions at once: runs in columns, sets of lines in rows (Li et al. 2018, appendix)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.figures.kind import OfRuns
from landscape.figures.shared import line_axes, style, value_words, widths, words
from landscape.figures.shared.groups import Group, errors, group, items, judged, title
from landscape.figures.shared.members import Drawing, Member, numbers
from landscape.figures.shared.panel_grid import NOTE, grid
from landscape.geometry import comparisons
from landscape.lazy import mpl, pd
from landscape.training import seed_groups


class Bundles(OfRuns):
    """Many directions at once: runs in columns, sets of lines in rows (Li et al. 2018, appendix)."""

    example: ClassVar[str] = "line"
    draw: Literal["bundles"]
    rows: tuple[Annotated[Names, Ref("planes", axes=1)], ...] = Field(
        min_length=1, description="lines, one set for each row; * stands for several"
    )

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw all lines of a set thin and their median thick; the panels of a row share their axes."""
        rows = [group([member for member in members if member.plane in planes]) for planes in self.rows]
        for planes, of_row in zip(self.rows, rows, strict=True):
            together = Group(", ".join(planes), tuple(member for run in of_row for member in run.members))
            line_axes.require_lines(of_row, self.draw)
            line_axes.require_lines([together], self.draw, any_range=True)
        runs = group(members)
        panels = grid(len(runs), len(rows), most=5, narrow=1, heading=self.title, feet=True)
        limits = line_axes.loss_limits([member.seen for member in members])
        orders = [order(row) for row in rows]
        for run, ax in zip(runs, panels.rows[0], strict=True):
            ax.set_title(title(run), parse_math=False)
        for axes, row, found in zip(panels.rows, rows, orders, strict=True):
            for k, (ax, run) in enumerate(zip(axes, row, strict=True)):
                bundle(ax, run, limits=limits)
                width = f"width {widths.phrase(widths.wells(run.surfaces))}"
                panels.note(ax, [width, *(errors(run) if row is rows[-1] else [])])
                if panels.ends(k):
                    look: style.Look = {"rotation": 90, "va": "center", "ha": "left", "fontsize": NOTE}
                    ax.text(1.03, 0.5, _order(found), transform=ax.transAxes, **look)
        panels.label_rows(
            *(f"{_normalised(row)}\n{words.loss_label(row[0].surfaces, 'train loss')}".strip() for row in rows)
        )
        panels.label_below(*(words.axis(row[0].first.seen, "alpha") for row in rows))
        keys = [
            style.key("one direction", color=style.LOSS, linewidth=0.4),
            style.key("median", color="black", linewidth=1.4),
        ]
        panels.legend([*keys, *line_axes.hatch_keys([member.seen for member in members])])
        panels.fit(*[min(0.85, 1.3 / panels.room)] * len(rows))
        return Drawing(panels.figure, _numbers(rows), _caption(self, members, rows, orders, limits[1]))


def bundle(ax: mpl.axes.Axes, run: Group, *, limits: tuple[float, float]) -> None:
    """Draw the train loss along each line, and the median of all."""
    line_axes.frame(ax, run.surfaces, limits=limits)
    x, curves = run.first.seen.alpha.values, line_axes.stack(run.surfaces, "train_loss")
    for curve in curves:
        ax.plot(x, line_axes.spread(curve[None])[1], "-", color=style.LOSS, linewidth=0.4, alpha=0.6)
    ax.plot(x, line_axes.spread(curves)[1], "-", color="black", linewidth=1.4)


def order(row: Sequence[Group]) -> comparisons.Comparison:
    """Test if wider runs have lower test errors; the width is the mean over a run's lines, then over seeds."""
    return seed_groups.compare_runs([judged(run.members) for run in row], "width_rise_0.5")


def _order(found: comparisons.Comparison) -> str:
    """Write an order beside a row of panels."""
    if found.untested or math.isnan(found.tau):
        return "order: not tested"
    return value_words.minus(f"tau {found.tau:.2f}, p {found.p:.2g}, n {found.networks}")


def _said(found: comparisons.Comparison) -> str:
    few = f"an order needs {comparisons.FEW} networks, and there are {found.networks}"
    why = found.untested or (few if math.isnan(found.tau) else "")
    return f"Order: not tested ({why})." if why else f"Has the narrower one the larger test error? {found}."


def _normalised(row: Sequence[Group]) -> str:
    how = words.plane(row[0].first.seen).get("normalize")
    return {None: "", "none": "no normalisation"}.get(how, f"normalised: {how}")


def _numbers(rows: Sequence[Sequence[Group]]) -> pd.DataFrame:
    """Tabulate the points of the lines; `width` is that of the whole line, NaN where not resolved."""
    frames = []
    for k, row in enumerate(rows):
        for member in (member for run in row for member in run.members):
            (well,) = widths.wells([member.seen])
            points = numbers([member], ["train_loss"], plane=True)
            frames.append(points.assign(row=k + 1, width=well.width.value))
    whole = pd.concat(frames, ignore_index=True)
    return whole[["row", *whole.columns.drop("row")]]


def _caption(
    spec: Bundles,
    members: Sequence[Member],
    rows: Sequence[Sequence[Group]],
    orders: Sequence[comparisons.Comparison],
    top: float,
) -> str:
    n = words.each(sorted(len(run.members) for row in rows for run in row))
    seen = (
        f"The train loss along every line of a run (thin; n = {n}) and their median (thick), at every point over the lines that "
        "are finite there; where one is not, a panel is hatched. The loss axis is the same in all panels."
        f"{line_axes.above([member.seen[['train_loss']] for member in members], top)} The width is the length of the interval "
        f"around the centre on which the train loss {widths.below([member.seen for member in members])}: the median of the lines, "
        "in brackets the extremes. At the right, Kendall's tau-b between the mean widths and the test errors of networks; runs "
        "that differ in their seed alone are one."
    )
    made = [words.surface_made([member for run in row for member in run.members]) for row in rows]
    per_row = [
        f"Row {k + 1}: {how[0]} {how[1]} {_said(of_row)}"
        for k, (how, of_row) in enumerate(zip(made, orders, strict=True))
    ]
    return words.caption(spec.about, seen, [*per_row, *made[0][2:]], items(group(members)))
