"""Figures: labelled data in; a vector figure, a preview, the numbers drawn and a caption out. Never imports torch."""

from collections.abc import Sequence

from landscape.figures.kind import FigureKind
from landscape.figures.shared import style
from landscape.figures.shared.members import Drawing, Member, members, save

__all__ = ["Drawing", "Member", "members", "render", "save"]


def render(spec: FigureKind, members: Sequence[Member]) -> Drawing:
    """Draw a figure of the configuration.

    Raises:
        InputError: if the plane does not fit the kind of figure (a line for contours, a plane for lines).
    """
    with style.context():
        return spec.drawing(members)
