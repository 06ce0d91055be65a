"""The caption of level lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from landscape.figures.shared import lowest, marks, words
from landscape.figures.shared.members import Member

if TYPE_CHECKING:
    from landscape.figures.kinds.contours import Contours


def caption(spec: Contours, members: Sequence[Member], levels: Sequence[float]) -> str:
    """What is seen, how it was made, and an item per member."""
    classes = words.each(member.seen.attrs["classes"] for member in members)
    at = f"on the plane {words.escape(spec.plane)}, at {', '.join(f'{level:g}' for level in levels)}"
    if len(spec.variables) == 2:
        lines = (
            f"Level lines of the train loss (solid, over its colours) and of the test loss (dashed) {at}; those at 0.1 and 1 "
            "are thick. The cross marks the state itself, a circle the point of the grid where the train loss is lowest, a "
            "square that of the test loss."
        )
    else:
        lines = (
            f"Level lines of the {words.NAMES[spec.variable]} {at}; those at 0.1 and 1 are thick, the dashed one is the loss "
            f"of guessing, ln({classes}). The cross marks the state itself."
        )
    seen = (
        f"{lines} One logarithmic colour scale for all panels, from 0.01 to 100; points where the loss is not finite are "
        "white and hatched."
    )
    return words.caption(
        spec.about,
        seen,
        [*words.surface_made(members), *marks.explained(members)],
        [_item(member, spec.variables) for member in members],
    )


def _item(member: Member, variables: Sequence[str]) -> str:
    where = f" {'; '.join(lowest.notes(member.seen)).capitalize()}." if len(variables) > 1 else ""
    return words.member_item(member, variables) + where + marks.item(member)
