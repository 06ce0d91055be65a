"""Level lines of a loss over a plane (Li et al. 2018, Figures 5 and 6)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.config.values import Levels
from landscape.errors import InputError
from landscape.figures.kind import Columns, OfRuns, Variable
from landscape.figures.shared import contour_words, lowest, marks, style, words
from landscape.figures.shared.labels import SMALL, scale_of
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panels import (
    NOTE,
    Panels,
    default_columns,
    few_ticks,
    fits,
    lay_out,
    plain_ticks,
    ticks_within,
)
from landscape.lazy import mpl, np, pd, xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet


class Contours(OfRuns):
    """Level lines, one panel per run (Li et al. 2018, Figures 5 and 6)."""

    draw: Literal["contours"]
    plane: Annotated[str, Ref("planes", axes=2)]
    variable: Variable | Literal["both"] = Field(
        "train_loss", description="both: the test loss dashed over the train loss, with the lowest point of each"
    )
    levels: Levels = Field("log", description="log: 0.1, 0.2, 0.5, 1, ...; paper: 0.1 to 10 by 0.5; or a list")
    marks: Annotated[
        tuple[str, ...],
        Ref("runs"),
        Field((), description="runs or states shown where they lie on the planes, with distances"),
    ]
    columns: Columns

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """One panel per member, one colour scale.

        Raises:
            InputError: if the plane is a line.
        """
        for member in members:
            require_plane(member.seen, self.draw)
            for variable in self.variables:
                require_variable(member.seen, variable, self.draw)
        levels = LEVELS[self.levels] if isinstance(self.levels, str) else self.levels
        first = members[0].seen
        columns = self.columns or default_columns(len(members))
        side = _size(first, columns)
        both = len(self.variables) == 2
        width = style.COLUMN_WIDTH if columns <= 2 else style.TEXT_WIDTH
        up = words.axis(first, "beta")
        if not fits(up, side[1] * -(-len(members) // columns) + 0.2):
            up = "beta (same unit)" if words.unit(first) == words.unit(first, "beta") else "beta"
        panels = lay_out(
            [member.label for member in members],
            [_notes(member, self.variables) for member in members],
            columns=columns,
            width=width,
            panel=side,
            margins=(0.5, 0.25 if columns == 3 else 0.12) if columns > 1 else (0.6, 0.45),
            foot=0.6 + (0.17 * (2 if columns <= 2 else 1) if both else 0),
            labels=(words.axis(first, "alpha"), up),
            heading=self.title,
        )
        for ax, member in zip(panels.axes, members, strict=True):
            contour(ax, member.seen, variable=self.variables[0], levels=levels, others=member.marks, both=both)
        guessed = [] if both else [member.seen for member in members]
        colour_bar(panels, levels, " and ".join(words.NAMES[name] for name in self.variables), guessed)
        drawn = [numbers(members, self.variables), marks.numbers(members)]
        if both:
            drawn.append(lowest.numbers(members))
            _legend(panels, 2 if columns <= 2 else 4)
        return Drawing(panels.figure, pd.concat(drawn, ignore_index=True), contour_words.caption(self, members, levels))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The losses shown; the colours are those of the first."""
        return ("train_loss", "test_loss") if self.variable == "both" else (self.variable,)

    @property
    def marked(self) -> list[tuple[str, str, str]]:
        return [(state, self.plane, mark) for state in self.runs for mark in self.marks]


LEVELS = {
    "log": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
    "paper": tuple(0.1 + 0.5 * k for k in range(20)),
}
_THICK = (0.1, 1.0)
_LABELLED = (0.1, 1.0, 10.0)
HATCH = 10 * "/"
_SIDE = 1.3  # inches, of a panel


def contour(
    ax: Axes,
    surface: xr.Dataset,
    *,
    variable: str,
    levels: Sequence[float],
    others: Sequence[xr.Dataset] = (),
    both: bool = False,
) -> QuadContourSet:
    """Level lines of `variable` over the whole grid, its centre and the places of other states marked.

    Args:
        both: whether those of the test loss are drawn too, dashed, and the lowest point of each loss, instead of the loss
            of guessing.
    """
    lines = level_lines(ax, surface, variable=variable, levels=levels, guessing=not both)
    ax.set(xlim=surface.alpha.values[[0, -1]], ylim=surface.beta.values[[0, -1]])
    frame(ax)
    mark_centre(ax)
    avoid = [np.zeros((1, 2)), marks.places(others)]
    if both:
        _lines(ax, surface, "test_loss", levels, (0.9, 0.5), colors="black", linestyles="--", zorder=3)
        lowest.draw_lowest(ax, surface)
        avoid += [np.array([(found.alpha, found.beta)]) for found in lowest.lowest(surface)]
    label_levels(ax, lines, avoid=np.concatenate(avoid))
    marks.draw_marks(ax, others)
    return lines


