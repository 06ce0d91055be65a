"""Stationary points of a plane, and which of them are stationary in the whole space."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from landscape.geometry.grid import is_line, values_of
from landscape.lazy import np, xr

Kind = Literal["slice minimum", "slice saddle", "slice maximum", "minimum", "saddle", "maximum"]
KINDS: tuple[Kind, ...] = ("slice minimum", "slice saddle", "slice maximum", "minimum", "saddle", "maximum")

STATIONARY = 1e-3
"""Threshold t of a stationary point: ||g|| ||theta|| <= t max(L, t)."""

FLAT = 1e-3
"""Largest filter-scaled |lambda| of a plateau."""

_WELL_ABOVE = 0.1  # a plateau lies above the end of its run by this share of ln(classes)
_TRIANGLES = (((0, 0), (1, 0), (1, 1)), ((0, 0), (1, 1), (0, 1)))  # corners in a cell, counter-clockwise
_SHIFT = 1e-9, 1e-9 * (math.sqrt(5) - 1) / 2  # in median gradient norms


@dataclass(frozen=True)
class StationaryPoint:
    """A zero of the projected gradient.

    Attributes:
        alpha, beta: coordinates, interpolated between points of the grid.
        kind: `slice ...` describes it within the plane only, otherwise in the whole space.
        loss: at the nearest point of the grid.
    """

    alpha: float
    beta: float
    kind: Kind
    loss: float


def stationary_points(surface: xr.Dataset) -> list[StationaryPoint]:
    """Find the zeros of the projected gradient (gradient_alpha, gradient_beta) on a plane, in the order of the grid.

    Each cell is cut into two triangles, in which the gradient is interpolated linearly. A triangle holds a zero if the
    gradients at its corners surround the origin. It is a slice saddle if they turn against the order of the corners,
    otherwise a slice minimum or maximum by the sign of the divergence. A shift by a billionth of the median gradient
    keeps zeros off the edges, so that each is found once. Features smaller than a cell are missed; two zeros in one cell
    may hide each other.

    A zero is a minimum, saddle or maximum of the whole space only if ||g|| ||theta|| <= 1e-3 max(L, 1e-3) at the nearest
    grid point and the extreme eigenvalues, beyond their residuals, tell which. Without eigenvalues (measure: gradients)
    only a slice saddle is known to be a saddle.

    Raises:
        ValueError: if the surface is a line.
    """
    if is_line(surface):
        raise ValueError("stationary points need a plane, and this is a line")
    gradient = np.stack([values_of(surface, f"gradient_{axis}") for axis in ("alpha", "beta")], -1)
    sizes = np.linalg.norm(gradient, axis=-1)
    typical = float(np.median(sizes[np.isfinite(sizes)])) if np.isfinite(sizes).any() else 0.0
    found = sorted(_zeros(gradient + typical * np.array(_SHIFT)), key=lambda zero: (zero[0], zero[1]))
    return [_point(surface, place, kind) for *place, kind in found]


def is_stationary(gradient_norm: float, theta_norm: float, loss: float) -> bool:
    """Say if a point is stationary in the whole space: ||g|| ||theta|| <= 1e-3 max(L, 1e-3)."""
    return gradient_norm * theta_norm <= STATIONARY * max(loss, STATIONARY)


def is_plateau(
    gradient_norm: float, theta_norm: float, loss: float, largest_scaled: float, guessing: float, final: float
) -> bool:
    """Say if a point is a plateau: stationary, flat in every direction, and at least 0.1 `guessing` above `final`.

    Args:
        largest_scaled: the largest absolute eigenvalue of the filter-scaled Hessian.
        guessing: the loss of guessing; of a loss without one, NaN, nothing is a plateau.
        final: the train loss at the end of the run.
    """
    flat = abs(largest_scaled) <= FLAT
    return flat and is_stationary(gradient_norm, theta_norm, loss) and loss >= final + _WELL_ABOVE * guessing


def _zeros(gradient: np.ndarray) -> Iterator[tuple[float, float, Kind]]:
    """Find the zeros of a field of shape (alpha, beta, 2), as indices into the grid, with their kinds."""
    for corners in _TRIANGLES:
        g = np.stack([_shifted(gradient, *corner) for corner in corners])  # (corner, alpha - 1, beta - 1, 2)
        opposite = np.stack([_cross(g[(k + 1) % 3], g[(k + 2) % 3]) for k in range(3)])
        with np.errstate(invalid="ignore"):
            around = (opposite > 0).all(0) | (opposite < 0).all(0)
        for i, j in np.argwhere(around):
            weights = opposite[:, i, j] / opposite[:, i, j].sum()
            place = np.array([i, j]) + weights @ np.array(corners)
            yield float(place[0]), float(place[1]), _kind(g[:, i, j], corners, opposite[0, i, j] > 0)


def _kind(g: np.ndarray, corners: tuple[tuple[int, int], ...], same_way: bool) -> Kind:
    """Classify the zero of the linear field with the values `g`, shape (3, 2), at the corners of a triangle."""
    if not same_way:
        return "slice saddle"
    edges = np.diff(np.array(corners), axis=0)  # (2, 2): the edges from corner to corner
    slope = np.linalg.solve(edges, np.diff(g, axis=0))  # a row for the derivative along each axis
    return "slice minimum" if np.trace(slope) > 0 else "slice maximum"


def _shifted(field: np.ndarray, i: int, j: int) -> np.ndarray:
    return field[i : field.shape[0] - 1 + i, j : field.shape[1] - 1 + j]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _point(surface: xr.Dataset, place: list[float], kind: Kind) -> StationaryPoint:
    """Describe a zero at `place`, in grid steps."""
    nearest = {axis: round(at) for axis, at in zip(("alpha", "beta"), place, strict=True)}
    here = surface.isel(nearest)
    alpha, beta = (
        float(np.interp(at, np.arange(surface.sizes[axis]), surface[axis].values))
        for axis, at in zip(("alpha", "beta"), place, strict=True)
    )
    loss = float(here.train_loss)
    whole = is_stationary(float(here.gradient_norm), float(surface.attrs["theta_norm"]), loss)
    return StationaryPoint(alpha, beta, _in_whole_space(here, kind) if whole else kind, loss)


def _in_whole_space(here: xr.Dataset, kind: Kind) -> Kind:
    """Classify a point that is stationary in the whole space; return `kind` if the eigenvalues do not tell."""
    if kind == "slice saddle":
        return "saddle"
    if "eigenvalue_min" not in here:
        return kind
    low, high = float(here.eigenvalue_min), float(here.eigenvalue_max)
    falls = low < -float(here.residual_min) and not bool(here.below_arithmetic)
    rises = high > float(here.residual_max)
    if falls and rises:
        return "saddle"
    return "minimum" if rises else "maximum" if falls else kind
