"""Loss and accuracy along a line (Li et al. 2018, Figures 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.figures.kind import Columns, OfRuns, OverSeeds
from landscape.figures.shared import groups, line_axes, style, words
from landscape.figures.shared.bands import require_lines, table
from landscape.figures.shared.groups import Group, counted, group, items
from landscape.figures.shared.members import Drawing, Member, only
from landscape.figures.shared.panel_grid import default_columns, grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Lines(OfRuns):
    """Loss and accuracy along a line, on twin axes (Li et al. 2018, Figures 2 and 3)."""

    example: ClassVar[str] = "line"
    draw: Literal["lines"]
    plane: Annotated[Names, Ref("planes", axes=1)] = Field(
        description="a line, or with * several: their median, and a band between their extremes"
    )
    over: OverSeeds
    columns: Columns

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one panel per run, or with `over: seed` per recipe; losses on the left axis, accuracies on the right one.

        Raises:
            InputError: if a plane is not a line, or lines of one panel differ in more than their seed.
        """
        together = group(members, self.over)
        require_lines(together, self.draw)
        surfaces = [member.seen for member in members]
        columns = self.columns or default_columns(len(together), most=3)
        width = style.COLUMN_WIDTH if columns == 1 else style.TEXT_WIDTH
        panels = grid(len(together), columns=columns, width=width, heading=self.title)
        top = line_axes.loss_limit(surfaces)
        for run, (ax, of) in enumerate(zip(panels.axes, together, strict=True)):
            twin = _panel(ax, of, top)
            ax.set_title(groups.title(of), parse_math=False)
            panels.note(ax, groups.notes(of))
            if panels.ends(run):
                twin.set_ylabel("accuracy (%)", color=style.ACCURACY)
            else:
                twin.tick_params(labelright=False)
        panels.label_rows("loss", color=style.LOSS)
        panels.label_below(words.axis(surfaces[0], "alpha"))
        panels.legend(line_axes.split_keys(surfaces))
        panels.fit(0.75)
        return Drawing(panels.figure, table(members, line_axes.VARIABLES), _caption(self, together, top))

    def panel(self, ax: Axes, members: Sequence[Member]) -> None:
        together = group(members, self.over)
        require_lines(together, self.draw)
        only(together, self.draw)
        twin = _panel(ax, together[0], line_axes.loss_limit([member.seen for member in members]))
        ax.set_title(groups.title(together[0]), parse_math=False)
        ax.set(xlabel=words.axis(members[0].seen, "alpha"), ylabel="loss")
        twin.set_ylabel("accuracy (%)", color=style.ACCURACY)


def _panel(ax: Axes, of: Group, top: float) -> Axes:
    """Draw the losses, and the accuracies on a twin axis; return the twin."""
    line_axes.frame(ax, of.surfaces, top=top)
    line_axes.losses(ax, of.surfaces)
    ax.tick_params(axis="y", labelcolor=style.LOSS)
    twin = line_axes.accuracy_axis(ax)
    line_axes.accuracies(twin, of.surfaces)
    return twin


def _at_other(member: Member) -> str:
    """Write the test error at the other end of a line between two runs; empty if there is none."""
    surface = member.seen
    spec = words.plane(surface)
    error = line_axes.error_at(surface, 1.0) if spec["directions"] == "to" else None
    return f" Test error at {words.escape(spec['run'])} {error}." if error else ""


def _caption(spec: Lines, groups: Sequence[Group], top: float) -> str:
    members = [member for together in groups for member in together.members]
    seen = (
        "Loss (blue, left axis) and accuracy (vermilion, right axis) along "
        f"{'the line' if len(spec.plane) == 1 else 'the lines'} {words.escape(', '.join(spec.plane))}, of the training "
        "examples solid and of the test examples dashed; the axes are the same in all panels."
        f"{line_axes.above([member.seen for member in members], top)} Spans where a loss is not finite are hatched."
        f"{counted(groups)}"
    )
    states = [of for together in groups for of in together.states]
    said = [item + _at_other(of[0]) for item, of in zip(items(groups), states, strict=True)]
    return words.caption(spec.about, seen, words.surface_made(members), said)
