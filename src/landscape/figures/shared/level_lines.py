"""A plane seen from above: level lines of a loss with their scale, and pixel maps of other numbers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from landscape import geometry
from landscape.errors import InputError
from landscape.figures.shared import style, ticks, words
from landscape.figures.shared.labels import scale_of
from landscape.figures.shared.loss_scale import LossScale, is_in
from landscape.figures.shared.panel_grid import NOTE, SMALL, Grid
from landscape.lazy import mpl, np, xr
from landscape.objective import meanings

HATCH = 10 * "/"
_LEAST = 1e-12  # lower bound of values on a logarithmic scale


def contour(
    ax: mpl.axes.Axes, surface: xr.Dataset, *, variable: str, scale: LossScale, guessing: bool = True
) -> mpl.contour.QuadContourSet:
    """Draw level lines of `variable` over the whole grid, framed, with a cross at the centre."""
    lines = level_lines(ax, surface, variable=variable, scale=scale, guessing=guessing)
    ticks.hold(ax, surface.alpha.values, surface.beta.values)
    frame(ax)
    mark_centre(ax)
    return lines


def level_lines(
    ax: mpl.axes.Axes, surface: xr.Dataset, *, variable: str, scale: LossScale, guessing: bool = True
) -> mpl.contour.QuadContourSet:
    """Draw level lines on a pale fill, the loss of guessing dashed; white, hatched grey where the loss is not finite."""
    alpha, beta, loss = scale.drawable(surface, variable)
    if loss.mask.any():
        hatch(ax, alpha, beta)
    fill = ax.contourf(alpha, beta, loss, scale.steps, cmap=style.pale_map(), norm=scale.norm, extend="both", zorder=1)
    fill.set_rasterized(True)
    lines = lines_at(ax, surface, variable, scale, (1.4, 0.6), cmap=style.deep_map(), norm=scale.norm, zorder=2)
    if guessing and math.isfinite(at := geometry.guessing(surface)):
        look: style.Look = {"colors": "black", "linestyles": "--", "linewidths": 0.8, "zorder": 3}
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # the level may not occur
            ax.contour(alpha, beta, loss, [at], **look)
    return lines


def lines_at(
    ax: mpl.axes.Axes,
    surface: xr.Dataset,
    variable: str,
    scale: LossScale,
    width: tuple[float, float],
    **look: Any,
) -> mpl.contour.QuadContourSet:
    """Draw lines alone.

    Args:
        width: line width at the levels that are thick, and at the others.
    """
    widths = [width[0] if scale.is_thick(level) else width[1] for level in scale.levels]
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a level may not occur
        return ax.contour(*scale.drawable(surface, variable), scale.levels, linewidths=widths, **look)


def pixel_map(
    ax: mpl.axes.Axes,
    surface: xr.Dataset,
    values: np.ndarray,
    *,
    colours: mpl.colors.Colormap,
    norm: mpl.colors.Normalize,
) -> mpl.collections.QuadMesh:
    """Draw `values`, shape (alpha, beta), as unsmoothed pixels; white and hatched where they are not finite.

    The axes end at the outermost points, as those of level lines do, in the middle of the outermost pixels.
    """
    alpha, beta = surface.alpha.values, surface.beta.values
    shown = np.ma.masked_invalid(values.T)  # matplotlib wants (y, x)
    if isinstance(norm, mpl.colors.LogNorm):
        shown = np.ma.maximum(shown, _LEAST)
    if shown.mask.any():
        hatch(ax, alpha, beta)
    mesh = ax.pcolormesh(_edges(alpha), _edges(beta), shown, cmap=colours, norm=norm, rasterized=True, zorder=1)
    ticks.hold(ax, alpha, beta)
    frame(ax)
    mark_centre(ax)
    return mesh


def hatch(ax: mpl.axes.Axes, alpha: np.ndarray, beta: np.ndarray) -> None:
    """Hatch a whole plane under everything, so that it shows where nothing else is drawn."""
    look: style.Look = {"facecolor": "white", "edgecolor": "0.6", "hatch": HATCH, "linewidth": 0, "zorder": 0}
    ax.add_patch(mpl.patches.Rectangle((alpha[0], beta[0]), np.ptp(alpha), np.ptp(beta), **look))


def frame(ax: mpl.axes.Axes) -> None:
    """Draw a line all around, and few ticks on both axes."""
    ticks.plain(ax.xaxis, ax.yaxis)
    ax.spines[:].set_visible(True)


def mark_centre(ax: mpl.axes.Axes) -> None:
    """Draw a cross at (0, 0)."""
    halo = [mpl.patheffects.withStroke(linewidth=2.2, foreground="white")]
    ax.plot(0, 0, "x", color="black", markersize=4, markeredgewidth=0.9, path_effects=halo, zorder=5)


def shape(surface: xr.Dataset) -> float:
    """Compute height over width of a panel: axes of equal scale, unless one range is more than twice the other."""
    ratio = float(np.ptp(surface.beta.values)) / float(np.ptp(surface.alpha.values))
    return min(max(ratio, 0.5), 2.0)


def label_levels(
    ax: mpl.axes.Axes, lines: mpl.contour.QuadContourSet, scale: LossScale, *, avoid: Sequence[np.ndarray] = ()
) -> None:
    """Write some levels on their longest line, far from each other, the centre and points to `avoid`, where there is room.

    The axes must have their final size.
    """
    box = np.asarray(ax.get_window_extent().size) / ax.figure.dpi
    corner, inches = scale_of(ax)
    taken = [(np.asarray(point) - corner) * inches for point in ((0, 0), *avoid)]  # inches from the lower left
    margin = np.array([0.16, 0.1])
    wide = np.array([1.8, 1.0])  # a label is wider than high, so its neighbours may be nearer above than beside it
    for level, segments in zip(lines.levels, lines.allsegs, strict=True):
        if not is_in(level, scale.labelled) or not segments:
            continue
        longest = max(((segment - corner) * inches for segment in segments), key=_length)
        inside = longest[((longest > margin) & (longest < box - margin)).all(axis=1)]
        if not inside.size or np.ptp(longest, axis=0).max() < 0.26:
            continue
        distance = np.min([np.hypot(*((inside - other) / wide).T) for other in taken], axis=0)
        best = int(distance.argmax())
        if distance[best] < 0.12:
            continue
        taken.append(inside[best])
        x, y = inside[best] / inches + corner
        halo = [mpl.patheffects.withStroke(linewidth=1.8, foreground="white")]
        ax.text(x, y, f"{level:g}", ha="center", va="center", fontsize=SMALL, path_effects=halo, zorder=6)


def colour_bar(panels: Grid, scale: LossScale, name: str, surfaces: Sequence[xr.Dataset]) -> None:
    """Draw the scale of a loss below the panels: the pale fill, the level lines, and the loss of guessing dashed."""
    mappable = mpl.cm.ScalarMappable(scale.norm, style.pale_map())
    bar = panels.color_bar(mappable, at=scale.ticks, extend="both", label=name)
    if not scale.nats:
        bar.minorticks_off()
    for level in scale.levels:
        if scale.low <= level <= scale.high:
            width = 1.4 if scale.is_thick(level) else 0.6
            bar.ax.axvline(level, color=style.deep_map()(float(scale.norm(level))), linewidth=width)
    guessed = [surface for surface in surfaces if math.isfinite(geometry.guessing(surface))]
    for classes, x in sorted({(meanings.classes_in(s.attrs), geometry.guessing(s)) for s in guessed}):
        look: style.Look = {"color": "black", "linewidth": 0.8, "dashes": (2, 1), "clip_on": False}
        bar.ax.plot([x, x], [-0.15, 1.5], "--", **look)
        bar.ax.text(x, 1.6, f"ln {classes}", ha="center", va="bottom", fontsize=NOTE)


def require_variable(surface: xr.Dataset, variable: str, kind: str) -> None:
    """Refuse a surface without the loss `variable`; it may lack a test split.

    Raises:
        InputError: if the surface lacks it.
    """
    if variable not in surface:
        raise InputError(
            f"the plane {surface.attrs['plane']!r} of {surface.attrs['run']} holds no {words.NAMES[variable]}, and draw: {kind} "
            "needs one; its data set may have no test split, or the plane measures something else"
        )


def require_plane(surface: xr.Dataset, kind: str) -> None:
    """Refuse a line.

    Raises:
        InputError: if the surface has fewer than two points on an axis.
    """
    alpha, beta = surface.sizes["alpha"], surface.sizes["beta"]
    if min(alpha, beta) < 2:
        raise InputError(
            f"the plane {surface.attrs['plane']!r} has {alpha} x {beta} points, and draw: {kind} needs at least 2 on each axis; "
            "give it a beta, or draw: lines"
        )


def _length(points: np.ndarray) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def _edges(x: np.ndarray) -> np.ndarray:
    """Return pixel edges: half-way between neighbours, and as far outside."""
    between = (x[1:] + x[:-1]) / 2
    return np.concatenate([[2 * x[0] - between[0]], between, [2 * x[-1] - between[-1]]])
