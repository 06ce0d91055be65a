"""Marks of other states on a plane."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from landscape.figures.shared import words
from landscape.figures.shared.labels import annotate
from landscape.figures.shared.members import Member
from landscape.figures.shared.panel_grid import SMALL, wrap
from landscape.lazy import mpl, np, pd, xr

_SYMBOLS = "osD^vPX"
_OFF = 0.01  # share of the distance to the centre above which a state's distance off the plane is written


def places(marks: Sequence[xr.Dataset]) -> np.ndarray:
    """Return the coordinates of each mark, shape (n, 2)."""
    return np.array([(float(mark.alpha), float(mark.beta)) for mark in marks]).reshape(-1, 2)


def draw_marks(ax: mpl.axes.Axes, marks: Sequence[xr.Dataset]) -> None:
    """Draw a symbol and the name of each mark within the axes; its position in `marks` fixes its symbol."""
    seen = [_is_within(ax, mark) for mark in marks]
    for mark, symbol, within in zip(marks, cycle(_SYMBOLS), seen, strict=False):
        if within:
            look: dict[str, Any] = {
                "markersize": 4,
                "markerfacecolor": "white",
                "markeredgecolor": "black",
                "markeredgewidth": 0.8,
            }
            ax.plot(float(mark.alpha), float(mark.beta), symbol, label=mark.attrs["marked"], zorder=7, **look)
    shown = [mark for mark, within in zip(marks, seen, strict=True) if within]
    width = 0.6 * float(ax.get_window_extent().width) / ax.figure.dpi
    texts = ["\n".join(wrap(f"{mark.attrs['marked']}{_off(mark)}", width, SMALL)) for mark in shown]
    annotate(ax, places(shown), texts, avoid=np.zeros((1, 2)), color="black")


def numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate one row per mark: member, marked, alpha, beta, distance, distance_to_centre."""
    names = ("alpha", "beta", "distance", "distance_to_centre")
    return pd.DataFrame(
        {"member": member.state, "marked": mark.attrs["marked"], **{name: float(mark[name]) for name in names}}
        for member in members
        for mark in member.marks
    )


def explained(members: Sequence[Member]) -> list[str]:
    """Explain the symbols in a sentence or two; empty if there are no marks."""
    marks = [mark for member in members for mark in member.marks]
    if not marks:
        return []
    return [
        "A symbol marks another state where it lies on the plane, or the foot of the perpendicular from it; behind its name "
        f"stands its distance off the plane if that is more than {100 * _OFF:.0f} % of its distance to the centre "
        f"(Euclidean, over {words.each(mark.attrs['measured_over'] for mark in marks)}). States outside the grid "
        "have no symbol."
    ]


def item(member: Member) -> str:
    """Write the places and distances of a member's marks, in a sentence; empty if it has none."""
    if not member.marks:
        return ""
    told = [
        f"{words.escape(mark.attrs['marked'])} at {_at(mark)}, {words.loss(float(mark.distance))} off the plane and "
        f"{words.loss(float(mark.distance_to_centre))} from the centre"
        for mark in member.marks
    ]
    return f" Marked: {'; '.join(told)}."


def _is_within(ax: mpl.axes.Axes, mark: xr.Dataset) -> bool:
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    return bool(left <= mark.alpha <= right and bottom <= mark.beta <= top)


def _at(mark: xr.Dataset) -> str:
    return f"({float(mark.alpha):.2g}, {float(mark.beta):.2g})".replace("-", "\N{MINUS SIGN}")


def _off(mark: xr.Dataset) -> str:
    off = float(mark.distance)
    return f", {words.loss(off)}\N{NO-BREAK SPACE}off" if off > _OFF * float(mark.distance_to_centre) else ""
