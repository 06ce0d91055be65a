"""Probes: measurements at one point."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from landscape.config.section import Section
from landscape.config.values import Parameters

Measured = Literal["eigenpairs", "spectrum", "trace", "activations", "saddle"]

_KEYS: dict[str, set[str]] = {
    "eigenpairs": {"parameters", "memory", "precision", "pairs"},
    "spectrum": {"parameters", "memory", "precision", "vectors", "steps"},
    "trace": {"parameters", "memory", "precision", "vectors", "draws"},
    "activations": set(),
    "saddle": {"tolerance", "points"},
}
"""What each kind of measurement takes beside the point and its images."""


class Probe(Section):
    """A measurement at one point: the state itself, or a point of a plane around it."""

    measure: Measured = Field(
        description="eigenpairs: the largest and the smallest eigenvalues of the Hessian with their vectors; spectrum: its "
        "spectral density; trace: its trace, and the mean curvature along random directions; activations: the scale of "
        "every layer's activations and gradients; saddle: a saddle point near the state, where the gradient's norm was "
        "brought to zero, and the plane of its most negative and most positive curvature",
    )
    plane: str | None = Field(None, description="the point is one of this plane; default the state itself, its centre")
    alpha: float = Field(0.0, description="of the point, with `plane`")
    beta: float = Field(0.0, description="of the point, with `plane`")
    images: int | None = Field(None, ge=1, description="stratified subset of the training split; default all")
    seed: int = Field(0, ge=0, lt=2**63, description="of the random vectors")
    parameters: Parameters = Field("filters", description="those that have filters, as in the paper, or all")
    memory: int = Field(2048, ge=1, description="MiB that the graph of a point may take; beyond, it is made anew")
    precision: Literal["fp32", "fp64"] = Field("fp32", description="of the network's arithmetic")
    pairs: int = Field(2, ge=1, description="eigenpairs at each end, of eigenpairs")
    vectors: int = Field(8, ge=2, description="random vectors, of spectrum and trace")
    steps: int = Field(60, ge=2, description="Lanczos steps from each random vector, of spectrum")
    draws: int = Field(32, ge=2, description="random directions of each kind whose curvature is averaged, of trace")
    tolerance: float = Field(1e-6, gt=0, description="norm of the gradient at which a saddle is taken for one")
    points: int = Field(41, ge=5, description="points along each axis of the saddle's plane")

    @model_validator(mode="after")
    def _point(self) -> Self:
        if self.plane is not None and self.measure == "saddle":
            raise ValueError("measure: saddle begins at a state and takes no plane")
        return self

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        yield f"measure: {self.measure}", set().union(*_KEYS.values()) - _KEYS[self.measure]
        if self.plane is None:
            yield "a probe of the state itself, without plane,", {"alpha", "beta"}
