"""The minima of a surface that stand out from noise by their persistence."""

from __future__ import annotations

from dataclasses import dataclass

from landscape.geometry.grid import centre, rise_unit, values_of
from landscape.lazy import np, scipy, xr

PERSISTENCE = 0.1
"""Least persistence of a minimum, in units of `grid.rise_unit` at the centre."""

_ERRORS = 3.0  # least persistence in standard errors


@dataclass(frozen=True)
class Minimum:
    """A minimum of a surface.

    Attributes:
        alpha, beta: the grid point.
        value: the loss there.
        persistence: rise from it to the lowest pass to a lower minimum; from the lowest minimum, to the highest point.
    """

    alpha: float
    beta: float
    value: float
    persistence: float


def minima(surface: xr.Dataset, variable: str = "train_loss") -> list[Minimum]:
    """Find the minima inside the grid with a persistence of at least max(0.1, 3 standard errors), the lowest first.

    Of a loss that is not in natural logarithms, 0.1 times that at the centre counts (`grid.rise_unit`); there are none
    where this is no unit.

    Persistence is the 0-dimensional one of gudhi's cubical complex: points join in ascending order with their eight
    neighbours (on a line, two) that have joined before. Where two parts meet, the part with the higher minimum ends; the
    height of that point above its minimum is the persistence. A part that meets no other ends at its highest point.
    Points that are not finite are left out. Minima on the border are not counted: the surface may go on falling outside.

    The standard error is that of the paired difference to the centre, at the minimum or at the pass, whichever is
    larger. If the surface has none, only 0.1 counts.
    """
    values = values_of(surface, variable)
    name = f"{variable}_paired_standard_error"
    errors = values_of(surface, name) if name in surface else np.zeros(values.shape)
    inner = np.ones(values.shape, bool)
    for axis, size in enumerate(values.shape):
        if size > 1:
            inner[(slice(None),) * axis + ([0, -1],)] = False
    alpha, beta = surface.alpha.values, surface.beta.values
    found, least_rise = [], PERSISTENCE * rise_unit(surface, centre(surface, variable))
    for bottom, end in _lives(values):
        persistence = float(values.flat[end] - values.flat[bottom])
        least = max(least_rise, _ERRORS * float(np.nan_to_num(errors.flat[[bottom, end]]).max()))
        i, j = np.unravel_index(bottom, values.shape)
        if inner[i, j] and persistence >= least:
            found.append(Minimum(float(alpha[i]), float(beta[j]), float(values[i, j]), persistence))
    return sorted(found, key=lambda minimum: minimum.value)


def _lives(values: np.ndarray) -> list[tuple[int, int]]:
    """Find the row-major indices of the bottom of every minimum and of the point at which its part ends.

    Ranks replace the values, so that points of equal height are in row-major order.
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
