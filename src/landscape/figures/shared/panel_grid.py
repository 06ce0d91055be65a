"""A grid of panels, runs by quantities, that matplotlib's constrained layout places; all lengths in inches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from landscape.figures.shared import style
from landscape.lazy import mpl

LABEL, NOTE, SMALL = 8, 7, 6  # points
NOTES = "notes"  # the name of what `note` writes
_NEAR = 0.02  # sufficient accuracy of the panels' heights together
_FOOT = 0.01  # height of the row below the panels; its title is their common label


@dataclass(frozen=True)
class Grid:
    """Panels of a figure.

    Attributes:
        rows: the panels of each quantity, in the order of the runs.
        columns: runs beside each other; further runs take more blocks, each with a row for every quantity.
        feet: empty axes that keep room for a common label until `fit` has placed it: below the rows of each quantity,
            or one below everything.
    """

    figure: mpl.figure.Figure
    rows: list[list[Any]]  # mpl.axes.Axes, or Axes3D
    columns: int
    feet: list[list[mpl.axes.Axes]]
    _places: mpl.gridspec.GridSpec

    @property
    def axes(self) -> list[Any]:
        """All panels, one quantity after the other."""
        return [ax for row in self.rows for ax in row]

    @property
    def room(self) -> float:
        """Approximate width of a panel's text."""
        return (float(self.figure.get_size_inches()[0]) - 0.3) / self.columns - 0.08

    def begins(self, run: int) -> bool:
        """Tell if a run's panels stand at the left of the grid."""
        return run % self.columns == 0

    def ends(self, run: int) -> bool:
        """Tell if no panel stands to the right of a run's."""
        return run % self.columns == self.columns - 1 or run == len(self.rows[0]) - 1

    def note(self, ax: mpl.axes.Axes, lines: Sequence[str], end: Literal["center", "right"] = "center") -> None:
        """Write lines under a panel, below the numbers and the label of its x axis.

        Args:
            end: `right` ends the lines at the panel's right edge, for panels that all have labels at their left.
        """
        text = "\n".join(itertools.chain(*(wrap(line, self.room, NOTE) for line in lines)))
        look: dict[str, Any] = {"va": "top", "fontsize": NOTE, "parse_math": False, "gid": NOTES}
        look |= {"ha": end, "multialignment": "center"}
        below: dict[str, Any] = {"xycoords": (ax.transAxes, ax.xaxis.label), "xytext": (0, -2)}
        place = (0.5 if end == "center" else 1.0, 0.0)
        ax.annotate(text, place, textcoords="offset points", annotation_clip=False, **below, **look)

    def label_rows(self, *labels: str, **look: Any) -> None:
        """Write a label at the left of each quantity, in every block."""
        for row, label in zip(self.rows, labels, strict=True):
            for run, ax in enumerate(row):
                if self.begins(run):
                    ax.set_ylabel(label, linespacing=1.15, **look)

    def label_below(self, *labels: str) -> None:
        """Write one label for the common x axis below all panels, or one for each quantity."""
        for feet, label in zip(self.feet[-len(labels) :], labels, strict=True):
            text = "\n".join(wrap(label, float(self.figure.get_size_inches()[0]) - 0.6, LABEL))
            on_axis = self.columns == 1 and self.rows[-1][-1].name != "3d"  # whose x axis has a label of its own
            if on_axis:
                self.rows[-1][-1].set_xlabel(text, parse_math=False)
            for foot in feet if not on_axis else ():
                foot.set_title(text, pad=3, parse_math=False)

    def legend(self, keys: Sequence[mpl.artist.Artist], columns: int | None = None, **look: Any) -> None:
        """Put a legend below everything; do nothing without keys."""
        if keys:
            columns = columns or min(len(keys), 4)
            self.figure.legend(handles=list(keys), loc="outside lower center", ncols=columns, **look)

    def color_bar(
        self,
        colours: mpl.cm.ScalarMappable,
        axes: Iterable[mpl.axes.Axes] | None = None,
        *,
        at: Mapping[float, str] | None = None,
        location: Literal["bottom", "right"] = "bottom",
        **keys: Any,
    ) -> mpl.colorbar.Colorbar:
        """Draw the colour bar of some panels beside them, by default of all panels below them.

        Args:
            at: values with a number, and these numbers; by default matplotlib's.
        """
        parents = [*self.axes, self.feet[-1][-1]] if axes is None else list(axes)
        width = float(self.figure.get_size_inches()[0])
        size: dict[str, Any] = {"aspect": 18}
        if location == "bottom":
            rows = self._places.nrows  # of a figure with many rows the bar is a small fraction
            size = {"shrink": min(1.0, 3.0 / (width - 0.7)), "aspect": 32, "fraction": 0.15 / rows}
        bar = self.figure.colorbar(colours, ax=parents, location=location, extendfrac=0.04, pad=0.02, **size, **keys)
        assert bar.solids is not None
        bar.solids.set_rasterized(True)
        if at is not None:
            bar.set_ticks(list(at), labels=list(at.values()))
        return bar

    def fit(self, *shapes: float) -> None:
        """Place everything, fit the page's height, and fix the layout.

        A layout is expensive, and the page's height and the titles' lines depend on the panels' width. So the first one starts
        from a guess; the next ones end at panels of nearly the right height, whose shape is then made exact.

        Args:
            shapes: height over width of the panels of each quantity.
        """
        figure, engine = self.figure, self.figure.get_layout_engine()
        assert engine is not None
        of_row = {ax: shape for row, shape in zip(self.rows, shapes, strict=True) for ax in row}
        titles = {ax: ax.get_title() for ax in self.axes}
        figure.align_ylabels([ax for ax in self.axes if ax.get_ylabel()])
        for ax in self.axes:
            ax.spines[:].set_in_layout(False)  # the panel has their extent too
        first = {ax.get_subplotspec().rowspan.start: ax for ax in [*self.axes, *itertools.chain(*self.feet)]}
        width = float(figure.get_size_inches()[0])
        panel, height, have = self.room - 0.3, 0.5 + 0.5 * self._places.nrows, 0.0
        for turn in range(5):
            wanted = [panel * of_row[first[row]] if first[row] in of_row else _FOOT for row in sorted(first)]
            if turn > 1 and abs(sum(wanted) - have) < _NEAR:
                break
            for ax, title in titles.items() if turn < 2 else ():
                ax.title.set_text("\n".join(wrap(title, panel + 0.1, ax.title.get_fontsize())))
            height += sum(wanted) - have
            self._places.set_height_ratios(wanted)
            figure.set_size_inches(width, height)
            engine.execute(figure)
            panel = width * float(self.rows[0][0].get_position(original=True).width)
            have = height * sum(ax.get_position(original=True).height for ax in first.values())
        figure.set_layout_engine(None)
        for ax, shape in of_row.items():
            if ax.name != "3d":
                ax.set_box_aspect(shape)
        for foot in itertools.chain(*self.feet):
            if text := foot.get_title():
                place = foot.title.get_window_extent().transformed(figure.transFigure.inverted())
                at: dict[str, Any] = {"x": (place.x0 + place.x1) / 2, "y": place.y0, "ha": "center", "va": "bottom"}
                if foot is self.feet[-1][-1]:
                    figure.supxlabel(text, **at, fontsize=LABEL, parse_math=False)
                else:
                    figure.text(s=text, **at, fontsize=LABEL, parse_math=False)
            foot.remove()


