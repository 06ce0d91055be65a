"""Shaded surfaces in three dimensions: a finer grid, its cells, their light, and hidden points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from landscape.figures.shared import ticks
from landscape.figures.shared.panel_grid import NOTE
from landscape.lazy import art3d, mpl, np, scipy

BOX = (1.0, 1.0, 0.6)
_LIGHT = {"azdeg": 315, "altdeg": 45}
_UPSAMPLE = 4
_AMBIENT = 0.6  # share of the light that comes from everywhere; level ground has its own colour


def upsample(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interpolate z(x, y) by a bicubic spline, on a grid with four steps for one."""
    fine_x, fine_y = (
        np.interp(np.linspace(0, v.size - 1, _UPSAMPLE * (v.size - 1) + 1), np.arange(v.size), v) for v in (x, y)
    )
    spline = scipy.interpolate.RectBivariateSpline(x, y, z, kx=min(3, x.size - 1), ky=min(3, y.size - 1))
    return fine_x, fine_y, spline(fine_x, fine_y)


def quadrilaterals(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the corners of each cell of z(x, y), shape (cells along x, cells along y, 4 corners, 3 coordinates)."""
    points = np.stack([*np.meshgrid(x, y, indexing="ij"), z], axis=-1)
    return np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2)


def light(x: np.ndarray, y: np.ndarray, z: np.ndarray, height: float) -> np.ndarray:
    """Compute the brightness of each cell: diffuse light, with lengths in units of the drawn box."""
    slope_x, slope_y = np.diff(z, axis=0) * (x.size - 1) / BOX[0], np.diff(z, axis=1) * (y.size - 1) / BOX[1]
    slopes = np.stack([slope_x[:, :-1] + slope_x[:, 1:], slope_y[:-1] + slope_y[1:]], axis=-1) / 2 * BOX[2] / height
    normals = np.concatenate([-slopes, np.ones_like(slopes[..., :1])], axis=-1)
    light = mpl.colors.LightSource(**_LIGHT).direction
    cosine = normals @ light / np.linalg.norm(normals, axis=-1)
    return np.asarray((_AMBIENT + (1 - _AMBIENT) * cosine.clip(0) / light[2]).clip(0, 1))


def behind(
    surface: tuple[np.ndarray, np.ndarray, np.ndarray],
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    height: float,
    view: tuple[float, float],
) -> np.ndarray:
    """Tell for each point (x, y, z) if the surface z(x, y) hides it in a parallel projection.

    Args:
        height: height of the drawn box, in the unit of z.
        view: elevation and azimuth of the eye, in degrees.
    """
    x, y, z = surface
    spline = scipy.interpolate.RectBivariateSpline(x, y, z, kx=1, ky=1)
    elevation, azimuth = map(math.radians, view)
    away = np.linspace(0.01, 1.5, 300)  # towards the eye, in units of the box
    along_x = points[0][:, None] + away * math.cos(elevation) * math.cos(azimuth) * np.ptp(x) / BOX[0]
    along_y = points[1][:, None] + away * math.cos(elevation) * math.sin(azimuth) * np.ptp(y) / BOX[1]
    rise = away * math.sin(elevation) * height / BOX[2]
    over = (x[0] <= along_x) & (along_x <= x[-1]) & (y[0] <= along_y) & (along_y <= y[-1])
    hidden = spline(along_x, along_y, grid=False) > points[2][:, None] + rise
    return np.asarray((hidden & over).any(axis=1))


def draw(
    ax: Any,
    surface: tuple[np.ndarray, np.ndarray, np.ndarray],
    height: float,
    colours: Callable[[np.ndarray], np.ndarray],
    there: np.ndarray | None = None,
) -> art3d.Poly3DCollection:
    """Draw a quadrilateral for each cell of z(x, y), lit from the north-west.

    Args:
        height: height of the drawn box, in the unit of z.
        colours: RGBA of a cell, from its mean height.
        there: False at missing points; cells that touch one are left out.
    """
    corners = quadrilaterals(*surface)
    lit = colours(corners[..., 2].mean(axis=2))[..., :3] * light(*surface, height)[..., None]
    there = np.ones_like(surface[2], bool) if there is None else there
    whole = there[:-1, :-1] & there[1:, :-1] & there[1:, 1:] & there[:-1, 1:]
    collection = art3d.Poly3DCollection(
        corners[whole], facecolors=lit[whole], edgecolors="none", linewidths=0, antialiased=False, zorder=2
    )
    collection.set_rasterized(True)
    ax.computed_zorder = False  # what is drawn later lies in front
    ax.add_collection3d(collection, autolim=False)
    return collection


def frame(
    ax: Any,
    x: np.ndarray,
    y: np.ndarray,
    heights: tuple[float, float],
    view: tuple[float, float],
    zoom: float,
    name: str,
) -> None:
    """Set the view, limits, labels, ticks and panes of three axes; `name` labels the third."""
    ax.set_proj_type("ortho")
    ax.view_init(*view)
    ax.set_box_aspect(BOX, zoom=zoom)
    ax.set(xlim=x[[0, -1]], ylim=y[[0, -1]], zlim=heights)
    ax.set_xlabel("alpha", labelpad=-8)
    ax.set_ylabel("beta", labelpad=-7)
    ax.set_zlabel(name, labelpad=-6)
    ax.tick_params(pad=-4, labelsize=NOTE)
    ax.tick_params(axis="z", pad=-1)
    ticks.plain(ax.xaxis, ax.yaxis, prune="both")  # the two axes meet in a corner
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color("white")
        axis.pane.set_edgecolor("0.75")
        axis.pane.set_linewidth(0.5)
        axis.line.set_linewidth(0.5)
