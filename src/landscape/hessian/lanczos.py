"""Extreme eigenvalues of a symmetric operator from its products with vectors, by Lanczos' method.

Both ends of the spectrum come from one Krylov space, kept whole and orthogonal. An eigenvalue's residual is the norm of
H x - lambda x for its unit vector x: there is an eigenvalue of H within that distance.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

from landscape.errors import InputError
from landscape.hessian.krylov import Krylov, Product

TOLERANCE = 0.01
"""Largest residual of a converged eigenvalue, as a share of the eigenvalue."""
TOLERANCE_OF_LARGEST = 0.001
"""Largest residual as a share of the largest eigenvalue, if that is positive; the larger of the two limits holds."""
PROBABILITY = 0.9
"""Probability of each bound: no eigenvalue lies below the lower one, none above the upper one."""
LIMIT = 300
"""Number of products after which the search stops."""

NOT_FINITE = "a product is not finite"
"""Reason for a result of NaN."""

_RESTARTS = 30  # restarts of ARPACK, about 20 products each


@dataclass(frozen=True)
class Pairs:
    """The k largest and the k smallest eigenvalues, from the ends inwards; all NaN where a product was not finite.

    Attributes:
        largest, smallest: eigenvalues, float64 (k,), descending and ascending.
        residuals_largest, residuals_smallest: norms of their residuals, float64 (k,).
        vectors_largest, vectors_smallest: unit vectors, (k, size).
        bound_max, bound_min: bounds of the spectrum, each with `PROBABILITY`; NaN if unknown.
        products: number of products taken.
        converged: whether every residual and both bounds are within tolerance.
        reason: why the search did not converge; empty if it did.
    """

    largest: np.ndarray
    smallest: np.ndarray
    residuals_largest: np.ndarray
    residuals_smallest: np.ndarray
    vectors_largest: Tensor
    vectors_smallest: Tensor
    bound_max: float
    bound_min: float
    products: int
    converged: bool
    reason: str = ""


@dataclass(frozen=True)
class Extremes:
    """The largest and the smallest eigenvalue; unit vectors are (size,), the other attributes are as in `Pairs`."""

    maximum: float
    minimum: float
    residual_max: float
    residual_min: float
    vector_max: Tensor
    vector_min: Tensor
    bound_max: float
    bound_min: float
    products: int
    converged: bool
    reason: str = ""


def pairs(
    product: Product,
    size: int,
    k: int,
    *,
    seed: int,
    device: torch.device | str,
    dtype: torch.dtype,
    tolerance: float = TOLERANCE,
    tolerance_of_largest: float = TOLERANCE_OF_LARGEST,
    limit: int = LIMIT,
    start: Tensor | None = None,
) -> Pairs:
    """Find the k largest and k smallest eigenpairs.

    A residual may be at most `tolerance` of its eigenvalue or `tolerance_of_largest` of the largest one. A Ritz value lies
    within the spectrum, so the largest eigenvalue is found too small and the smallest too large. The search may miss copies
    of a multiple eigenvalue.

    A small residual shows that an eigenvalue is there, not that none lies beyond. Most eigenvalues of a Hessian are about
    0, and Lanczos finds these long before a small negative one. So the search goes on until, with `PROBABILITY`, none lies
    further beyond the outermost Ritz values than their tolerance. With a given start this check is left out.

    Args:
        product, size, seed, start: as in `Krylov`.
        limit: largest number of products, at least 2 k; then the result is returned as not converged.

    Raises:
        InputError: if there are fewer than k eigenvalues.
    """
    if not 1 <= k <= size:
        raise InputError(f"{k} eigenpairs at each end: the parameters chosen have {size} weights, so 1 to {size}")
    space = Krylov(product, size, seed=seed, device=device, dtype=dtype, start=start)
    fewest = min(2 * k, size)
    last = min(max(limit, fewest), size)
    converged = False
    while not converged and space.steps < last:
        space.extend()
        if not space.is_finite:
            return _nothing(k, size, space.steps, NOT_FINITE, device, dtype)
        if space.steps < fewest:
            continue
        values, residuals, coefficients = space.ritz()
        allowed = np.maximum(tolerance * np.abs(values), tolerance_of_largest * values[-1])
        allowed = np.maximum(allowed, torch.finfo(dtype).eps * np.abs(values).max())
        good = residuals <= allowed
        converged = bool(good[:k].all() and good[-k:].all()) and _none_beyond(space, values, allowed)
    low, high = slice(0, k), slice(-1, -k - 1, -1)
    bound_min, bound_max = space.bounds(values, PROBABILITY)
    return Pairs(
        largest=values[high],
        smallest=values[low],
        residuals_largest=residuals[high],
        residuals_smallest=residuals[low],
        vectors_largest=space.vectors(coefficients[:, high]),
        vectors_smallest=space.vectors(coefficients[:, low]),
        bound_max=bound_max,
        bound_min=bound_min,
        products=space.steps,
        converged=converged,
        reason="" if converged else f"the residuals or the bounds are too large after {space.steps} products",
    )


def _none_beyond(space: Krylov, values: np.ndarray, allowed: np.ndarray) -> bool:
    low, high = space.bounds(values, PROBABILITY)
    return not (low < values[0] - allowed[0] or high > values[-1] + allowed[-1])  # true if the bounds are NaN


def extremes(
    product: Product,
    size: int,
    *,
    seed: int,
    device: torch.device | str,
    dtype: torch.dtype,
    limit: int = LIMIT,
    start: Tensor | None = None,
) -> Extremes:
    """Find the largest and the smallest eigenvalue, as `pairs` does."""
    return _one(pairs(product, size, 1, seed=seed, device=device, dtype=dtype, limit=limit, start=start))


def by_eigsh(
    product: Product,
    size: int,
    *,
    seed: int,
    device: torch.device | str,
    dtype: torch.dtype,
    tolerance: float = TOLERANCE,
) -> Extremes:
    """Find the largest and the smallest eigenvalue by implicitly restarted Lanczos (ARPACK, `scipy.sparse.linalg.eigsh`).

    This is the method of Li et al. 2018, section 6: a search for each end, `tolerance` relative to the eigenvalue. One
    product each measures the residuals. All values are NaN if a search does not converge.
    """
    taken = 0

    def matvec(vector: np.ndarray) -> np.ndarray:
        nonlocal taken
        taken += 1
        found = product(torch.from_numpy(vector.reshape(-1)).to(device, dtype)).double().cpu().numpy()
        if not np.isfinite(found).all():
            raise FloatingPointError(NOT_FINITE)
        return np.asarray(found)

    operator = LinearOperator((size, size), matvec=matvec, dtype=np.float64)
    start = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()
    found = []
    try:
        searched = size > 1 and matvec(start).any()  # ARPACK refuses a start that the operator takes to zero
        for which in ("LA", "SA"):
            vector = start / np.linalg.norm(start)
            if searched:
                vector = eigsh(operator, 1, which=which, tol=tolerance, v0=start, maxiter=_RESTARTS)[1][:, 0]
            image = matvec(vector)
            value = float(vector @ image)
            found.append((value, float(np.linalg.norm(image - value * vector)), vector))
    except (FloatingPointError, ArpackError) as error:
        return _one(_nothing(1, size, taken, " ".join(str(error).split()), device, dtype))
    high, low = found
    return Extremes(
        maximum=high[0],
        minimum=low[0],
        residual_max=high[1],
        residual_min=low[1],
        vector_max=torch.from_numpy(high[2]).to(device, dtype),
        vector_min=torch.from_numpy(low[2]).to(device, dtype),
        bound_max=math.nan,
        bound_min=math.nan,
        products=taken,
        converged=True,
    )


def _one(found: Pairs) -> Extremes:
    return Extremes(
        maximum=float(found.largest[0]),
        minimum=float(found.smallest[0]),
        residual_max=float(found.residuals_largest[0]),
        residual_min=float(found.residuals_smallest[0]),
        vector_max=found.vectors_largest[0],
        vector_min=found.vectors_smallest[0],
        bound_max=found.bound_max,
        bound_min=found.bound_min,
        products=found.products,
        converged=found.converged,
        reason=found.reason,
    )


def _nothing(k: int, size: int, products: int, reason: str, device: torch.device | str, dtype: torch.dtype) -> Pairs:
    values, vectors = np.full(k, np.nan), torch.full((k, size), math.nan, device=device, dtype=dtype)
    return Pairs(
        values, values, values, values, vectors, vectors, math.nan, math.nan, products, converged=False, reason=reason
    )