def level_lines(
    ax: Axes, surface: xr.Dataset, *, variable: str, levels: Sequence[float], guessing: bool = True
) -> QuadContourSet:
    """Level lines of `variable` on a pale fill, that of guessing dashed; where it is not finite, white with grey hatching."""
    z = surface[variable].transpose("beta", "alpha")  # matplotlib wants (y, x)
    alpha, beta = z.alpha.values, z.beta.values
    loss = drawable(z.values)
    if loss.mask.any():
        corner, sides = (alpha[0], beta[0]), (np.ptp(alpha), np.ptp(beta))
        ax.add_patch(
            mpl.patches.Rectangle(
                corner, *sides, facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, zorder=0
            )
        )
    fill = ax.contourf(
        alpha, beta, loss, np.logspace(-2, 2, 41), cmap=style.pale_map(), norm=style.norm(), extend="both", zorder=1
    )
    fill.set_rasterized(True)
    lines = _lines(ax, surface, variable, levels, (1.4, 0.6), cmap=style.deep_map(), norm=style.norm(), zorder=2)
    if guessing:
        look: dict[str, Any] = {"colors": "black", "linestyles": "--", "linewidths": 0.8, "zorder": 3}
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that the level is nowhere
            ax.contour(alpha, beta, loss, [geometry.guessing(surface)], **look)
    return lines


def _lines(
    ax: Axes, surface: xr.Dataset, variable: str, levels: Sequence[float], width: tuple[float, float], **look: Any
) -> QuadContourSet:
    """Args: width: of thick lines, and of the others."""
    z = surface[variable].transpose("beta", "alpha")
    widths = [width[0] if _is_in(level, _THICK) else width[1] for level in levels]
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that a level is nowhere
        return ax.contour(z.alpha.values, z.beta.values, drawable(z.values), levels, linewidths=widths, **look)


def frame(ax: Axes) -> None:
    """A line all around, and few ticks on both axes, whose limits are set."""
    ticks_within(ax)
    ax.yaxis.set_major_locator(few_ticks())
    ax.yaxis.set_major_formatter(plain_ticks())
    ax.spines[:].set_visible(True)


def mark_centre(ax: Axes) -> None:
    """A cross at (0, 0)."""
    halo = [mpl.patheffects.withStroke(linewidth=2.2, foreground="white")]
    ax.plot(0, 0, "x", color="black", markersize=4, markeredgewidth=0.9, path_effects=halo, zorder=5)


def drawable(loss: np.ndarray) -> Any:
    """A masked array of the finite values, above 0 for the logarithm."""
    return np.ma.masked_invalid(loss).clip(1e-9)


def require_variable(surface: xr.Dataset, variable: str, kind: str) -> None:
    """Raises: InputError if the surface does not hold a loss, as that of a test split there is not."""
    if variable not in surface:
        raise InputError(
            f"the plane {surface.attrs['plane']!r} of {surface.attrs['run']} holds no {words.NAMES[variable]}, and draw: {kind} "
            "needs one; its data set may have no test split, or the plane measures something else"
        )


def require_plane(surface: xr.Dataset, kind: str) -> None:
    """Raises: InputError if the surface has fewer than two points on an axis."""
    shape = surface.sizes["alpha"], surface.sizes["beta"]
    if min(shape) < 2:
        name = surface.attrs["plane"]
        raise InputError(
            f"the plane {name!r} has {shape[0]} x {shape[1]} points, and draw: {kind} needs at least 2 on each axis; "
            "give it a beta, or draw: lines"
        )


def numbers(members: Sequence[Member], variables: Sequence[str]) -> pd.DataFrame:
    """The drawn numbers, one row per point of each member: member, alpha, beta, and `variables`."""
    frames = []
    for member in members:
        there = [variable for variable in variables if variable in member.seen]
        frame = member.seen[there].to_dataframe(dim_order=["alpha", "beta"]).reset_index()
        frame.insert(0, "member", member.state)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _notes(member: Member, variables: Sequence[str]) -> list[str]:
    """With the lowest point of each loss where two are shown, and marks outside the grid."""
    where = lowest.notes(member.seen) if len(variables) > 1 else []
    return [*notes(member, variables[0]), *where, *marks.note(member)]


def notes(member: Member, variable: str) -> list[str]:
    """Those of every panel, and where there is no first ring, that this is so."""
    said = words.notes(member, [variable])
    here = geometry.centre(member.seen, variable)
    if here >= geometry.FIRST_LEVEL:
        elsewhere = bool((member.seen[variable] < geometry.FIRST_LEVEL).any())
        ring = "no 0.1 ring around the centre" if elsewhere else "no 0.1 ring: centre"
        said.insert(-1 if said[-1].endswith("not finite") else len(said), f"{ring} {words.loss(here)}")
    return said


