"""The map of |lambda_min / lambda_max| of the Hessian beside the level lines of the loss (Li et al. 2018, Figure 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.errors import InputError
from landscape.figures.kind import OfRuns
from landscape.figures.kinds import contours
from landscape.figures.shared import curvature_words, style, words
from landscape.figures.shared.bands import table
from landscape.figures.shared.groups import group
from landscape.figures.shared.maps import pixel_map, scale_bar
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panels import Panels, cells, default_columns, lay_out
from landscape.lazy import mpl, np, xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap, LogNorm


class Curvature(OfRuns):
    """The map of |lambda_min / lambda_max| beside the level lines of the loss (Li et al. 2018, Figure 7)."""

    draw: Literal["curvature"]
    plane: Annotated[str, Ref("planes", axes=2, measures=("curvature",))] = Field(
        description="a plane with measure: curvature"
    )
    contours: Annotated[str, Ref("planes", axes=2)] | None = Field(
        None, description="a finer plane of the same directions for the level lines"
    )
    ratio: Literal["negative", "plain"] = Field(
        "negative",
        description="negative: |min(lambda_min, 0)| / lambda_max; plain: |lambda_min / lambda_max|, the paper's",
    )

    def problems(self, experiment: Any) -> Iterator[str]:
        plane, finer = (experiment.planes.get(name or "") for name in (self.plane, self.contours))
        if plane is not None and finer is not None and finer.drawn() != plane.drawn():
            yield f".contours is a plane with other directions than {self.plane}"

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Runs in columns, of more than four in further rows: the ratio, the loss, and the ratio of the plane's own curvature.

        Raises:
            InputError: if a plane is a line, or its curvature was not measured.
        """
        runs = [_column(self, of.members) for of in group(members)]
        columns = len(runs) if len(runs) <= 4 else default_columns(len(runs))
        places = cells(len(runs), 3, columns)
        size = _size(runs[0].map.seen, columns)
        notes = [[curvature_words.notes(run.map, self.ratio) for run in runs]]
        notes += [[contours.notes(run.loss, _VARIABLE) for run in runs], [[] for _ in runs]]
        panels = lay_out(
            [runs[run].map.label if row == 0 and run is not None else "" for row, run in places],
            [notes[row][run] if run is not None else [] for row, run in places],
            columns=columns,
            width=style.COLUMN_WIDTH if columns <= 2 else style.TEXT_WIDTH,
            panel=size,
            margins=_MARGINS
            if columns > 1
            else ((style.COLUMN_WIDTH - size[0]) / 2, (style.COLUMN_WIDTH - size[0]) / 2),
            foot=1.34,
            labels=(words.axis(runs[0].map.seen, "alpha"), ""),
            heading=self.title,
        )
        for k, (ax, (row, run)) in enumerate(zip(panels.axes, places, strict=True)):
            if run is None:
                ax.remove()
                continue
            _draw_panel(ax, runs[run], row, self)
            if panels.is_first(k):
                ax.set_ylabel(f"{_ROWS[row]}\nbeta", linespacing=1.15)
                ax.yaxis.set_label_coords(-0.33 / size[0], 0.5)
        _ratio_bar(panels, dots=any(curvature_words.not_converged(run.map.seen).any() for run in runs))
        levels = contours.LEVELS["log"]
        contours.colour_bar(
            replace(panels, foot=panels.foot - 0.64), levels, words.NAMES[_VARIABLE], [run.loss.seen for run in runs]
        )
        return Drawing(panels.figure, table(members, _NUMBERS), _caption(self, runs))


ISOLINES = (0.01, 0.1)
"""Drawn white: one per cent is what the paper says of DenseNet."""

_PAPER = 0.5  # where the paper's own scale ends, which begins at 0 and is linear
_TICKS = {0.001: "0.001", 0.01: "0.01", 0.1: "0.1", 0.5: "0.5", 1.0: "1"}
_MARGINS, _GAP = (0.64, 0.12), 0.17  # inches: left and right of the panels, between two
_ROWS = ("whole space", "train loss", "this plane")
_VARIABLE = "train_loss"
_RATIOS = {
    "negative": "abs(min(lambda_min, 0)) / lambda_max",
    "plain": "abs(lambda_min / lambda_max), as in the paper,",
}
_DOT: dict[str, Any] = {
    "marker": "o",
    "markersize": 2.6,
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "linestyle": "none",
}
_NUMBERS = (
    "train_loss",
    "eigenvalue_min",
    "eigenvalue_max",
    "residual_min",
    "residual_max",
    "bound_min",
    "bound_max",
    "eigenvalue_ratio",
    "eigenvalue_ratio_plain",
    "slice_eigenvalue_min",
    "slice_eigenvalue_max",
    "products",
    "below_arithmetic",
    "status",
)


@dataclass(frozen=True)
class Column:
    """A run: the member on the plane whose curvature was measured, and that whose level lines are drawn."""

    map: Member
    loss: Member


