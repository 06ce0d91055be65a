"""Loss, score and learning rate per epoch (Li et al. 2018, appendix)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from landscape.figures.kind import OfRuns, OverSeeds
from landscape.figures.shared import style, ticks, words
from landscape.figures.shared.groups import Group, group
from landscape.figures.shared.line_axes import band
from landscape.figures.shared.members import Drawing, Member, tabulate
from landscape.figures.shared.panel_grid import NOTE, Grid, fits, grid, wrap
from landscape.lazy import mpl, np, pd, xr
from landscape.objective import meanings


class Training(OfRuns):
    """Loss, error or another score, and learning rate per epoch (Li et al. 2018, appendix)."""

    example: ClassVar[str] = "history"
    draw: Literal["training"]
    over: OverSeeds

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw a row for each quantity over the epochs, with many runs split over columns; RUN@EPOCH ends at its epoch."""
        shares = share_out(group(members, self.over))
        columns = len(shares)
        histories = [member.history for member in members]
        score = meanings.common_score(history.attrs for history in histories)
        panels = grid(columns, 2 if score is None else 3, narrow=0, heading=self.title)
        for k, share in enumerate(shares):
            of_share = [row[k] for row in panels.rows]
            for j, (of, look) in enumerate(zip(share, style.looks(len(share)), strict=True)):
                curves(of_share, [member.past for member in of.members], score, place=j / len(share), **look)
            of_share[-1].set_xlabel("epochs trained")
        panels.label_rows(words.loss_label(histories), *([label(score)] if score else []), "learning rate")
        _frame(panels.rows, score, max(int(member.past.epoch[-1]) for member in members))
        _legends(panels, shares)
        panels.fit(*len(panels.rows) * [0.26 * columns])
        return Drawing(panels.figure, _numbers(members, score), _caption(self, members, shares, score))


_RATES_SHOWN = 1e4  # from the highest learning rate down
_TOGETHER, _PER_COLUMN = 8, 7  # most runs in one panel; beyond, runs per column of panels
_HANDLE = 0.5  # inches beside an entry of the legend
_LOSS_FLOOR = 1e-6  # a logarithmic axis cannot show a loss of exactly 0


def curves(
    axes: Sequence[mpl.axes.Axes],
    histories: Sequence[xr.Dataset],
    score: str | None,
    *,
    place: float,
    color: Any,
    marker: str,
) -> None:
    """Draw losses, errors in percent or another score, and the learning rate of a run, each on its own axes.

    Several runs that differ in their seed become the median and a band between the extremes.

    Args:
        place: position of the markers along the line, so that several runs' markers do not coincide.
    """
    epoch = histories[0].epoch.values
    every = max(1, round(epoch.size / 8))
    look = {"color": color, "marker": marker, "markersize": 2.5, "markevery": (int(place * every), every)}
    for split, dashes in style.SPLITS.items():
        if all(f"{split}_loss" in history for history in histories):
            loss = np.stack([history[f"{split}_loss"].values for history in histories])
            floor = _LOSS_FLOOR if loss[np.isfinite(loss)].min(initial=0.0) >= 0 else -np.inf
            band(axes[0], epoch, np.where(np.isfinite(loss), loss.clip(floor), np.nan), dashes, **look)
        if score and all(f"{split}_{score}" in history for history in histories):
            band(axes[1], epoch, np.stack([_score(history, split, score) for history in histories]), dashes, **look)
    axes[-1].plot(epoch, histories[0].learning_rate, "-", drawstyle="steps-pre", **look)


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


