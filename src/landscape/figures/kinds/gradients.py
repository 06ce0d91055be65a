"""The gradient over a plane: as arrows over the level lines, its norm, where it points, and how steady it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.errors import InputError
from landscape.figures.kind import OfRuns
from landscape.figures.shared import level_lines, style, value_words, words
from landscape.figures.shared.loss_scale import LossScale, dashed, scale_of
from landscape.figures.shared.members import Drawing, Member, numbers
from landscape.figures.shared.panel_grid import grid
from landscape.geometry import StationaryPoint
from landscape.lazy import mpl, np, pd, xr


class Gradients(OfRuns):
    """The gradient over a plane: as arrows over the level lines, its norm, where it points, how steady it is."""

    example: ClassVar[str] = "curved"
    draw: Literal["gradients"]
    plane: Annotated[str, Ref("planes", axes=2, measures=("gradients", "curvature"))] = Field(
        description="a plane with measure: gradients or curvature"
    )

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one run's panels side by side; several runs in columns, a row for each quantity."""
        for member in members:
            level_lines.require_plane(member.seen, self.draw)
            if "gradient_alpha" not in member.seen:
                raise InputError(
                    f"the plane {self.plane!r} holds no gradients, and draw: {self.draw} needs one with measure: gradients or "
                    "curvature"
                )
        points = {member.state: geometry.stationary_points(member.seen) for member in members}
        surfaces = [member.seen for member in members]
        norm, loss = norm_scale(surfaces), scale_of(surfaces, [_VARIABLE])
        single = len(members) == 1  # its quantities stand side by side
        size = (len(_QUANTITIES), 1) if single else (len(members), len(_QUANTITIES))
        heading = self.title or (words.title(members[0], _VARIABLE) if single else None)
        panels = grid(*size, columns=3 if single else None, heading=heading, share="all")
        rows = [[ax] for ax in panels.axes] if single else panels.rows
        for row, name, (colours, scale, beside) in zip(rows, _QUANTITIES, _scales(norm, loss), strict=True):
            for ax, member in zip(row, members, strict=True):
                if name == "descent":
                    draw_arrows(ax, member.seen, loss)
                    mark_stationary(ax, points[member.state])
                    panels.note(ax, words.notes(member))
                else:
                    level_lines.pixel_map(ax, member.seen, values(member.seen, name), colours=colours, norm=scale)
                if name == "cosine to centre":
                    panels.note(ax, [f"away on {_percent(away(member.seen))}"])
                if single or name == "descent":
                    ax.set_title(name if single else words.title(member, _VARIABLE), parse_math=False)
            for start in range(0, len(row), panels.columns):
                mappable, parents = mpl.cm.ScalarMappable(scale, colours), row[start : start + panels.columns]
                bar = panels.color_bar(mappable, parents, location="right", **beside)
                bar.minorticks_off()
        panels.label_rows(*(["beta"] if single else [f"{name}\nbeta" for name in _QUANTITIES]))
        panels.label_below(words.axis(members[0].seen, "alpha"))
        panels.legend(_keys([point for found in points.values() for point in found]), 3, handletextpad=0.2)
        panels.fit(*[level_lines.shape(members[0].seen)] * size[1])
        drawn = pd.concat([numbers(members, _NUMBERS, plane=True), _stationary(members, points)], ignore_index=True)
        return Drawing(panels.figure, drawn, _caption(self, members, points, loss))


ARROWS = 15
"""The most arrows along each axis; a finer grid is thinned."""

_SHAPES: dict[str, style.Look] = {
    "minimum": {"marker": "o", "markersize": 4.2},
    "saddle": {"marker": "D", "markersize": 3.6},
    "maximum": {"marker": "^", "markersize": 4.6},
}

Found = Mapping[str, Sequence[StationaryPoint]]  # by state

_VARIABLE = "train_loss"
_NORMS = "cividis"  # the colour map of the gradient's norm
_COSINE_TICKS = {-1.0: "\N{MINUS SIGN}1", 0.0: "0", 1.0: "1"}
_DECADES = 4  # most decades of the norm's scale
_NUMBERS = (
    *("train_loss", "gradient_norm", "gradient_alpha", "gradient_beta", "gradient_towards_centre"),
    *("gradient_cosine_alpha", "gradient_cosine_beta", "gradient_cosine_halves"),
)
_QUANTITIES = {
    "descent": "train_loss",
    "gradient norm": "gradient_norm",
    "cosine to centre": "gradient_towards_centre",
    "cosine of neighbours": "",
    "cosine of halves": "gradient_cosine_halves",
}
"""The panels of a run, in order, and their variables; the cosine of neighbours is `between_neighbours`."""


