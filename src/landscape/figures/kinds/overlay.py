"""Several runs along the same lines, on one pair of axes for each line: the effect of normalisation on a rescaled twin.

A rescaled twin computes the same function. Its curves differ along unnormalised directions and agree along
filter-normalised ones (Li et al. 2018, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.figures.kind import Columns, OfRuns, Variable
from landscape.figures.shared import level_lines, line_axes, style, value_words, words
from landscape.figures.shared.groups import group
from landscape.figures.shared.members import Drawing, Member, numbers
from landscape.figures.shared.panel_grid import NOTE, grid, wrap
from landscape.lazy import np


class Overlay(OfRuns):
    """Several runs along the same lines, on one pair of axes for each line (the argument of Li et al. 2018, section 4)."""

    example: ClassVar[str] = "line"
    draw: Literal["overlay"]
    lines: Annotated[Names, Ref("planes", axes=1)] = Field(
        description="lines, a panel for each with all runs in it; * stands for several"
    )
    variable: Variable = "train_loss"
    columns: Columns

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one panel per line, each run narrower than the one below it; all panels share one loss axis."""
        for member in members:
            line_axes.require_lines(group([member]), self.draw)
            level_lines.require_variable(member.seen, self.variable, self.draw)
        rows = [[member for member in members if member.plane == line] for line in self.lines]
        panels = grid(len(rows), columns=self.columns, most=3, narrow=1, heading=self.title, share="none")
        shown = [member.seen[[self.variable]] for member in members]
        limits = line_axes.loss_limits(shown)
        looks = _looks(len(rows[0]))
        for k, (ax, line, row) in enumerate(zip(panels.axes, self.lines, rows, strict=True)):
            line_axes.frame(ax, [member.seen[[self.variable]] for member in row], limits=limits)
            for height, (member, look) in enumerate(zip(row, looks, strict=True)):
                values = member.seen[self.variable].isel(beta=0)
                ax.plot(values.alpha, values, label=member.label, zorder=2 + 0.1 * height, **look)
            ax.set_title(line, parse_math=False)
            ax.set_xlabel("\n".join(wrap(words.axis(row[0].seen, "alpha"), panels.room, NOTE)))
            panels.note(ax, [difference(row, self.variable)] if len(row) > 1 else [])
            ax.tick_params(labelleft=panels.begins(k))
        panels.label_rows(words.loss_label(shown, words.NAMES[self.variable]))
        keys = [style.key(member.label, **look) for member, look in zip(rows[0], looks, strict=True)]
        panels.legend([*keys, *line_axes.hatch_keys(shown)], min(len(keys), 3))
        panels.fit(0.8)
        table = numbers(members, [self.variable], plane=True)
        return Drawing(panels.figure, table, self._caption(rows, line_axes.above(shown, limits[1])))

    def _caption(self, rows: Sequence[Sequence[Member]], above: str) -> str:
        seen = (
            f"The {words.NAMES[self.variable]} of {words.escape(', '.join(member.label for member in rows[0]))}, from the "
            f"widest curve below to the narrowest above, along {words.escape(', '.join(self.lines))}, a panel for each line; "
            f"the loss axis is the same in all panels.{above} Below a panel the largest difference between its curves, in "
            "brackets the largest as a share of the higher one. Spans where a loss is not finite are hatched."
        )
        made = [
            f"{words.escape(line)}: {words.directions_made(row[0].seen, words.seeds(row))} Grid: {words.grids(row)}."
            for line, row in zip(self.lines, rows, strict=True)
        ]
        made += words.losses_made([member for row in rows for member in row])
        return words.caption(self.about, seen, made, [words.run_item(member) for member in rows[0]])


_COLOURS = ("#56B4E9", "black", "#E69F00", "#009E73", "#CC79A7")
_WIDEST, _NARROWEST = 3.0, 0.9  # points: the first curve, and the last, which lies on top


def _looks(runs: int) -> list[dict[str, Any]]:
    """Choose each curve's colour and width, so that coinciding curves stay visible."""
    widths = np.geomspace(_WIDEST, _NARROWEST, runs) if runs > 1 else [_NARROWEST]
    return [{"color": _COLOURS[k % len(_COLOURS)], "linewidth": float(width)} for k, width in enumerate(widths)]


def difference(row: Sequence[Member], variable: str) -> str:
    """Write how far a panel's curves differ at most, where all are finite: in the loss, and as a share of the largest.

    Lines of different ranges are compared where all have points around, by linear interpolation.
    """
    lines = [member.seen for member in row]
    inside = max(line.alpha.values[0] for line in lines), min(line.alpha.values[-1] for line in lines)
    x = np.unique([at for line in lines for at in line.alpha.values if inside[0] <= at <= inside[1]])
    curves = np.stack([np.interp(x, line.alpha.values, line[variable].isel(beta=0).values) for line in lines])
    known = np.isfinite(curves).all(axis=0)
    if not known.any():
        return "nowhere are all curves finite"
    apart, highest = np.ptp(curves[:, known], axis=0), np.abs(curves[:, known]).max(axis=0)
    share = float((apart / np.maximum(highest, 1e-300)).max())
    return f"curves differ by up to {value_words.loss(float(apart.max()))} ({value_words.loss(100 * share)} %)"
