"""The trace of the Hessian, and mean curvatures along random directions with the same expectation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from landscape.lazy import np, torch, xr
from landscape.probes.probe import HessianProbe
from landscape.progress import progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Axes, Directions
    from landscape.hessian.krylov import Product
    from landscape.objective.objective import Objective
    from landscape.probes.point import ProbedPoint
    from landscape.store.weights import Weights


class TraceProbe(HessianProbe):
    """The trace of the Hessian, and the mean curvature along random directions."""

    measure: Literal["trace"]
    vectors: int = Field(8, ge=2, description="random vectors")
    draws: int = Field(32, ge=2, description="random directions of each kind whose curvature is averaged")

    def measured(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        axes: Axes,
        dataset: DataSet,
        objective: Objective,
    ) -> tuple[xr.Dataset, Weights]:
        """Estimate two traces, and for each the mean of d'Hd over random directions d that has the same expectation.

        tr(H) is the expectation over N(0, I). tr(D H D) = sum over filters ||theta_ij||^2 tr(H_ij) / n_ij, D as in
        `hessian.filter_scale`, is the expectation over filter-normalised directions (Li et al. 2018, section 4): within a
        filter these are uniform on a sphere of radius ||theta_ij||.

        Hutchinson's samples are v'Hv, v of random signs. These few lines are our own, like the spectrum: curvlinops gives
        the mean without its samples, and draws its vectors from torch's global generator.

        Returns:
            `trace_sample`, `trace_sample_scaled` (vector,), `curvature_random`, `curvature_filter_normalised` (draw,), and
            the mean and standard error of each; no weights.
        """
        from landscape.hessian.products import scaled
        from landscape.probes.point import reach

        point = reach(self, network, theta, directions, axes, dataset, objective)
        hessian = point.hessian
        by_filters = scaled(hessian, point.scale)
        normalised = (_filter_normalised(draw, point, axes) for draw in _gaussian(point, self.seed))

        def along(product: Product, vectors: Iterator[Tensor], total: int, what: str) -> np.ndarray:
            return _curvatures(product, progress(itertools.islice(vectors, total), total, what))

        n, draws, seed = self.vectors, self.draws, self.seed
        samples = {
            "trace_sample": ("vector", along(hessian.product, signs(point, seed), n, "trace")),
            "trace_sample_scaled": ("vector", along(by_filters, signs(point, seed), n, "trace, scaled")),
            "curvature_random": ("draw", along(hessian.product, _gaussian(point, seed), draws, "random directions")),
            "curvature_filter_normalised": (
                "draw",
                along(hessian.product, normalised, draws, "filter-normalised ones"),
            ),
        }
        means = {
            **mean_and_error("trace", samples["trace_sample"][1]),
            **mean_and_error("trace_scaled", samples["trace_sample_scaled"][1]),
            **mean_and_error("mean_curvature_random", samples["curvature_random"][1]),
            **mean_and_error("mean_curvature_filter_normalised", samples["curvature_filter_normalised"][1]),
        }
        facts = point.facts_of(values for _, values in samples.values())
        return xr.Dataset({**samples, **means, "train_loss": hessian.loss()}, attrs=facts), {}

    @property
    def products(self) -> int:
        """Count one product for every vector and every draw, of both kinds."""
        return 2 * (self.vectors + self.draws)


def signs(point: ProbedPoint, seed: int) -> Iterator[Tensor]:
    """Yield vectors (size,) of random signs without end, drawn on the CPU: the same for a seed on every device."""
    generator = torch.Generator().manual_seed(seed)
    hessian = point.hessian
    while True:
        drawn = torch.randint(0, 2, (hessian.size,), generator=generator)
        yield (2 * drawn - 1).to(hessian.device, hessian.dtype)


def mean_and_error(name: str, samples: np.ndarray) -> dict[str, float]:
    """Return the mean of samples under a name, and its standard error under `NAME_standard_error`."""
    return {name: float(samples.mean()), f"{name}_standard_error": float(samples.std(ddof=1) / len(samples) ** 0.5)}


def _gaussian(point: ProbedPoint, seed: int) -> Iterator[Tensor]:
    """Yield vectors (size,) from N(0, I) without end."""
    generator = torch.Generator().manual_seed(seed)
    hessian = point.hessian
    while True:
        drawn = torch.randn(hessian.size, generator=generator, dtype=torch.float64)
        yield drawn.to(hessian.device, hessian.dtype)


def _filter_normalised(draw: Tensor, point: ProbedPoint, axes: Axes) -> Tensor:
    from landscape.directions import NORMALIZE

    hessian = point.hessian
    chosen = {name: axes[name] for name in hessian.names}
    return hessian.flatten(NORMALIZE["filter"](hessian.unflatten(draw.cpu()), point.weights, chosen))


def _curvatures(product: Product, vectors: Iterable[Tensor]) -> np.ndarray:
    """Compute v'Hv of each vector, summed in float64."""
    return np.array([float(vector.double() @ product(vector).double()) for vector in vectors])
