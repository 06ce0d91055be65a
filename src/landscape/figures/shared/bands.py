"""Several curves as one: their median as a line, and a band between their extremes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from landscape.config.fields import INERT, with_trait
from landscape.errors import InputError
from landscape.figures.shared import words
from landscape.figures.shared.groups import Group
from landscape.figures.shared.members import Member, numbers
from landscape.lazy import mpl, np, pd, xr
from landscape.measures.plane import Plane


def band(
    ax: mpl.axes.Axes,
    x: np.ndarray,
    curves: np.ndarray,
    dashes: str = "-",
    *,
    color: Any,
    shade: float = 0.22,
    **look: Any,
) -> mpl.lines.Line2D:
    """Draw the median of curves, shape (curve, x), over a band between their extremes; a single curve has no band."""
    low, middle, high = spread(curves)
    if len(curves) > 1:
        ax.fill_between(x, low, high, color=color, alpha=shade, linewidth=0, zorder=1.5)
    (line,) = ax.plot(x, middle, dashes, color=color, **look)
    return line


def spread(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lowest, median, highest finite value of curves, shape (curve, x), at every x; NaN where none is finite."""
    finite = np.ma.masked_invalid(curves)
    low, middle, high = (np.ma.filled(of(finite, axis=0), np.nan) for of in (np.ma.min, np.ma.median, np.ma.max))
    return low, middle, high


def stack(surfaces: Sequence[xr.Dataset], variable: str) -> np.ndarray:
    """Stack a variable along lines, shape (line, alpha)."""
    return np.stack([surface[variable].isel(beta=0).values for surface in surfaces])


def require_lines(groups: Sequence[Group], kind: str) -> None:
    """Refuse, with an InputError, a surface that is no line, or lines of one band that differ in more than the seed."""
    for group in groups:
        first = group.first.seen
        for surface in group.surfaces:
            _require_line(surface, kind)
            if unlike := _unlike(first, surface):
                raise InputError(
                    f"{group.label}: the lines {first.attrs['plane']!r} and {surface.attrs['plane']!r} differ in "
                    f"{', '.join(unlike)}; draw: {kind} makes one band of them, so they may differ in their seed alone"
                )


def table(members: Sequence[Member], variables: Sequence[str]) -> pd.DataFrame:
    """Tabulate the drawn numbers, one row per point of each member: member, plane, alpha, beta, and `variables`."""
    frames = []
    for member in members:
        frame = numbers([member], variables)
        frame.insert(1, "plane", member.seen.attrs["plane"])
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _require_line(surface: xr.Dataset, kind: str) -> None:
    shape = surface.sizes["alpha"], surface.sizes["beta"]
    if shape[1] > 1 or shape[0] < 2:
        name = surface.attrs["plane"]
        raise InputError(
            f"the plane {name!r} has {shape[0]} x {shape[1]} points, and draw: {kind} needs a line: at least 2 points of "
            "alpha and no beta"
        )


def _unlike(first: xr.Dataset, second: xr.Dataset) -> list[str]:
    """List the keys other than the seed in which two planes' specifications differ."""
    one, other = words.plane(first), words.plane(second)
    may_differ = {"seed", *with_trait(Plane, INERT)}
    return sorted(key for key in {*one, *other} - may_differ if one.get(key) != other.get(key))
