"""The gradient of the training loss over a plane, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from landscape.config.values import Auto, Range
from landscape.errors import InputError
from landscape.geometry.grid import Status, points_of
from landscape.hessian.passes import FORWARD_AND_BACKWARD, SHARE, VERIFICATION
from landscape.lazy import np, torch, xr
from landscape.measures import tiling
from landscape.measures.plane import Plane
from landscape.objective.meanings import loss_meaning
from landscape.progress import progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from landscape.data.datasets import DataSet
    from landscape.data.examples import Examples
    from landscape.directions import Directions
    from landscape.hessian.products import Hessian
    from landscape.hessian.verification import DerivativeErrors, Verification
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights

_VARIABLES: dict[str, tuple[Any, str]] = {
    "train_loss": (math.nan, ""),
    "gradient_norm": (math.nan, "norm of its gradient over the chosen parameters"),
    "gradient_alpha": (math.nan, "inner product of the gradient with the first direction"),
    "gradient_beta": (math.nan, "inner product of the gradient with the second direction"),
    "gradient_towards_centre": (
        math.nan,
        "cosine between steepest descent in the plane and the way to the centre, in the plane's metric",
    ),
    "gradient_cosine_halves": (math.nan, "cosine between the gradients over two halves of the examples"),
    "gradient_cosine_alpha": (math.nan, "cosine between the gradients here and at the next point along alpha"),
    "gradient_cosine_beta": (math.nan, "cosine between the gradients here and at the next point along beta"),
    "gradient_error": (
        math.nan,
        "error of the gradient against finite differences of the loss, as a share of its size; NaN if not compared",
    ),
    "precision_error": (
        math.nan,
        "difference between the derivatives and those in float64, as a share of their size; NaN if not compared",
    ),
}


class GradientsPlane(Plane):
    """The training loss and its gradient."""

    passes: ClassVar[int] = 8
    differentiates: ClassVar[int] = 1

    measure: Literal["gradients"]
    precision: Literal["fp32", "fp64"] = Field("fp32", description="of the network's arithmetic")

    @model_validator(mode="after")
    def _as_stored(self) -> Self:
        if self.statistics != "stored":
            raise ValueError(f"measure: {self.measure} is of the network as stored; state batchnorm: stored")
        return self

    def template(self, *, test: bool, attrs: dict[str, Any]) -> xr.Dataset:
        """Make the empty surface, as `Plane.template`; nothing is measured on the test split."""
        loss = {"train_loss": (math.nan, loss_meaning(attrs).format("training examples"))}
        return tiling.blank(self, self._variables() | loss, attrs)

    def evaluate(
        self,
        whole: xr.Dataset,
        indices: Sequence[int],
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        data: DataSet,
        objective: Objective,
    ) -> xr.Dataset:
        return GradientField(self, whole, network, theta, directions, data, objective).tile(indices)

    def merge(self, whole: xr.Dataset, tiles: Sequence[tuple[str, xr.Dataset]]) -> xr.Dataset:
        merged = tiling.merge(whole, tiles)
        wrong = int((merged["status"].values == Status.wrong_derivatives).sum())
        return merged.assign_attrs(points_wrong_derivatives=wrong)

    def forward_passes(self, indices: range, train: int, test: int | None) -> float:
        """Count a gradient over all examples and two over halves at every point, and one at each neighbour in the next tile.

        The comparisons with finite differences, of a few examples at a few points, are left out.
        """
        beside = min(self.shape[1], math.prod(self.shape) - indices.stop)
        return FORWARD_AND_BACKWARD * (2 * len(indices) + beside) * min(self.examples or train, train)

    def compared_at(self, train: int) -> Collection[int]:
        """Return the row-major indices of the points at which derivatives are compared with finite differences.

        These are all points where that takes at most `SHARE` of a point's cost, else the corners and the point nearest to
        the centre.
        """
        rows, columns = self.shape
        points = range(rows * columns)
        if VERIFICATION[self.differentiates] <= SHARE * self.forward_passes(points, train, None) / len(points):
            return points
        nearest = _nearest(self.alpha) * columns + (_nearest(self.beta) if self.beta else 0)
        return {0, columns - 1, (rows - 1) * columns, rows * columns - 1, nearest}

    def _variables(self) -> dict[str, tuple[Any, str]]:
        """Return the initial value and the meaning of every variable by name."""
        absent = ("gradient_beta", "gradient_cosine_beta") if self.is_line else ()
        return {name: meaning for name, meaning in _VARIABLES.items() if name not in absent}


class GradientField:
    """The training loss and its gradient at the points of a plane."""

    def __init__(
        self,
        plane: GradientsPlane,
        whole: xr.Dataset,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        data: DataSet,
        objective: Objective,
    ):
        from landscape.data.datasets import subset
        from landscape.hessian.within_plane import Slice

        tiling.check_axes(whole, directions)
        self._plane, self._whole, self._data = plane, whole, data
        self._network, self._theta, self._objective = network, theta, objective
        self._directions = {axis: directions[axis] for axis in (("alpha",) if plane.is_line else ("alpha", "beta"))}
        self._shape = whole.sizes["alpha"], whole.sizes["beta"]
        split = subset(data.train, plane.examples)
        self._hessian = self._over(split)
        self._verification = self._verifying(split)
        self._slice = Slice(self._directions, self._hessian)
        self._slopes: dict[int, tuple[float, Tensor]] = {}
        row = (self._shape[1] + 2) * self._hessian.size * self._hessian.dtype.itemsize
        self._holds_a_row = row <= (plane.graph_memory or 2048) * 2**20

    def _over(self, split: Examples) -> Hessian:
        """Build the Hessian of the loss over a split, at the centre."""
        from landscape.hessian.products import DTYPES, Hessian
        from landscape.networks import building

        return Hessian(
            self._network,
            self._theta,
            self._directions,
            split,
            building.filter_axes(self._network),
            self._objective,
            parameters=self._plane.parameters,
            dtype=DTYPES[self._plane.precision],
            memory=self._plane.graph_memory * 2**20,
        )

    def _verifying(self, split: Examples) -> Verification:
        """Prepare the comparison of derivatives with finite differences, and make it at the centre.

        Raises:
            InputError: if the derivatives are wrong there.
        """
        from landscape.hessian.verification import Verification
        from landscape.networks import building

        verification = Verification(
            self._hessian,
            self._network,
            self._theta,
            split,
            building.filter_axes(self._network),
            self._objective,
            parameters=self._plane.parameters,
            products=self._plane.differentiates == 2,
        )
        if problem := verification.at(self._theta).problem:
            raise InputError(f"measure: {self._plane.measure} is refused, since at the centre {problem}")
        self._verified = self._plane.compared_at(len(split))
        return verification

    def tile(self, indices: Sequence[int]) -> xr.Dataset:
        """Measure the points with these row-major indices."""
        index = np.asarray(indices, np.int64)
        columns = tiling.blank_columns(self._whole, index.size)
        for i, row in enumerate(progress(map(self.measure, index.tolist()), index.size, "points")):
            for name, value in row.items():
                columns[name][i] = value
        tile = tiling.as_tile(self._whole, index, columns)
        tile.attrs |= {key: tiling.attribute(value) for key, value in self.facts().items()}
        return tile

    def facts(self) -> dict[str, Any]:
        """Collect the attributes of a file that say how the plane was measured."""
        chosen = self._hessian.flatten(self._theta).double()
        facts = {
            "precision": self._plane.precision,
            "parameters": self._plane.parameters,
            "batch_norms_folded": self._hessian.folded,
            "theta_norm": float(torch.linalg.vector_norm(chosen)),
            "direction_norms": self._slice.norms,
            "derivatives_compared": (
                self._verification.impossible
                or (
                    "at every point"
                    if len(self._verified) == math.prod(self._shape)
                    else "at the corners and the centre"
                )
            ),
        }
        return facts if self._plane.is_line else {**facts, "cosine": self._slice.cosine}

    def measure(self, index: int) -> dict[str, float]:
        """Measure the variables at a point by name; only the loss and why, if there are no numbers or wrong ones."""
        from landscape.hessian.within_plane import cosine

        loss, gradient = self._gradient(index)
        if not math.isfinite(loss) or not bool(gradient.isfinite().all()):
            return {"train_loss": loss, "status": Status.non_finite}
        slopes = self._slice.along(gradient)
        row = {f"gradient_{axis}": slope for axis, slope in zip(self._directions, slopes, strict=True)}
        row |= self._beside(index, gradient)
        self._move(index)
        errors = self._errors(index)
        compared = {name: value for name, value in asdict(errors).items() if name in self._whole}
        if errors.problem:
            return {"train_loss": loss, "status": Status.wrong_derivatives, **compared}
        return row | {
            **compared,
            "train_loss": loss,
            "gradient_norm": float(torch.linalg.vector_norm(gradient.double())),
            "gradient_towards_centre": self._slice.towards_centre(slopes, self._at(index)),
            "gradient_cosine_halves": cosine(*self._hessian.gradients_of_halves()),
            "status": Status.computed,
        }

    def _errors(self, index: int) -> DerivativeErrors:
        """Compare the derivatives at a point with finite differences, if they are compared there."""
        from landscape.hessian.verification import DerivativeErrors
        from landscape.store.weights import displace

        if index not in self._verified:
            return DerivativeErrors()
        alpha, beta = self._at(index)
        steps = self._directions
        return self._verification.at(displace(self._theta, steps["alpha"], alpha, steps.get("beta"), beta), seed=index)

    def _gradient(self, index: int) -> tuple[float, Tensor]:
        """Return the loss and its gradient at a point."""
        if index not in self._slopes:
            self._move(index)
            self._slopes[index] = self._hessian.slope()
        return self._slopes[index]

    def _beside(self, index: int, gradient: Tensor) -> dict[str, float]:
        """Compute the cosines to the gradients at the next points, and keep gradients for later points if memory allows."""
        from landscape.hessian.within_plane import cosine

        i, j = divmod(index, self._shape[1])
        row = {}
        for axis, step, is_last in (
            ("alpha", self._shape[1], i == self._shape[0] - 1),
            ("beta", 1, j == self._shape[1] - 1),
        ):
            if axis in self._directions:
                next_one = math.nan if is_last else cosine(gradient, self._gradient(index + step)[1])
                row[f"gradient_cosine_{axis}"] = next_one
        kept = {k for k in self._slopes if k > index and (self._holds_a_row or k == index + 1)}
        self._slopes = {k: self._slopes[k] for k in kept}
        return row

    def _at(self, index: int) -> tuple[float, float]:
        alpha, beta = points_of(self._whole, np.array([index]))
        return float(alpha[0]), float(beta[0])

    def _move(self, index: int) -> None:
        self._hessian.move(*self._at(index))


def _nearest(axis: Range | Auto) -> int:
    """Return the index of the coordinate nearest to 0; of a range that is to be found, the middle."""
    if axis[0] == "auto":
        return axis[-1] // 2
    first, last, points = axis
    if points == 1:
        return 0
    return min(points - 1, max(0, round(-first / (last - first) * (points - 1))))
