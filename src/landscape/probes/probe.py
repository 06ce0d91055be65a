"""Base class of probes: a measurement at one point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.section import Section
from landscape.config.values import Parameters
from landscape.hessian.passes import FORWARD_AND_BACKWARD, PRODUCT

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Axes, Directions
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights


class Probe(Section):
    """A measurement at one point: the state itself, or a point of a plane around it. A kind of probe is a subclass."""

    unknown_cost: ClassVar[str] = ""
    """Unknown part of the cost, with `{}` for the probe's name; empty if the cost is known."""
    differentiates: ClassVar[int] = 0
    """How many derivatives are taken, 0 to 2."""
    measures_test: ClassVar[bool] = False
    """True if the test split is measured too."""

    measure: str
    plane: Annotated[str, Ref("planes")] | None = Field(
        None, description="the point is one of this plane; default the state itself, its centre"
    )
    alpha: float = Field(0.0, description="of the point, with `plane`")
    beta: float = Field(0.0, description="of the point, with `plane`")
    examples: int | None = Field(
        None, ge=1, description="subset of the training split, with labels a stratified one; default all"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of the random vectors")

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        if self.plane is None:
            yield "a probe of the state itself, without plane,", {"alpha", "beta"}

    @property
    def graph_memory(self) -> int:
        """Largest size in MiB of the graph of the point; 0 if none is held."""
        return 0

    def measured(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        axes: Axes,
        dataset: DataSet,
        objective: Objective,
    ) -> tuple[xr.Dataset, Weights]:
        """Measure at the centre `theta`, or at the probe's point on the plane of `directions` around it.

        Args:
            network: a network with the architecture of `theta`, on the device of `dataset`; it is not changed.
            theta: every parameter and buffer.
            directions: the directions of the probe's plane; empty for the centre.
            axes: `building.filter_axes` of the network.
            objective: the loss.

        Returns:
            The numbers, with the attribute `status`: computed, or the problem. And the vectors that belong to them, empty
            for some kinds of probe.

        Raises:
            InputError: if the network does not allow this measurement.
        """
        raise NotImplementedError

    def forward_passes(self) -> int | None:
        """Estimate the cost in forward passes over the probe's examples; None if it is unknown."""
        raise NotImplementedError

    def disk(self, parameters: int) -> int:
        """Estimate the bytes of the vectors and planes in the probe's files.

        Args:
            parameters: bytes of the network's parameters.
        """
        return 0


class HessianProbe(Probe):
    """A probe that takes products with the Hessian."""

    differentiates: ClassVar[int] = 2

    parameters: Parameters = Field(
        "filters",
        description="those that have filters, as in the paper (filters), all, or those in whose name a regular expression "
        "is found",
    )
    memory: int = Field(2048, ge=1, description="MiB that the graph of a point may take; beyond, it is made anew")
    precision: Literal["fp32", "fp64"] = Field("fp32", description="of the network's arithmetic")

    @property
    def graph_memory(self) -> int:
        return self.memory

    @property
    def products(self) -> int:
        """Number of products with the Hessian, about."""
        raise NotImplementedError

    def forward_passes(self) -> int:
        """Count the products and a gradient."""
        return FORWARD_AND_BACKWARD + self.products * PRODUCT
