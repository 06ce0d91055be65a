"""Labels beside points, where they cover the least; all lengths in inches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from landscape.figures.shared.panel_grid import SMALL, text_width
from landscape.lazy import mpl, np

_LINE = 0.1  # from line to line
_AWAY = (0.06, 0.13, 0.21, 0.3)  # from the point to the nearest edge of the label
_CLEAR = 0.07  # sufficient room around a label
_EDGE = 0.02


def scale_of(ax: mpl.axes.Axes) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower left corner in data, and inches per unit of data, for linear axes with fixed limits."""
    limits = np.array([ax.get_xlim(), ax.get_ylim()])
    return limits[:, 0], _box(ax) / np.ptp(limits, axis=1)


def annotate(
    ax: mpl.axes.Axes, points: np.ndarray, texts: Sequence[str], *, avoid: np.ndarray, color: str
) -> list[mpl.text.Annotation]:
    """Write each text beside its point, with a thin line between them.

    The label takes the nearest place around the point that is inside the axes and clear of `avoid`, the other points and
    earlier labels; if none is clear, the best one.

    Args:
        points: shape (n, 2), in the data of linear axes whose limits are set.
        avoid: shape (m, 2), other drawn points.
    """
    corner, scale = scale_of(ax)
    box = _box(ax)
    taken = (np.concatenate([points, avoid]) - corner) * scale
    labels: list[tuple[np.ndarray, np.ndarray]] = []  # middle and half the size
    drawn = []
    for point, text in zip((points - corner) * scale, texts, strict=True):
        half = _size(text) / 2
        middle = max(_places(point, half), key=lambda place: _merit(place, point, half, taken, labels, box))
        middle = np.clip(middle, half + _EDGE, np.maximum(box - half - _EDGE, half + _EDGE))
        labels.append((middle, half))
        drawn.append(
            ax.annotate(
                text,
                tuple(point / scale + corner),
                tuple(middle / scale + corner),
                ha="center",
                va="center",
                fontsize=SMALL,
                color=color,
                parse_math=False,
                linespacing=1.0,
                path_effects=[mpl.patheffects.withStroke(linewidth=1.8, foreground="white")],
                arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 1.5},
                zorder=8,
            )
        )
    return drawn


def _places(point: np.ndarray, half: np.ndarray) -> list[np.ndarray]:
    """Return the middles of labels in sixteen directions around the point."""
    places = []
    for away, k in itertools.product(_AWAY, range(16)):
        to = np.array([math.cos(math.pi * k / 8), math.sin(math.pi * k / 8)])
        # from the box's middle to its edge along `to`
        reach = min(half[axis] / abs(to[axis]) for axis in range(2) if abs(to[axis]) > 1e-9)
        places.append(point + (away + reach) * to)
    return places


def _merit(
    middle: np.ndarray,
    point: np.ndarray,
    half: np.ndarray,
    taken: np.ndarray,
    labels: Sequence[tuple[np.ndarray, np.ndarray]],
    box: np.ndarray,
) -> float:
    """Score a place: room around it, minus the way to it; far below 0 outside the axes or on another label."""
    room = float(_gap(np.abs(taken - middle) - half).min(initial=_CLEAR))
    apart = min((float(_gap(np.abs(other - middle) - half - size)) for other, size in labels), default=_CLEAR)
    outside = float(np.maximum(np.abs(middle - box / 2) + half + _EDGE - box / 2, 0).sum())
    way = float(_gap(np.abs(point - middle) - half))
    return min(room, _CLEAR) + min(apart, _CLEAR) - 0.25 * way - 10 * outside - (1.0 if apart <= 0 else 0.0)


def _gap(overhang: np.ndarray) -> np.ndarray:
    """Compute the distance to a rectangle from the overhang on each axis; 0 inside."""
    return np.asarray(np.hypot(*np.moveaxis(np.maximum(overhang, 0), -1, 0)))


def _size(text: str) -> np.ndarray:
    lines = text.split("\n")
    return np.array([max(text_width(line, SMALL) for line in lines), _LINE * len(lines)])


def _box(ax: mpl.axes.Axes) -> np.ndarray:
    return np.asarray(ax.get_window_extent().size) / ax.figure.dpi
