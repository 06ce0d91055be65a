"""The map of |lambda_min / lambda_max| of the Hessian beside the level lines of the loss (Li et al. 2018, Figure 7)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.errors import InputError
from landscape.figures.kind import OfRuns
from landscape.figures.shared import level_lines, style, value_words, words
from landscape.figures.shared.groups import group
from landscape.figures.shared.loss_scale import LossScale, dashed, scale_of
from landscape.figures.shared.members import Drawing, Member, numbers
from landscape.figures.shared.panel_grid import Grid, grid
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
        """Draw the ratio, the loss, and the ratio of the plane's own curvature; at most four runs beside each other."""
        runs = [_column(self, of.members) for of in group(members)]
        panels = grid(len(runs), 3, heading=self.title)
        losses = [run.loss.seen for run in runs]
        scale, drawn = scale_of(losses, [_VARIABLE]), []
        for space, loss, plane, run in zip(*panels.rows, runs, strict=True):
            surface = run.map.seen
            _map(space, surface, geometry.values_of(surface, geometry.RATIOS[self.ratio]))
            drawn.append(level_lines.contour(loss, run.loss.seen, variable=_VARIABLE, scale=scale))
            level_lines.pixel_map(plane, surface, geometry.slice_ratio(surface), colours=_colours(), norm=_norm())
            space.set_title(words.with_care(run.map.label, bool(run.map.findings or run.beware)), parse_math=False)
            panels.note(space, _notes(surface, self.ratio))
            panels.note(loss, words.notes(run.loss))
        panels.label_rows(*(f"{name}\nbeta" for name in _ROWS))
        panels.label_below(words.axis(runs[0].map.seen, "alpha"))
        level_lines.colour_bar(panels, scale, words.loss_label(losses, words.NAMES[_VARIABLE]), losses)
        _ratio_bar(panels)
        if any(_not_converged(run.map.seen).any() for run in runs):
            panels.legend([style.key("not converged", **_DOT)])
        shape = level_lines.shape(runs[0].map.seen)
        panels.fit(*3 * [shape])
        for ax, lines in zip(panels.rows[1], drawn, strict=True):
            level_lines.label_levels(ax, lines, scale)
        return Drawing(panels.figure, numbers(members, _NUMBERS, plane=True), _caption(self, runs, scale))


ISOLINES = (0.01, 0.1)
"""Drawn white; the paper reports one per cent for DenseNet."""

RATIO = "|\N{GREEK SMALL LETTER LAMDA} min / \N{GREEK SMALL LETTER LAMDA} max|"
_PAPER = 0.5  # end of the paper's own scale, which is linear from 0
_TICKS = {0.001: "0.001", 0.01: "0.01", 0.1: "0.1", 0.5: "0.5", 1.0: "1"}
_ROWS = ("whole space", "train loss", "this plane")
_VARIABLE = "train_loss"
_RATIOS = {
    "negative": "abs(min(lambda_min, 0)) / lambda_max",
    "plain": "abs(lambda_min / lambda_max), as in the paper,",
}
_DOT: style.Look = {
    "marker": "o",
    "markersize": 2.6,
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
    "linestyle": "none",
}
_NUMBERS = (
    *("train_loss", "eigenvalue_min", "eigenvalue_max", "residual_min", "residual_max", "bound_min", "bound_max"),
    *("eigenvalue_ratio", "eigenvalue_ratio_plain", "slice_eigenvalue_min", "slice_eigenvalue_max"),
    *("products", "below_arithmetic", "status"),
)
NOT_CONVERGED = 3  # of the variable `status`
_FEW = 0.01  # a ratio below which curvature counts as none in the paper


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
    level_lines.pixel_map(ax, surface, ratio, colours=_colours(), norm=_norm())
    shown = np.ma.masked_invalid(ratio.T)
    if within := [level for level in ISOLINES if shown.count() and shown.min() < level < shown.max()]:
        ax.contour(surface.alpha, surface.beta, shown, within, colors="white", linewidths=0.7, zorder=2)
    alpha, beta = np.nonzero(_not_converged(surface))
    if alpha.size:
        ax.plot(surface.alpha[alpha], surface.beta[beta], **_DOT, clip_on=False, zorder=6)


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
    bar = panels.color_bar(mpl.cm.ScalarMappable(_norm(), _colours()), at=_TICKS, extend="both", label=RATIO)
    bar.minorticks_off()
    for level in ISOLINES:
        bar.ax.axvline(level, color="white", linewidth=0.7)
    bar.ax.axvline(_PAPER, color="black", linewidth=0.7)


def _caption(spec: Curvature, runs: Sequence[Column], scale: LossScale) -> str:
    guessed = dashed([run.loss.seen for run in runs], ", the dashed one is the loss of guessing")
    finer = "" if spec.contours is None else f", here of the plane {words.escape(spec.contours)}"
    seen = (
        f"From left to right {', '.join(words.escape(run.map.label) for run in runs)}. Above: {_RATIOS[spec.ratio]} of the "
        f"Hessian of the train loss at every point of the plane {words.escape(spec.plane)}, one pixel each, on a logarithmic "
        "scale; white lines at 0.01 and 0.1, a black one in the scale at 0.5, where the paper's linear scale ends; white and "
        "hatched where the loss is not finite or lambda_max is not positive; dots where the eigenvalues are not converged. "
        f"Middle: level lines of the train loss{finer}, at {scale.listed}{scale.thick_ones}{guessed}. "
        "Below: abs(min(mu_min, 0)) / mu_max of the two eigenvalues mu of the Hessian restricted to the "
        "plane, in the same colours: all the negative curvature that the level lines can show. The cross marks the state "
        "itself."
    )
    maps, losses = [run.map for run in runs], [run.loss for run in runs]
    made = words.surface_made(maps)
    if spec.contours is not None:
        made.insert(2, f"Grid of the level lines: {words.grid(losses[0].seen)}.")
    made.append(_solved(maps[0].seen))
    items = [
        f"{words.member_item(run.map, [_VARIABLE], care=bool(run.beware))} "
        + words.sentences(*run.beware, _eigenvalues(run.map.seen, spec.ratio))
        for run in runs
    ]
    return words.caption(spec.about, seen, made, items)


