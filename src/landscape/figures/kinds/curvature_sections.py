"""Figures of curvature, of gradients and of probes."""

import itertools
from typing import Annotated, Literal

from pydantic import Field

from landscape.config.section import MAX_EPOCHS
from landscape.figures.shared.figure_section import OfRuns


class Curvature(OfRuns):
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


class Gradients(OfRuns):
    """The gradient over a plane: as arrows over the level lines, its norm, where it points, how steady it is."""

    draw: Literal["gradients"]
    plane: str = Field(description="a plane with measure: gradients or curvature")

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(state, self.plane) for state in self.runs]


class _OfProbe(OfRuns):
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
