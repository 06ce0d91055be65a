"""Ticks of an axis: few, and with numbers as short as possible."""

from __future__ import annotations

from typing import Literal

from landscape.lazy import mpl, np


def hold(ax: mpl.axes.Axes, x: np.ndarray, y: np.ndarray | None = None) -> None:
    """Let the axes end at the ends of a grid, or beyond where panels with the same axes have a wider one."""
    x_seen, y_seen = ax.get_xlim(), ax.get_ylim()
    if ax.get_autoscalex_on():  # no panel has set them yet
        x_seen = x[0], x[-1]
    ax.set_xlim(min(x[0], x_seen[0]), max(x[-1], x_seen[1]))
    if y is not None:
        if ax.get_autoscaley_on():
            y_seen = y[0], y[-1]
        ax.set_ylim(min(y[0], y_seen[0]), max(y[-1], y_seen[1]))


def plain(*axes: mpl.axis.Axis, prune: Literal["both"] | None = None) -> None:
    """Set few ticks on linear axes, written 1, not 1.00, beside 0.5; `prune` leaves out those at both ends."""
    for axis in axes:
        axis.set_major_locator(mpl.ticker.MaxNLocator(4 if prune else "auto", steps=[1, 2, 5, 10], prune=prune))
        plain_numbers(axis)


def plain_numbers(axis: mpl.axis.Axis) -> None:
    axis.set_major_formatter(lambda value, _: f"{round(value, 9):g}".replace("-", "\N{MINUS SIGN}"))


def whole(axis: mpl.axis.Axis, most: int) -> None:
    """Set ticks at whole numbers."""
    axis.set_major_locator(mpl.ticker.MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))


def decades(axis: mpl.axis.Axis, most: int) -> None:
    """Set ticks at powers of ten on a logarithmic axis, with no numbers between them."""
    axis.set_major_locator(mpl.ticker.LogLocator(numticks=most))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())


def short_powers(axis: mpl.axis.Axis) -> None:
    """Write the ticks of a logarithmic axis as 0.001 or 1e-6, with no numbers between them."""
    axis.set_major_formatter(lambda value, _: f"{value:g}".replace("e-0", "e-").replace("e+0", "e"))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())


def within_decade(axis: mpl.axis.Axis) -> None:
    """Set ticks at 1, 2 and 5 times the powers of ten."""
    axis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
