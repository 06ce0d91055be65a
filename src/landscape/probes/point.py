"""The point at which a probe measures, and the Hessian of the training loss there."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from torch import Tensor, nn

from landscape.data.datasets import DataSet, subset
from landscape.directions import Axes, Directions
from landscape.errors import InputError
from landscape.hessian.products import DTYPES, Hessian, filter_scale
from landscape.hessian.verification import ASYMMETRY, CAUSE, PRECISION, DerivativeErrors, Verification, rounding_of
from landscape.objective.objective import Objective
from landscape.probes.probe import HessianProbe
from landscape.store.weights import Weights, displace


@dataclass(frozen=True)
class ProbedPoint:
    """A point theta + alpha d1 + beta d2.

    Attributes:
        weights: every parameter and buffer at the point.
        hessian: the Hessian of the training loss at the point.
        scale: D of D H D, (size,), from the filters at the point (`hessian.filter_scale`).
        errors: of the derivatives, against finite differences.
        impossible: why there was no comparison; empty if there was one.
    """

    weights: Weights
    hessian: Hessian
    scale: Tensor
    errors: DerivativeErrors
    impossible: str

    def facts(self, problem: str = "") -> dict[str, str | int | float]:
        """Collect the attributes of a file that say how it was computed, and its problem if it has one.

        Raises:
            InputError: if the products taken show that the Hessian is not symmetric.
        """
        loss, asymmetry = self.hessian.loss(), self.hessian.asymmetry
        if asymmetry > ASYMMETRY[self.hessian.dtype]:
            lost = f"the loss is {loss:.1g}, so near 0 that its derivatives are rounding"
            cause = lost if rounding_of(loss) > PRECISION / 1000 else CAUSE
            raise InputError(f"products with the Hessian are not symmetric, by {asymmetry:.1g} of their size; {cause}")
        if not math.isfinite(loss):
            problem = f"non_finite: the loss at this point is {loss:g}"
        return {
            "graph": "kept" if self.hessian.keeps else "recomputed",
            "batch_norms_folded": self.hessian.folded,
            "status": problem or "computed",
            **asdict(self.errors),
            "symmetry_error": asymmetry,
            "derivatives_compared": self.impossible or "at the point",
        }

    def facts_of(self, numbers: Iterable[np.ndarray]) -> dict[str, str | int | float]:
        """Return `facts` with the status of numbers that are finite if and only if all products are."""
        finite = all(np.isfinite(array).all() for array in numbers)
        return self.facts("" if finite else "non_finite: a product is not finite")


def reach(
    probe: HessianProbe,
    network: nn.Module,
    theta: Weights,
    directions: Directions,
    axes: Axes,
    dataset: DataSet,
    objective: Objective,
) -> ProbedPoint:
    """Go to the probe's point: the centre `theta`, or a point on the plane of `directions` around it.

    Raises:
        InputError: if the derivatives are wrong there.
    """
    split = subset(dataset.train, probe.examples)
    hessian = Hessian(
        network,
        theta,
        directions,
        split,
        axes,
        objective,
        parameters=probe.parameters,
        dtype=DTYPES[probe.precision],
        memory=probe.memory * 2**20,
    )
    weights = theta
    if directions:
        hessian.move(probe.alpha, probe.beta)
        weights = displace(theta, directions["alpha"], probe.alpha, directions.get("beta"), probe.beta)
    verification = Verification(hessian, network, theta, split, axes, objective, parameters=probe.parameters)
    errors = verification.at(weights)
    if errors.problem:
        raise InputError(f"measure: {probe.measure} is refused, since {errors.problem}")
    return ProbedPoint(weights, hessian, filter_scale(weights, axes, hessian), errors, verification.impossible)
