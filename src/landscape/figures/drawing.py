"""What goes into a figure and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from landscape import files
from landscape.errors import InputError
from landscape.figures import style


@dataclass(frozen=True)
class Member:
    """One state in a figure.

    Attributes:
        state: `RUN`, the end of training, or `RUN@EPOCH`.
        surface: the state on the figure's plane, if the figure shows one.
        history: of the run, one row per epoch; of an adopted run one row.
    """

    state: str
    surface: xr.Dataset | None
    history: xr.Dataset

    @cached_property
    def epoch(self) -> int | None:
        _, _, epoch = self.state.partition("@")
        return int(epoch) if epoch else None

    @property
    def label(self) -> str:
        run, _, _ = self.state.partition("@")
        return run if self.epoch is None else f"{run}, epoch {self.epoch}"

    @property
    def row(self) -> xr.Dataset:
        """The state's epoch of the history."""
        return self.history.isel(epoch=-1) if self.epoch is None else self.history.sel(epoch=self.epoch)

    @property
    def seen(self) -> xr.Dataset:
        """The surface, where the kind of figure implies that there is one."""
        assert self.surface is not None, self.state
        return self.surface


@dataclass(frozen=True)
class Drawing:
    """A figure, the numbers drawn in it (one row per point and member), and its caption (reStructuredText)."""

    figure: Figure
    numbers: pd.DataFrame
    caption: str


def members(states: Sequence[str], surfaces: Sequence[xr.Dataset], histories: Sequence[xr.Dataset]) -> list[Member]:
    """Put together what was read from files, all in the same order.

    Args:
        surfaces: one per state, or none at all.

    Raises:
        InputError: if the numbers differ, or a file is of another run than its place says.
    """
    for what, found in (("histories", histories), ("surfaces", surfaces)):
        if len(found) != len(states) and not (what == "surfaces" and not found):
            raise InputError(f"there are {len(found)} {what} for {len(states)} states: {', '.join(states)}")
    for k, state in enumerate(states):
        run = state.partition("@")[0]
        there = [histories[k].attrs["name"], *([surfaces[k].attrs["run"]] if surfaces else [])]
        if other := [name for name in there if name != run]:
            raise InputError(f"state {k + 1} is {state}, and the file in its place is of {other[0]}")
    return [Member(state, surfaces[k] if surfaces else None, histories[k]) for k, state in enumerate(states)]


def save(drawing: Drawing, pdf: Path) -> None:
    """Write NAME.pdf and beside it NAME.png (a preview), NAME.csv (the numbers) and NAME.rst (the caption).

    Equal drawings give equal bytes, with equal versions of matplotlib.

    Raises:
        InputError: if the name does not end in .pdf.
    """
    if not pdf.name.endswith(".pdf"):
        raise InputError(f"{pdf}: a figure's name must end in .pdf")
    stem = str(pdf)[: -len(".pdf")]
    with style.context():
        with files.replacing(pdf) as path:
            FigureCanvasPdf(drawing.figure).print_figure(
                path, format="pdf", dpi=style.RASTER_DPI, metadata={"CreationDate": None}
            )
        with files.replacing(stem + ".png") as path:
            FigureCanvasAgg(drawing.figure).print_figure(path, format="png", dpi=style.PREVIEW_DPI)
    files.write_text(stem + ".csv", drawing.numbers.to_csv(index=False, na_rep="nan", lineterminator="\n"))
    files.write_text(stem + ".rst", drawing.caption)
