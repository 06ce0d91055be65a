"""The map of |lambda_min / lambda_max| of the Hessian beside the level lines of the loss (Li et al. 2018, Figure 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.errors import InputError
from landscape.figures.kind import OfRuns
from landscape.figures.shared import curvature_words, level_lines, style, words
from landscape.figures.shared.bands import table
from landscape.figures.shared.groups import group
from landscape.figures.shared.maps import pixel_map
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panel_grid import Grid, default_columns, grid
from landscape.lazy import mpl, np, xr


class Curvature(OfRuns):
    """The map of |lambda_min / lambda_max| beside the level lines of the loss (Li et al. 2018, Figure 7)."""

    example: ClassVar[str] = "curved"
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
        """Draw the ratio, the loss, and the ratio of the plane's own curvature; at most four runs beside each other.

        Raises:
            InputError: if a plane is a line, or its curvature was not measured.
        """
        runs = [_column(self, of.members) for of in group(members)]
        columns = len(runs) if len(runs) <= 4 else default_columns(len(runs))
        width = style.COLUMN_WIDTH if columns <= 2 else style.TEXT_WIDTH
        panels = grid(len(runs), 3, columns=columns, width=width, heading=self.title)
        drawn = []
        for space, loss, plane, run in zip(*panels.rows, runs, strict=True):
            surface = run.map.seen
            _map(space, surface, geometry.values_of(surface, geometry.RATIOS[self.ratio]))
            drawn.append(level_lines.contour(loss, run.loss.seen, variable=_VARIABLE, levels=level_lines.LEVELS["log"]))
            pixel_map(plane, surface, geometry.slice_ratio(surface), colours=_colours(), norm=_norm())
            space.set_title(words.with_care(run.map.label, bool(run.map.findings or run.beware)), parse_math=False)
            panels.note(space, curvature_words.notes(surface, self.ratio))
            panels.note(loss, words.notes(run.loss))
        panels.label_rows(*(f"{name}\nbeta" for name in _ROWS))
        panels.label_below(words.axis(runs[0].map.seen, "alpha"))
        losses = [run.loss.seen for run in runs]
        level_lines.colour_bar(panels, level_lines.LEVELS["log"], words.NAMES[_VARIABLE], losses)
        _ratio_bar(panels)
        if any(curvature_words.not_converged(run.map.seen).any() for run in runs):
            panels.legend([mpl.lines.Line2D([], [], markeredgewidth=0.6, label="not converged", **_DOT)])
        shape = level_lines.shape(runs[0].map.seen)
        panels.fit(shape, shape, shape)
        for ax, lines in zip(panels.rows[1], drawn, strict=True):
            level_lines.label_levels(ax, lines, avoid=np.zeros((1, 2)))
        return Drawing(panels.figure, table(members, _NUMBERS), _caption(self, runs))


ISOLINES = (0.01, 0.1)
"""Drawn white; the paper reports one per cent for DenseNet."""

_PAPER = 0.5  # end of the paper's own scale, which is linear from 0
_TICKS = {0.001: "0.001", 0.01: "0.01", 0.1: "0.1", 0.5: "0.5", 1.0: "1"}
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
    """A run: the member whose curvature was measured, and the member whose level lines are drawn."""

    map: Member
    loss: Member

    @property
    def beware(self) -> list[str]:
        """Warn of findings about the level lines, if they have a plane of their own, and of a missing first ring."""
        own = [] if self.loss is self.map else [finding.advice for finding in self.loss.findings]
        return [*dict.fromkeys([*own, *words.no_ring(self.loss, _VARIABLE)])]


def _map(ax: mpl.axes.Axes, surface: xr.Dataset, ratio: np.ndarray) -> None:
    """Draw the ratio in the whole space, with its isolines, and dots where it is not converged."""
    pixel_map(ax, surface, ratio, colours=_colours(), norm=_norm())
    _isolines(ax, surface, ratio)
    alpha, beta = np.nonzero(curvature_words.not_converged(surface))
    if alpha.size:
        ax.plot(surface.alpha[alpha], surface.beta[beta], **_DOT, markeredgewidth=0.6, clip_on=False, zorder=6)


def _isolines(ax: mpl.axes.Axes, surface: xr.Dataset, ratio: np.ndarray) -> None:
    shown = np.ma.masked_invalid(ratio.T)
    within = [level for level in ISOLINES if shown.count() and shown.min() < level < shown.max()]
    if within:
        ax.contour(surface.alpha, surface.beta, shown, within, colors="white", linewidths=0.7, zorder=2)


def _column(spec: Curvature, members: Sequence[Member]) -> Column:
    by_plane = {member.plane: member for member in members}
    measured, loss = by_plane[spec.plane], by_plane[spec.contours or spec.plane]
    for member in (measured, loss):
        level_lines.require_plane(member.seen, spec.draw)
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


def _ratio_bar(panels: Grid) -> None:
    """Draw the ratio's colour bar below the panels, with the white isolines and the end of the paper's scale."""
    bar = panels.color_bar(mpl.cm.ScalarMappable(_norm(), _colours()), extend="both")
    bar.set_ticks(list(_TICKS), labels=list(_TICKS.values()))
    bar.minorticks_off()
    bar.set_label(curvature_words.RATIO)
    for level in ISOLINES:
        bar.ax.axvline(level, color="white", linewidth=0.7)
    bar.ax.axvline(_PAPER, color="black", linewidth=0.7)


def _caption(spec: Curvature, runs: Sequence[Column]) -> str:
    finer = "" if spec.contours is None else f", here of the plane {words.escape(spec.contours)}"
    levels = ", ".join(f"{level:g}" for level in level_lines.LEVELS["log"])
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
        " ".join(
            [
                words.member_item(run.map, [_VARIABLE], care=bool(run.beware)),
                *run.beware,
                curvature_words.item(run.map.seen, spec.ratio),
            ]
        )
        for run in runs
    ]
    return words.caption(spec.about, seen, made, items)


def _colours() -> mpl.colors.ListedColormap:
    """Return the ratio's colours; the end of the scale differs from white."""
    return style.colour_map("magma", 0.93)


def _norm() -> mpl.colors.LogNorm:
    return mpl.colors.LogNorm(1e-3, 1)
