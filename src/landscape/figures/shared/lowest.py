"""Lowest grid point of each loss on a plane: drawn, in words, and as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from landscape.figures.shared import words
from landscape.figures.shared.members import Member
from landscape.lazy import mpl, np, pd, xr

_SYMBOLS = {"train_loss": ("o", 5.5), "test_loss": ("s", 8.5)}
"""Form and size in points of open symbols that fit into each other and around the cross at the centre."""


@dataclass(frozen=True)
class Lowest:
    """The point of a grid where a loss is lowest among the finite values."""

    variable: str
    alpha: float
    beta: float
    loss: float

    def __str__(self) -> str:
        """Write `train loss 0.0021 at (0.1, 0)`."""
        place = f"({self.alpha:.2g},\N{NO-BREAK SPACE}{self.beta:.2g})".replace("-", "\N{MINUS SIGN}")
        return f"{words.NAMES[self.variable]} {words.loss(self.loss)} at\N{NO-BREAK SPACE}{place}"


def lowest(surface: xr.Dataset) -> list[Lowest]:
    """Find the lowest point of each loss that is finite somewhere."""
    found = []
    for variable in _SYMBOLS:
        loss = surface[variable].transpose("alpha", "beta").values
        if np.isfinite(loss).any():
            i, j = np.unravel_index(np.where(np.isfinite(loss), loss, np.inf).argmin(), loss.shape)
            found.append(Lowest(variable, float(surface.alpha[i]), float(surface.beta[j]), float(loss[i, j])))
    return found


def draw_lowest(ax: mpl.axes.Axes, surface: xr.Dataset) -> None:
    for found in lowest(surface):
        ax.add_line(_symbol(found.variable, [(found.alpha, found.beta)]))


def keys() -> list[mpl.lines.Line2D]:
    """Make the legend's entries for the symbols."""
    return [_symbol(variable, [], f"lowest {words.NAMES[variable]}") for variable in _SYMBOLS]


def notes(surface: xr.Dataset) -> list[str]:
    """Write the lines for below a panel."""
    return [f"lowest {found}" for found in lowest(surface)]


def numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate each lowest point: member, lowest (the variable), alpha, beta, and its value under the variable's name."""
    return pd.DataFrame(
        {
            "member": member.state,
            "lowest": found.variable,
            "alpha": found.alpha,
            "beta": found.beta,
            found.variable: found.loss,
        }
        for member in members
        for found in lowest(member.seen)
    )


def _symbol(variable: str, places: Sequence[tuple[float, float]], label: str | None = None) -> mpl.lines.Line2D:
    form, size = _SYMBOLS[variable]
    return mpl.lines.Line2D(
        [alpha for alpha, _ in places],
        [beta for _, beta in places],
        linestyle="none",
        marker=form,
        markersize=size,
        markerfacecolor="none",
        markeredgecolor="black",
        markeredgewidth=0.9,
        label=label,
        zorder=7,
    )
