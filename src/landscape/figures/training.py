"""Loss, error and learning rate per epoch (Li et al. 2018, appendix)."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from landscape.config.schema import Training
from landscape.figures import style, words
from landscape.figures.drawing import Drawing, Member
from landscape.figures.panels import NOTE, Panels, fits, lay_out

_MARKERS = "os^Dv*PXd<>p"
_RATES_SHOWN = 1e4  # from the highest learning rate down
_LOSS_FLOOR = 1e-6  # a loss of exactly 0 has no place on a logarithmic axis


def draw(spec: Training, members: Sequence[Member]) -> Drawing:
    """Three rows over the epochs, all members in each; of RUN@EPOCH the epochs up to it."""
    columns = next(n for n in (3, 2, 1) if n == 1 or all(fits(m.label, 5.4 / n - 0.5, NOTE) for m in members))
    columns = min(len(members), columns)
    legend_rows = -(-len(members) // columns)
    panels = lay_out(
        ["", "", ""],
        [[], [], []],
        columns=1,
        width=style.TEXT_WIDTH,
        panel=(4.7, 1.25),
        margins=(0.66, 0.14),
        foot=0.24 + 0.15 * legend_rows,
        labels=("epochs trained", ""),
        heading=spec.title,
    )
    looks = [
        {"color": colour, "marker": marker}
        for colour, marker in zip(run_colours(len(members)), cycle(_MARKERS), strict=False)
    ]
    for k, (member, look) in enumerate(zip(members, looks, strict=True)):
        curves(panels.axes, _past(member), place=k / len(members), **look)
    for ax, label in zip(panels.axes, ("loss", "error (%)", "learning rate"), strict=True):
        ax.set_ylabel(label)
        ax.yaxis.set_label_coords(-0.105, 0.5)
    _frame(panels.axes, max(int(_past(member).epoch[-1]) for member in members))
    _legends(panels, members, looks, columns)
    return Drawing(panels.figure, _numbers(members), _caption(spec, members))


def curves(axes: Sequence[Axes], history: xr.Dataset, *, place: float, color: Any, marker: str) -> list[Line2D]:
    """Losses, errors in percent, and the learning rate of one run, each on its own axes.

    Args:
        place: of the markers along the line, so that those of several runs do not coincide.
    """
    drawn = []
    epoch = history.epoch.values
    every = max(1, round(epoch.size / 8))
    look = {"color": color, "marker": marker, "markersize": 2.5, "markevery": (int(place * every), every)}
    for split, dashes in style.SPLITS.items():
        if f"{split}_loss" in history:
            loss, error = history[f"{split}_loss"].values, _error(history, split)
            drawn += axes[0].plot(epoch, np.where(np.isfinite(loss), loss, np.nan).clip(_LOSS_FLOOR), dashes, **look)
            drawn += axes[1].plot(epoch, error, dashes, **look)
    return drawn + axes[2].plot(epoch, history.learning_rate, "-", drawstyle="steps-pre", **look)


def run_colours(count: int) -> np.ndarray:
    """From dark to light, so that they differ in grey too."""
    return matplotlib.colormaps["viridis"](np.linspace(0, 0.85, max(count, 2)))[:count]


def _frame(axes: Sequence[Axes], last: int) -> None:
    for ax in axes:
        ax.set_xlim(0, max(last, 1))
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
        for line in ax.lines:
            line.set_clip_on(False)
    for ax in (axes[0], axes[2]):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("e-0", "e-")))
        ax.yaxis.set_minor_formatter(NullFormatter())
    rates = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes[2].lines])
    lowest = np.nanmax(rates, initial=0) / _RATES_SHOWN
    if (rates < lowest).any():  # the last steps of a onecycle schedule are next to nothing
        axes[2].set_ylim(bottom=lowest)
        for line in axes[2].lines:
            line.set_clip_on(True)
    axes[1].set_ylim(bottom=0)


def _legends(panels: Panels, members: Sequence[Member], looks: Sequence[dict[str, Any]], columns: int) -> None:
    height = panels.figure.get_size_inches()[1]
    runs = [
        Line2D([], [], label=member.label, markersize=3, **look) for member, look in zip(members, looks, strict=True)
    ]
    splits = [
        Line2D([], [], color=style.GREY, linestyle=dashes, label=split)
        for split, dashes in style.SPLITS.items()
        if any(f"{split}_loss" in member.history for member in members)
    ]
    common: dict[str, Any] = {"loc": "upper center", "borderpad": 0, "borderaxespad": 0, "labelspacing": 0.3}
    panels.figure.legend(handles=splits, bbox_to_anchor=(0.5, panels.foot / height), ncols=2, **common)
    panels.figure.legend(handles=runs, bbox_to_anchor=(0.5, (panels.foot - 0.16) / height), ncols=columns, **common)


def _past(member: Member) -> xr.Dataset:
    return member.history if member.epoch is None else member.history.sel(epoch=slice(0, member.epoch))


def _error(history: xr.Dataset, split: str) -> np.ndarray:
    return np.asarray(100 * (1 - history[f"{split}_accuracy"].values))


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """One row per epoch of each member: member, epoch, losses, errors in percent, learning rate."""
    frames = []
    for member in members:
        history = _past(member)
        splits = [split for split in style.SPLITS if f"{split}_loss" in history]
        columns = {"member": member.state, "epoch": history.epoch.values}
        columns |= {f"{split}_loss": history[f"{split}_loss"].values for split in splits}
        columns |= {f"{split}_error": _error(history, split) for split in splits}
        frames.append(pd.DataFrame(columns | {"learning_rate": history.learning_rate.values}))
    return pd.concat(frames, ignore_index=True)


def _caption(spec: Training, members: Sequence[Member]) -> str:
    test = any("test_loss" in member.history for member in members)
    seen = (
        "Training: loss (logarithmic axis), error and learning rate after each epoch, epoch 0 before training; "
        f"{'training images solid, test images dashed' if test else 'of the training images'}; one colour and marker per run."
    )
    made = (
        "The loss is the mean cross-entropy (natural logarithm) without weight decay, in eval mode, over all images, not "
        "augmented; the learning rate is that of the last step of the epoch."
    )
    return words.caption(
        spec.about, seen, [made, *words.errors_made(members)], [words.run_item(member) for member in members]
    )
