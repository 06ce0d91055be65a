"""Points marked on a plane, drawn and in words: other states, and the lowest point of each loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from landscape.figures.shared import style, value_words, words
from landscape.figures.shared.labels import annotate
from landscape.figures.shared.members import Member
from landscape.figures.shared.panel_grid import SMALL, wrap
from landscape.lazy import mpl, np, pd, xr

_SYMBOLS = "osD^vPX"
_OFF = 0.01  # share of the distance to the centre above which a state's distance off the plane is written
_LOWEST: dict[str, style.Look] = {
    "train_loss": {"marker": "o", "markersize": 5.5},
    "test_loss": {"marker": "s", "markersize": 8.5},
}
"""Open symbols that fit into each other and around the cross at the centre."""
_OPEN: style.Look = {"linestyle": "none", "markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 0.9}


@dataclass(frozen=True)
class Lowest:
    """The point of a grid where a loss is lowest among the finite values."""

    variable: str
    alpha: float
    beta: float
    loss: float

    def __str__(self) -> str:
        """Write `train loss 0.0021 at (0.1, 0)`."""
        place = value_words.minus(f"({self.alpha:.2g},\N{NO-BREAK SPACE}{self.beta:.2g})")
        return f"{words.NAMES[self.variable]} {value_words.loss(self.loss)} at\N{NO-BREAK SPACE}{place}"


def lowest(surface: xr.Dataset) -> list[Lowest]:
    """Find the lowest point of each loss that is finite somewhere."""
    found = []
    for variable in _LOWEST:
        loss = surface[variable].where(np.isfinite)
        if loss.notnull().any():
            at = loss[loss.argmin(["alpha", "beta"])]
            found.append(Lowest(variable, float(at.alpha), float(at.beta), float(at)))
    return found


def draw_lowest(ax: mpl.axes.Axes, surface: xr.Dataset) -> None:
    for found in lowest(surface):
        ax.plot(found.alpha, found.beta, zorder=7, **_LOWEST[found.variable], **_OPEN)


def lowest_keys() -> list[mpl.lines.Line2D]:
    return [style.key(f"lowest {words.NAMES[variable]}", **look, **_OPEN) for variable, look in _LOWEST.items()]


def lowest_numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate each lowest point: member, lowest (the variable), alpha, beta, and its value under the variable's name."""
    return pd.DataFrame(
        {"member": member.state, "lowest": at.variable, "alpha": at.alpha, "beta": at.beta, at.variable: at.loss}
        for member in members
        for at in lowest(member.seen)
    )


def places(marks: Sequence[xr.Dataset]) -> np.ndarray:
    """Return the coordinates of each mark, shape (n, 2)."""
    return np.array([(float(mark.alpha), float(mark.beta)) for mark in marks]).reshape(-1, 2)


def draw_marks(ax: mpl.axes.Axes, marks: Sequence[xr.Dataset]) -> None:
    """Draw a symbol and the name of each mark within the axes; its position in `marks` fixes its symbol."""
    low, high = np.transpose([ax.get_xlim(), ax.get_ylim()])
    within = ((low <= places(marks)) & (places(marks) <= high)).all(axis=1)
    shown = [(mark, symbol) for mark, symbol, seen in zip(marks, cycle(_SYMBOLS), within, strict=False) if seen]
    look: style.Look = {"markersize": 4, "markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": 0.8}
    for mark, symbol in shown:
        ax.plot(float(mark.alpha), float(mark.beta), symbol, label=mark.attrs["marked"], zorder=7, **look)
    width = 0.6 * float(ax.get_window_extent().width) / ax.figure.dpi
    texts = ["\n".join(wrap(f"{mark.attrs['marked']}{_off(mark)}", width, SMALL)) for mark, _ in shown]
    annotate(ax, places([mark for mark, _ in shown]), texts, avoid=np.zeros((1, 2)), color="black")


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
    return [
        "A symbol marks another state where it lies on the plane, or the foot of the perpendicular from it; behind its name "
        f"stands its distance off the plane if that is more than {100 * _OFF:.0f} % of its distance to the centre "
        f"(Euclidean, over {words.each(mark.attrs['measured_over'] for mark in marks)}). States outside the grid "
        "have no symbol."
    ] * bool(marks)


def item(member: Member) -> str:
    """Write the places and distances of a member's marks, in a sentence; empty if it has none."""
    told = [
        f"{words.escape(mark.attrs['marked'])} at {value_words.minus(f'({mark.alpha:.2g}, {mark.beta:.2g})')}, "
        f"{value_words.loss(float(mark.distance))} off the plane and {value_words.loss(float(mark.distance_to_centre))} from the centre"
        for mark in member.marks
    ]
    return f" Marked: {'; '.join(told)}." if told else ""


def _off(mark: xr.Dataset) -> str:
    off = float(mark.distance)
    return f", {value_words.loss(off)}\N{NO-BREAK SPACE}off" if off > _OFF * float(mark.distance_to_centre) else ""
