"""What figures have in common, whatever they draw."""

from pydantic import Field

from landscape.config.section import Section


class Drawn(Section):
    """What every figure has: words of its own, and the files that it is drawn from.

    The properties answer once the patterns in it are expanded (`read.resolve`), each in the order in which the files
    are given to the drawing.
    """

    title: str | None = Field(None, description="a line above the figure")
    about: str | None = Field(None, description="a sentence of your own before the caption")
    group: str | None = Field(None, description="the heading under which the report files it")

    @property
    def states(self) -> tuple[str, ...]:
        """The states shown, whose histories are read."""
        raise NotImplementedError

    @property
    def seen(self) -> list[tuple[str, str]]:
        """The surfaces: pairs of a state and a plane."""
        return []

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
        return []


class OfRuns(Drawn):
    runs: tuple[str, ...] = Field(min_length=1, description="runs or states, in order; * and ? stand for several")

    @property
    def states(self) -> tuple[str, ...]:
        return self.runs