def grid(
    runs: int,
    quantities: int = 1,
    *,
    columns: int | None = None,
    most: int = 4,
    narrow: int = 2,
    heading: str | None = None,
    share: Literal["all", "rows", "none"] = "rows",
    projection: str | None = None,
    feet: bool = False,
) -> Grid:
    """Make a figure with a panel for every run and quantity.

    Args:
        columns: runs beside each other, at most; by default by their number.
        most: highest default of `columns`.
        narrow: most columns in a page as wide as a journal's column; more take the width of its text.
        heading: a line above everything.
        share: panels with common axes: all, those of a quantity, or none; inner panels of shared axes have no numbers.
        feet: put a label below each quantity, instead of one below everything.
    """
    columns = min(columns or default_columns(runs, most, quantities), runs)
    each = 2 if feet else 1  # rows of the layout for a row of panels
    blocks = -(-runs // columns)
    width = style.COLUMN_WIDTH if columns <= narrow else style.TEXT_WIDTH
    figure = mpl.figure.Figure(figsize=(width, width), layout="constrained")
    # wide panels to begin with: the layout keeps room for notes as wide as they are
    places = figure.add_gridspec(blocks * quantities * each + (not feet), columns, left=0, right=1)
    rows: list[list[Any]] = [[None] * runs for _ in range(quantities)]
    below: list[list[Any]] = [[] for _ in range(quantities)]
    for place, (row, run) in enumerate(cells(runs, quantities, columns)):
        down, across = divmod(place, columns)
        if run is not None:
            first = None if share == "none" else rows[0 if share == "all" else row][0]
            at = places[down * each, across]
            ax = rows[row][run] = figure.add_subplot(at, projection=projection, sharex=first, sharey=first)
            if share != "none" and across:
                ax.tick_params(labelleft=False)
        if across == 0 and (feet or down == blocks * quantities - 1):
            below[row].append(figure.add_subplot(places[down * each + 1, :]))
            below[row][-1].set_axis_off()
    if heading:
        figure.suptitle("\n".join(wrap(heading, 0.9 * width, LABEL)), parse_math=False, fontweight="bold")
    return Grid(figure, rows, columns, below, places)


def default_columns(panels: int, most: int = 4, quantities: int = 1) -> int:
    """Choose the panels in a row: few in one row, four of one quantity in two, more in the widest rows with fewest gaps."""
    if panels <= (3 if quantities == 1 else most):
        return min(panels, most)
    if panels == 4:
        return 2
    return min(range(2, most + 1), key=lambda columns: (-panels % columns, -columns))


def cells(runs: int, rows: int, columns: int) -> list[tuple[int, int | None]]:
    """List panels in reading order. Runs stand in columns, each in several rows; more runs take further blocks of rows.

    Each panel is its row and its run; the run is None where a block has no more runs.
    """
    return [
        (row, run if run < runs else None)
        for start in range(0, runs, columns)
        for row in range(rows)
        for run in range(start, start + columns)
    ]


def wrap(text: str, width: float, size: float) -> list[str]:
    """Break `text` into lines of at most `width` inches: at spaces, and words too long at hyphens, underscores, slashes.

    A non-breaking space holds its neighbours together, as does the one before a percent sign.
    """
    lines = [""]
    for word in text.replace(" %", "\N{NO-BREAK SPACE}%").split(" "):
        joined = f"{lines[-1]} {word}".lstrip()
        if text_width(joined, size) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for piece in _pieces(word):
            if lines[-1] and text_width(lines[-1] + piece, size) > width:
                lines.append("")
            lines[-1] += piece
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines if line]


def fits(text: str, width: float, size: float = LABEL) -> bool:
    return text_width(text, size) <= width


def text_width(text: str, size: float) -> float:
    """Measure one line of text in inches; `size` is in points."""
    points, _, _ = mpl.textpath.TextToPath().get_text_width_height_descent(
        text, mpl.font_manager.FontProperties(family="DejaVu Sans", size=size), False
    )
    return float(points) / 72


def _pieces(word: str) -> list[str]:
    pieces = [""]
    for character in word:
        pieces[-1] += character
        if character in "-_/":
            pieces.append("")
    return pieces
