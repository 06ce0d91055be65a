"""Panels of one size in rows, with titles above, notes below and room at the foot; all lengths in inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from landscape.lazy import mpl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator


LABEL, NOTE = 8, 7  # points
_LINE = {LABEL: 0.14, NOTE: 0.12}  # inches from line to line
_TICKS = 0.17  # tick labels below a panel
_EDGE = 0.06
_BETWEEN = 0.05  # tick labels


@dataclass(frozen=True)
class Panels:
    """Axes in reading order, and the lines that bound them: `left`, `right`, and `foot`, the top of the free room."""

    figure: Figure
    axes: list[Any]  # Axes, or Axes3D
    columns: int
    left: float
    right: float
    foot: float

    def add_axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes at a place given in inches from the lower left."""
        w, h = self.figure.get_size_inches()
        return self.figure.add_axes((left / w, bottom / h, width / w, height / h))

    def is_first(self, k: int) -> bool:
        """Whether panel `k` begins a row."""
        return k % self.columns == 0

    def is_last(self, k: int) -> bool:
        """Whether panel `k` ends a row."""
        return k % self.columns == self.columns - 1 or k == len(self.axes) - 1


def default_columns(panels: int, most: int = 4) -> int:
    """Panels in a row: up to three in one row; four in two; of more, the widest rows with the fewest places empty."""
    if panels <= 3:
        return min(panels, most)
    if panels == 4:
        return 2
    return min(range(2, most + 1), key=lambda columns: (-panels % columns, -columns))


def cells(runs: int, rows: int, columns: int) -> list[tuple[int, int | None]]:
    """Panels in reading order where runs stand in columns, each in several rows, and more runs in further blocks of rows.

    Of each panel its row, and its run; None where a block has no more runs.
    """
    return [
        (row, run if run < runs else None)
        for start in range(0, runs, columns)
        for row in range(rows)
        for run in range(start, start + columns)
    ]


def lay_out(
    titles: Sequence[str],
    notes: Sequence[Sequence[str]],
    *,
    columns: int,
    width: float,
    panel: tuple[float, float],
    margins: tuple[float, float],
    foot: float,
    label_room: float = 0.0,
    labels: tuple[str, str] = ("", ""),
    heading: str | None = None,
    projection: str | None = None,
) -> Panels:
    """A figure with one panel per title.

    Args:
        notes: per panel, the sentences below it; they are broken to its width.
        panel: width and height.
        margins: left and right of the panels; what is left over goes between them.
        foot: height kept free below everything.
        label_room: height kept free between the ticks of a panel and its notes, for an axis label of its own.
        labels: of the x and of the y axis, once for all panels.
    """
    w, h = panel
    left, right = margins
    gap = (width - left - right - columns * w) / (columns - 1) if columns > 1 else 0.0
    room = w + (min(gap - 0.08, 2 * right) if columns > 1 else min(left, right))
    rows = [range(start, min(start + columns, len(titles))) for start in range(0, len(titles), columns)]
    above = [wrap(title, room, LABEL) for title in titles]
    below = [[line for note in panel_notes for line in wrap(note, room, NOTE)] for panel_notes in notes]
    across = left, left + len(rows[-1]) * (w + gap) - gap
    x_label = wrap(labels[0], across[1] - across[0] + 2 * min(left, right), LABEL)
    title_lines = wrap(heading or "", 0.9 * width, LABEL)

    depth = _EDGE + len(title_lines) * _LINE[LABEL] + (0.06 if title_lines else 0)
    tops, note_tops = [], []
    for row in rows:
        depth += max(len(above[k]) for k in row) * _LINE[LABEL] + 0.03
        tops.append(depth)
        depth += h + label_room + (_TICKS if projection is None else 0)
        depth += len(x_label) * _LINE[LABEL] if row is rows[-1] else 0
        note_tops.append(depth + 0.04)
        depth += max(len(below[k]) for k in row) * _LINE[NOTE] + 0.1
    height = depth + foot

    figure = mpl.figure.Figure(figsize=(width, height))
    axes = []
    for row, top, note_top in zip(rows, tops, note_tops, strict=True):
        for column, k in enumerate(row):
            start = left + column * (w + gap)
            ax = figure.add_axes((start / width, 1 - (top + h) / height, w / width, h / height), projection=projection)
            middle = (start + w / 2) / width
            at: dict[str, Any] = {"ha": "center", "fontsize": LABEL, "parse_math": False}
            figure.text(middle, 1 - (top - 0.05) / height, "\n".join(above[k]), va="bottom", **at)
            figure.text(middle, 1 - note_top / height, "\n".join(below[k]), va="top", **(at | {"fontsize": NOTE}))
            axes.append(ax)
    if title_lines:
        figure.suptitle("\n".join(title_lines), y=1 - _EDGE / height, va="top", parse_math=False, fontweight="bold")
    if x_label:
        at_x = {"x": sum(across) / 2 / width, "y": 1 - (tops[-1] + h + _TICKS) / height}
        figure.supxlabel("\n".join(x_label), **at_x, va="top", fontsize=LABEL)
    if labels[1]:
        at_y = {"x": (left - 0.33) / width, "y": 1 - (tops[0] + tops[-1] + h) / 2 / height}
        figure.supylabel(labels[1], **at_y, ha="right", va="center", fontsize=LABEL)
    for k, ax in enumerate(axes):
        if projection is None and k % columns:
            ax.tick_params(labelleft=False)
    return Panels(figure, axes, columns, left, width - right, foot)


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


