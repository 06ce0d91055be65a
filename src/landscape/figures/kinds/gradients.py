"""The gradient over a plane: as arrows over the level lines, its norm, where it points, and how steady it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.errors import InputError
from landscape.figures.kind import OfRuns
from landscape.figures.shared import arrows, level_lines, style, words
from landscape.figures.shared.arrows import cosine_map, cosine_norm
from landscape.figures.shared.bands import table
from landscape.figures.shared.maps import pixel_map
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panel_grid import default_columns, grid
from landscape.geometry import StationaryPoint
from landscape.lazy import mpl, np, pd, xr

if TYPE_CHECKING:
    from matplotlib.colors import Colormap, LogNorm, Normalize


class Gradients(OfRuns):
    """The gradient over a plane: as arrows over the level lines, its norm, where it points, how steady it is."""

    example: ClassVar[str] = "curved"
    draw: Literal["gradients"]
    plane: Annotated[str, Ref("planes", axes=2, measures=("gradients", "curvature"))] = Field(
        description="a plane with measure: gradients or curvature"
    )

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one run's panels side by side; several runs in columns, a row for each quantity.

        Raises:
            InputError: if the plane is a line, or its gradients were not measured.
        """
        for member in members:
            level_lines.require_plane(member.seen, self.draw)
            if "gradient_alpha" not in member.seen:
                raise InputError(
                    f"the plane {self.plane!r} holds no gradients, and draw: {self.draw} needs one with measure: gradients or "
                    "curvature"
                )
        points = {member.state: geometry.stationary_points(member.seen) for member in members}
        norm = norm_scale([member.seen for member in members])
        single = len(members) == 1  # its quantities stand side by side
        columns = 3 if single else len(members) if len(members) <= 4 else default_columns(len(members))
        width = style.COLUMN_WIDTH if columns <= 2 else style.TEXT_WIDTH
        size = (len(_QUANTITIES), 1) if single else (len(members), len(_QUANTITIES))
        heading = self.title or (words.title(members[0], _VARIABLE) if single else None)
        panels = grid(*size, columns=columns, width=width, heading=heading, share="all")
        rows = [[ax] for ax in panels.axes] if single else panels.rows
        for row, (name, values), scale in zip(rows, _QUANTITIES.items(), _scales(norm), strict=True):
            for ax, member in zip(row, members, strict=True):
                if name == "descent":
                    arrows.draw_arrows(ax, member.seen)
                    arrows.mark_stationary(ax, points[member.state])
                    panels.note(ax, words.notes(member))
                else:
                    pixel_map(ax, member.seen, values(member.seen), colours=scale.colours, norm=scale.norm)
                if name == "cosine to centre":
                    panels.note(ax, [f"away on {_percent(away(member.seen))}"])
                if single or name == "descent":
                    ax.set_title(name if single else words.title(member, _VARIABLE), parse_math=False)
            for start in range(0, len(row), columns):
                mappable = mpl.cm.ScalarMappable(scale.norm, scale.colours)
                bar = panels.color_bar(mappable, row[start : start + columns], location="right", extend=scale.extend)
                bar.set_ticks(list(scale.ticks), labels=list(scale.ticks.values()))
                bar.minorticks_off()
        panels.label_rows(*(["beta"] if single else [f"{name}\nbeta" for name in _QUANTITIES]))
        panels.label_below(words.axis(members[0].seen, "alpha"))
        panels.legend(arrows.keys([point for found in points.values() for point in found]), 3, handletextpad=0.2)
        panels.fit(*[level_lines.shape(members[0].seen)] * size[1])
        drawn = pd.concat([table(members, _NUMBERS), _stationary(members, points)], ignore_index=True)
        return Drawing(panels.figure, drawn, _caption(self, members, points))


Found = Mapping[str, Sequence[StationaryPoint]]  # by state

_VARIABLE = "train_loss"
_NORMS = "cividis"  # the colour map of the gradient's norm
_COSINE_TICKS = {-1.0: "\N{MINUS SIGN}1", 0.0: "0", 1.0: "1"}
_LOSS_TICKS = {0.01: "0.01", 0.1: "0.1", 1.0: "1", 10.0: "10", 100.0: "100"}
_DECADES = 4  # most decades of the norm's scale
_NUMBERS = (
    "train_loss",
    "gradient_norm",
    "gradient_alpha",
    "gradient_beta",
    "gradient_towards_centre",
    "gradient_cosine_alpha",
    "gradient_cosine_beta",
    "gradient_cosine_halves",
)


def between_neighbours(surface: xr.Dataset) -> np.ndarray:
    """Average the cosines with the gradients at the next points along alpha and beta, shape (alpha, beta).

    At the end of one axis only the other axis counts; NaN where neither has a next point.
    """
    both = np.stack([geometry.values_of(surface, f"gradient_cosine_{axis}") for axis in ("alpha", "beta")])
    return np.asarray(np.ma.masked_invalid(both).mean(axis=0).filled(np.nan))


def _values(name: str) -> Callable[[xr.Dataset], np.ndarray]:
    return lambda surface: geometry.values_of(surface, name)


_QUANTITIES: dict[str, Callable[[xr.Dataset], np.ndarray]] = {
    "descent": _values("train_loss"),
    "gradient norm": _values("gradient_norm"),
    "cosine to centre": _values("gradient_towards_centre"),
    "cosine of neighbours": between_neighbours,
    "cosine of halves": _values("gradient_cosine_halves"),
}
"""The panels of a run, in order."""


