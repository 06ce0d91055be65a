"""The minima of a surface, told from noise by their persistence."""

from __future__ import annotations

from dataclasses import dataclass

from landscape.geometry.grid import values_of
from landscape.lazy import np, scipy, xr

PERSISTENCE = 0.1
"""Least height of the pass that separates a minimum from a lower one."""

_ERRORS = 3.0


@dataclass(frozen=True)
class Minimum:
    """A minimum of a surface.

    Attributes:
        alpha, beta: its place, a point of the grid.
        value: the loss there.
        persistence: how far one must climb from it to get to a lower minimum; from the lowest, how far one can.
    """

    alpha: float
    beta: float
    value: float
    persistence: float


def minima(surface: xr.Dataset, variable: str = "train_loss") -> list[Minimum]:
    """The minima inside the grid of a persistence of at least max(0.1, 3 standard errors), the lowest first.

    Points are taken in ascending order and joined with those of their eight neighbours (on a line, two) that are there
    already. Where two parts meet, the one with the higher minimum ends, and the height of that point above its minimum
    is the persistence (0-dimensional persistence of gudhi's cubical complex). Parts that never meet, as the last one, end at their highest point. Points that
    are not finite are left out. Minima on the border are not counted: the surface may go on falling outside.

    The standard error is that of the paired difference to the centre, at the minimum or at the pass, whichever is
    larger; without one in the surface only 0.1 counts.
    """
    values = values_of(surface, variable)
    name = f"{variable}_paired_standard_error"
    errors = values_of(surface, name) if name in surface else np.zeros(values.shape)
    inner = np.ones(values.shape, bool)
    for axis, size in enumerate(values.shape):
        if size > 1:
            inner[(slice(None),) * axis + ([0, -1],)] = False
    alpha, beta = surface.alpha.values, surface.beta.values
    found = []
    for bottom, end in _lives(values):
        persistence = float(values.flat[end] - values.flat[bottom])
        least = max(PERSISTENCE, _ERRORS * float(np.nan_to_num(errors.flat[[bottom, end]]).max()))
        i, j = np.unravel_index(bottom, values.shape)
        if inner[i, j] and persistence >= least:
            found.append(Minimum(float(alpha[i]), float(beta[j]), float(values[i, j]), persistence))
    return sorted(found, key=lambda minimum: minimum.value)


def _lives(values: np.ndarray) -> list[tuple[int, int]]:
    """Find the row-major places of the bottom of every minimum and of the point at which its part ends.

    Points stand for their ranks, so that those of equal height have an order too: the row-major one.
    """
    from gudhi import CubicalComplex

    finite = np.isfinite(values)
    order = np.argsort(values, axis=None, kind="stable")
    ranks = np.argsort(order).reshape(values.shape)
    cells = CubicalComplex(top_dimensional_cells=np.where(finite, ranks, np.inf))
    cells.compute_persistence()
    parts, _ = scipy.ndimage.label(finite, np.ones((3, 3)))
    lives = []
    for birth, death in cells.persistence_intervals_in_dimension(0):
        if np.isfinite(birth):
            bottom = int(order[int(birth)])
            end = death if np.isfinite(death) else ranks[parts == parts.flat[bottom]].max()
            lives.append((bottom, int(order[int(end)])))
    return lives
