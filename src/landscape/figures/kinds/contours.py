"""Level lines of a loss over a plane (Li et al. 2018, Figures 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Levels
from landscape.figures.kind import Columns, OfRuns, Variable
from landscape.figures.shared import marks, style, words
from landscape.figures.shared.level_lines import (
    colour_bar,
    contour,
    label_levels,
    lines_at,
    require_plane,
    require_variable,
    shape,
)
from landscape.figures.shared.loss_scale import LossScale, dashed, scale_of
from landscape.figures.shared.members import Drawing, Member, numbers, only
from landscape.figures.shared.panel_grid import LABEL, grid, wrap
from landscape.lazy import mpl, np, pd


class Contours(OfRuns):
    """Level lines, one panel per run (Li et al. 2018, Figures 5 and 6)."""

    draw: Literal["contours"]
    plane: Annotated[str, Ref("planes", axes=2)]
    variable: Literal[Variable, "both"] = Field(
        "train_loss", description="both: the test loss dashed over the train loss, with the lowest point of each"
    )
    levels: Levels = Field("log", description="log: 0.1, 0.2, 0.5, 1, ...; paper: 0.1 to 10 by 0.5; or a list")
    marks: Annotated[
        tuple[str, ...],
        Ref("runs"),
        Field((), description="runs or states shown where they lie on the planes, with distances"),
    ]
    columns: Columns

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one panel per member, with one colour scale."""
        first, both = members[0].seen, len(self.variables) == 2
        panels = grid(len(members), columns=self.columns, heading=self.title)
        scale = self._scale(members)
        lines = [self._lines(ax, member, scale) for ax, member in zip(panels.axes, members, strict=True)]
        for ax, member in zip(panels.axes, members, strict=True):
            panels.note(ax, words.notes(member))
        panels.label_below(words.axis(first, "alpha"))
        panels.label_rows("\n".join(wrap(words.beta(first), panels.room * shape(first), LABEL)))
        surfaces = [member.seen for member in members]
        name = words.loss_label(surfaces, " and ".join(words.NAMES[name] for name in self.variables))
        colour_bar(panels, scale, name, [] if both else surfaces)
        if both:
            panels.legend(_keys(), 2 if panels.columns <= 2 else 4)
        panels.fit(shape(first))
        for ax, member, of in zip(panels.axes, members, lines, strict=True):
            self._labels(ax, member, of, scale)
        drawn = [numbers(members, self.variables), marks.numbers(members)]
        drawn += [marks.lowest_numbers(members)] if both else []
        return Drawing(panels.figure, pd.concat(drawn, ignore_index=True), self._caption(members, scale))

    def panel(self, ax: mpl.axes.Axes, members: Sequence[Member]) -> None:
        member = only(members, self.draw)
        scale = self._scale(members)
        lines = self._lines(ax, member, scale)
        ax.set(xlabel=words.axis(member.seen, "alpha"), ylabel=words.beta(member.seen))
        self._labels(ax, member, lines, scale)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The losses shown; the colours are those of the first."""
        return ("train_loss", "test_loss") if self.variable == "both" else (self.variable,)

    @property
    def marked(self) -> list[tuple[str, str, str]]:
        return [(state, self.plane, mark) for state in self.runs for mark in self.marks]

    def _scale(self, members: Sequence[Member]) -> LossScale:
        return scale_of([member.seen for member in members], self.variables, self.levels)

    def _lines(self, ax: mpl.axes.Axes, member: Member, scale: LossScale) -> mpl.contour.QuadContourSet:
        """Draw level lines of the first loss; with two losses, the second dashed, and the lowest point of each."""
        first, *others = self.variables
        require_plane(member.seen, self.draw)
        for variable in self.variables:
            require_variable(member.seen, variable, self.draw)
        ax.set_title(words.title(member, first), parse_math=False)
        lines = contour(ax, member.seen, variable=first, scale=scale, guessing=not others)
        for variable in others:
            lines_at(ax, member.seen, variable, scale, (0.9, 0.5), colors="black", linestyles="--", zorder=3)
            marks.draw_lowest(ax, member.seen)
        return lines

    def _labels(self, ax: mpl.axes.Axes, member: Member, lines: mpl.contour.QuadContourSet, scale: LossScale) -> None:
        """Label the levels and the marks, on axes of their final size."""
        avoid = list(marks.places(member.marks))
        if len(self.variables) == 2:
            avoid += [np.array([found.alpha, found.beta]) for found in marks.lowest(member.seen)]
        label_levels(ax, lines, scale, avoid=avoid)
        marks.draw_marks(ax, member.marks)

    def _caption(self, members: Sequence[Member], scale: LossScale) -> str:
        at = f"on the plane {words.escape(self.plane)}, at {scale.listed}"
        if len(self.variables) == 2:
            lines = (
                f"Level lines of the train loss (solid, over its colours) and of the test loss (dashed) {at}"
                f"{scale.thick_ones}. The cross marks the state itself, a circle the point of the grid where the train loss is lowest, "
                "a square that of the test loss."
            )
        else:
            guessed = dashed([member.seen for member in members], ", the dashed one is the loss of guessing, ln({})")
            lines = (
                f"Level lines of the {words.NAMES[self.variables[0]]} {at}{scale.thick_ones}{guessed}. The cross "
                "marks the state itself."
            )
        seen = (
            f"{lines} {scale.colour_kind.capitalize()} for all panels, from {scale.low:g} to {scale.high:g}; points where the loss is not finite are "
            "white and hatched."
        )
        made = [*words.surface_made(members), *marks.explained(members)]
        return words.caption(self.about, seen, made, [self._item(member) for member in members])

    def _item(self, member: Member) -> str:
        lowest = "; ".join(f"lowest {found}" for found in marks.lowest(member.seen)) if len(self.variables) > 1 else ""
        where = f" {lowest.capitalize()}." if len(self.variables) > 1 else ""
        return words.member_item(member, self.variables, self.variables[0]) + where + marks.item(member)


def _keys() -> list[mpl.lines.Line2D]:
    """Make the legend's entries for two losses."""
    looks = {"train": {"color": style.GREY}, "test": {"color": "black"}}
    keys = [style.key(f"{split} loss", linestyle=style.SPLITS[split], **look) for split, look in looks.items()]
    return [*keys, *marks.lowest_keys()]
