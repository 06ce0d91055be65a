"""Synthetic surfaces with gradients and curvature, exact for the loss of a formula, as a plane that measures them has."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy.linalg import eigvalsh

from landscape import figures

from members import member

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]

_STEP = 1e-4


def double_well(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Minima at (-0.5, 0) and (0.5, 0), a saddle at the centre."""
    return 0.002 + 8 * (a**2 - 0.25) ** 2 + 2 * b**2


def valley(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A quartic valley along a bent line, lowest at the centre."""
    return 0.002 + 4 * (b - 0.4 * a**2) ** 2 + 0.6 * a**2 + 0.8 * a**4


def chaotic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A bowl with ripples that grow away from the centre."""
    r2 = a**2 + b**2
    ripples = np.sin(7.3 * a + 1.1 * b) * np.sin(6.1 * b - 1.7 * a + 0.6) + 0.6 * np.sin(9.7 * a * b + 0.9 * b)
    return 0.004 + 2.2 * r2 + 1.1 * (1 - np.exp(-4 * r2)) * (1 + ripples)


def curved(
    state: str,
    loss: Loss = valley,
    *,
    norms: tuple[float, float] = (20.0, 20.0),
    cosine: float = 0.0,
    negative: float = 0.004,
    sharp: float = 0.3,
    measure: str = "curvature",
    not_converged: tuple[tuple[int, int], ...] = (),
    **more: Any,
) -> figures.Member:
    """A member whose surface holds the gradient and the curvature of `loss` beside it.

    Args:
        norms: of the directions, and `cosine` theirs: the plane's metric.
        negative, sharp: the eigenvalues of the whole Hessian reach at least from -negative to sharp.
        not_converged: indices of points where the eigensolver did not get there.
        more: as of `members.member`.
    """
    seen = member(state, loss, measure=measure, test=False, **more)
    surface = seen.seen
    a, b = np.meshgrid(surface.alpha, surface.beta, indexing="ij")
    gram = np.array([[norms[0] ** 2, cosine * norms[0] * norms[1]], [cosine * norms[0] * norms[1], norms[1] ** 2]])
    gradient, hessian = gradients(loss, a, b), hessians(loss, a, b)
    variables = _of_gradients(gradient, gram, np.stack([a, b], -1))
    if measure == "curvature":
        variables |= _of_curvature(hessian, gram, negative, sharp)
    status = np.where(np.isfinite(surface.train_loss), 1, 2).astype(np.int8)
    for point in not_converged:
        status[point] = 3
    for values in variables.values():
        values[status == 2] = 0 if values.dtype.kind == "i" else np.nan
    found = surface.assign({name: (("alpha", "beta"), values) for name, values in variables.items()})
    found = found.assign(status=(("alpha", "beta"), status)).assign_attrs(_attributes(norms, cosine, status, found))
    return dataclasses.replace(seen, surface=found)


def gradients(loss: Loss, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By central differences of a step far below the grid's, shape (alpha, beta, 2)."""
    h = _STEP
    with np.errstate(invalid="ignore"):
        return np.stack([loss(a + h, b) - loss(a - h, b), loss(a, b + h) - loss(a, b - h)], -1) / (2 * h)


def hessians(loss: Loss, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Likewise, shape (alpha, beta, 2, 2)."""
    h = _STEP
    with np.errstate(invalid="ignore"):
        aa, bb = (gradients(loss, a + u, b + v) - gradients(loss, a - u, b - v) for u, v in ((h, 0.0), (0.0, h)))
    return np.stack([aa, bb], -2) / (2 * h)


def _of_gradients(gradient: np.ndarray, gram: np.ndarray, place: np.ndarray) -> dict[str, np.ndarray]:
    """With a part of the gradient outside the plane, as large as that within."""
    within = np.einsum("...i,ij,...j", gradient, np.linalg.inv(gram), gradient)
    away = np.einsum("...i,ij,...j", place, gram, place)
    with np.errstate(invalid="ignore", divide="ignore"):
        towards = np.einsum("...i,...i", gradient, place) / np.sqrt(within * away)
    return {
        "gradient_norm": np.sqrt(2 * within),
        "gradient_alpha": gradient[..., 0].copy(),
        "gradient_beta": gradient[..., 1].copy(),
        "gradient_towards_centre": towards,
        "gradient_cosine_halves": 1 - 0.5 * np.exp(-np.abs(gradient).sum(-1)),
        "gradient_cosine_alpha": _between(gradient, 0),
        "gradient_cosine_beta": _between(gradient, 1),
    }


def _between(gradient: np.ndarray, axis: int) -> np.ndarray:
    """The cosine with the next point along an axis; NaN at its end."""
    following = np.roll(gradient, -1, axis)
    found = np.einsum("...i,...i", gradient, following)
    with np.errstate(invalid="ignore", divide="ignore"):
        found /= np.linalg.norm(gradient, axis=-1) * np.linalg.norm(following, axis=-1)
    found[(slice(None),) * axis + (-1,)] = np.nan
    return np.asarray(found)


def _of_curvature(hessian: np.ndarray, gram: np.ndarray, negative: float, sharp: float) -> dict[str, np.ndarray]:
    shape = hessian.shape[:2]
    slices = np.full((*shape, 2), np.nan)
    for point in np.argwhere(np.isfinite(hessian).all((-2, -1))):
        symmetric = (hessian[tuple(point)] + hessian[tuple(point)].T) / 2
        slices[tuple(point)] = eigvalsh(symmetric, gram)
    low = np.minimum(1.2 * slices[..., 0], -negative)
    high = np.maximum(1.5 * slices[..., 1], sharp)
    return {
        "eigenvalue_min": low,
        "eigenvalue_max": high,
        "residual_min": 0.01 * np.abs(low),
        "residual_max": 0.004 * high,
        "bound_min": low - 0.02 * np.abs(low),
        "bound_max": 1.001 * high,
        "eigenvalue_ratio": np.where(high > 0, np.abs(np.minimum(low, 0)) / high, np.nan),
        "eigenvalue_ratio_plain": np.abs(low / high),
        "products": np.full(shape, 30, np.int32),
        "slice_eigenvalue_min": slices[..., 0].copy(),
        "slice_eigenvalue_max": slices[..., 1].copy(),
        "below_arithmetic": (np.abs(low) < 1e-5 * high).astype(np.int8),
    }


def _attributes(
    norms: tuple[float, float], cosine: float, status: np.ndarray, surface: xr.Dataset
) -> dict[str, str | float | int]:
    told: dict[str, str | float | int] = {
        "direction_norms": json.dumps(norms),
        "cosine": cosine,
        "theta_norm": norms[0],
    }
    if "eigenvalue_max" not in surface:
        return told
    i, j = (size // 2 for size in status.shape)
    high, low = float(surface.eigenvalue_max[i, j]), float(surface.eigenvalue_min[i, j])
    drift = {
        "index": int(i * status.shape[1] + j),
        "alpha": float(surface.alpha[i]),
        "beta": float(surface.beta[j]),
        "examples": [256, 512, 1024],
        "eigenvalue_max": [high, 0.95 * high, 0.92 * high],
        "eigenvalue_min": [low, 0.9 * low, 0.8 * low],
    }
    return told | {
        "eigensolver": "lanczos",
        "parameters": "filters",
        "graph": "kept",
        "batch_norms_folded": 30,
        "tolerance_max": 0.01,
        "tolerance_min": 0.01,
        "tolerance_min_of_max": 0.001,
        "probability_of_bounds": 0.9,
        "drift": json.dumps([drift]),
        "points_not_converged": int((status == 3).sum()),
        "points_below_arithmetic": int(surface.below_arithmetic.sum()),
    }
