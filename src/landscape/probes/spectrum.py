"""The spectral density of the Hessian, by stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from landscape.lazy import np, torch, xr
from landscape.probes.probe import HessianProbe
from landscape.probes.trace import mean_and_error, signs
from landscape.progress import progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Axes, Directions
    from landscape.hessian.krylov import Product
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights

WIDTH = 0.005
"""Standard deviation of the Gaussian kernel, as a share of the distance between the extreme eigenvalues."""

_MARGIN = 6  # kernel widths that the grid extends beyond the extremes; there the kernel has vanished
_VALUES = 501  # points of the grid: 2.3 for each kernel width, so that sums over the grid are integrals


class SpectrumProbe(HessianProbe):
    """The spectral density of the Hessian, from random vectors and Lanczos steps."""

    measure: Literal["spectrum"]
    vectors: int = Field(8, ge=2, description="random vectors")
    steps: int = Field(60, ge=2, description="Lanczos steps from each random vector")

    def measured(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        axes: Axes,
        dataset: DataSet,
        objective: Objective,
    ) -> tuple[xr.Dataset, Weights]:
        """Estimate the density of eigenvalues p(x) = 1/n sum_i delta(x - lambda_i), smoothed, of H and of D H D.

        From each random vector v of norm one, `steps` Lanczos steps give nodes x_k and weights w_k with sum one. Then
        v'f(H)v = sum_k w_k f(x_k), exactly for polynomials of a degree below twice the steps; its mean over v is
        tr f(H) / n. Each density is a sum of Gaussians at the nodes, and `density` is their mean over the vectors.
        `density_low` and `density_high` are this mean minus and plus its standard error. `density_low` is never below zero,
        and is zero where a single vector makes the density.

        The nodes also give v'Hv, so the trace and its standard error (Hutchinson) need no more products. `eigenvalue_max`
        and `eigenvalue_min` are the outermost nodes of all vectors; they lie within the true extremes. `residual_max` and
        `residual_min` are their residuals ||Hu - xu||, u of norm one. Every chosen parameter without filters has D = 0 and
        gives D H D an eigenvalue zero. Names of variables of D H D end in `_scaled`.

        The quadrature is our own. That of curvlinops does not reorthogonalise, so it finds extreme eigenvalues several
        times; it gives neither single vectors nor residuals, and draws from torch's global generator.

        Returns:
            Nodes and weights (vector, node), eigenvalues and densities (value,), and scalars; no weights.
        """
        from landscape.hessian.products import scaled
        from landscape.probes.point import reach

        point = reach(self, network, theta, directions, axes, dataset, objective)
        products = {"": point.hessian.product, "_scaled": scaled(point.hessian, point.scale)}
        found = xr.Dataset({"train_loss": point.hessian.loss()})
        for suffix, product in products.items():
            vectors = itertools.islice(signs(point, self.seed), self.vectors)
            shown = progress(vectors, self.vectors, f"spectrum{suffix.replace('_', ', ')}")
            rules = [quadrature(product, vector, self.steps) for vector in shown]
            variables, width = _described(rules, point.hessian.size)
            found = found.assign({f"{name}{suffix}": values for name, values in variables.items()})
            found.attrs[f"width{suffix}"] = width
        return found.assign_attrs(point.facts_of([found.node_value, found.node_value_scaled])), {}

    @property
    def products(self) -> int:
        """Count the steps from every vector, with H and with D H D."""
        return 2 * self.vectors * self.steps


@dataclass(frozen=True)
class Quadrature:
    """Quadrature from one random vector v of norm one; all NaN if a product is not finite.

    Attributes:
        nodes: (steps,), ascending; with fewer dimensions than steps the last node is repeated.
        weights: (steps,), with sum one; 0 for repeated nodes.
        residuals: (steps,), of the nodes' Ritz vectors; at least one rounding of the largest node.
    """

    nodes: np.ndarray
    weights: np.ndarray
    residuals: np.ndarray

    @property
    def curvature(self) -> float:
        """Value of v'Hv."""
        return float(self.weights @ self.nodes)


def quadrature(product: Product, start: Tensor, steps: int) -> Quadrature:
    """Compute the Gauss quadrature for the spectral measure of `start` by Lanczos steps."""
    from landscape.hessian.krylov import Krylov

    space = Krylov(product, len(start), seed=0, device=start.device, dtype=start.dtype, start=start)
    for _ in range(min(steps, len(start))):
        space.extend()
        if not space.is_finite:
            return Quadrature(*np.full((3, steps), math.nan))
    nodes, residuals, coefficients = space.ritz()
    residuals = np.maximum(residuals, torch.finfo(start.dtype).eps * np.abs(nodes).max())
    missing = (0, steps - space.steps)
    return Quadrature(
        nodes=np.pad(nodes, missing, mode="edge"),
        weights=np.pad(coefficients[0] ** 2, missing),
        residuals=np.pad(residuals, missing, mode="edge"),
    )


def density(nodes: np.ndarray, weights: np.ndarray, width: float, values: np.ndarray) -> np.ndarray:
    """Sum weighted Gaussians of standard deviation `width` at nodes (..., node), evaluated at values (value,)."""
    kernel = np.exp(-(((values - nodes[..., None]) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
    found: np.ndarray = (weights[..., None] * kernel).sum(-2)
    return found


def _described(rules: Sequence[Quadrature], size: int) -> tuple[dict[str, Any], float]:
    """Compute the variables of the file, without suffix, and the width of the kernel."""
    nodes = np.stack([rule.nodes for rule in rules])
    weights = np.stack([rule.weights for rule in rules])
    residuals = np.stack([rule.residuals for rule in rules])
    last, first = (np.unravel_index(place, nodes.shape) for place in (nodes.argmax(), nodes.argmin()))
    highest, lowest = float(nodes[last]), float(nodes[first])
    width = WIDTH * ((highest - lowest) or abs(highest) or 1.0)  # all eigenvalues can be one
    values = np.linspace(lowest - _MARGIN * width, highest + _MARGIN * width, _VALUES)
    densities = density(nodes, weights, width, values)
    mean, error = densities.mean(0), densities.std(0, ddof=1) / len(rules) ** 0.5
    variables = {
        "node_value": (("vector", "node"), nodes),
        "node_weight": (("vector", "node"), weights),
        "eigenvalue": ("value", values),
        "density": ("value", mean),
        "density_low": ("value", np.maximum(mean - error, 0)),
        "density_high": ("value", mean + error),
        "eigenvalue_max": highest,
        "eigenvalue_min": lowest,
        "residual_max": float(residuals[last]),
        "residual_min": float(residuals[first]),
        **mean_and_error("trace", size * np.array([rule.curvature for rule in rules])),
    }
    return variables, width
