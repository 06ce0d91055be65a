"""Steepest descent on a plane as arrows over its level lines, and the stationary points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from landscape import geometry
from landscape.figures.shared import level_lines
from landscape.lazy import mpl, np, xr

ARROWS = 15
"""The most arrows along each axis; a finer grid is thinned."""

_SHAPES: dict[str, dict[str, Any]] = {
    "minimum": {"marker": "o", "markersize": 4.2},
    "saddle": {"marker": "D", "markersize": 3.6},
    "maximum": {"marker": "^", "markersize": 4.6},
}


def cosine_map() -> mpl.colors.LinearSegmentedColormap:
    """Return dark red for negative, light blue for positive cosines: the order is the same in grey."""
    colours = ["#67001f", "#b2182b", "#f4a582", "#9ecae1", "#dbe9f6"]
    return mpl.colors.LinearSegmentedColormap.from_list("cosine", colours)


def cosine_norm() -> mpl.colors.Normalize:
    return mpl.colors.Normalize(-1, 1)


def metric(surface: xr.Dataset) -> np.ndarray:
    """Compute P'P of the directions P = [d1 d2], shape (2, 2)."""
    one, other = json.loads(surface.attrs["direction_norms"])
    mixed = float(surface.attrs["cosine"]) * one * other
    return np.array([[one**2, mixed], [mixed, other**2]])


def descent(surface: xr.Dataset) -> np.ndarray:
    """Compute the direction of steepest descent within the plane, in (alpha, beta), shape (alpha, beta, 2).

    Among steps P x of equal length, the loss falls fastest along x = -(P'P)^-1 P'g.
    """
    gradient = np.stack([geometry.values_of(surface, f"gradient_{axis}") for axis in ("alpha", "beta")], -1)
    return -np.einsum("ij,...j", np.linalg.inv(metric(surface)), gradient)


def draw_arrows(ax: mpl.axes.Axes, surface: xr.Dataset) -> mpl.quiver.Quiver:
    """Draw level lines of the train loss, and over them the descent at up to 15 x 15 points.

    The arrows are of one length, blue where they point to the centre and red where they point away.
    """
    level_lines.contour(ax, surface, variable="train_loss", levels=level_lines.LEVELS["log"])
    rows, columns = (_thinned(surface.sizes[axis]) for axis in ("alpha", "beta"))
    chosen = np.ix_(rows, columns)
    alpha, beta = np.meshgrid(surface.alpha.values[rows], surface.beta.values[columns], indexing="ij")
    to = descent(surface)[chosen]
    with np.errstate(invalid="ignore", divide="ignore"):
        to /= np.linalg.norm(to, axis=-1, keepdims=True)
    towards = geometry.values_of(surface, "gradient_towards_centre")[chosen]
    there = np.isfinite(to).all(-1) & np.isfinite(towards)
    return ax.quiver(
        alpha[there],
        beta[there],
        *to[there].T,
        towards[there],
        cmap=cosine_map(),
        norm=cosine_norm(),
        pivot="middle",
        angles="xy",
        scale=1.2 * max(rows.size, columns.size),
        scale_units="width",
        width=0.012,
        headwidth=3.6,
        headlength=3.6,
        headaxislength=3.4,
        edgecolor="0.15",
        linewidth=0.3,
        zorder=4,
    )


def mark_stationary(ax: mpl.axes.Axes, points: Sequence[geometry.StationaryPoint]) -> None:
    """Draw a symbol at each point: white if stationary in the slice alone, black if in the whole space."""
    halo = [mpl.patheffects.withStroke(linewidth=1.8, foreground="white")]
    for point in points:
        ax.plot(point.alpha, point.beta, label=point.kind, path_effects=halo, zorder=6, **_look(point.kind))


def keys(points: Sequence[geometry.StationaryPoint]) -> list[mpl.lines.Line2D]:
    """Make the legend's entries, in the order of `geometry.KINDS`."""
    there = {point.kind for point in points}
    return [mpl.lines.Line2D([], [], label=kind, **_look(kind)) for kind in geometry.KINDS if kind in there]


def _look(kind: str) -> dict[str, Any]:
    in_slice, _, word = kind.rpartition("slice ")
    whole = kind in _SHAPES
    edge = {"markeredgecolor": "white" if whole else "black", "markeredgewidth": 0.5 if whole else 0.8}
    return {**_SHAPES[word], **edge, "markerfacecolor": "black" if whole else "white", "linestyle": "none"}


def _thinned(points: int) -> np.ndarray:
    """Return indices of at most 15 points at equal distances, including the axis's middle point if it has one."""
    step = -(-points // ARROWS)
    return np.arange((points - 1) // 2 % step, points, step)
