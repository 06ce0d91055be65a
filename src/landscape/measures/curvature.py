"""Gradients and curvature over a plane: the gradient and the Hessian's extreme eigenvalues at every point (Li et al.
2018, section 6 and Figure 7), as `landscape.measures.loss` does the loss.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from landscape.data.datasets import DataSet, Split, subset
from landscape.directions import Directions
from landscape.geometry.grid import Status, points_of
from landscape.hessian import drift
from landscape.hessian.lanczos import (
    LIMIT,
    NOT_FINITE,
    PROBABILITY,
    TOLERANCE,
    TOLERANCE_OF_LARGEST,
    Extremes,
    by_eigsh,
    extremes,
)
from landscape.hessian.products import Hessian
from landscape.hessian.within_plane import Slice, cosine
from landscape.measures import loss, tiling
from landscape.measures.plane_section import Plane
from landscape.networks import building
from landscape.progress import progress
from landscape.store.weights import Weights

SEEN = {"fp32": 1e-5, "fp64": 1e-13}
"""Share of lambda_max below which an eigenvalue is lost in the rounding of products, about."""

_DTYPES = {"fp32": torch.float32, "fp64": torch.float64}
_SEED = 0  # of the vectors that eigenvalues are searched from, at every point the same

_GRADIENTS: dict[str, tuple[Any, str]] = {
    "train_loss": (np.nan, "mean cross-entropy over the training images (natural logarithm)"),
    "gradient_norm": (np.nan, "norm of its gradient over the chosen parameters"),
    "gradient_alpha": (np.nan, "inner product of the gradient with the first direction"),
    "gradient_beta": (np.nan, "inner product of the gradient with the second direction"),
    "gradient_towards_centre": (
        np.nan,
        "cosine between steepest descent in the plane and the way to the centre, in the plane's metric",
    ),
    "gradient_cosine_halves": (np.nan, "cosine between the gradients over two halves of the images"),
    "gradient_cosine_alpha": (np.nan, "cosine between the gradients here and at the next point along alpha"),
    "gradient_cosine_beta": (np.nan, "cosine between the gradients here and at the next point along beta"),
}
_CURVATURE: dict[str, tuple[Any, str]] = {
    "eigenvalue_min": (np.nan, "smallest eigenvalue of the Hessian over the chosen parameters"),
    "eigenvalue_max": (np.nan, "largest eigenvalue of the Hessian over the chosen parameters"),
    "residual_min": (np.nan, "norm of the residual of the smallest eigenvalue"),
    "residual_max": (np.nan, "norm of the residual of the largest eigenvalue"),
    "bound_min": (np.nan, f"below which, with probability {PROBABILITY:g}, no eigenvalue lies"),
    "bound_max": (np.nan, f"above which, with probability {PROBABILITY:g}, no eigenvalue lies"),
    "eigenvalue_ratio": (np.nan, "|min(lambda_min, 0)| / lambda_max, NaN where lambda_max is not positive"),
    "eigenvalue_ratio_plain": (np.nan, "|lambda_min / lambda_max|"),
    "products": (np.int32(0), "products with the Hessian that the search for its eigenvalues took"),
    "slice_eigenvalue_min": (np.nan, "smaller eigenvalue of the Hessian within the plane, in the plane's metric"),
    "slice_eigenvalue_max": (np.nan, "larger eigenvalue of the Hessian within the plane, in the plane's metric"),
    "below_arithmetic": (np.int8(0), "whether the smallest eigenvalue is lost in the rounding of products"),
}


def template(plane: Plane, *, attrs: dict[str, Any]) -> xr.Dataset:
    """The surface of a plane before anything is computed, as `tiling.template`; there is no test split in it."""
    variables = _GRADIENTS | (_CURVATURE if plane.measure == "curvature" else {})
    if plane.is_line:
        variables = {
            name: of for name, of in variables.items() if name not in ("gradient_beta", "gradient_cosine_beta")
        }
    return tiling.blank(plane, variables, attrs)


def evaluate(
    whole: xr.Dataset,
    indices: Sequence[int],
    plane: Plane,
    network: nn.Module,
    theta: Weights,
    directions: Directions,
    data: DataSet,
) -> xr.Dataset:
    """Measure the points `indices` of a plane, as `surface.evaluate`: a point has the same bits in whatever tile it is.

    The two eigenvalues of the Hessian within the plane must lie between the extreme ones, within the latter's residuals.
    Where one does not, an extreme was missed, and the search is begun anew from what was found and that direction of the
    plane; if that does not help either, the point has not converged.

    Returns:
        A tile. Of curvature its attribute `drift` says what more images make of the eigenvalues at those of the five
        points of `drift.sample` that it holds.
    """
    loss.check_axes(whole, directions)
    used = {axis: directions[axis] for axis in (("alpha",) if plane.is_line else ("alpha", "beta"))}
    field = _Field(whole, plane, network, theta, used, data)
    index = np.asarray(indices, np.int64)
    columns = {str(name): np.full(index.size, variable.values.flat[0]) for name, variable in whole.items()}
    for i, row in enumerate(progress(map(field.measure, index.tolist()), index.size, "points")):
        for name, value in row.items():
            columns[name][i] = value
    tile = tiling.as_tile(whole, index, columns)
    tile.attrs |= {key: tiling.attribute(value) for key, value in field.facts().items()}
    if plane.measure == "curvature":
        tile.attrs["drift"] = json.dumps(field.drift(tile))
        tile.attrs["points_searched_again"] = field.searched_again
    return tile


def merge(whole: xr.Dataset, tiles: Sequence[tuple[str, xr.Dataset]]) -> xr.Dataset:
    """The surface made of tiles, as `tiling.merge`."""
    merged = tiling.merge(whole, tiles)
    if "below_arithmetic" in merged:
        entries = [entry for _, tile in tiles for entry in json.loads(tile.attrs["drift"])]
        merged.attrs |= {
            "drift": json.dumps(sorted(entries, key=lambda entry: int(entry["index"]))),
            "points_searched_again": sum(int(tile.attrs["points_searched_again"]) for _, tile in tiles),
            "points_not_converged": int((merged["status"].values == Status.not_converged).sum()),
            "points_below_arithmetic": int(merged["below_arithmetic"].values.sum()),
        }
    return merged


class _Field:
    """The loss, gradient and Hessian at the points of a plane."""

    def __init__(
        self,
        whole: xr.Dataset,
        plane: Any,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        data: DataSet,
    ):
        self._whole, self._plane, self._data = whole, plane, data
        self._network, self._theta, self._directions = network, theta, directions
        self._shape = whole.sizes["alpha"], whole.sizes["beta"]
        self._hessian = self._over(subset(data.train, plane.images))
        self._slice = Slice(directions, self._hessian)
        self._found: dict[int, tuple[float, Tensor]] = {}
        row = (self._shape[1] + 2) * self._hessian.size * self._hessian.dtype.itemsize
        self._holds_a_row = row <= (plane.graph_memory or 2048) * 2**20
        self.searched_again = 0

    def _over(self, split: Split) -> Hessian:
        return Hessian(
            self._network,
            self._theta,
            self._directions,
            split,
            building.filter_axes(self._network),
            parameters=self._plane.parameters,
            dtype=_DTYPES[self._plane.precision],
            memory=self._plane.graph_memory * 2**20,
        )

    def facts(self) -> dict[str, Any]:
        """What a file says of how the plane was measured."""
        chosen = self._hessian.flatten(self._theta).double()
        facts = {
            "precision": self._plane.precision,
            "parameters": self._plane.parameters,
            "batch_norms_folded": self._hessian.folded,
            "theta_norm": float(torch.linalg.vector_norm(chosen)),
            "direction_norms": self._slice.norms,
        }
        if not self._plane.is_line:
            facts["cosine"] = self._slice.cosine
        if self._plane.measure == "curvature":
            facts |= {
                "eigensolver": self._plane.eigensolver,
                "graph": "kept" if self._hessian.keeps else "recomputed",
                "tolerance_max": TOLERANCE,
                "tolerance_min": TOLERANCE,
                "tolerance_min_of_max": TOLERANCE_OF_LARGEST,
                "probability_of_bounds": PROBABILITY,
                "limit_of_products": LIMIT,
            }
        return facts

    def measure(self, index: int) -> dict[str, float]:
        """The variables at a point by name; where the loss is not finite, that and the status alone."""
        loss, gradient = self._gradient(index)
        status = {"train_loss": loss, "status": Status.non_finite}
        if not math.isfinite(loss) or not bool(gradient.isfinite().all()):
            return status
        slopes = self._slice.along(gradient)
        row = {f"gradient_{axis}": slope for axis, slope in zip(self._directions, slopes, strict=True)}
        row |= self._beside(index, gradient)
        self._move(index)
        row |= {
            "train_loss": loss,
            "gradient_norm": float(torch.linalg.vector_norm(gradient.double())),
            "gradient_towards_centre": self._slice.towards_centre(slopes, self._at(index)),
            "gradient_cosine_halves": cosine(*self._hessian.gradients_of_halves()),
            "status": Status.computed,
        }
        if self._plane.measure == "gradients":
            return row
        found = self._curvature()
        return row | found if found else status

    def _gradient(self, index: int) -> tuple[float, Tensor]:
        """The loss and its gradient at a point."""
        if index not in self._found:
            self._move(index)
            self._found[index] = self._hessian.slope()
        return self._found[index]

    def _beside(self, index: int, gradient: Tensor) -> dict[str, float]:
        """The cosines to the gradients at the next points; what later points need of these is kept, if there is room."""
        i, j = divmod(index, self._shape[1])
        row = {}
        for axis, step, is_last in (
            ("alpha", self._shape[1], i == self._shape[0] - 1),
            ("beta", 1, j == self._shape[1] - 1),
        ):
            if axis in self._directions:
                next_one = math.nan if is_last else cosine(gradient, self._gradient(index + step)[1])
                row[f"gradient_cosine_{axis}"] = next_one
        kept = {k for k in self._found if k > index and (self._holds_a_row or k == index + 1)}
        self._found = {k: self._found[k] for k in kept}
        return row

    def _curvature(self) -> dict[str, float] | None:
        """The extreme eigenvalues here, and those within the plane; None if a product is not finite."""
        found = self._extremes(self._hessian)
        if found.reason == NOT_FINITE:
            return None
        inside, vectors = self._slice.eigen(self._hessian.product)
        outside = self._outside(found, inside)
        products, bounds = found.products, (found.bound_min, found.bound_max)
        if outside.any() and self._plane.eigensolver == "lanczos":
            self.searched_again += 1
            start = found.vector_max.double() + found.vector_min.double() + vectors[torch.from_numpy(outside)].sum(0)
            found = self._extremes(self._hessian, start=start)
            products += found.products
            outside = self._outside(found, inside)
        low, high = found.minimum, found.maximum
        return {
            "eigenvalue_min": low,
            "eigenvalue_max": high,
            "residual_min": found.residual_min,
            "residual_max": found.residual_max,
            "bound_min": min(bounds[0], low),
            "bound_max": max(bounds[1], high),
            "eigenvalue_ratio": abs(min(low, 0.0)) / high if high > 0 else math.nan,
            "eigenvalue_ratio_plain": abs(low / high) if high else math.nan,
            "products": products,
            "slice_eigenvalue_min": float(inside[0]),
            "slice_eigenvalue_max": float(inside[-1]),
            "below_arithmetic": abs(low) < SEEN[self._plane.precision] * high,
            "status": Status.computed if found.converged and not outside.any() else Status.not_converged,
        }

    def _extremes(self, hessian: Hessian, start: Tensor | None = None) -> Extremes:
        given: Any = {"seed": _SEED, "device": hessian.device, "dtype": hessian.dtype}
        if self._plane.eigensolver == "eigsh":
            return by_eigsh(hessian.product, hessian.size, **given)
        return extremes(hessian.product, hessian.size, start=start, **given)

    def _outside(self, found: Extremes, inside: np.ndarray) -> np.ndarray:
        """Which eigenvalues of the slice lie beyond the extreme ones by more than the residuals and rounding."""
        rounding = SEEN[self._plane.precision] * max(abs(found.minimum), abs(found.maximum))
        low, high = found.minimum - found.residual_min - rounding, found.maximum + found.residual_max + rounding
        return np.asarray((inside < low) | (inside > high))

    def drift(self, tile: xr.Dataset) -> list[dict[str, Any]]:
        """What more images make of the eigenvalues at the points of a tile that `drift.sample` names."""
        few = tile.isel(point=np.flatnonzero(np.isin(tile["index"].values, drift.sample(self._whole))))
        self._hessian.move(0.0, 0.0)  # and let go of the graph
        return drift.drift(few, self._data.train, self._hessian.images, self._over, self._extremes)

    def _at(self, index: int) -> tuple[float, float]:
        alpha, beta = points_of(self._whole, np.array([index]))
        return float(alpha[0]), float(beta[0])

    def _move(self, index: int) -> None:
        self._hessian.move(*self._at(index))
