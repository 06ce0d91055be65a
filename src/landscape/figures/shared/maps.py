"""Numbers over a plane as pixels, one for each point of the grid."""

from __future__ import annotations

from landscape.figures.shared.level_lines import frame, hatch, mark_centre
from landscape.lazy import mpl, np, xr

_LEAST = 1e-12  # lower bound of values on a logarithmic scale


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
    ax.set(xlim=alpha[[0, -1]], ylim=beta[[0, -1]])
    frame(ax)
    mark_centre(ax)
    return mesh


def _edges(x: np.ndarray) -> np.ndarray:
    """Return pixel edges: half-way between neighbours, and as far outside."""
    between = (x[1:] + x[:-1]) / 2
    return np.concatenate([[2 * x[0] - between[0]], between, [2 * x[-1] - between[-1]]])