def _frame(rows: Sequence[Sequence[mpl.axes.Axes]], score: str | None, last: int) -> None:
    """Set limits and ticks; the panels of a row share those of y."""
    losses, rates = rows[0], rows[-1]
    for ax in (ax for row in rows for ax in row):
        ax.set_xlim(0, max(last, 1))
        ticks.whole(ax.xaxis, 8 if len(losses) == 1 else 4)
        for line in ax.lines:
            line.set_clip_on(False)
    for ax in (losses[0], rates[0]):
        if not any(np.isfinite(line.get_ydata()).any() for line in ax.lines):
            continue  # adopted runs have no known learning rate
        if any((np.asarray(line.get_ydata()) < 0).any() for line in ax.lines):
            ticks.plain(ax.yaxis)
            continue
        ax.set_yscale("log")
        ticks.short_powers(ax.yaxis)
    if score == "accuracy":
        rows[1][0].set_ylim(bottom=0)
    elif score == "r2":
        rows[1][0].set_ylim(max(-1.0, rows[1][0].get_ylim()[0]), 1.0)
    shown = np.concatenate([np.asarray(line.get_ydata(), float) for ax in rates for line in ax.lines])
    lowest = np.nanmax(shown, initial=0) / _RATES_SHOWN
    if (shown < lowest).any():  # the last steps of a onecycle schedule are next to nothing
        rates[0].set_ylim(bottom=lowest)
        for line in (line for ax in rates for line in ax.lines):
            line.set_clip_on(True)
    for ax in (losses[0], rates[0]):
        low, high = ax.get_ylim()
        if 0 < high < 100 * low:
            ticks.within_decade(ax.yaxis)


def _legends(panels: Grid, shares: Sequence[Sequence[Group]]) -> None:
    """Explain solid and dashed lines, and list each column's runs below it."""
    histories = [member.history for share in shares for of in share for member in of.members]
    panels.legend(style.split_keys(histories))
    columns = legend_columns(shares, panels.room)
    for ax, share in zip(panels.rows[-1], shares, strict=True):
        labels = ["\n".join(wrap(of.label, panels.room / columns - _HANDLE, NOTE)) for of in share]
        keys = style.run_keys(labels, style.looks(len(share)))
        below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.3), "borderaxespad": 0}
        ax.legend(handles=keys, ncols=columns, labelspacing=0.3, **below)


def label(score: str) -> str:
    """Label the axis of a score."""
    return "error (%)" if score == "accuracy" else meanings.score_word(score)


def _score(history: xr.Dataset, split: str, score: str) -> np.ndarray:
    values = history[f"{split}_{score}"].values
    return np.asarray(100 * (1 - values) if score == "accuracy" else values)


def _numbers(members: Sequence[Member], score: str | None) -> pd.DataFrame:
    """Tabulate each epoch of each member: member, epoch, losses, errors in percent or another score, learning rate."""
    name = "error" if score == "accuracy" else score

    def rows(member: Member) -> pd.DataFrame:
        history = member.past
        splits = [split for split in style.SPLITS if f"{split}_loss" in history]
        columns = {"epoch": history.epoch.values}
        columns |= {f"{split}_loss": history[f"{split}_loss"].values for split in splits}
        if score:
            columns |= {f"{split}_{name}": _score(history, split, score) for split in splits}
        return pd.DataFrame(columns | {"learning_rate": history.learning_rate.values})

    return tabulate(members, rows)


def _caption(spec: Training, members: Sequence[Member], shares: Sequence[Sequence[Group]], score: str | None) -> str:
    test = any("test_loss" in member.history for member in members)
    seeds = [len(of.members) for share in shares for of in share]
    bands = f"; of several seeds (n = {words.each(sorted(seeds))}) the median and a band between the extremes"
    parts = "; the runs are shared out among the columns, whose axes are the same" if len(shares) > 1 else ""
    shown = "error" if score == "accuracy" else meanings.score_word(score) if score else ""
    seen = (
        f"Training: loss (logarithmic axis){', ' + shown if shown else ''} and learning rate after each epoch, epoch 0 before training; "
        f"{'training examples solid, test examples dashed' if test else 'of the training examples'}; one colour and marker per "
        f"run{bands if max(seeds) > 1 else ''}{parts}."
    )
    made = (
        f"The loss is the {words.mean_loss(member.history for member in members)} without weight decay, in eval mode, over all examples, not "
        "augmented; the learning rate is that of the last step of the epoch."
    )
    return words.caption(
        spec.about, seen, [made, *words.errors_made(members)], [words.run_item(member) for member in members]
    )
