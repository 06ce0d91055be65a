"""Figures: what is drawn of which runs, on which planes."""

import itertools
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from landscape.config.sections.base import MAX_EPOCHS, Section
from landscape.config.values import Levels, Names

Variable = Literal["train_loss", "test_loss"]


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


class _OfRuns(Drawn):
    runs: tuple[str, ...] = Field(min_length=1, description="runs or states, in order; * and ? stand for several")

    @property
    def states(self) -> tuple[str, ...]:
        return self.runs


class Contours(_OfRuns):
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


class Surfaces(_OfRuns):
    """Shaded 3D surfaces of log10 of the loss, one panel per run (Li et al. 2018, Figures 1 and 4)."""

    draw: Literal["surfaces"]
    plane: str
    variable: Variable = "train_loss"

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(state, self.plane) for state in self.runs]


class Lines(_OfRuns):
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


class Overlay(_OfRuns):
    """Several runs along the same lines, on one pair of axes for each line (the argument of Li et al. 2018, section 4)."""

    draw: Literal["overlay"]
    lines: Names = Field(description="lines, a panel for each with all runs in it; * stands for several")
    variable: Variable = "train_loss"
    columns: int | None = Field(None, ge=1, description="panels in a row; default by their number")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.lines))


class Training(_OfRuns):
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


class Profiles(_OfRuns):
    """Above the loss along lines, as a band; below the level lines (Li et al. 2018, Figure 3)."""

    draw: Literal["profiles"]
    line: Names = Field(description="a line, or with * several: their median, and a band between their extremes")
    plane: str
    levels: Levels = Field("log", description="log: 0.1, 0.2, 0.5, 1, ...; paper: 0.1 to 10 by 0.5; or a list")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, (*self.line, self.plane)))


class Trajectories(_OfRuns):
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


class Bundles(_OfRuns):
    """Many directions at once: runs in columns, sets of lines in rows (Li et al. 2018, appendix)."""

    draw: Literal["bundles"]
    rows: tuple[Names, ...] = Field(min_length=1, description="lines, one set for each row; * stands for several")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((state, plane) for state in self.runs for row in self.rows for plane in row))


class Rings(_OfRuns):
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


class Sharpness(_OfRuns):
    """A number of the surface against the test error, a point per network."""

    draw: Literal["sharpness"]
    planes: Names = Field(min_length=1, description="over which the number is averaged; * stands for several")
    number: str = Field("area_rise_0.5", description="a number of geometry")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.planes))


class Curvature(_OfRuns):
    """The map of |lambda_min / lambda_max| beside the level lines of the loss (Li et al. 2018, Figure 7)."""

    draw: Literal["curvature"]
    plane: str = Field(description="a plane with measure: curvature")
    contours: str | None = Field(None, description="a finer plane of the same directions for the level lines")
    ratio: Literal["negative", "plain"] = Field(
        "negative",
        description="negative: |min(lambda_min, 0)| / lambda_max; plain: |lambda_min / lambda_max|, the paper's",
    )

    @property
    def seen(self) -> list[tuple[str, str]]:
        planes = [self.plane, *([self.contours] if self.contours else [])]
        return list(itertools.product(self.runs, planes))


class Gradients(_OfRuns):
    """The gradient over a plane: as arrows over the level lines, its norm, where it points, how steady it is."""

    draw: Literal["gradients"]
    plane: str = Field(description="a plane with measure: gradients or curvature")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(state, self.plane) for state in self.runs]


class _OfProbe(_OfRuns):
    probe: str

    @property
    def probed(self) -> list[tuple[str, str]]:
        return [(state, self.probe) for state in self.states]


class Spectra(_OfProbe):
    """The spectral density of the Hessian, filter-scaled and raw, a panel per run."""

    draw: Literal["spectra"]
    probe: str = Field(description="a probe with measure: spectrum")


class Layers(_OfProbe):
    """The scale of activations and gradients, layer by layer."""

    draw: Literal["layers"]
    probe: str = Field(description="a probe with measure: activations")


class Sharpening(_OfProbe):
    """The extreme eigenvalues of the Hessian along a training."""

    draw: Literal["sharpening"]
    probe: str = Field(description="a probe with measure: eigenpairs or spectrum")
    epochs: tuple[Annotated[int, Field(ge=0, le=MAX_EPOCHS)], ...] = Field(
        min_length=2, description="kept epochs of every run"
    )

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(f"{run}@{epoch:03d}" for run in self.runs for epoch in self.epochs)


class Saddle(_OfProbe):
    """A saddle point: the plane of its most negative and most positive curvature, and its spectrum."""

    draw: Literal["saddle"]
    probe: str = Field(description="a probe with measure: saddle")


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
    "contours": Contours,
    "surfaces": Surfaces,
    "lines": Lines,
    "overlay": Overlay,
    "training": Training,
    "interpolation": Interpolation,
    "profiles": Profiles,
    "trajectories": Trajectories,
    "bundles": Bundles,
    "rings": Rings,
    "sharpness": Sharpness,
    "curvature": Curvature,
    "gradients": Gradients,
    "spectra": Spectra,
    "layers": Layers,
    "sharpening": Sharpening,
    "saddle": Saddle,
}
