"""Shaded surfaces of log10 of a loss over a plane (Li et al. 2018, Figures 1 and 4)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from landscape import geometry
from landscape.config.fields import Ref
from landscape.errors import InputError
from landscape.figures.kind import OfRuns, Variable
from landscape.figures.shared import shaded, style, ticks, value_words, words
from landscape.figures.shared.level_lines import require_plane
from landscape.figures.shared.loss_scale import LossScale, dashed, scale_of
from landscape.figures.shared.members import Drawing, Member, numbers, only
from landscape.figures.shared.panel_grid import NOTE, grid
from landscape.lazy import art3d, np, scipy, xr


class Surfaces(OfRuns):
    """Shaded 3D surfaces of log10 of the loss, one panel per run (Li et al. 2018, Figures 1 and 4)."""

    draw: Literal["surfaces"]
    plane: Annotated[str, Ref("planes", axes=2)]
    variable: Variable = "train_loss"

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one panel per member, with the same height scale."""
        scale = scale_of([member.seen for member in members], [self.variable])
        limits = height_limits([member.seen[self.variable] for member in members], scale)
        panels = grid(len(members), most=2, narrow=1, heading=self.title, share="none", projection="3d")
        for ax, member in zip(panels.axes, members, strict=True):
            self._draw(ax, member, limits, scale)
            look: style.Look = {"ha": "center", "va": "top", "fontsize": NOTE}
            ax.text2D(0.5, -0.05, "\n".join(words.notes(member)), transform=ax.transAxes, **look)
        panels.label_below(words.units(members[0].seen))
        for ax in panels.axes:  # their numbers and labels fit inside the panel
            ax.set_anchor("W")
            ax.set_axis_off()
        panels.fit(0.86)
        for ax in panels.axes:
            ax.set_axis_on()
        return Drawing(panels.figure, numbers(members, [self.variable]), _caption(self, members, limits, scale))

    def panel(self, ax: Any, members: Sequence[Member]) -> None:
        member = only(members, self.draw)
        if ax.name != "3d":
            raise InputError('draw: surfaces needs axes with projection="3d"')
        scale = scale_of([member.seen], [self.variable])
        self._draw(ax, member, height_limits([member.seen[self.variable]], scale), scale)

    def _draw(self, ax: Any, member: Member, limits: tuple[float, float], scale: LossScale) -> None:
        require_plane(member.seen, self.draw)
        shaded_surface(ax, member.seen, variable=self.variable, limits=limits, scale=scale)
        ax.set_title(words.title(member), parse_math=False)


_VIEW = 35, -60  # elevation and azimuth
_FLOOR = 0.35  # room below the surface to see the floor, as a share of its height


def height_limits(losses: Sequence[xr.DataArray], scale: LossScale) -> tuple[float, float]:
    """Return common limits of log10 of the loss: half decades around the finite values, within the colour scale.

    On a linear scale they are the ends of the colours.
    """
    if not scale.logarithmic:
        return scale.low, scale.high
    finite = np.concatenate([loss.values[np.isfinite(loss.values)] for loss in losses])
    exponents = np.log10(finite.clip(scale.low, scale.high)) if finite.size else np.array([-1.0, 1.0])
    low, high = math.floor(2 * exponents.min()) / 2, math.ceil(2 * exponents.max()) / 2
    return low, max(high, low + 1)


def shaded_surface(
    ax: Any, surface: xr.Dataset, *, variable: str, limits: tuple[float, float], scale: LossScale
) -> art3d.Poly3DCollection:
    """Draw log10 of `variable`, cut off at `limits`, with level lines on a floor below it and a pin at the centre.

    The surface is a fourfold bicubic upsample. A point that is not finite leaves a hole, with a cross on the floor below.
    """
    z = surface[variable].transpose("alpha", "beta")
    alpha, beta = z.alpha.values, z.beta.values
    low, high = limits
    floor = low - _FLOOR * (high - low)
    finite = np.isfinite(z.values)
    ends = scale.of_height(np.array(limits))
    heights = _filled(scale.height(np.where(finite, z.values, 1.0).clip(*ends)), finite)
    x, y, fine = shaded.upsample(alpha, beta, heights)
    fine = fine.clip(low, high)
    there = _upsample_mask(finite, fine.shape)
    colours, norm = style.loss_map(), scale.norm
    collection = shaded.draw(
        ax, (x, y, fine), high - floor, lambda heights: colours(norm(scale.of_height(heights))), there
    )
    _floor(ax, surface, variable, floor, scale)
    if there[np.abs(x).argmin(), np.abs(y).argmin()]:
        _pin(ax, x, y, fine, (low, high, floor))
    shaded.frame(ax, alpha, beta, (floor, high), _VIEW, 1.04, words.loss_label([surface], words.NAMES[variable]))
    if scale.logarithmic:
        powers = np.arange(math.ceil(low), math.floor(high) + 1)
        ax.set_zticks(powers, [f"{10.0**power:g}" for power in powers])
    else:
        ticks.plain(ax.zaxis)
    return collection


