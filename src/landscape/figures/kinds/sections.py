"""Figures: what is drawn of which runs, on which planes."""

import itertools
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field

from landscape.config.section import Section
from landscape.config.values import Levels, Names
from landscape.figures.kinds.curvature_sections import Curvature, Gradients, Layers, Saddle, Sharpening, Spectra
from landscape.figures.shared.figure_section import Drawn, OfRuns

Variable = Literal["train_loss", "test_loss"]


class Contours(OfRuns):
    """Level lines, one panel per run (Li et al. 2018, Figures 5 and 6)."""

    draw: Literal["contours"]
    plane: str
    variable: Variable | Literal["both"] = Field(
        "train_loss", description="both: the test loss dashed over the train loss, with the lowest point of each"
    )
    levels: Levels = Field("log", description="log: 0.1, 0.2, 0.5, 1, ...; paper: 0.1 to 10 by 0.5; or a list")
    marks: tuple[str, ...] = Field((), description="runs or states shown where they lie on the planes, with distances")
    columns: int | None = Field(None, ge=1, description="panels in a row; default by their number")

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The losses shown; the colours are those of the first."""
        return ("train_loss", "test_loss") if self.variable == "both" else (self.variable,)

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(state, self.plane) for state in self.runs]

    @property
    def marked(self) -> list[tuple[str, str, str]]:
        return [(state, self.plane, mark) for state in self.runs for mark in self.marks]


class Surfaces(OfRuns):
    """Shaded 3D surfaces of log10 of the loss, one panel per run (Li et al. 2018, Figures 1 and 4)."""

    draw: Literal["surfaces"]
    plane: str
    variable: Variable = "train_loss"

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(state, self.plane) for state in self.runs]


class Lines(OfRuns):
    """Loss and accuracy along a line, on twin axes (Li et al. 2018, Figures 2 and 3)."""

    draw: Literal["lines"]
    plane: Names = Field(description="a line, or with * several: their median, and a band between their extremes")
    over: Literal["seed"] | None = Field(
        None, description="seed: runs that differ in nothing but their seed share a panel, as one band"
    )
    columns: int | None = Field(None, ge=1, description="panels in a row; default by their number")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.plane))


class Overlay(OfRuns):
    """Several runs along the same lines, on one pair of axes for each line (the argument of Li et al. 2018, section 4)."""

    draw: Literal["overlay"]
    lines: Names = Field(description="lines, a panel for each with all runs in it; * stands for several")
    variable: Variable = "train_loss"
    columns: int | None = Field(None, ge=1, description="panels in a row; default by their number")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.lines))


class Training(OfRuns):
    """Loss, error and learning rate per epoch (Li et al. 2018, appendix)."""

    draw: Literal["training"]
    over: Literal["seed"] | None = Field(
        None, description="seed: runs that differ in nothing but their seed share a panel, as one band"
    )


class InterpolationRow(Section):
    """Two runs and the line from the one to the other."""

    run: str
    to: str
    plane: str = Field(description="a plane with directions: to, and `to` as its run")
    recalibrated: str | None = Field(
        None, description="the same line with batchnorm: recalibrated, drawn thin beside the first"
    )


class Interpolation(Drawn):
    """From one run to another: the loss between them, their weight norms, their weights (Li et al. 2018, Figure 2)."""

    draw: Literal["interpolation"]
    rows: tuple[InterpolationRow, ...] = Field(min_length=1, description="one row of three panels for each")

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(state for row in self.rows for state in (row.run, row.to)))

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(row.run, plane) for row in self.rows for plane in (row.plane, row.recalibrated) if plane]

    @property
    def weighed(self) -> tuple[str, ...]:
        return self.states


class Profiles(OfRuns):
    """Above the loss along lines, as a band; below the level lines (Li et al. 2018, Figure 3)."""

    draw: Literal["profiles"]
    line: Names = Field(description="a line, or with * several: their median, and a band between their extremes")
    plane: str
    levels: Levels = Field("log", description="log: 0.1, 0.2, 0.5, 1, ...; paper: 0.1 to 10 by 0.5; or a list")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, (*self.line, self.plane)))


class Trajectories(OfRuns):
    """The path of a training on planes, over the level lines (Li et al. 2018, Figures 8 and 9)."""

    draw: Literal["trajectories"]
    planes: Names = Field(min_length=1, description="one panel for each run and plane; * stands for several")
    scales: tuple[Literal["equal", "auto"], ...] = Field(
        ("equal",), min_length=1, description="of the two axes; with both, every plane is drawn twice"
    )
    contours: bool = Field(True, description="whether the loss is drawn under the path")
    losses: bool = Field(True, description="whether the three losses per epoch are drawn in a strip below")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.planes)) if self.contours else []

    @property
    def paths(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.planes))


class Bundles(OfRuns):
    """Many directions at once: runs in columns, sets of lines in rows (Li et al. 2018, appendix)."""

    draw: Literal["bundles"]
    rows: tuple[Names, ...] = Field(min_length=1, description="lines, one set for each row; * stands for several")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((state, plane) for state in self.runs for row in self.rows for plane in row))


class Rings(OfRuns):
    """One level line of every member of a set of planes, on top of each other: repeatability (appendix)."""

    draw: Literal["rings"]
    planes: Names = Field(min_length=1, description="* stands for several")
    rises: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.5,), min_length=1, description="level lines at so much above the centre's loss"
    )
    over: Literal["seed"] | None = Field(
        None, description="seed: runs that differ in nothing but their seed share a panel"
    )

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.planes))


class Sharpness(OfRuns):
    """A number of the surface against the test error, a point per network."""

    draw: Literal["sharpness"]
    planes: Names = Field(min_length=1, description="over which the number is averaged; * stands for several")
    number: str = Field("area_rise_0.5", description="a number of geometry")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.planes))


Figure = Annotated[
    Contours
    | Surfaces
    | Lines
    | Overlay
    | Training
    | Interpolation
    | Profiles
    | Trajectories
    | Bundles
    | Rings
    | Sharpness
    | Curvature
    | Gradients
    | Spectra
    | Layers
    | Sharpening
    | Saddle,
    Field(discriminator="draw"),
]
DRAWN: Mapping[str, type[Section]] = {
    get_args(kind.model_fields["draw"].annotation)[0]: kind for kind in get_args(get_args(Figure)[0])
}
"""The kinds of figures by what `draw` says."""
