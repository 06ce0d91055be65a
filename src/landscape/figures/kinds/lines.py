"""Loss and score along a line (Li et al. 2018, Figures 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.figures.kind import Columns, OfRuns, OverSeeds
from landscape.figures.shared import groups, line_axes, style, words
from landscape.figures.shared.groups import Group, counted, group, items
from landscape.figures.shared.members import Drawing, Member, numbers, only
from landscape.figures.shared.panel_grid import grid
from landscape.lazy import mpl


class Lines(OfRuns):
    """Loss and score along a line, on twin axes (Li et al. 2018, Figures 2 and 3)."""

    example: ClassVar[str] = "line"
    draw: Literal["lines"]
    plane: Annotated[Names, Ref("planes", axes=1)] = Field(
        description="a line, or with * several: their median, and a band between their extremes"
    )
    over: OverSeeds
    columns: Columns

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one panel per run, or with `over: seed` per recipe; losses on the left axis, scores on the right one."""
        together = group(members, self.over)
        line_axes.require_lines(together, self.draw)
        surfaces = [member.seen for member in members]
        panels = grid(len(together), columns=self.columns, most=3, narrow=1, heading=self.title)
        limits, right = line_axes.loss_limits(surfaces), line_axes.score_axis(surfaces)
        for run, (ax, of) in enumerate(zip(panels.axes, together, strict=True)):
            twin = _panel(ax, of, limits, right)
            panels.note(ax, groups.notes(of))
            if twin is not None and not panels.ends(run):
                twin.tick_params(labelright=False)
            elif twin is not None and right is not None:
                twin.set_ylabel(right.label, color=style.ACCURACY)
        panels.label_rows(words.loss_label(surfaces), color=style.LOSS)
        panels.label_below(words.axis(surfaces[0], "alpha"))
        panels.legend(line_axes.split_keys(surfaces))
        panels.fit(0.75)
        table = numbers(members, line_axes.variables(surfaces), plane=True)
        return Drawing(panels.figure, table, self._caption(together, limits[1], right))

    def panel(self, ax: mpl.axes.Axes, members: Sequence[Member]) -> None:
        together = group(members, self.over)
        line_axes.require_lines(together, self.draw)
        surfaces = [member.seen for member in members]
        right = line_axes.score_axis(surfaces)
        twin = _panel(ax, only(together, self.draw), line_axes.loss_limits(surfaces), right)
        ax.set(xlabel=words.axis(surfaces[0], "alpha"), ylabel=words.loss_label(surfaces))
        if twin is not None and right is not None:
            twin.set_ylabel(right.label, color=style.ACCURACY)

    def _caption(self, together: Sequence[Group], top: float, right: line_axes.ScoreAxis | None) -> str:
        members = [member for of in together for member in of.members]
        seen = (
            f"Loss{line_axes.and_score(right)} along "
            f"{'the line' if len(self.plane) == 1 else 'the lines'} {words.escape(', '.join(self.plane))}, "
            f"{line_axes.splits([member.seen for member in members])}; the axes are the same in all panels."
            f"{line_axes.above([member.seen for member in members], top)} Spans where a loss is not finite are hatched."
            f"{counted(together)}"
        )
        states = [of for one in together for of in one.states]
        said = [item + _at_other(of[0]) for item, of in zip(items(together), states, strict=True)]
        return words.caption(self.about, seen, words.surface_made(members), said)


def _panel(
    ax: mpl.axes.Axes, of: Group, limits: tuple[float, float], right: line_axes.ScoreAxis | None
) -> mpl.axes.Axes | None:
    """Draw the losses, and the scores on a twin axis; return the twin."""
    line_axes.frame(ax, of.surfaces, limits=limits)
    line_axes.curves(ax, of.surfaces)
    ax.set_title(groups.title(of), parse_math=False)
    ax.tick_params(axis="y", labelcolor=style.LOSS)
    if right is None:
        return None
    twin = right.twin(ax)
    line_axes.curves(twin, of.surfaces, right.score)
    return twin


def _at_other(member: Member) -> str:
    """Write the score at the other end of a line between two runs; empty if there is none."""
    spec = words.plane(member.seen)
    error = line_axes.error_at(member.seen, 1.0) if spec["directions"] == "to" else None
    name, _, value = (error or "").partition(" ")
    return f" Test {name} at {words.escape(spec['run'])} {value}." if error else ""
