"""Level lines of several planes or seeds on top of each other (Li et al. 2018, appendix: repeatability)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.figures.kind import OfRuns
from landscape.figures.shared import style, words
from landscape.figures.shared.groups import Group, errors, group
from landscape.figures.shared.level_lines import frame, mark_centre, require_plane
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panel_grid import grid
from landscape.lazy import mpl, np, pd


class Rings(OfRuns):
    """One level line of every member of a set of planes, on top of each other: repeatability (appendix)."""

    draw: Literal["rings"]
    planes: Annotated[Names, Ref("planes", axes=2)] = Field(min_length=1, description="* stands for several")
    rises: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.5,), min_length=1, description="level lines at so much above the centre's loss"
    )
    over: Literal["seed"] | None = Field(
        None, description="seed: runs that differ in nothing but their seed share a panel"
    )

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one panel per run, or over seeds one for all runs that differ only in their seed; all at one scale."""
        for member in members:
            require_plane(member.seen, self.draw)
        groups = group(members, self.over)
        rings = [[ring(member, rise) for member in of.members for rise in self.rises] for of in groups]
        panels = grid(len(groups), heading=self.title)
        drawn = [one for found in rings for one in found]
        farthest = max((np.abs(one.part.rings[0]).max() for one in drawn if one.part is not None), default=1.0)
        view = -1.08 * farthest, 1.08 * farthest
        for ax, of, found in zip(panels.axes, groups, rings, strict=True):
            _draw_panel(ax, of, found, self.rises)
            ax.set(xlim=view, ylim=view)
            frame(ax)
            ax.set_title(words.with_care(of.label, any(one.beware for one in found)), parse_math=False)
            areas = [one.part.area for one in found if one.rise == self.rises[0] and one.part is not None]
            panels.note(ax, [*errors(of), *([f"area {_spread(areas)}"] if areas else [])])
        panels.label_rows(words.beta(members[0].seen))
        panels.label_below(words.axis(members[0].seen, "alpha"))
        if len(self.rises) > 1:
            handles = [
                style.key(f"{rise:g} above the centre", color=style.GREY, linestyle=_DASHES[k % 4])
                for k, rise in enumerate(self.rises)
            ]
            panels.legend(handles, 2)
        panels.fit(1)
        return Drawing(panels.figure, _numbers(drawn), _caption(self, groups, drawn))


_DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
_OPACITY = 0.7


@dataclass(frozen=True)
class Ring:
    """Level line of the train loss at `rise` above the centre's, around the centre.

    Attributes:
        part: part of the plane below that level around the centre; None if the centre is off the grid, or not finite.
    """

    member: Member
    rise: float
    part: geometry.Component | None

    @property
    def beware(self) -> str:
        """Reason to distrust the ring; empty if there is none."""
        if self.part is None:
            return "without a centre"
        cut = ["cut off by the border"] * self.part.touches_border
        return " and ".join(cut + [f"under {geometry.CELLS:g} cells across"] * (not self.part.resolved))

    @property
    def line(self) -> np.ndarray:
        """Trace the level line around the part, shape (points, 2); NaN where the grid's border ends the part."""
        assert self.part is not None
        line, grid = self.part.rings[0], [self.member.seen[axis].values for axis in ("alpha", "beta")]
        on_edge = np.stack([line[:, k] == values[end] for k, values in enumerate(grid) for end in (0, -1)], axis=1)
        cuts = np.flatnonzero((on_edge[:-1] & on_edge[1:]).any(axis=1))
        return np.insert(line, cuts + 1, np.nan, axis=0)


def ring(member: Member, rise: float) -> Ring:
    """Find the ring of a surface at a rise of its train loss."""
    surface = member.seen
    here = geometry.centre(surface, "train_loss")
    if not math.isfinite(here):
        return Ring(member, rise, None)
    return Ring(member, rise, geometry.LevelSets.of(surface, "train_loss").component(here + rise))


def _draw_panel(ax: mpl.axes.Axes, of: Group, rings: Sequence[Ring], rises: Sequence[float]) -> None:
    """Draw one colour per member, one kind of line per rise, and a cross at the centre."""
    colours = dict(zip(map(id, of.members), style.run_colours(len(of.members)), strict=True))
    for one in rings:
        if one.part is not None:
            dashes = _DASHES[rises.index(one.rise) % 4]
            ax.plot(*one.line.T, dashes, color=colours[id(one.member)], alpha=_OPACITY, linewidth=0.7, zorder=2)
    mark_centre(ax)


def _spread(values: Sequence[float]) -> str:
    """Write `median 0.31 (0.24 to 0.4)`, with the extremes; a single value stands alone."""
    if len(values) == 1:
        return f"{values[0]:.2g}"
    said = f"median {np.median(values):.2g} ({min(values):.2g} to {max(values):.2g})"
    return said.replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")


def _numbers(rings: Sequence[Ring]) -> pd.DataFrame:
    """Tabulate the points of each ring, in order around it: member, plane, rise, area inside, cut off or not, place."""
    frames = [
        pd.DataFrame(
            {"member": one.member.state, "plane": one.member.seen.attrs["plane"], "rise": one.rise}
            | {"area": one.part.area, "touches_border": one.part.touches_border}
            | dict(zip(("alpha", "beta"), one.line.T, strict=True))
        )
        for one in rings
        if one.part is not None
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _caption(spec: Rings, groups: Sequence[Group], rings: Sequence[Ring]) -> str:
    rises = " and ".join(f"{rise:g}" for rise in spec.rises)
    counts = words.each(sorted({len(of.members) for of in groups}))
    over = " planes and seeds" if spec.over else " planes"
    holes = sum(len(one.part.rings) - 1 for one in rings if one.part is not None)
    seen = (
        f"Where the train loss lies {rises} above that of the centre (cross): of the parts below that level the one around "
        f"the centre, for each of {counts}{over} in a panel, one colour each; a line ends where the grid does. All panels have "
        "one scale. Below a panel, the median of the areas inside at the first rise, with the extremes."
        + (f" {holes:,} holes in these parts are not drawn; the areas are without them." if holes else "")
    )
    made = words.surface_made([member for of in groups for member in of.members])
    return words.caption(spec.about, seen, made, [_item(state, rings) for of in groups for state in of.states])


def _item(members: Sequence[Member], rings: Sequence[Ring]) -> str:
    """Write a run, the areas of its rings in the order of the planes, and how many of these rings are not reliable."""
    own = [one for one in rings if one.member.state == members[0].state]
    told, beware = [], []
    for rise in dict.fromkeys(one.rise for one in own):
        of_rise = [one for one in own if one.rise == rise]
        areas = [
            f"{words.escape(one.member.seen.attrs['plane'])} "
            + ("none" if one.part is None else f"{one.part.area:.2g}" + " and more" * one.part.touches_border)
            for one in of_rise
        ]
        told.append(f"at {rise:g} {', '.join(areas)}")
        counts = Counter(one.beware for one in of_rise if one.beware)
        beware += [f"{count} of {len(of_rise)} rings at {rise:g} {why}" for why, count in counts.items()]
    said = f"{words.run_item(members[0], care=bool(beware))} Areas inside: {'; '.join(told)}."
    return f"{said} {'; '.join(beware)}." if beware else said
