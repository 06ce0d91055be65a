"""Labels beside points, where they cover the least; all lengths in inches."""

from __future__ import annotations

from collections.abc import Sequence

from landscape.figures.shared import style
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
    angles = np.pi * np.arange(16) / 8
    to = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    look: style.Look = {"ha": "center", "va": "center", "fontsize": SMALL, "linespacing": 1.0, "parse_math": False}
    look["path_effects"] = [mpl.patheffects.withStroke(linewidth=1.8, foreground="white")]
    arrow = {"arrowstyle": "-", "color": color, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 1.5}
    labels: list[tuple[np.ndarray, np.ndarray]] = []  # middle and half the size
    drawn = []
    for point, text in zip((points - corner) * scale, texts, strict=True):
        lines = text.split("\n")
        half = np.array([max(text_width(line, SMALL) for line in lines), _LINE * len(lines)]) / 2
        reach = (half / np.maximum(np.abs(to), 1e-9)).min(axis=1)  # from the label's middle to its edge
        places = (point + (np.array(_AWAY)[:, None] + reach)[..., None] * to).reshape(-1, 2)
        room = _gap(taken[:, None], places, half).min(axis=0, initial=_CLEAR)
        apart = np.min(
            [np.full(len(places), _CLEAR), *(_gap(middle, places, half + size) for middle, size in labels)], axis=0
        )
        outside = np.maximum(np.abs(places - box / 2) + half + _EDGE - box / 2, 0).sum(axis=1)
        merit = room + apart - 0.25 * _gap(point, places, half) - 10 * outside - (apart <= 0)
        middle = np.clip(places[merit.argmax()], half + _EDGE, np.maximum(box - half - _EDGE, half + _EDGE))
        labels.append((middle, half))
        at, written = point / scale + corner, middle / scale + corner
        drawn.append(ax.annotate(text, tuple(at), tuple(written), color=color, arrowprops=arrow, zorder=8, **look))
    return drawn


def _gap(points: np.ndarray, middles: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Compute the distances of points to rectangles, whose sizes are twice `half`; 0 inside."""
    return np.asarray(np.hypot(*np.moveaxis(np.maximum(np.abs(points - middles) - half, 0), -1, 0)))


def _box(ax: mpl.axes.Axes) -> np.ndarray:
    return np.asarray(ax.get_window_extent().size) / ax.figure.dpi
