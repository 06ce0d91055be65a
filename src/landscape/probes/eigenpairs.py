"""The extreme eigenvalues of the Hessian with their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from landscape.hessian.passes import SEARCH
from landscape.lazy import np, torch, xr
from landscape.probes.probe import HessianProbe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Axes, Directions
    from landscape.hessian.krylov import Product
    from landscape.hessian.lanczos import Pairs
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights


class EigenpairsProbe(HessianProbe):
    """The largest and the smallest eigenvalues of the Hessian with their vectors."""

    measure: Literal["eigenpairs"]
    pairs: int = Field(2, ge=1, description="eigenpairs at each end")

    def measured(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        axes: Axes,
        dataset: DataSet,
        objective: Objective,
    ) -> tuple[xr.Dataset, Weights]:
        """Find the k largest and the k smallest eigenpairs of H, and the eigenvalues of D H D (names in `_scaled`).

        `lanczos.pairs` finds both; D is as in `hessian.filter_scale`. Residuals come from Lanczos' small matrix. They are at
        least one rounding of the largest eigenvalue, below which they mean nothing.

        Returns:
            Eigenvalues and residuals (pair,), from the ends of the spectrum inwards; the bounds of the spectrum, each with
            `lanczos.PROBABILITY`; the number of products; whether all pairs of H and of D H D have converged. And the unit
            vectors of H, keys `largest-1/NAME` and `smallest-1/NAME` for every chosen parameter, with the entry of largest
            magnitude positive.

        Raises:
            InputError: if there are fewer than k eigenvalues.
        """
        from landscape.hessian.lanczos import pairs
        from landscape.hessian.products import scaled
        from landscape.probes.point import reach

        point = reach(self, network, theta, directions, axes, dataset, objective)
        hessian = point.hessian

        def found_by(product: Product) -> Pairs:
            return pairs(product, hessian.size, self.pairs, seed=self.seed, device=hessian.device, dtype=hessian.dtype)

        raw = found_by(hessian.product)
        filters = found_by(scaled(hessian, point.scale))
        reason = raw.reason or filters.reason
        found = xr.Dataset(
            {
                **_described(raw, ""),
                **_described(filters, "_scaled"),
                "products": np.int32(raw.products + filters.products),
                "converged": np.int8(raw.converged and filters.converged),
                "gradient_norm": float(torch.linalg.vector_norm(hessian.gradient().double())),
                "train_loss": hessian.loss(),
            },
            coords={"pair": range(1, self.pairs + 1)},
            attrs=point.facts(f"not_converged: {reason}" if reason else ""),
        )
        vectors = {
            f"{end}-{k}/{name}": part
            for end, rows in (("largest", raw.vectors_largest), ("smallest", raw.vectors_smallest))
            for k, row in enumerate(rows, 1)
            for name, part in hessian.unflatten(_signed(row)).items()
        }
        return found, vectors

    @property
    def products(self) -> int:
        """Count one search for the first pair at each end, and half a search for every further pair."""
        return 2 * SEARCH["lanczos"] * (1 + self.pairs) // 2

    def disk(self, parameters: int) -> int:
        return 2 * self.pairs * parameters


def _described(found: Pairs, suffix: str) -> dict[str, Any]:
    rounding = torch.finfo(found.vectors_largest.dtype).eps * np.abs([found.largest, found.smallest]).max()
    return {
        f"eigenvalue_largest{suffix}": ("pair", found.largest),
        f"eigenvalue_smallest{suffix}": ("pair", found.smallest),
        f"residual_largest{suffix}": ("pair", np.maximum(found.residuals_largest, rounding)),
        f"residual_smallest{suffix}": ("pair", np.maximum(found.residuals_smallest, rounding)),
        f"bound_max{suffix}": found.bound_max,
        f"bound_min{suffix}": found.bound_min,
    }


def _signed(vector: Tensor) -> Tensor:
    """Make the entry of largest magnitude positive, so that an eigenspace gives one direction."""
    return vector * vector[vector.abs().argmax()].sign()