def few_ticks(prune: Literal["both"] | None = None) -> MaxNLocator:
    return mpl.ticker.MaxNLocator(4, steps=[1, 2, 5, 10], prune=prune)


def plain_ticks() -> FuncFormatter:
    """Numbers as short as they go: 1, not 1.00, beside 0.5."""
    return mpl.ticker.FuncFormatter(lambda value, _: f"{round(value, 9):g}".replace("-", "\N{MINUS SIGN}"))


def ticks_within(ax: Axes) -> None:
    """Few ticks along x, whose limits are set; labels that would stand out at an end are written inside it.

    Those of the neighbouring panel would touch them. Where that makes two labels touch, every other tick has one, that
    nearest 0 among them.
    """
    low, high = ax.get_xlim()
    ticks = [float(tick) for tick in few_ticks().tick_values(low, high) if low <= tick <= high]
    figure = ax.get_figure(root=True)
    assert figure is not None
    scale = float(ax.get_window_extent().width) / figure.dpi / (high - low)
    texts = [plain_ticks()(tick) for tick in ticks]
    half = [text_width(text, NOTE) / 2 for text in texts]
    middle = [  # inches from the left
        min(max((tick - low) * scale, room), (high - low) * scale - room)
        for tick, room in zip(ticks, half, strict=True)
    ]
    last = len(ticks) - 1
    ends = [(0, 1), (last, last - 1)] if last > 1 else []
    if any(abs(middle[k] - middle[end]) < half[k] + half[end] + _BETWEEN for end, k in ends):
        zero = min(range(len(ticks)), key=lambda k: abs(ticks[k]))
        texts = [text if (k - zero) % 2 == 0 else "" for k, text in enumerate(texts)]
    ax.set_xticks(ticks, texts)
    for label, tick, at in zip(ax.get_xticklabels(), ticks, middle, strict=True):
        inwards = mpl.transforms.ScaledTranslation(at - (tick - low) * scale, 0, figure.dpi_scale_trans)
        label.set_transform(label.get_transform() + inwards)


def _pieces(word: str) -> list[str]:
    pieces = [""]
    for character in word:
        pieces[-1] += character
        if character in "-_/":
            pieces.append("")
    return pieces


def text_width(text: str, size: float) -> float:
    """In inches, of one line in points of `size`."""
    points, _, _ = mpl.textpath.TextToPath().get_text_width_height_descent(
        text, mpl.font_manager.FontProperties(family="DejaVu Sans", size=size), False
    )
    return float(points) / 72
