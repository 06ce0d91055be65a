"""The curvature over a plane: the gradient and the Hessian's extreme eigenvalues at every point (Li et al. 2018, section 6
and Figure 7).
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from landscape.geometry.grid import Status
from landscape.hessian.passes import FORWARD_AND_BACKWARD, PRODUCT, SEARCH
from landscape.lazy import np, torch, xr
from landscape.measures.gradients import GradientField, GradientsPlane

if TYPE_CHECKING:
    from torch import Tensor, nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Directions
    from landscape.hessian.lanczos import Extremes
    from landscape.hessian.products import Hessian
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights

SEEN = {"fp32": 1e-5, "fp64": 1e-13}
"""Share of lambda_max below which the rounding of products hides an eigenvalue, about."""

_ERRORS = ("gradient_error", "product_error", "precision_error")
_SEED = 0  # seed of the start vectors, the same at every point


class CurvaturePlane(GradientsPlane):
    """The training loss, its gradient, and the extreme eigenvalues of its Hessian (Li et al. 2018, Figure 7)."""

    passes: ClassVar[int] = 150
    differentiates: ClassVar[int] = 2

    measure: Literal["curvature"]  # type: ignore[assignment]
    memory: int = Field(2048, ge=1, description="MiB that the graph of a point may take; beyond, it is made anew")
    eigensolver: Literal["lanczos", "eigsh"] = Field(
        "lanczos", description="eigsh: scipy's implicitly restarted Lanczos, the paper's method"
    )

    @property
    def graph_memory(self) -> int:
        return self.memory

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
        """Measure some points of the plane, as `Plane.evaluate`.

        The two eigenvalues of the Hessian within the plane must lie between the extreme ones, up to their residuals. If one
        does not, the search missed an extreme. It then begins anew from the sum of the vectors found and that direction of
        the plane. If this does not help either, the point has not converged.

        Returns:
            A tile. Its attribute `drift` holds the eigenvalues over more examples at the tile's points among the five of
            `drift.sample`.
        """
        field = CurvatureField(self, whole, network, theta, directions, data, objective)
        tile = field.tile(indices)
        tile.attrs["drift"] = json.dumps(field.drift(tile))
        tile.attrs["points_searched_again"] = field.searched_again
        return tile

    def merge(self, whole: xr.Dataset, tiles: Sequence[tuple[str, xr.Dataset]]) -> xr.Dataset:
        merged = super().merge(whole, tiles)
        entries = [entry for _, tile in tiles for entry in json.loads(tile.attrs["drift"])]
        return merged.assign_attrs(
            drift=json.dumps(sorted(entries, key=lambda entry: int(entry["index"]))),
            points_searched_again=sum(int(tile.attrs["points_searched_again"]) for _, tile in tiles),
            points_not_converged=int((merged["status"].values == Status.not_converged).sum()),
            points_below_arithmetic=int(merged["below_arithmetic"].values.sum()),
        )

    def forward_passes(self, indices: range, train: int, test: int | None) -> float:
        """Add to the gradients of `GradientsPlane` one more gradient at every point and the products with the Hessian.

        The products are those of the search for the extreme eigenvalues, those within the plane, and those of the search
        over more examples at a few points.
        """
        from landscape.hessian import drift

        used = min(self.examples or train, train)
        products = SEARCH[self.eigensolver] + (1 if self.is_line else 2)
        again = sum(multiple for multiple in drift.MULTIPLES if multiple * used <= train)
        drifting = len(set(indices).intersection(_drifting(self)))
        passes = len(indices) * (FORWARD_AND_BACKWARD + products * PRODUCT)
        passes += drifting * again * SEARCH[self.eigensolver] * PRODUCT
        return super().forward_passes(indices, train, test) + passes * used

    def _variables(self) -> dict[str, tuple[Any, str]]:
        from landscape.hessian.lanczos import PROBABILITY

        return super()._variables() | {
            "eigenvalue_min": (math.nan, "smallest eigenvalue of the Hessian over the chosen parameters"),
            "eigenvalue_max": (math.nan, "largest eigenvalue of the Hessian over the chosen parameters"),
            "residual_min": (math.nan, "norm of the residual of the smallest eigenvalue"),
            "residual_max": (math.nan, "norm of the residual of the largest eigenvalue"),
            "bound_min": (math.nan, f"below which, with probability {PROBABILITY:g}, no eigenvalue lies"),
            "bound_max": (math.nan, f"above which, with probability {PROBABILITY:g}, no eigenvalue lies"),
            "eigenvalue_ratio": (math.nan, "|min(lambda_min, 0)| / lambda_max, NaN where lambda_max is not positive"),
            "eigenvalue_ratio_plain": (math.nan, "|lambda_min / lambda_max|"),
            "product_error": (
                math.nan,
                "error of a product with the Hessian against finite differences of the gradient, as a share of its size; NaN "
                "if not compared",
            ),
            "symmetry_error": (
                math.nan,
                "largest |u'Hv - v'Hu| of successive vectors of norm one, as a share of the largest ||Hv||",
            ),
            "products": (np.int32(0), "products with the Hessian that the search for its eigenvalues took"),
            "slice_eigenvalue_min": (
                math.nan,
                "smaller eigenvalue of the Hessian within the plane, in the plane's metric",
            ),
            "slice_eigenvalue_max": (
                math.nan,
                "larger eigenvalue of the Hessian within the plane, in the plane's metric",
            ),
            "below_arithmetic": (np.int8(0), "whether the smallest eigenvalue is lost in the rounding of products"),
        }


@functools.cache  # a plan calls it for every tile
def _drifting(plane: CurvaturePlane) -> list[int]:
    """Return the row-major indices of the points that are also searched over more examples."""
    from landscape.hessian import drift

    return drift.sample(plane.template(test=False, attrs={}))


class CurvatureField(GradientField):
    """The training loss, its gradient and its Hessian's extreme eigenvalues at the points of a plane.

    Attributes:
        searched_again: number of points at which the search for eigenvalues began anew.
    """

    def __init__(
        self,
        plane: CurvaturePlane,
        whole: xr.Dataset,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        data: DataSet,
        objective: Objective,
    ):
        super().__init__(plane, whole, network, theta, directions, data, objective)
        self._eigensolver = plane.eigensolver
        self.searched_again = 0

    def facts(self) -> dict[str, Any]:
        from landscape.hessian.lanczos import LIMIT, PROBABILITY, TOLERANCE, TOLERANCE_OF_LARGEST

        return super().facts() | {
            "eigensolver": self._eigensolver,
            "graph": "kept" if self._hessian.keeps else "recomputed",
            "tolerance_max": TOLERANCE,
            "tolerance_min": TOLERANCE,
            "tolerance_min_of_max": TOLERANCE_OF_LARGEST,
            "probability_of_bounds": PROBABILITY,
            "limit_of_products": LIMIT,
        }

    def measure(self, index: int) -> dict[str, float]:
        from landscape.hessian.verification import ASYMMETRY

        row = super().measure(index)
        if row["status"] != Status.computed:
            return row
        found = self._curvature()
        if found is None:
            return {"train_loss": row["train_loss"], "status": Status.non_finite}
        if found["symmetry_error"] > ASYMMETRY[self._hessian.dtype]:
            kept = {name: row[name] for name in ("train_loss", *_ERRORS)}
            return {**kept, "symmetry_error": found["symmetry_error"], "status": Status.wrong_derivatives}
        return row | found

    def _curvature(self) -> dict[str, float] | None:
        """Find the extreme eigenvalues here and those within the plane; None if a product is not finite."""
        from landscape.hessian.lanczos import NOT_FINITE

        found = self._extremes(self._hessian)
        if found.reason == NOT_FINITE:
            return None
        inside, vectors = self._slice.eigen(self._hessian.product)
        outside = self._outside(found, inside)
        products, bounds = found.products, (found.bound_min, found.bound_max)
        if outside.any() and self._eigensolver == "lanczos":
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
            "symmetry_error": self._hessian.asymmetry,
            "slice_eigenvalue_min": float(inside[0]),
            "slice_eigenvalue_max": float(inside[-1]),
            "below_arithmetic": abs(low) < SEEN[self._plane.precision] * high,
            "status": Status.computed if found.converged and not outside.any() else Status.not_converged,
        }

    def _extremes(self, hessian: Hessian, start: Tensor | None = None) -> Extremes:
        from landscape.hessian.lanczos import by_eigsh, extremes

        given: Any = {"seed": _SEED, "device": hessian.device, "dtype": hessian.dtype}
        if self._eigensolver == "eigsh":
            return by_eigsh(hessian.product, hessian.size, **given)
        return extremes(hessian.product, hessian.size, start=start, **given)

    def _outside(self, found: Extremes, inside: np.ndarray) -> np.ndarray:
        """Mark the eigenvalues of the slice that lie beyond the extreme ones by more than the residuals and rounding."""
        rounding = SEEN[self._plane.precision] * max(abs(found.minimum), abs(found.maximum))
        low, high = found.minimum - found.residual_min - rounding, found.maximum + found.residual_max + rounding
        return np.asarray((inside < low) | (inside > high))

    def drift(self, tile: xr.Dataset) -> list[dict[str, Any]]:
        """Find the eigenvalues over more examples at the points of a tile that `drift.sample` chooses."""
        from landscape.hessian import drift

        few = tile.isel(point=np.flatnonzero(np.isin(tile["index"].values, drift.sample(self._whole))))
        self._hessian.move(0.0, 0.0)  # this also frees the graph
        return drift.drift(few, self._data.train, self._hessian.examples, self._over, self._extremes)
