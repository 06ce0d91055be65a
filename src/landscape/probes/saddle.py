"""A saddle point of the training loss near a state, the spectrum there, and the mountain pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from landscape.lazy import np, torch, xr
from landscape.objective.meanings import loss_meaning
from landscape.probes.probe import Probe
from landscape.progress import progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Axes, Directions
    from landscape.hessian.saddle_search import CriticalPoint, FlatLoss
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights


class SaddleProbe(Probe):
    """A saddle point near the state, of a small smooth network, with the plane of its extreme curvatures."""

    differentiates: ClassVar[int] = 2
    unknown_cost: ClassVar[str] = "how many steps lead {} to a saddle"

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

    def measured(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        axes: Axes,
        dataset: DataSet,
        objective: Objective,
    ) -> tuple[xr.Dataset, Weights]:
        """Search for a saddle from `theta`, and measure the loss on the plane of its extreme eigenvectors.

        The search is over all parameters, in float64, over the training examples that the probe declares, in eval mode. The
        plane is the saddle + alpha times the unit eigenvector of the smallest eigenvalue + beta times that of the largest.
        Alpha reaches to the first minimum of the loss along its axis, on the nearer side. Beta reaches to where the loss has
        risen by as much. If the search ends in a minimum, the index is 0, and the plane shows the minimum.

        Raises:
            InputError: if the network is too large, is not smooth, or no saddle is found.
        """
        from landscape.data.datasets import subset
        from landscape.hessian.saddle_search import FlatLoss, search

        loss = FlatLoss(network, theta, subset(dataset.train, self.examples), axes, objective)
        found = search(loss, self.tolerance)
        smallest, largest = (_oriented(found.vectors[:, k]) for k in (0, -1))
        reach = _reaches(lambda step: loss.value(found.point + step), found, smallest, largest)
        unit = np.arange(1 - self.points, self.points, 2) / (self.points - 1)  # from -1 to 1, with an exact 0
        alpha, beta = (length * unit for length in reach)
        steps = [(a, b) for a in alpha for b in beta]
        shown = progress(steps, len(steps), "saddle's plane")
        values = [loss.value(found.point + a * smallest + b * largest) for a, b in shown]
        vectors = {"saddle": found.point, "smallest-1": smallest, "largest-1": largest}
        return _dataset(loss, found, alpha, beta, np.reshape(values, (alpha.size, beta.size)), objective), {
            f"{key}/{name}": part for key, vector in vectors.items() for name, part in loss.unflatten(vector).items()
        }

    def forward_passes(self) -> None:
        return None

    def disk(self, parameters: int) -> int:
        return 3 * parameters + 8 * self.points**2


def _reaches(
    rise: Callable[[Tensor], float], found: CriticalPoint, smallest: Tensor, largest: Tensor
) -> tuple[float, float]:
    """Choose the extent of the plane along both eigenvectors."""
    reaches = np.geomspace(1e-2, 1e2, 81)
    here = found.losses[-1]

    def along(vector: Tensor, side: int) -> np.ndarray:
        return np.array([rise(side * length * vector) for length in reaches]) - here

    def to_rise(vector: Tensor, height: float) -> float:
        higher = np.max([along(vector, side) for side in (-1, 1)], axis=0) >= height
        return float(reaches[higher.argmax()]) if higher.any() else float(reaches[-1])

    if float(found.eigenvalues[0]) >= -found.threshold:  # a minimum, or flat
        return to_rise(smallest, max(here, 0.1)), to_rise(largest, max(here, 0.1))
    falls = [along(smallest, side) for side in (-1, 1)]
    alpha = min(_first_minimum(fall) for fall in falls)
    return float(reaches[alpha]), to_rise(largest, -min(float(fall[alpha]) for fall in falls))


def _first_minimum(fall: np.ndarray) -> int:
    rising = np.diff(fall) > 0
    return int(rising.argmax()) if rising.any() else len(fall) - 1


def _oriented(vector: Tensor) -> Tensor:
    """Make the component of largest magnitude positive, since the sign of an eigenvector is arbitrary."""
    return vector * torch.sign(vector[vector.abs().argmax()])


def _dataset(
    loss: FlatLoss,
    found: CriticalPoint,
    alpha: np.ndarray,
    beta: np.ndarray,
    values: np.ndarray,
    objective: Objective,
) -> xr.Dataset:
    name = loss_meaning(objective.facts()).format("training examples")

    def said(text: str) -> dict[str, str]:
        return {"long_name": text, "units": "1"}

    eigenvalues = found.eigenvalues.cpu().numpy()
    variables = {
        "loss": (
            ("alpha", "beta"),
            values,
            said(f"{name} on the plane through the saddle"),
        ),
        "gradient_norm_path": ("step", np.array(found.norms), said("norm of the gradient along the search")),
        "loss_path": ("step", np.array(found.losses), said(f"{name} along the search")),
        "eigenvalue": ("eigen", eigenvalues, said("eigenvalues of the Hessian at the saddle, ascending")),
        "index": ((), np.int32((eigenvalues < -found.threshold).sum()), said("number of negative eigenvalues")),
        "negative_threshold": (
            (),
            found.threshold,
            said("an eigenvalue is negative where it is below minus this, and zero up to this"),
        ),
        "gradient_norm": ((), found.norms[-1], said("norm of the gradient at the saddle")),
        "train_loss": ((), found.losses[-1], said(f"{name} at the saddle")),
        "newton_step": ((), found.newton_step, said("length of the Newton step at the saddle")),
        "distance": ((), float((found.point - loss.start).norm()), said("distance of the saddle from the state")),
        "theta_norm": ((), float(found.point.norm()), said("norm of the weights at the saddle")),
    }
    coords = {
        "alpha": ("alpha", alpha, said("step along the unit eigenvector of the smallest eigenvalue")),
        "beta": ("beta", beta, said("step along the unit eigenvector of the largest eigenvalue")),
    }
    facts = {"parameters": "all", "precision": "fp64", "status": "computed", "symmetry_error": loss.asymmetry}
    return xr.Dataset(variables, coords, facts | asdict(loss.errors))