def _floor(ax: Any, surface: xr.Dataset, variable: str, floor: float, scale: LossScale) -> None:
    """Draw level lines below the surface, the loss of guessing dashed, and crosses where points are not finite."""
    alpha, beta, loss = scale.drawable(surface, variable)
    at = {"zdir": "z", "offset": floor, "zorder": 1}
    guessing: style.Look = {"colors": "black", "linestyles": "--", "linewidths": 0.8}
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a level may not occur
        ax.contour(alpha, beta, loss, _levels(scale), cmap=style.deep_map(), norm=scale.norm, linewidths=0.5, **at)
        if math.isfinite(geometry.guessing(surface)):
            ax.contour(alpha, beta, loss, [geometry.guessing(surface)], **guessing, **at)
    missing = np.argwhere(np.ma.getmaskarray(loss))
    places = alpha[missing[:, 1]], beta[missing[:, 0]], np.full(len(missing), floor)
    ax.plot(*places, "x", color="0.6", markersize=1.5, markeredgewidth=0.4, zorder=1)


def _levels(scale: LossScale) -> list[float]:
    """Return the levels on the floor: not the last, at which the surface is cut off."""
    return [level for level in scale.levels if level < scale.high]


def _pin(ax: Any, x: np.ndarray, y: np.ndarray, z: np.ndarray, heights: tuple[float, float, float]) -> None:
    """Draw a vertical line from the state upwards; dotted where the surface hides it."""
    low, high, floor = heights
    if not (x[0] <= 0 <= x[-1] and y[0] <= 0 <= y[-1]):
        return
    here = float(scipy.interpolate.RectBivariateSpline(x, y, z, kx=1, ky=1)(0, 0)[0, 0])
    stops = np.linspace(here, high + 0.12 * (high - floor), 60)
    at = np.zeros(len(stops))
    hidden = list(shaded.behind((x, y, z), (at, at, stops), high - floor, _VIEW))
    first = hidden.index(False) if False in hidden else len(stops) - 1
    ax.plot(at[: first + 1], at[: first + 1], stops[: first + 1], ":", color="black", linewidth=0.7, zorder=4)
    ax.plot(at[first:], at[first:], stops[first:], "-", color="black", linewidth=0.9, zorder=4)
    ax.plot(0, 0, stops[-1], "o", color="black", markersize=2.5, zorder=4)


def _upsample_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Upsample a mask by the nearest coarse point."""
    i, j = (np.rint(np.linspace(0, size - 1, fine)).astype(int) for size, fine in zip(mask.shape, shape, strict=True))
    return mask[np.ix_(i, j)]


def _filled(z: np.ndarray, finite: np.ndarray) -> np.ndarray:
    """Replace non-finite values by the nearest finite one, for the spline; they are cut out afterwards."""
    if not finite.any():
        return z
    nearest = scipy.ndimage.distance_transform_edt(~finite, return_distances=False, return_indices=True)
    return z[tuple(nearest)]


def _caption(spec: Surfaces, members: Sequence[Member], limits: tuple[float, float], scale: LossScale) -> str:
    name = words.NAMES[spec.variable]
    guessed = dashed([member.seen for member in members], ", and dashed the loss of guessing, ln({})")
    bottom, top = (value_words.loss(limit) for limit in scale.of_height(np.array(limits)))
    seen = (
        f"The {name} over the plane {words.escape(spec.plane)} on a {'logarithmic' if scale.logarithmic else 'linear'} height, the same in all panels, cut off at "
        f"{bottom} and {top}. Drawn on a fourfold bicubic upsample of the grid; the numbers beside the figure are those "
        f"computed. On the floor, level lines of the loss at {', '.join(f'{level:g}' for level in _levels(scale))}{guessed}. The pin marks the state itself, dotted where the surface hides it. Where "
        "the loss is not finite, the surface has a hole and the floor a cross."
    )
    return words.caption(
        spec.about,
        seen,
        words.surface_made(members),
        [words.member_item(member, [spec.variable]) for member in members],
    )
