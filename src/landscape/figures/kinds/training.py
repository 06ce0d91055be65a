"""Loss, error and learning rate per epoch (Li et al. 2018, appendix)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from landscape.figures.kind import OfRuns, OverSeeds
from landscape.figures.shared import style, words
from landscape.figures.shared.bands import band
from landscape.figures.shared.groups import Group, group
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panel_grid import NOTE, Grid, fits, grid, wrap
from landscape.lazy import mpl, np, pd, xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


class Training(OfRuns):
    """Loss, error and learning rate per epoch (Li et al. 2018, appendix)."""

    example: ClassVar[str] = "history"
    draw: Literal["training"]
    over: OverSeeds

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw three rows over the epochs, with many runs split over columns; RUN@EPOCH ends at its epoch."""
        shares = share_out(group(members, self.over))
        columns = len(shares)
        panels = grid(columns, 3, columns=columns, width=style.TEXT_WIDTH, heading=self.title)
        for k, share in enumerate(shares):
            of_share = [row[k] for row in panels.rows]
            for j, (of, look) in enumerate(zip(share, style.looks(len(share)), strict=True)):
                curves(of_share, [member.past for member in of.members], place=j / len(share), **look)
            of_share[-1].set_xlabel("epochs trained")
        panels.label_rows("loss", "error (%)", "learning rate")
        _frame(panels.rows, max(int(member.past.epoch[-1]) for member in members))
        _legends(panels, shares)
        panels.fit(*3 * [0.26 * columns])
        return Drawing(panels.figure, _numbers(members), _caption(self, members, shares))


_RATES_SHOWN = 1e4  # from the highest learning rate down
_TOGETHER, _PER_COLUMN = 8, 7  # most runs in one panel; beyond, runs per column of panels
_HANDLE = 0.5  # inches beside an entry of the legend
_LOSS_FLOOR = 1e-6  # a logarithmic axis cannot show a loss of exactly 0


def curves(
    axes: Sequence[Axes], histories: Sequence[xr.Dataset], *, place: float, color: Any, marker: str
) -> list[Line2D]:
    """Draw losses, errors in percent, and the learning rate of a run, each on its own axes.

    Several runs that differ in their seed become the median and a band between the extremes.

    Args:
        place: position of the markers along the line, so that several runs' markers do not coincide.
    """
    drawn = []
    epoch = histories[0].epoch.values
    every = max(1, round(epoch.size / 8))
    look = {"color": color, "marker": marker, "markersize": 2.5, "markevery": (int(place * every), every)}
    for split, dashes in style.SPLITS.items():
        if all(f"{split}_loss" in history for history in histories):
            loss = np.stack([history[f"{split}_loss"].values for history in histories])
            error = np.stack([_error(history, split) for history in histories])
            above_zero = np.where(np.isfinite(loss), loss.clip(_LOSS_FLOOR), np.nan)
            drawn.append(band(axes[0], epoch, above_zero, dashes, **look))
            drawn.append(band(axes[1], epoch, error, dashes, **look))
    return drawn + axes[2].plot(epoch, histories[0].learning_rate, "-", drawstyle="steps-pre", **look)


