"""Above the loss along lines, below the level lines of a plane, a column per run (Li et al. 2018, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Levels, Names
from landscape.figures.kind import OfRuns
from landscape.figures.shared import level_lines, line_axes, widths, words
from landscape.figures.shared.groups import Group, beware, counted, descriptions, errors, group, items
from landscape.figures.shared.loss_scale import LossScale, dashed, scale_of
from landscape.figures.shared.members import Drawing, Member, numbers
from landscape.figures.shared.panel_grid import grid


class Profiles(OfRuns):
    """The loss along lines above, as a band, and the level lines below (Li et al. 2018, Figure 3)."""

    example: ClassVar[str] = "line, surface"
    draw: Literal["profiles"]
    line: Annotated[Names, Ref("planes", axes=1)] = Field(
        description="a line, or with * several: their median, and a band between their extremes"
    )
    plane: Annotated[str, Ref("planes", axes=2)]
    levels: Levels = Field("log", description="log: 0.1, 0.2, 0.5, 1, ...; paper: 0.1 to 10 by 0.5; or a list")

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw runs in columns, at most four in a block of rows; all panels of a kind share their axes."""
        runs = group(members)
        bundles = [replace(run, members=tuple(m for m in run.members if m.plane != self.plane)) for run in runs]
        planes = [next(m for m in run.members if m.plane == self.plane) for run in runs]
        line_axes.require_lines(bundles, self.draw)
        for member in planes:
            level_lines.require_plane(member.seen, self.draw)
        panels = grid(len(runs), 2, heading=self.title)
        scale = scale_of([member.seen for member in planes], [_VARIABLE], self.levels)
        surfaces = [surface for bundle in bundles for surface in bundle.surfaces]
        limits = line_axes.loss_limits(surfaces)
        recipes = descriptions([bundle.first for bundle in bundles])
        drawn = []
        for above, below, run, recipe, bundle, member in zip(*panels.rows, runs, recipes, bundles, planes, strict=True):
            line_axes.frame(above, bundle.surfaces, limits=limits)
            line_axes.curves(above, bundle.surfaces)
            widths.bar(above, bundle.surfaces)
            name = ", ".join([recipe, *errors(bundle)])
            above.set_title(words.with_care(name, bool(beware(run.members, _VARIABLE))), parse_math=False)
            panels.note(above, [_width(bundle)])
            drawn.append(level_lines.contour(below, member.seen, variable=_VARIABLE, scale=scale))
            panels.note(below, words.notes(member)[-1:])
        panels.label_rows(words.loss_label(surfaces), "beta")
        panels.label_below(words.axis(planes[0].seen, "alpha"))
        label = words.loss_label([member.seen for member in planes], words.NAMES[_VARIABLE])
        level_lines.colour_bar(panels, scale, label, [member.seen for member in planes])
        panels.legend([*line_axes.split_keys(surfaces), widths.key("width around the centre")], 3, numpoints=2)
        panels.fit(*2 * [level_lines.shape(planes[0].seen)])
        for ax, lines in zip(panels.rows[1], drawn, strict=True):
            level_lines.label_levels(ax, lines, scale)
        table = numbers(members, list(words.NAMES), plane=True)
        return Drawing(
            panels.figure, table, self._caption(runs, bundles, planes, line_axes.above(surfaces, limits[1]), scale)
        )

    def _caption(
        self, runs: Sequence[Group], bundles: Sequence[Group], planes: Sequence[Member], beyond: str, scale: LossScale
    ) -> str:
        seen = (
            f"From left to right {', '.join(words.escape(run.label) for run in runs)}. Above: the loss, "
            f"{line_axes.splits([s for bundle in bundles for s in bundle.surfaces])}, along {words.escape(', '.join(self.line))}; the axes are the same in all "
            f"panels.{beyond}{counted(bundles)} The bar is the interval around the centre on which the train loss "
            f"{widths.below([s for bundle in bundles for s in bundle.surfaces])}, its length the width; of several lines both are medians, with the extremes of "
            f"the width in brackets. Below: level lines of the train loss on the plane {words.escape(self.plane)}, at "
            f"{scale.listed}{scale.thick_ones}{dashed([member.seen for member in planes], ', the dashed one is the loss of guessing')}, "
            f"the cross the state itself; {scale.colour_kind} for all panels. Where a loss is not finite, panels are "
            "hatched."
        )
        along = words.surface_made([member for bundle in bundles for member in bundle.members])
        across = words.surface_made(planes)
        made = [f"Above: {along[0]} {along[1]} Below: {across[0]} {across[1]}", *along[2:]]
        states = zip(items(runs, _VARIABLE), bundles, strict=True)
        return words.caption(
            self.about, seen, made, [f"{item} {_width(bundle).capitalize()}." for item, bundle in states]
        )


_VARIABLE = "train_loss"


def _width(bundle: Group) -> str:
    return f"width {widths.phrase(widths.wells(bundle.surfaces))}"
