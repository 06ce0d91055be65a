"""The part of {L <= level} that holds the centre: its size and its shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from landscape.geometry.barriers import interval
from landscape.geometry.grid import (
    CELLS,
    LINE,
    NOT_RESOLVED,
    ROUNDING,
    Number,
    centre_index,
    coarser_step,
    index_of,
    is_line,
    step_of,
    undefined,
    values_of,
    without_component,
)
from landscape.lazy import contourpy, mpl, np, scipy, xr

QUANTITIES = ("width", "area", "eccentricity", "solidity", "touches_border")
SIZES = ("width", "area")
"""Quantities that a part cut by the border has at least."""

_ABOVE_ALL = 1e300  # replaces a value that is not finite; the sum of four is still finite


@dataclass(frozen=True)
class Component:
    """The connected part of {L <= level} that holds the centre, as a polygon with holes.

    Coordinates are multiples of the directions. Points outside the grid are no part of it.

    Attributes:
        rings: closed polygons of shape (points, 2), the first and last point equal: the outer one counterclockwise,
            then the holes clockwise.
        cells: the number of grid cells it spans along alpha or beta, whichever is smaller.
        box: the area of the box that holds it, of at least `CELLS` cells along each axis.
        touches_border: it reaches the border of the grid, so it may go on outside.
    """

    rings: tuple[np.ndarray, ...]
    cells: float
    box: float
    touches_border: bool

    @property
    def resolved(self) -> bool:
        """True if it spans enough cells to be measured."""
        return self.cells >= CELLS - ROUNDING

    @property
    def area(self) -> float:
        """Area without the holes (shoelace formula)."""
        return self._moments[0]

    @property
    def width(self) -> float:
        """Diameter of the circle of equal area."""
        return 2 * math.sqrt(self.area / math.pi)

    @property
    def eccentricity(self) -> float:
        """Eccentricity of the ellipse with the same second moments: 0 for a circle, near 1 for a long valley."""
        smaller, larger = np.linalg.eigvalsh(self._moments[1])
        return math.sqrt(max(0.0, 1 - smaller / larger))

    @property
    def solidity(self) -> float:
        """Area over the area of the convex hull: 1 for a convex part without holes."""
        hull = scipy.spatial.ConvexHull(self.rings[0])
        return min(1.0, self.area / float(hull.volume))  # the volume in 2D is the area

    @cached_property
    def _moments(self) -> tuple[float, np.ndarray]:
        """Area, and the covariance of a point drawn uniformly from it, of shape (2, 2).

        Both are sums over the triangles between one point and the edges of all rings. The triangles of holes, which run
        clockwise, count negative.
        """
        origin = self.rings[0].mean(0)
        start = np.concatenate([ring[:-1] for ring in self.rings]) - origin
        end = np.concatenate([ring[1:] for ring in self.rings]) - origin
        areas = (start[:, 0] * end[:, 1] - end[:, 0] * start[:, 1]) / 2
        area = float(areas.sum())
        mean = areas @ (start + end) / (3 * area)
        squares = sum((areas * v.T) @ v for v in (start, end, start + end)) / (12 * area)
        return area, squares - np.outer(mean, mean)


@dataclass(frozen=True)
class LevelSets:
    """The component that holds the centre of a plane, at any level.

    Marching squares draws the level lines: straight through a cell, crossing its edges where linear interpolation reaches
    the level; a saddle takes the mean of its corners. A point that is not finite counts as above every level, so a line
    next to it passes through its finite neighbours.
    """

    alpha: np.ndarray
    beta: np.ndarray
    at: tuple[int, int]
    contours: contourpy.ContourGenerator

    @classmethod
    def of(cls, surface: xr.Dataset, variable: str) -> Self:
        at = centre_index(surface)
        assert at is not None  # callers check with `without_component`
        alpha, beta, values = surface.alpha.values, surface.beta.values, values_of(surface, variable)
        values = np.where(np.isfinite(values), np.minimum(values, _ABOVE_ALL), _ABOVE_ALL)
        contours = contourpy.contour_generator(
            alpha, beta, values.T, name="serial", fill_type=contourpy.FillType.OuterOffset
        )
        return cls(alpha, beta, at, contours)

    def component(self, level: float) -> Component | None:
        """Return the part of {L <= level} that holds the centre; None if the centre lies above the level."""
        here = np.array([self.alpha[self.at[0]], self.beta[self.at[1]]])
        for points, offsets in zip(*self.contours.filled(-math.inf, level), strict=True):
            rings = tuple(np.split(points, offsets[1:-1]))
            if _holds(rings, here):
                return self._measured(rings)
        return None

    def _measured(self, rings: tuple[np.ndarray, ...]) -> Component:
        low, high = rings[0].min(0), rings[0].max(0)
        step = np.array([step_of(self.alpha), step_of(self.beta)])
        before = (low - [self.alpha[0], self.beta[0]]) / step
        behind = ([self.alpha[-1], self.beta[-1]] - high) / step
        touches = min(before.min(), behind.min()) < ROUNDING
        box = float(np.maximum(high - low, CELLS * step).prod())
        return Component(rings, float(((high - low) / step).min()), box, bool(touches))


def shape(surface: xr.Dataset, level: float, variable: str = "train_loss") -> dict[str, Number]:
    """Measure the `QUANTITIES` of the part of {L <= level} that holds the centre.

    A plane has a width (diameter of the circle of equal area), an area (without holes), an eccentricity (of the ellipse
    with the same second moments) and a solidity (area over the area of the convex hull), in multiples of the directions.
    A line has only a width, the length of the interval. `touches_border` is 1 if the part reaches the border of the grid,
    which makes width and area lower bounds; otherwise 0.

    Numbers are NaN, with a reason, if the grid has no centre, the centre lies above the level, or the part spans fewer
    than `CELLS` cells along one of the axes. A narrow diagonal valley can span enough cells along both. Width and area of
    a part that is too small have a bound, `Number.most`, unless it reaches the border.
    """
    step = coarser_step(surface)
    if reason := without_component(surface, level, variable):
        return {name: undefined(step, reason) for name in QUANTITIES}
    if is_line(surface):
        return _of_line(surface, level, variable, step)
    found = LevelSets.of(surface, variable).component(level)
    if found is None or not found.resolved:
        box = CELLS**2 * step_of(surface.alpha.values) * step_of(surface.beta.values) if found is None else found.box
        area = math.nan if found is not None and found.touches_border else box
        most = {"width": 2 * math.sqrt(area / math.pi), "area": area}
        return {name: undefined(step, NOT_RESOLVED, most.get(name, math.nan)) for name in QUANTITIES}
    cut = int(found.touches_border)
    return {name: Number(float(getattr(found, name)), step, bound=cut * (name in SIZES)) for name in QUANTITIES}


def cells_across(surface: xr.Dataset, level: float, variable: str = "train_loss") -> float:
    """Count the cells that the part of {L <= level} around the centre spans along alpha or beta, whichever is fewer.

    NaN if there is no such part.
    """
    if without_component(surface, level, variable):
        return math.nan
    if is_line(surface):
        x, low, high = _interval_of_line(surface, level, variable)
        return (high - low) / step_of(x)
    found = LevelSets.of(surface, variable).component(level)
    return 0.0 if found is None else found.cells


def basin(surface: xr.Dataset, level: float, variable: str = "train_loss") -> np.ndarray:
    """Mark the grid points in the connected part of {L <= level} that holds the centre, shape (alpha, beta).

    Neighbours share an edge. All are False if there is no centre, or it lies above the level.
    """
    at = centre_index(surface)
    values = values_of(surface, variable)
    if at is None or not values[at] <= level:
        return np.zeros(values.shape, bool)
    parts, _ = scipy.ndimage.label(values <= level)
    return np.asarray(parts == parts[at])


def _of_line(surface: xr.Dataset, level: float, variable: str, step: float) -> dict[str, Number]:
    x, low, high = _interval_of_line(surface, level, variable)
    numbers = {name: undefined(step, LINE) for name in QUANTITIES}
    touches = float(low <= x[0] or high >= x[-1])
    resolved = high - low >= (CELLS - ROUNDING) * step
    for name, value in (("width", high - low), ("touches_border", touches)):
        cut = int(touches) * (name in SIZES)
        most = math.nan if touches or name not in SIZES else CELLS * step
        numbers[name] = Number(value, step, bound=cut) if resolved else undefined(step, NOT_RESOLVED, most)
    return numbers


def _interval_of_line(surface: xr.Dataset, level: float, variable: str) -> tuple[np.ndarray, float, float]:
    """Return the coordinates of a line and the ends of its interval {L <= level} around the centre."""
    x = surface["alpha" if surface.sizes["beta"] == 1 else "beta"].values
    start = index_of(x, 0.0)
    assert start is not None  # callers check with `without_component`
    return x, *interval(x, values_of(surface, variable).reshape(-1), level, start)


def _holds(rings: tuple[np.ndarray, ...], point: np.ndarray) -> bool:
    """Say if a polygon with holes holds a point of the grid, which may be one of its corners."""
    if any((ring == point).all(1).any() for ring in rings):
        return True
    outer, *holes = (bool(mpl.path.Path(ring).contains_points(point[None])[0]) for ring in rings)
    return outer and not any(holes)