def share_out(groups: Sequence[Group]) -> list[list[Group]]:
    """Split many runs over the columns of panels, in order and evenly; few runs stay together."""
    columns = 1 if len(groups) <= _TOGETHER else min(3, -(-len(groups) // _PER_COLUMN))
    size = -(-len(groups) // columns)
    return [list(groups[start : start + size]) for start in range(0, len(groups), size)]


def legend_columns(shares: Sequence[Sequence[Group]], panel: float) -> int:
    """Choose the number of columns of the legend below a column of panels."""
    labels = [of.label for share in shares for of in share]
    widest = next((n for n in (3, 2) if all(fits(label, panel / n - _HANDLE, NOTE) for label in labels)), 1)
    return min(widest, max(map(len, shares)))


def _frame(rows: Sequence[Sequence[Axes]], last: int) -> None:
    """Set limits and ticks; the panels of a row share those of y."""
    losses, errors, rates = rows
    for ax in (ax for row in rows for ax in row):
        ax.set_xlim(0, max(last, 1))
        ax.xaxis.set_major_locator(
            mpl.ticker.MaxNLocator(8 if len(losses) == 1 else 4, integer=True, steps=[1, 2, 5, 10])
        )
        for line in ax.lines:
            line.set_clip_on(False)
    for ax in (losses[0], rates[0]):
        if not any(np.isfinite(line.get_ydata()).any() for line in ax.lines):
            continue  # adopted runs have no known learning rate
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}".replace("e-0", "e-")))
        ax.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    errors[0].set_ylim(bottom=0)
    shown = np.concatenate([np.asarray(line.get_ydata(), float) for ax in rates for line in ax.lines])
    lowest = np.nanmax(shown, initial=0) / _RATES_SHOWN
    if (shown < lowest).any():  # the last steps of a onecycle schedule are next to nothing
        rates[0].set_ylim(bottom=lowest)
        for line in (line for ax in rates for line in ax.lines):
            line.set_clip_on(True)
    for ax in (losses[0], rates[0]):
        low, high = ax.get_ylim()
        if high < 100 * low:
            ax.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))


def _legends(panels: Grid, shares: Sequence[Sequence[Group]]) -> None:
    """Explain solid and dashed lines, and list each column's runs below it."""
    histories = [member.history for share in shares for of in share for member in of.members]
    panels.legend(
        [
            mpl.lines.Line2D([], [], color=style.GREY, linestyle=dashes, label=split)
            for split, dashes in style.SPLITS.items()
            if any(f"{split}_loss" in history for history in histories)
        ]
    )
    columns = legend_columns(shares, panels.room)
    for ax, share in zip(panels.rows[-1], shares, strict=True):
        labels = ["\n".join(wrap(of.label, panels.room / columns - _HANDLE, NOTE)) for of in share]
        keys = [
            mpl.lines.Line2D([], [], label=label, markersize=3, **look)
            for label, look in zip(labels, style.looks(len(share)), strict=True)
        ]
        below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.3), "borderaxespad": 0}
        ax.legend(handles=keys, ncols=columns, labelspacing=0.3, **below)


def _error(history: xr.Dataset, split: str) -> np.ndarray:
    return np.asarray(100 * (1 - history[f"{split}_accuracy"].values))


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate each epoch of each member: member, epoch, losses, errors in percent, learning rate."""
    frames = []
    for member in members:
        history = member.past
        splits = [split for split in style.SPLITS if f"{split}_loss" in history]
        columns = {"member": member.state, "epoch": history.epoch.values}
        columns |= {f"{split}_loss": history[f"{split}_loss"].values for split in splits}
        columns |= {f"{split}_error": _error(history, split) for split in splits}
        frames.append(pd.DataFrame(columns | {"learning_rate": history.learning_rate.values}))
    return pd.concat(frames, ignore_index=True)


def _caption(spec: Training, members: Sequence[Member], shares: Sequence[Sequence[Group]]) -> str:
    test = any("test_loss" in member.history for member in members)
    seeds = [len(of.members) for share in shares for of in share]
    bands = f"; of several seeds (n = {words.each(sorted(seeds))}) the median and a band between the extremes"
    parts = "; the runs are shared out among the columns, whose axes are the same" if len(shares) > 1 else ""
    seen = (
        "Training: loss (logarithmic axis), error and learning rate after each epoch, epoch 0 before training; "
        f"{'training examples solid, test examples dashed' if test else 'of the training examples'}; one colour and marker per "
        f"run{bands if max(seeds) > 1 else ''}{parts}."
    )
    made = (
        "The loss is the mean cross-entropy (natural logarithm) without weight decay, in eval mode, over all examples, not "
        "augmented; the learning rate is that of the last step of the epoch."
    )
    return words.caption(
        spec.about, seen, [made, *words.errors_made(members)], [words.run_item(member) for member in members]
    )