def _size(surface: xr.Dataset, columns: int) -> tuple[float, float]:
    """Width and height of a panel: axes of equal scale, unless one range is more than twice the other."""
    if columns == 1:
        side = 2.2
    else:
        width = style.COLUMN_WIDTH if columns == 2 else style.TEXT_WIDTH
        side = min(_SIDE, (width - 0.62 - 0.18 * (columns - 1)) / columns)
    ratio = float(np.ptp(surface.beta.values)) / float(np.ptp(surface.alpha.values))
    return side, side * min(max(ratio, 0.5), 2.0)


def label_levels(ax: Axes, lines: QuadContourSet, *, avoid: np.ndarray) -> None:
    """Write some levels on their longest line, far from each other and from `avoid`; none where there is no room.

    Args:
        avoid: shape (n, 2), in data.
    """
    box = np.asarray(ax.get_window_extent().size) / ax.figure.dpi
    corner, scale = scale_of(ax)
    taken = list((avoid - corner) * scale)  # inches from the lower left
    margin = np.array([0.16, 0.1])
    wide = np.array([1.8, 1.0])  # a label is wider than high, so its neighbours may be nearer above than beside it
    for level, segments in zip(lines.levels, lines.allsegs, strict=True):
        if not _is_in(level, labelled(lines.levels)) or not segments:
            continue
        longest = max(((segment - corner) * scale for segment in segments), key=_length)
        inside = longest[((longest > margin) & (longest < box - margin)).all(axis=1)]
        if not inside.size or np.ptp(longest, axis=0).max() < 0.26:
            continue
        distance = np.min([np.hypot(*((inside - other) / wide).T) for other in taken], axis=0)
        best = int(distance.argmax())
        if distance[best] < 0.12:
            continue
        taken.append(inside[best])
        x, y = inside[best] / scale + corner
        halo = [mpl.patheffects.withStroke(linewidth=1.8, foreground="white")]
        ax.text(x, y, f"{level:g}", ha="center", va="center", fontsize=SMALL, path_effects=halo, zorder=6)


def labelled(levels: Iterable[float]) -> list[float]:
    """The levels that carry their number: 0.1, 1 and 10; of levels with less than two of these, the ends too."""
    levels = [float(level) for level in levels]
    usual = [level for level in levels if _is_in(level, _LABELLED)]
    return usual if len(usual) > 1 else sorted({levels[0], *usual, levels[-1]})


def colour_bar(panels: Panels, levels: Sequence[float], name: str, surfaces: Sequence[xr.Dataset]) -> None:
    """Below the panels: the pale fill, the level lines in it, and the loss of guessing dashed."""
    width = min(3.0, panels.right - panels.left)
    middle = (panels.left + panels.right) / 2
    ax = panels.add_axes(middle - width / 2, panels.foot - 0.24, width, 0.09)
    mappable = mpl.cm.ScalarMappable(style.norm(), style.pale_map())
    bar = panels.figure.colorbar(mappable, cax=ax, orientation="horizontal", extend="both", extendfrac=0.04)
    assert bar.solids is not None
    bar.solids.set_rasterized(True)
    bar.set_ticks([0.01, 0.1, 1, 10, 100], labels=["0.01", "0.1", "1", "10", "100"])
    bar.set_label(name)
    for level in levels:
        if style.LOWEST <= level <= style.HIGHEST:
            width = 1.4 if _is_in(level, _THICK) else 0.6
            ax.axvline(level, color=style.deep_map()(float(style.norm()(level))), linewidth=width)
    for classes in sorted({int(surface.attrs["classes"]) for surface in surfaces}):
        ax.plot(2 * [math.log(classes)], [-0.15, 1.5], "--", color="black", linewidth=0.8, dashes=(2, 1), clip_on=False)
        ax.text(math.log(classes), 1.6, f"ln {classes}", ha="center", va="bottom", fontsize=NOTE)


def _legend(panels: Panels, columns: int) -> None:
    """Of two losses, at the foot."""
    keys = [
        mpl.lines.Line2D(
            [], [], color="black" if split == "test" else style.GREY, linestyle=dashes, label=f"{split} loss"
        )
        for split, dashes in style.SPLITS.items()
    ]
    look: dict[str, Any] = {"borderpad": 0, "borderaxespad": 0, "columnspacing": 1.2, "ncols": columns}
    at = (0.5, 0.03 / panels.figure.get_size_inches()[1])
    panels.figure.legend(handles=[*keys, *lowest.keys()], loc="lower center", bbox_to_anchor=at, **look)


def _is_in(level: float, levels: Iterable[float]) -> bool:
    return any(math.isclose(level, other) for other in levels)


def _length(points: np.ndarray) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())
