"""Above the loss along lines, below the level lines of a plane, a column per run (Li et al. 2018, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Levels, Names
from landscape.figures.kind import OfRuns
from landscape.figures.kinds import contours, lines
from landscape.figures.shared import style, widths, words
from landscape.figures.shared.bands import require_lines, table
from landscape.figures.shared.groups import Group, counted, descriptions, errors, group, items
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panels import Panels, cells, default_columns, lay_out
from landscape.lazy import mpl, np, xr


class Profiles(OfRuns):
    """The loss along lines above, as a band, and the level lines below (Li et al. 2018, Figure 3)."""

    draw: Literal["profiles"]
    line: Annotated[Names, Ref("planes", axes=1)] = Field(
        description="a line, or with * several: their median, and a band between their extremes"
    )
    plane: Annotated[str, Ref("planes", axes=2)]
    levels: Levels = Field("log", description="log: 0.1, 0.2, 0.5, 1, ...; paper: 0.1 to 10 by 0.5; or a list")

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Runs in columns, of more than four in further rows; all panels of a kind have the same axes.

        Raises:
            InputError: if a line is none, lines of one run differ in more than their seed, or the plane is a line.
        """
        runs = group(members)
        bundles = [replace(run, members=tuple(m for m in run.members if m.plane != self.plane)) for run in runs]
        planes = [next(m for m in run.members if m.plane == self.plane) for run in runs]
        require_lines(bundles, self.draw)
        for member in planes:
            contours.require_plane(member.seen, self.draw)
        columns = len(runs) if len(runs) <= 4 else default_columns(len(runs))
        places = cells(len(runs), 2, columns)
        titles = _titles(bundles)
        notes = [[_width_note(bundle) for bundle in bundles], [_plane_notes(member) for member in planes]]
        panels = lay_out(
            [titles[run] if row == 0 and run is not None else "" for row, run in places],
            [notes[row][run] if run is not None else [] for row, run in places],
            columns=columns,
            width=style.COLUMN_WIDTH if columns <= 2 else style.TEXT_WIDTH,
            panel=_size(planes[0].seen, columns),
            margins=_MARGINS,
            foot=0.78,
            labels=(words.axis(planes[0].seen, "alpha"), ""),
            heading=self.title,
        )
        levels = contours.LEVELS[self.levels] if isinstance(self.levels, str) else self.levels
        surfaces = [surface for bundle in bundles for surface in bundle.surfaces]
        top = lines.loss_limit(surfaces)
        for k, (ax, (row, run)) in enumerate(zip(panels.axes, places, strict=True)):
            if run is None:
                ax.remove()
                continue
            if row == 0:
                lines.frame(ax, bundles[run].surfaces, top=top)
                lines.losses(ax, bundles[run].surfaces)
                widths.bar(ax, bundles[run].surfaces)
            else:
                contours.contour(ax, planes[run].seen, variable=_VARIABLE, levels=levels)
            if panels.is_first(k):
                ax.set_ylabel("beta" if row else "loss")
                ax.yaxis.set_label_coords(-0.33 / _size(planes[0].seen, columns)[0], 0.5)
        _legend(panels, surfaces)
        contours.colour_bar(panels, levels, words.NAMES[_VARIABLE], [member.seen for member in planes])
        return Drawing(
            panels.figure, table(members, lines.VARIABLES[:2]), _caption(self, runs, bundles, planes, levels, top)
        )


_MARGINS, _GAP = (0.5, 0.12), 0.17  # inches: left and right of the panels, between two
_VARIABLE = "train_loss"


def _titles(bundles: Sequence[Group]) -> list[str]:
    """What the run's recipe differs in from the others', and its test error."""
    named = descriptions([bundle.first for bundle in bundles])
    return [", ".join([name, *errors(bundle)]) for name, bundle in zip(named, bundles, strict=True)]


def _width_note(bundle: Group) -> list[str]:
    return [f"width {widths.phrase(widths.wells(bundle.surfaces))}"]


def _plane_notes(member: Member) -> list[str]:
    """Those of every panel, without the test error, which stands in the title."""
    return [note for note in contours.notes(member, _VARIABLE) if not note.startswith("test error")]


def _size(surface: xr.Dataset, columns: int) -> tuple[float, float]:
    """Width and height of a panel: square, unless the ranges of the plane differ."""
    width = style.COLUMN_WIDTH if columns <= 2 else style.TEXT_WIDTH
    side = min((width - sum(_MARGINS) - _GAP * (columns - 1)) / columns, 1.3)
    ratio = float(np.ptp(surface.beta.values)) / float(np.ptp(surface.alpha.values))
    return side, side * min(max(ratio, 0.5), 2.0)


def _legend(panels: Panels, surfaces: Sequence[xr.Dataset]) -> None:
    keys = lines.split_keys(surfaces)
    keys.append(
        mpl.lines.Line2D([], [], color="black", marker="|", markersize=5, label="width at 0.5 above the centre")
    )
    height = panels.figure.get_size_inches()[1]
    look = {"borderpad": 0.0, "borderaxespad": 0.0, "columnspacing": 1.2}
    panels.figure.legend(
        handles=keys, loc="lower center", bbox_to_anchor=(0.5, 0.03 / height), ncols=len(keys), numpoints=2, **look
    )


def _caption(
    spec: Profiles,
    runs: Sequence[Group],
    bundles: Sequence[Group],
    planes: Sequence[Member],
    levels: Sequence[float],
    top: float,
) -> str:
    surfaces = [surface for bundle in bundles for surface in bundle.surfaces]
    seen = (
        f"From left to right {', '.join(words.escape(run.label) for run in runs)}. Above: the loss of the training images "
        f"(solid) and of the test images (dashed) along {words.escape(', '.join(spec.line))}; the axes are the same in all "
        f"panels.{lines.above(surfaces, top)}{counted(bundles)} The bar is the interval around the centre on which the "
        "train loss lies less than 0.5 above that at the centre, its length the width; of several lines both are medians, "
        "with the extremes of the width in brackets. Below: level lines of the train loss on the plane "
        f"{words.escape(spec.plane)}, at {', '.join(f'{level:g}' for level in levels)}; those at 0.1 and 1 are thick, the "
        "dashed one is the loss of guessing, the cross the state itself; one logarithmic colour scale for all panels. Where "
        "a loss is not finite, panels are hatched."
    )
    along = words.surface_made([member for bundle in bundles for member in bundle.members])
    across = words.surface_made(planes)
    made = [f"Above: {along[0]} {along[1]} Below: {across[0]} {across[1]}", *along[2:]]
    said = [f"{item} {_width_note(bundle)[0].capitalize()}." for item, bundle in zip(items(runs), bundles, strict=True)]
    return words.caption(spec.about, seen, made, said)
