"""Colours, scales and sizes that all figures share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

from landscape.lazy import mpl, np, xr

Look = dict[str, Any]
"""Keywords of matplotlib's artists."""

TEXT_WIDTH = 5.5  # inches
COLUMN_WIDTH = 3.25
RASTER_DPI = 600  # of pixel maps inside the vector figure
PREVIEW_DPI = 200

LOSS = "#0072B2"
ACCURACY = "#D55E00"
GREY = "0.45"
MARKERS = "os^Dv*PXd<>p"
SPLITS: dict[str, Literal["-", "--"]] = {"train": "-", "test": "--"}

LOWEST, HIGHEST = 0.01, 100.0  # the ends of the colour scale of a loss
LOSS_TICKS = {0.01: "0.01", 0.1: "0.1", 1.0: "1", 10.0: "10", 100.0: "100"}


def loss_map() -> mpl.colors.ListedColormap:
    """Return the colours of a loss, on the scale `norm`."""
    return colour_map("viridis")


def pale_map() -> mpl.colors.ListedColormap:
    """Return the same colours, pale, for the ground under level lines."""
    return mpl.colors.ListedColormap(0.55 + 0.45 * _viridis(), "loss, pale")


def deep_map() -> mpl.colors.ListedColormap:
    """Return the same colours, deep, for level lines: visible on the pale ones in grey too."""
    return mpl.colors.ListedColormap(0.65 * _viridis(), "loss, deep")


def colour_map(name: str, end: float = 1.0) -> mpl.colors.ListedColormap:
    """Return a colour map of matplotlib, up to the share `end` of its range."""
    return mpl.colors.ListedColormap(mpl.colormaps[name](np.linspace(0, end, 256)), name)


def run_colours(count: int) -> np.ndarray:
    """Return colours from dark to light, so that they differ in grey too."""
    return mpl.colormaps["viridis"](np.linspace(0, 0.85, max(count, 2)))[:count]


def looks(count: int) -> list[Look]:
    """Return colour and marker of each run."""
    return [
        {"color": colour, "marker": marker} for colour, marker in zip(run_colours(count), cycle(MARKERS), strict=False)
    ]


def key(label: str, **look: Any) -> mpl.lines.Line2D:
    """Make a legend's entry."""
    return mpl.lines.Line2D([], [], label=label, **look)


def run_keys(labels: Iterable[str], looks: Iterable[Look]) -> list[mpl.lines.Line2D]:
    """Make a legend's entry for each run."""
    return [key(label, markersize=3, **look) for label, look in zip(labels, looks, strict=True)]


def split_keys(datasets: Sequence[xr.Dataset]) -> list[mpl.lines.Line2D]:
    """Make a legend's entries for solid and dashed lines, of the splits whose loss occurs."""
    return [
        key(split, color=GREY, linestyle=dashes)
        for split, dashes in SPLITS.items()
        if any(f"{split}_loss" in dataset for dataset in datasets)
    ]


def _viridis() -> np.ndarray:
    return mpl.colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]


def context() -> AbstractContextManager[None]:
    """Return a context with the project's style alone, whatever the user's matplotlibrc says."""
    return mpl.style.context(["default", Path(__file__).parent / "landscape.mplstyle"])


def norm() -> mpl.colors.LogNorm:
    return mpl.colors.LogNorm(LOWEST, HIGHEST)