def between_neighbours(surface: xr.Dataset) -> np.ndarray:
    """Average the cosines with the gradients at the next points along alpha and beta, shape (alpha, beta).

    At the end of one axis only the other axis counts; NaN where neither has a next point.
    """
    both = np.stack([geometry.values_of(surface, f"gradient_cosine_{axis}") for axis in ("alpha", "beta")])
    return np.asarray(np.ma.masked_invalid(both).mean(axis=0).filled(np.nan))


def values(surface: xr.Dataset, quantity: str) -> np.ndarray:
    """Return a panel's numbers, shape (alpha, beta)."""
    variable = _QUANTITIES[quantity]
    return geometry.values_of(surface, variable) if variable else between_neighbours(surface)


def cosine_map() -> mpl.colors.LinearSegmentedColormap:
    """Return dark red for negative, light blue for positive cosines: the order is the same in grey."""
    colours = ["#67001f", "#b2182b", "#f4a582", "#9ecae1", "#dbe9f6"]
    return mpl.colors.LinearSegmentedColormap.from_list("cosine", colours)


def norm_scale(surfaces: Sequence[xr.Dataset]) -> mpl.colors.LogNorm:
    """Return the norm's common colour scale: at most four decades, in the middle of nine tenths of its finite values.

    The norm at a plane's corners can be a million times the norm around its centre.
    """
    values = np.concatenate([geometry.values_of(surface, "gradient_norm").ravel() for surface in surfaces])
    known = values[np.isfinite(values) & (values > 0)]
    low, high = np.log10(np.quantile(known, [0.05, 0.95])) if known.size else (-1.0, 0.0)
    half = min(max(high - low, 1), _DECADES) / 2
    return mpl.colors.LogNorm(float(10 ** ((low + high) / 2 - half)), float(10 ** ((low + high) / 2 + half)))


def _scales(
    norm: mpl.colors.LogNorm, loss: LossScale
) -> list[tuple[mpl.colors.Colormap, mpl.colors.Normalize, style.Look]]:
    """Return colours and their norm for each quantity, and the values beside its colour bar."""
    low, high = (np.log10(float(end or 1)) for end in (norm.vmin, norm.vmax))
    decades = {float(10**e): rf"$10^{{{e:.0f}}}$" for e in np.arange(np.ceil(low), np.floor(high) + 1)}
    cosine = cosine_map(), mpl.colors.Normalize(-1, 1), {"at": _COSINE_TICKS}
    return [
        (style.pale_map(), loss.norm, {"at": loss.ticks, "extend": "both"}),
        (style.colour_map(_NORMS), norm, {"at": decades, "extend": "both"}),
        *3 * [cosine],
    ]


def metric(surface: xr.Dataset) -> np.ndarray:
    """Compute P'P of the directions P = [d1 d2], shape (2, 2)."""
    one, other = json.loads(surface.attrs["direction_norms"])
    mixed = float(surface.attrs["cosine"]) * one * other
    return np.array([[one**2, mixed], [mixed, other**2]])


def descent(surface: xr.Dataset) -> np.ndarray:
    """Compute the direction of steepest descent within the plane, in (alpha, beta), shape (alpha, beta, 2).

    Among steps P x of equal length, the loss falls fastest along x = -(P'P)^-1 P'g.
    """
    gradient = np.stack([geometry.values_of(surface, f"gradient_{axis}") for axis in ("alpha", "beta")], -1)
    return -np.einsum("ij,...j", np.linalg.inv(metric(surface)), gradient)


def draw_arrows(ax: mpl.axes.Axes, surface: xr.Dataset, scale: LossScale) -> mpl.quiver.Quiver:
    """Draw level lines of the train loss, and over them the descent at up to 15 x 15 points.

    The arrows are of one length, blue where they point to the centre and red where they point away.
    """
    level_lines.contour(ax, surface, variable="train_loss", scale=scale)
    rows, columns = (_thinned(surface.sizes[axis]) for axis in ("alpha", "beta"))
    chosen = np.ix_(rows, columns)
    alpha, beta = np.meshgrid(surface.alpha.values[rows], surface.beta.values[columns], indexing="ij")
    to = descent(surface)[chosen]
    with np.errstate(invalid="ignore", divide="ignore"):
        to /= np.linalg.norm(to, axis=-1, keepdims=True)
    towards = geometry.values_of(surface, "gradient_towards_centre")[chosen]
    there = np.isfinite(to).all(-1) & np.isfinite(towards)
    look: style.Look = {
        "cmap": cosine_map(),
        "norm": mpl.colors.Normalize(-1, 1),
        "edgecolor": "0.15",
        "linewidth": 0.3,
        "zorder": 4,
    }
    head: style.Look = {"width": 0.012, "headwidth": 3.6, "headlength": 3.6, "headaxislength": 3.4}
    size: style.Look = {"scale": 1.2 * max(rows.size, columns.size), "scale_units": "width"}
    places, colours = (alpha[there], beta[there], *to[there].T), towards[there]
    return ax.quiver(*places, colours, pivot="middle", angles="xy", **size, **head, **look)