def _draw_panel(ax: Axes, run: Column, row: int, spec: Curvature) -> None:
    surface = run.map.seen
    if row == 1:
        contours.contour(ax, run.loss.seen, variable=_VARIABLE, levels=contours.LEVELS["log"])
    elif row == 2:
        pixel_map(ax, surface, geometry.slice_ratio(surface), colours=_map(), norm=_norm())
    else:
        ratio = geometry.values_of(surface, geometry.RATIOS[spec.ratio])
        pixel_map(ax, surface, ratio, colours=_map(), norm=_norm())
        _isolines(ax, surface, ratio)
        alpha, beta = np.nonzero(curvature_words.not_converged(surface))
        ax.plot(surface.alpha[alpha], surface.beta[beta], **_DOT, markeredgewidth=0.6, clip_on=False, zorder=6)


def _isolines(ax: Axes, surface: xr.Dataset, ratio: np.ndarray) -> None:
    shown = np.ma.masked_invalid(ratio.T)
    within = [level for level in ISOLINES if shown.count() and shown.min() < level < shown.max()]
    if within:
        ax.contour(surface.alpha, surface.beta, shown, within, colors="white", linewidths=0.7, zorder=2)


def _column(spec: Curvature, members: Sequence[Member]) -> Column:
    by_plane = {member.plane: member for member in members}
    measured, loss = by_plane[spec.plane], by_plane[spec.contours or spec.plane]
    for member in (measured, loss):
        contours.require_plane(member.seen, spec.draw)
    if "eigenvalue_ratio" not in measured.seen:
        raise InputError(
            f"the plane {spec.plane!r} holds no eigenvalues, and draw: {spec.draw} needs one with measure: curvature"
        )
    if "bound_min" not in measured.seen:
        raise InputError(
            f"the surface of {measured.state} on {spec.plane} was measured by an earlier version, whose searches could end too "
            "early and kept no bounds; delete it and measure it again"
        )
    return Column(measured, loss)


def _size(surface: xr.Dataset, columns: int) -> tuple[float, float]:
    """Width and height of a panel: square, unless the ranges of the plane differ."""
    width = style.COLUMN_WIDTH if columns <= 2 else style.TEXT_WIDTH
    side = 1.7 if columns == 1 else min((width - sum(_MARGINS) - _GAP * (columns - 1)) / columns, 1.5)
    ratio = float(np.ptp(surface.beta.values)) / float(np.ptp(surface.alpha.values))
    return side, side * min(max(ratio, 0.5), 2.0)


def _ratio_bar(panels: Panels, *, dots: bool) -> None:
    """Below the panels: the colours, the white lines in them, where the paper's scale ends, and what a dot is."""
    width = min(3.0, panels.right - panels.left)
    middle = (panels.left + panels.right) / 2
    ax = panels.add_axes(middle - width / 2, panels.foot - 0.29, width, 0.09)
    scale_bar(ax, _norm(), _map(), ticks=_TICKS, extend="both", label=curvature_words.RATIO, orientation="horizontal")
    for level in ISOLINES:
        ax.axvline(level, color="white", linewidth=0.7)
    ax.axvline(_PAPER, color="black", linewidth=0.7)
    if not dots:
        return
    w, h = panels.figure.get_size_inches()
    dot = mpl.lines.Line2D([], [], markeredgewidth=0.6, label="not converged", **_DOT)
    at = (middle / w, (panels.foot - 0.05) / h)
    panels.figure.legend(handles=[dot], loc="center", bbox_to_anchor=at, borderpad=0, borderaxespad=0, handletextpad=0)


def _caption(spec: Curvature, runs: Sequence[Column]) -> str:
    finer = "" if spec.contours is None else f", here of the plane {words.escape(spec.contours)}"
    levels = ", ".join(f"{level:g}" for level in contours.LEVELS["log"])
    seen = (
        f"From left to right {', '.join(words.escape(run.map.label) for run in runs)}. Above: {_RATIOS[spec.ratio]} of the "
        f"Hessian of the train loss at every point of the plane {words.escape(spec.plane)}, one pixel each, on a logarithmic "
        "scale; white lines at 0.01 and 0.1, a black one in the scale at 0.5, where the paper's linear scale ends; white and "
        "hatched where the loss is not finite or lambda_max is not positive; dots where the eigenvalues are not converged. "
        f"Middle: level lines of the train loss{finer}, at {levels}; those at 0.1 and 1 are thick, the dashed one is the "
        "loss of guessing. Below: abs(min(mu_min, 0)) / mu_max of the two eigenvalues mu of the Hessian restricted to the "
        "plane, in the same colours: all the negative curvature that the level lines can show. The cross marks the state "
        "itself."
    )
    maps, losses = [run.map for run in runs], [run.loss for run in runs]
    made = words.surface_made(maps)
    if spec.contours is not None:
        made.insert(2, f"Grid of the level lines: {words.grid(losses[0].seen)}.")
    made += curvature_words.made([run.map.seen for run in runs])
    items = [
        f"{words.member_item(run.map, [_VARIABLE])} {curvature_words.item(run.map.seen, spec.ratio)}" for run in runs
    ]
    return words.caption(spec.about, seen, made, items)


def _map() -> ListedColormap:
    """Colours of the ratio; the end of the scale tells from white."""
    return style.colour_map("magma", 0.93)


def _norm() -> LogNorm:
    return mpl.colors.LogNorm(1e-3, 1)
