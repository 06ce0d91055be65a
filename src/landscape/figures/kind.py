"""Base class of every kind of figure: its keys, the results that it needs, and the drawing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref, references
from landscape.config.section import Section
from landscape.errors import InputError

if TYPE_CHECKING:
    from landscape.figures.shared.members import Drawing, Member

Variable = Literal["train_loss", "test_loss"]
OverSeeds = Annotated[
    Literal["seed"] | None,
    Field(None, description="seed: runs that differ in nothing but their seed share a panel, as one band"),
]
Columns = Annotated[int | None, Field(None, ge=1, description="panels in a row; default by their number")]


class FigureKind(Section):
    """A figure: what it draws (`draw`), of which runs, on which planes.

    The properties say which results it needs; they answer once the patterns in the keys are expanded
    (`config.fields.expanded`). What a figure shows of its runs follows from the fields; a kind that needs something else
    overrides the property.
    """

    example: ClassVar[str] = "surface"
    """Arguments of the function in `landscape.figures.draw`, for its docstring."""

    title: str | None = Field(None, description="a line above the figure")
    about: str | None = Field(None, description="a sentence of your own before the caption")
    group: str | None = Field(None, description="the heading under which the report files it")

    if TYPE_CHECKING:
        draw: str

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw the figure.

        Args:
            members: one for each state and plane that it shows, in order.

        Raises:
            InputError: if the results do not fit the kind of figure (a line for contours, a plane for lines).
        """
        raise NotImplementedError

    def panel(self, ax: Any, members: Sequence[Member]) -> None:
        """Draw the figure's one panel into the user's axes.

        Raises:
            InputError: if the kind has several panels, or the axes do not fit.
        """
        raise InputError(f"draw: {self.draw} has panels of its own and cannot be drawn into axes; leave ax out")

    def problems(self, experiment: Any) -> Iterator[str]:
        """Check the figure against the rest of the experiment, beyond its references.

        Each problem begins with its key: `.plane is ...`.
        """
        yield from ()

    @property
    def states(self) -> tuple[str, ...]:
        """The states shown, whose histories are read."""
        raise NotImplementedError

    @property
    def seen(self) -> list[tuple[str, str]]:
        """The surfaces: pairs of a state and a plane."""
        planes = [found.name for found in references(self, "planes")]
        return list(dict.fromkeys(itertools.product(self.states, planes)))

    @property
    def paths(self) -> list[tuple[str, str]]:
        """The trajectories: pairs of a run and a plane."""
        return []

    @property
    def marked(self) -> list[tuple[str, str, str]]:
        """States marked on a plane around another one: the centre, the plane, the marked state."""
        return []

    @property
    def weighed(self) -> tuple[str, ...]:
        """The states whose weights themselves are read."""
        return ()

    @property
    def probed(self) -> list[tuple[str, str]]:
        """The probes: pairs of a state and a probe."""
        return list(itertools.product(self.states, [found.name for found in references(self, "probes")]))


class OfRuns(FigureKind):
    runs: Annotated[
        tuple[str, ...],
        Ref("runs"),
        Field(min_length=1, description="runs or states, in order"),
    ]

    @property
    def states(self) -> tuple[str, ...]:
        return self.runs
