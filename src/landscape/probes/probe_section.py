"""Probes: measurements at one point."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from landscape.config.fields import Ref
from landscape.config.section import Section, one_of_kinds
from landscape.config.values import Parameters


class Probe(Section):
    """A measurement at one point: the state itself, or a point of a plane around it."""

    measure: str
    plane: Annotated[str, Ref("planes")] | None = Field(
        None, description="the point is one of this plane; default the state itself, its centre"
    )
    alpha: float = Field(0.0, description="of the point, with `plane`")
    beta: float = Field(0.0, description="of the point, with `plane`")
    images: int | None = Field(None, ge=1, description="stratified subset of the training split; default all")
    seed: int = Field(0, ge=0, lt=2**63, description="of the random vectors")

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        if self.plane is None:
            yield "a probe of the state itself, without plane,", {"alpha", "beta"}

    @property
    def graph_memory(self) -> int:
        """MiB that the graph of the point may take; 0 where none is held."""
        return 0


class HessianProbe(Probe):
    """A probe that takes products with the Hessian."""

    parameters: Parameters = Field("filters", description="those that have filters, as in the paper, or all")
    memory: int = Field(2048, ge=1, description="MiB that the graph of a point may take; beyond, it is made anew")
    precision: Literal["fp32", "fp64"] = Field("fp32", description="of the network's arithmetic")

    @property
    def graph_memory(self) -> int:
        return self.memory


class EigenpairsProbe(HessianProbe):
    """The largest and the smallest eigenvalues of the Hessian with their vectors."""

    measure: Literal["eigenpairs"]
    pairs: int = Field(2, ge=1, description="eigenpairs at each end")


class SpectrumProbe(HessianProbe):
    """The spectral density of the Hessian, from random vectors and Lanczos steps."""

    measure: Literal["spectrum"]
    vectors: int = Field(8, ge=2, description="random vectors")
    steps: int = Field(60, ge=2, description="Lanczos steps from each random vector")


class TraceProbe(HessianProbe):
    """The trace of the Hessian, and the mean curvature along random directions."""

    measure: Literal["trace"]
    vectors: int = Field(8, ge=2, description="random vectors")
    draws: int = Field(32, ge=2, description="random directions of each kind whose curvature is averaged")


class ActivationsProbe(Probe):
    """The scale of every layer's activations and gradients."""

    measure: Literal["activations"]


class SaddleProbe(Probe):
    """A saddle point near the state, of a small smooth network, with the plane of its extreme curvatures."""

    measure: Literal["saddle"]
    tolerance: float = Field(1e-6, gt=0, description="norm of the gradient at which a saddle is taken for one")
    points: int = Field(41, ge=5, description="points along each axis of the saddle's plane")

    @model_validator(mode="after")
    def _at_the_state(self) -> Self:
        if self.plane is not None:
            raise ValueError("measure: saddle begins at a state and takes no plane")
        return self

    @property
    def graph_memory(self) -> int:
        return 2048


PROBES: tuple[type[Probe], ...] = (EigenpairsProbe, SpectrumProbe, TraceProbe, ActivationsProbe, SaddleProbe)
"""What a probe can measure; a new one is named here."""

if TYPE_CHECKING:
    AnyProbe = Probe
else:
    AnyProbe = one_of_kinds("measure", PROBES)


def probe_of(keys: Mapping[str, Any]) -> Any:
    """The probe that the keys of a configuration describe.

    Raises:
        pydantic.ValidationError: if they do not.
    """
    return TypeAdapter(AnyProbe).validate_python(keys)