def _not_converged(surface: xr.Dataset) -> np.ndarray:
    """Mask the points whose eigenvalues are not converged, shape (alpha, beta)."""
    return geometry.values_of(surface, "status") == NOT_CONVERGED


def _notes(surface: xr.Dataset, kind: Literal["negative", "plain"]) -> list[str]:
    """Write two lines for below a map: its median, and the share of it below 1 %."""
    ratio = geometry.values_of(surface, geometry.RATIOS[kind])
    known = ratio[np.isfinite(ratio)]
    return (
        [f"median {value_words.loss(float(np.median(known)))}", _below(known)] if known.size else ["no ratio anywhere"]
    )


def _solved(surface: xr.Dataset) -> str:
    """Explain, in sentences, how the eigenvalues were found."""
    attrs, beyond = surface.attrs, ""
    solver = "by scipy's implicitly restarted Lanczos (eigsh), the paper's method"
    if attrs["eigensolver"] == "lanczos":
        solver = "both from one Krylov space (Lanczos with full reorthogonalisation)"
        beyond = (
            f", and when with a probability of {100 * attrs['probability_of_bounds']:g} % none lay further below lambda_min or "
            "above lambda_max than that"
        )
    return (
        f"The extreme eigenvalues are those of the Hessian over {words.over(attrs['parameters'])}, {solver}, stopped when the "
        f"residual of lambda_max was at most {100 * attrs['tolerance_max']:g} % of it and that of lambda_min at most "
        f"{100 * attrs['tolerance_min']:g} % of it or {100 * attrs['tolerance_min_of_max']:g} % of lambda_max{beyond}. A Ritz "
        "value of lambda_min lies above the eigenvalue, so it errs towards convexity. The Hessian is autograd's, which leaves "
        "the kinks of ReLU out."
    )


def _eigenvalues(surface: xr.Dataset, kind: Literal["negative", "plain"]) -> str:
    """Write a member's eigenvalues, residuals, products, and drift with more examples, in sentences."""
    low, high = (geometry.values_of(surface, f"eigenvalue_{end}") for end in ("min", "max"))
    r_low, r_high = (geometry.values_of(surface, f"residual_{end}") for end in ("min", "max"))
    ratio = geometry.values_of(surface, geometry.RATIOS[kind])
    if not np.isfinite(low).any():
        return "No eigenvalue is known."
    known = ratio[np.isfinite(ratio)]
    median = f"median ratio {value_words.loss(float(np.median(known)))}, {_below(known)}; " if known.size else ""
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = [100 * float(np.nanmax(np.abs(r / high))) for r in (r_high, r_low)]
        lower = 100 * (low - geometry.values_of(surface, "bound_min")) / high
    count, size = int(_not_converged(surface).sum()), ratio.size
    told = (
        f"Over the plane: {median}lambda_max from {value_words.number(np.nanmin(high))} to {value_words.number(np.nanmax(high))}, lambda_min from "
        f"{value_words.number(np.nanmin(low))} to {value_words.number(np.nanmax(low))}; residuals of at most {largest[0]:.2g} % (lambda_max) and "
        f"{largest[1]:.2g} % (lambda_min) of lambda_max; {f'{count:,} of {size:,}' if count else 'no'} points not "
        f"converged; {int(np.nanmedian(geometry.values_of(surface, 'products'))):,} Hessian products at the median point."
    )
    if np.isfinite(lower).any():
        probability = f"{100 * surface.attrs['probability_of_bounds']:g} %"
        told += (
            f" With a probability of {probability} at each point, no eigenvalue lies below lambda_min by more than "
            f"{np.nanmax(lower):.2g} % of lambda_max."
        )
    if count := int((np.isnan(ratio) & np.isfinite(geometry.values_of(surface, "train_loss"))).sum()):
        told += f" {count:,} of {size:,} points without a positive eigenvalue."
    if hidden := int(geometry.values_of(surface, "below_arithmetic").sum()):
        told += f" At {hidden:,} points lambda_min is below what the arithmetic can see."
    return f"{told}{_drift(surface)}"


def _below(ratio: np.ndarray) -> str:
    return f"{100 * float((ratio < _FEW).mean()):.0f} % below {_FEW:g}".replace(" ", "\N{NO-BREAK SPACE}")


def _drift(surface: xr.Dataset) -> str:
    """Write how far the eigenvalues move from the examples used to the most tried; empty if no more were tried."""
    points = json.loads(surface.attrs["drift"])
    told = []
    for name, key in (("lambda_max", "eigenvalue_max"), ("lambda_min", "eigenvalue_min")):
        changes = [100 * (p[key][-1] / p[key][0] - 1) for p in points if len(p[key]) > 1 and p[key][0] and p[key][-1]]
        if changes:
            told.append(f"{name} by {value_words.number(min(changes))} to {value_words.number(max(changes))} %")
    if not told:
        return ""
    examples = max(max(p["examples"]) for p in points)
    return f" On {examples:,} examples, at {len(points)} of the points, {' and '.join(told)} of what it is here."


def _colours() -> mpl.colors.ListedColormap:
    """Return the ratio's colours; the end of the scale differs from white."""
    return style.colour_map("magma", 0.93)


def _norm() -> mpl.colors.LogNorm:
    return mpl.colors.LogNorm(1e-3, 1)
