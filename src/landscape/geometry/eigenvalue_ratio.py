"""Ratios of the extreme eigenvalues of the Hessian at the points of a plane (Li et al. 2018, section 6 and Figure 7)."""

from __future__ import annotations

from typing import Literal

from landscape.geometry.grid import values_of
from landscape.lazy import np, xr

NEGLIGIBLE = 1e-3
"""In a convex slice an eigenvalue may lie below zero by this share of their median absolute value."""

Ratio = Literal["negative", "plain"]

RATIOS: dict[Ratio, str] = {"negative": "eigenvalue_ratio", "plain": "eigenvalue_ratio_plain"}
"""Variables of a surface: |min(lambda_min, 0)| / lambda_max, and the paper's |lambda_min / lambda_max|."""


def slice_ratio(surface: xr.Dataset) -> np.ndarray:
    """Return |min(mu_min, 0)| / mu_max of the slice's own eigenvalues mu, of P'HP against P'P, shape (alpha, beta).

    This negative curvature can be seen in the plane. NaN where mu_max is not positive.
    """
    low, high = (values_of(surface, f"slice_eigenvalue_{end}") for end in ("min", "max"))
    return _ratio(np.minimum(low, 0), high)


def ratio_bound(surface: xr.Dataset) -> np.ndarray:
    """Bound |min(lambda_min, 0)| / lambda_max from above, shape (alpha, beta); NaN where lambda_max <= 0.

    A Ritz value of lambda_min lies above the eigenvalue, and an eigenvalue lies within its residual, so the residual is
    added. If `bound_min` of the surface, a probabilistic lower bound of all eigenvalues, is lower still, it is used.
    """
    low = np.abs(np.minimum(values_of(surface, "eigenvalue_min"), 0)) + values_of(surface, "residual_min")
    if "bound_min" in surface:  # earlier versions did not keep it
        low = np.fmax(low, -values_of(surface, "bound_min"))  # NaN where no bound is known
    return _ratio(low, values_of(surface, "eigenvalue_max"))


def slice_is_convex(surface: xr.Dataset) -> np.ndarray:
    """Mark the points at which the slice has no eigenvalue below -1e-3 times their median absolute value.

    Shape (alpha, beta), bool; False where an eigenvalue is not finite.
    """
    both = np.stack([values_of(surface, f"slice_eigenvalue_{end}") for end in ("min", "max")])
    finite = np.isfinite(both)
    negligible = NEGLIGIBLE * float(np.median(np.abs(both[finite]))) if finite.any() else 0.0
    return np.asarray(finite.all(0) & (both[0] >= -negligible))


def _ratio(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return |low / high|, NaN where `high` is not positive."""
    return np.abs(np.divide(low, high, out=np.full(np.shape(high), np.nan), where=high > 0))