@dataclass(frozen=True)
class _Scale:
    """The colours of a quantity, and the values written beside them."""

    colours: Colormap
    norm: Normalize
    ticks: dict[float, str]
    extend: Literal["neither", "both"]


def norm_scale(surfaces: Sequence[xr.Dataset]) -> LogNorm:
    """Return the norm's common colour scale: at most four decades, in the middle of nine tenths of its finite values.

    The norm at a plane's corners can be a million times the norm around its centre.
    """
    values = np.concatenate([geometry.values_of(surface, "gradient_norm").ravel() for surface in surfaces])
    known = values[np.isfinite(values) & (values > 0)]
    low, high = np.log10(np.quantile(known, [0.05, 0.95])) if known.size else (-1.0, 0.0)
    half = min(max(high - low, 1), _DECADES) / 2
    return mpl.colors.LogNorm(float(10 ** ((low + high) / 2 - half)), float(10 ** ((low + high) / 2 + half)))


def _scales(norm: LogNorm) -> list[_Scale]:
    """Return one scale for each quantity."""
    low, high = (np.log10(float(end or 1)) for end in (norm.vmin, norm.vmax))
    decades = {float(10**e): rf"$10^{{{e:.0f}}}$" for e in np.arange(np.ceil(low), np.floor(high) + 1)}
    loss = _Scale(style.pale_map(), style.norm(), _LOSS_TICKS, "both")
    norms = _Scale(style.colour_map(_NORMS), norm, decades, "both")
    cosine = _Scale(cosine_map(), cosine_norm(), _COSINE_TICKS, "neither")
    return [loss, norms, cosine, cosine, cosine]


def away(surface: xr.Dataset) -> float:
    """Compute the share of points at which the descent points away from the centre; NaN if none is known."""
    towards = geometry.values_of(surface, "gradient_towards_centre")
    known = towards[np.isfinite(towards)]
    return float((known < 0).mean()) if known.size else float("nan")


def _stationary(members: Sequence[Member], points: Found) -> pd.DataFrame:
    """Tabulate each stationary point: member, plane, kind, place, loss at the nearest point of the grid."""
    return pd.DataFrame(
        {
            "member": member.state,
            "plane": member.seen.attrs["plane"],
            "kind": point.kind,
            "alpha": point.alpha,
            "beta": point.beta,
            "train_loss": point.loss,
        }
        for member in members
        for point in points[member.state]
    )


def _caption(spec: Gradients, members: Sequence[Member], points: Found) -> str:
    drawn = arrows.ARROWS
    thinned = max(max(member.seen.sizes[axis] for axis in ("alpha", "beta")) for member in members) > drawn
    seen = (
        f"The gradient of the train loss over the plane {words.escape(spec.plane)}. descent: level lines of the train loss "
        f"at {', '.join(f'{level:g}' for level in level_lines.LEVELS['log'])} (its scale beside, the dashed one the loss of "
        "guessing), and arrows of one length along the steepest descent within the plane, in its own metric"
        f"{f', at up to {drawn} x {drawn} of the points' if thinned else ''}; light blue where they point to the centre (cross), "
        "dark red where they point away. gradient norm: of the gradient over all directions, on a logarithmic scale. cosine to centre: "
        "between the gradient's projection on the plane and the way from the centre, in the plane's metric; 1 where the "
        "descent leads straight to the centre. cosine of neighbours: the mean of those with the gradients at the next points "
        "along alpha and beta, over all directions. cosine of halves: between the gradients over two halves of the examples. "
        "Symbols: zeros of the projected gradient, found between the points of the grid; white for what they are in this "
        "slice, black for what they are in the whole space, which needs a gradient whose norm times that of the weights is at "
        "most 0.001 of the loss, and the signs of the extreme eigenvalues. Hatched where nothing is defined."
    )
    over = {"filters": "the parameters that have filters", "all": "all parameters"}
    parameters = words.each(over[words.plane(member.seen)["parameters"]] for member in members)
    made = [*words.surface_made(members), f"The gradient is over {parameters}."]
    return words.caption(spec.about, seen, made, [_item(member, points[member.state]) for member in members])


def _item(member: Member, points: Sequence[StationaryPoint]) -> str:
    surface = member.seen
    halves = geometry.values_of(surface, "gradient_cosine_halves")
    neighbours = between_neighbours(surface)
    told = [f"the descent points away from the centre at {_percent(away(surface))} of the points"]
    for name, values in (("of neighbours", neighbours), ("of halves", halves)):
        if np.isfinite(values).any():
            told.append(f"median cosine {name} {np.nanmedian(values):.2f}".replace("-", "\N{MINUS SIGN}"))
    for kind in geometry.KINDS:
        if places := [f"({p.alpha:.2f}, {p.beta:.2f})" for p in points if p.kind == kind]:
            shown = ", ".join(places[:4]).replace("-", "\N{MINUS SIGN}") + (", ..." if len(places) > 4 else "")
            told.append(f"{len(places)} x {kind}: {shown}")
    return f"{words.member_item(member, [_VARIABLE], _VARIABLE)} {'; '.join(told).capitalize()}."


def _percent(share: float) -> str:
    return "no point known" if np.isnan(share) else f"{100 * share:.0f} %"