def mark_stationary(ax: mpl.axes.Axes, points: Sequence[StationaryPoint]) -> None:
    """Draw a symbol at each point: white if stationary in the slice alone, black if in the whole space."""
    halo = [mpl.patheffects.withStroke(linewidth=1.8, foreground="white")]
    for point in points:
        ax.plot(point.alpha, point.beta, label=point.kind, path_effects=halo, zorder=6, **_look(point.kind))


def _keys(points: Sequence[StationaryPoint]) -> list[mpl.lines.Line2D]:
    """Make the legend's entries, in the order of `geometry.KINDS`."""
    there = {point.kind for point in points}
    return [style.key(kind, **_look(kind)) for kind in geometry.KINDS if kind in there]


def _look(kind: str) -> style.Look:
    in_slice, _, word = kind.rpartition("slice ")
    whole = kind in _SHAPES
    edge = {"markeredgecolor": "white" if whole else "black", "markeredgewidth": 0.5 if whole else 0.8}
    return {**_SHAPES[word], **edge, "markerfacecolor": "black" if whole else "white", "linestyle": "none"}


def _thinned(points: int) -> np.ndarray:
    """Return indices of at most 15 points at equal distances, including the axis's middle point if it has one."""
    step = -(-points // ARROWS)
    return np.arange((points - 1) // 2 % step, points, step)


def away(surface: xr.Dataset) -> float:
    """Compute the share of points at which the descent points away from the centre; NaN if none is known."""
    towards = geometry.values_of(surface, "gradient_towards_centre")
    known = towards[np.isfinite(towards)]
    return float((known < 0).mean()) if known.size else float("nan")


def _stationary(members: Sequence[Member], points: Found) -> pd.DataFrame:
    """Tabulate each stationary point: member, plane, kind, place, loss at the nearest point of the grid."""
    columns = ("kind", "alpha", "beta", "loss")
    return pd.DataFrame(
        {"member": member.state, "plane": member.seen.attrs["plane"], **{of: getattr(point, of) for of in columns}}
        for member in members
        for point in points[member.state]
    ).rename(columns={"loss": "train_loss"})


def _caption(spec: Gradients, members: Sequence[Member], points: Found, scale: LossScale) -> str:
    drawn = ARROWS
    guessed = dashed([member.seen for member in members], ", the dashed one the loss of guessing")
    thinned = max(max(member.seen.sizes[axis] for axis in ("alpha", "beta")) for member in members) > drawn
    seen = (
        f"The gradient of the train loss over the plane {words.escape(spec.plane)}. descent: level lines of the train loss "
        f"at {scale.listed} (its scale beside{guessed}), and arrows of one length along the steepest descent within the plane, in its own metric"
        f"{f', at up to {drawn} x {drawn} of the points' if thinned else ''}; light blue where they point to the centre (cross), "
        "dark red where they point away. gradient norm: of the gradient over all directions, on a logarithmic scale. cosine to centre: "
        "between the gradient's projection on the plane and the way from the centre, in the plane's metric; 1 where the "
        "descent leads straight to the centre. cosine of neighbours: the mean of those with the gradients at the next points "
        "along alpha and beta, over all directions. cosine of halves: between the gradients over two halves of the examples. "
        "Symbols: zeros of the projected gradient, found between the points of the grid; white for what they are in this "
        "slice, black for what they are in the whole space, which needs a gradient whose norm times that of the weights is at "
        "most 0.001 of the loss, and the signs of the extreme eigenvalues. Hatched where nothing is defined."
    )
    parameters = words.each(words.over(words.plane(member.seen)["parameters"]) for member in members)
    made = [*words.surface_made(members), f"The gradient is over {parameters}."]
    return words.caption(spec.about, seen, made, [_item(member, points[member.state]) for member in members])


def _item(member: Member, points: Sequence[StationaryPoint]) -> str:
    surface = member.seen
    told = [f"the descent points away from the centre at {_percent(away(surface))} of the points"]
    for name in ("cosine of neighbours", "cosine of halves"):
        if np.isfinite(found := values(surface, name)).any():
            told.append(value_words.minus(f"median {name} {np.nanmedian(found):.2f}"))
    for kind in geometry.KINDS:
        if places := [f"({p.alpha:.2f}, {p.beta:.2f})" for p in points if p.kind == kind]:
            shown = value_words.minus(", ".join(places[:4])) + (", ..." if len(places) > 4 else "")
            told.append(f"{len(places)} x {kind}: {shown}")
    return f"{words.member_item(member, [_VARIABLE], _VARIABLE)} {'; '.join(told).capitalize()}."


def _percent(share: float) -> str:
    return "no point known" if np.isnan(share) else f"{100 * share:.0f} %"
