"""Colours, scales and sizes that all figures share."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.colors import ListedColormap, LogNorm

TEXT_WIDTH = 5.5  # inches
COLUMN_WIDTH = 3.25
RASTER_DPI = 600  # of pixel maps inside the vector figure
PREVIEW_DPI = 200

LOSS = "#0072B2"
ACCURACY = "#D55E00"
GREY = "0.45"
SPLITS: dict[str, Literal["-", "--"]] = {"train": "-", "test": "--"}

LOWEST, HIGHEST = 0.01, 100.0  # the ends of the colour scale of a loss

_MAP = matplotlib.colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]
LOSS_MAP = ListedColormap(_MAP, "loss")
PALE_MAP = ListedColormap(0.55 + 0.45 * _MAP, "loss, pale")  # under level lines
DEEP_MAP = ListedColormap(0.65 * _MAP, "loss, deep")  # level lines, to be seen on the pale one in grey too


def context() -> AbstractContextManager[None]:
    """The project's style and nothing of the user's: pictures are the same whatever matplotlibrc says."""
    return matplotlib.style.context(["default", Path(__file__).parent / "landscape.mplstyle"])


def norm() -> LogNorm:
    return LogNorm(LOWEST, HIGHEST)
