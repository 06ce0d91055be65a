"""The path of a training on planes (Li et al. 2018, Figures 8 and 9)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from landscape.config.schema import Plane, Trajectories
from landscape.errors import InputError
from landscape.figures import paths, style, words
from landscape.figures.contours import LEVELS, colour_bar, frame, label_levels, level_lines, numbers
from landscape.figures.drawing import Drawing, Member
from landscape.figures.groups import errors, group
from landscape.figures.panels import LABEL, NOTE, Panels, lay_out, wrap

_STRIP = 0.45  # inches, height of the losses
_LINE = 0.13  # from line to line of an axis label
_TICKS = 0.17
_LEFT = 0.7
_FEW_CELLS = 6


@dataclass(frozen=True)
class _Panel:
    """One of the panels: a member at a scale."""

    member: Member
    scale: Literal["equal", "auto"]
    again: bool  # whether the same path stands in an earlier panel

    @property
    def path(self) -> xr.Dataset:
        assert self.member.trajectory is not None, self.member.state
        return self.member.trajectory

    @property
    def falls(self) -> dict[int, int]:
        return paths.drops(self.member.history, self.path)


def draw(spec: Trajectories, members: Sequence[Member]) -> Drawing:
    """One panel per member and scale; with several scales first all members at the one, then at the next.

    Raises:
        InputError: if the plane is a line.
    """
    for member in members:
        _require_plane(member)
    shown = [_Panel(member, scale, k > 0) for k, scale in enumerate(spec.scales) for member in members]
    columns = _columns(len(members) if len(members) > 1 else len(shown))
    width = style.COLUMN_WIDTH if columns == 1 else style.TEXT_WIDTH
    side = (width - _LEFT - 0.12 - _LEFT * (columns - 1)) / columns
    ratio = _ratio(shown)
    across = [wrap(paths.axis_label(panel.path, "alpha"), side + 0.2, NOTE) for panel in shown]
    up = [wrap(paths.axis_label(panel.path, "beta"), side * ratio, NOTE) for panel in shown]
    label = _LINE * max(map(len, across))
    below = label + (_TICKS + 0.06 + _STRIP if spec.losses else 0)
    bars = [0.55] * (int(spec.contours) + 1 if columns == 1 else 1)
    panels = lay_out(
        [_title(panel, spec, members) for panel in shown],
        [_notes(panel) for panel in shown],
        columns=columns,
        width=width,
        panel=(side, side * ratio + below),
        margins=(_LEFT, 0.12),
        foot=0.2 + sum(bars) + (0.16 if spec.losses else 0),
        labels=("epoch" if spec.losses else "", ""),
        heading=spec.title,
    )
    last = max(int(panel.path.epoch[-1]) for panel in shown)
    colours = Normalize(0, max(last, 1))
    limits = paths.loss_limits([panel.path for panel in shown])
    for k, (ax, panel) in enumerate(zip(panels.axes, shown, strict=True)):
        place = ax.get_position()
        share = side * ratio / (side * ratio + below)
        ax.set_position((place.x0, place.y1 - share * place.height, place.width, share * place.height))
        _draw_panel(ax, panel, colours, ratio)
        ax.set_xlabel("\n".join(across[k]), fontsize=NOTE, parse_math=False, linespacing=1.1)
        ax.set_ylabel("\n".join(up[k]), fontsize=NOTE, parse_math=False, linespacing=1.1)
        ax.tick_params(labelleft=True)
        if spec.losses:
            height = place.height * _STRIP / (side * ratio + below)
            losses = panels.figure.add_axes((place.x0, place.y0, place.width, height))
            paths.strip(losses, panel.path, list(panel.falls), limits, last)
            if panels.is_first(k):
                losses.set_ylabel("loss")
            else:
                losses.tick_params(labelleft=False)
    _foot(panels, spec, shown, colours)
    return Drawing(panels.figure, _numbers(members), _caption(spec, members, shown))


def _draw_panel(ax: Axes, panel: _Panel, colours: Normalize, ratio: float) -> None:
    """Level lines where there is a surface, and the path over them."""
    surface, points = panel.member.surface, paths.points_of(panel.path)
    lines = None
    if surface is not None:
        lines = level_lines(ax, surface, variable="train_loss", levels=LEVELS["log"])
    xlim, ylim = paths.view(panel.path, surface, panel.scale, ratio)
    ax.set(xlim=xlim, ylim=ylim)
    frame(ax)
    paths.draw_path(ax, panel.path, panel.falls, colours=colours, size=8 if len(points) <= 60 else 3)
    if lines is not None:
        labels = [text.xyann for text in ax.texts if isinstance(text, Annotation)]
        label_levels(ax, lines, avoid=np.array([*points[np.isfinite(points).all(axis=1)], *labels]))


def _columns(panels: int) -> int:
    return panels if panels <= 3 else 2 if panels == 4 else 3


def _ratio(shown: Sequence[_Panel]) -> float:
    """Height over width of the panels: that of the first grid, within what a page can bear."""
    surface = shown[0].member.surface
    if surface is None:
        return 1.0
    return float(np.clip(np.ptp(surface.beta.values) / np.ptp(surface.alpha.values), 0.75, 1.25))


def _title(panel: _Panel, spec: Trajectories, members: Sequence[Member]) -> str:
    """The run, plane and scale, of these what differs between the panels; the run if nothing does."""
    runs, planes = (dict.fromkeys(names) for names in zip(*((m.state, m.plane) for m in members), strict=True))
    said = [panel.member.label] * (len(runs) > 1) + [str(panel.member.plane)] * (len(planes) > 1)
    said += [f"{panel.scale} scale{'s' * (panel.scale == 'equal')}"] * (len(spec.scales) > 1)
    return ", ".join(said or [panel.member.label])


def _notes(panel: _Panel) -> list[str]:
    member, path = panel.member, panel.path
    said = []
    if not panel.again:
        said += [*errors(group([member])[0]), f"train loss {words.loss(float(member.row.train_loss))}", *_lean(path)]
        if hidden := paths.losses_hidden(path):
            said.append(hidden)
    if member.surface is not None:
        if beyond := paths.outside(path, _grid(member.surface)):
            said.append(f"{beyond} of {path.sizes['epoch']} epochs outside the grid")
        cells = _cells(panel)
        if panel.scale == "auto" and min(cells) < _FEW_CELLS:
            said.append(f"level lines from {cells[0]:.1f} x {cells[1]:.1f} cells of the grid")
    return said


def _lean(path: xr.Dataset) -> list[str]:
    """The cosine of directions that are not orthogonal, and what the shares are of where that is not the variance."""
    spec = words.plane(path)
    said = []
    if spec["directions"] in ("random", "start", "of") and "cosine" in path.attrs:
        said.append(f"cosine of the directions {path.attrs['cosine']:.2g}".replace("-", "\N{MINUS SIGN}"))
    if not spec.get("centred", True):
        said.append("shares of the squared distance to the end")
    return said


def _grid(surface: xr.Dataset) -> paths.Limits:
    alpha, beta = surface.alpha.values, surface.beta.values
    return (float(alpha[0]), float(alpha[-1])), (float(beta[0]), float(beta[-1]))


def _cells(panel: _Panel) -> tuple[float, float]:
    """Cells of the grid that the view spans on each axis."""
    surface = panel.member.seen
    limits = paths.view(panel.path, surface, panel.scale, 1.0)
    alpha, beta = (
        (high - low) / float(np.diff(surface[axis].values).mean())
        for axis, (low, high) in zip(("alpha", "beta"), limits, strict=True)
    )
    return alpha, beta


def _foot(panels: Panels, spec: Trajectories, shown: Sequence[_Panel], colours: Normalize) -> None:
    """Legends, and the colour bars of the loss and of the epochs: side by side, or of one column below each other."""
    height = panels.figure.get_size_inches()[1]
    symbols = [handle for handle in paths.handles() if handle.get_label() != paths.FALLS or any(p.falls for p in shown)]
    lines = [Line2D([], [], label=label, **look) for label, look in paths.LOSSES.values()]
    foot = panels.foot
    for handles in (symbols, lines) if spec.losses else (symbols,):
        panels.figure.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, foot / height),
            ncols=3,
            borderpad=0,
            borderaxespad=0,
            columnspacing=1.2,
        )
        foot -= 0.16
    half = (panels.right - panels.left - 0.5) / 2
    apart = panels.columns > 1 and spec.contours
    if spec.contours:
        surfaces = [panel.member.seen for panel in shown]
        place = replace(panels, right=panels.left + half) if apart else panels
        colour_bar(replace(place, foot=foot), LEVELS["log"], words.NAMES["train_loss"], surfaces)
        foot -= 0 if apart else 0.55
    left = panels.right - half if apart else (panels.left + panels.right - min(3.0, panels.right - panels.left)) / 2
    ax = panels.add_axes(
        left, foot - 0.24, panels.right - left if apart else min(3.0, panels.right - panels.left), 0.09
    )
    bar = panels.figure.colorbar(ScalarMappable(colours, paths.EPOCH_MAP), cax=ax, orientation="horizontal")
    assert bar.solids is not None
    bar.solids.set_rasterized(True)
    bar.locator = MaxNLocator(5, integer=True, steps=[1, 2, 5, 10])
    bar.set_label("epoch", fontsize=LABEL)


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """One row per kept epoch of each path, and one per point of each surface, which has no epoch."""
    frames = []
    for member in members:
        assert member.trajectory is not None
        names = ["alpha", "beta", "distance", "distance_to_end", "step_norm", *paths.LOSSES]
        path = member.trajectory[names].to_dataframe().reset_index()[["epoch", *names]]
        surface = numbers([member], ["train_loss"]).drop(columns="member") if member.surface is not None else None
        both = pd.concat([path, surface], ignore_index=True)
        both.insert(0, "member", member.state)
        both.insert(1, "plane", member.plane)
        frames.append(both)
    return pd.concat(frames, ignore_index=True)


def _require_plane(member: Member) -> None:
    assert member.trajectory is not None, member.state
    if Plane.model_validate(words.plane(member.trajectory)).is_line:
        name = member.trajectory.attrs["plane"]
        raise InputError(
            f"the plane {name!r} has one direction, and draw: trajectories needs two; give it a beta, or another plane"
        )


def _caption(spec: Trajectories, members: Sequence[Member], shown: Sequence[_Panel]) -> str:
    falls = [panel.falls for panel in shown]
    seen = [
        "The path of training on a plane: a dot for each kept epoch, light at the start (square) and dark at the end (star), "
        "at the foot of the perpendicular from the weights.",
        "Red diamonds, with the epoch: where the learning rate falls to less than half." if any(falls) else "",
        "The diamond of an epoch that was not kept stands at the last kept one before it."
        if any(drop != kept for panel in falls for drop, kept in panel.items())
        else "",
        f"Under the path, level lines of the train loss at {', '.join(f'{level:g}' for level in LEVELS['log'])}, "
        "the dashed one at the loss of guessing; white where the grid ends or the loss is not finite (then hatched)."
        if spec.contours
        else "",
        "Equal scales: both axes, in multiples of their directions, have one scale, and the view holds the whole grid and the "
        "whole path."
        if "equal" in spec.scales
        else "",
        "Auto scale: each axis is fitted to the path, so that angles and lengths cannot be compared."
        if "auto" in spec.scales
        else "",
        _shares_explained(members),
        _losses_explained(members) if spec.losses else "",
    ]
    return words.caption(
        spec.about, " ".join(filter(None, seen)), _made(members), [_item(member) for member in members]
    )


def _shares_explained(members: Sequence[Member]) -> str:
    planes = [
        (words.plane(member.trajectory), member.trajectory) for member in members if member.trajectory is not None
    ]
    said = ["Beside an axis stands the share that it holds of the path's variance"]
    if not all(plane.get("centred", True) for plane, _ in planes):
        said.append(", of planes that are not centred that of the squared distance to the end")
    if any(plane["directions"] == "pca" for plane, _ in planes):
        said.append("; in brackets that of the principal component of a random walk with the same step lengths")
    if any(np.isfinite(path.expected_share).any() for _, path in planes):
        number = words.each(int(path.attrs["parameters"]) for _, path in planes)
        said.append(f"; of a random direction, in brackets, the share expected of it, one over {number} parameters")
    if any(plane["directions"] in ("random", "start", "of") for plane, _ in planes):
        said.append("; where directions are not orthogonal, the share of beta is that of its part orthogonal to alpha")
    return "".join(said) + "."


def _losses_explained(members: Sequence[Member]) -> str:
    images = words.each(
        min(int(member.history.attrs["train_images"]), words.plane(member.trajectory).get("images") or 10**12)
        for member in members
        if member.trajectory is not None
    )
    precision = words.each(m.trajectory.attrs["precision"] for m in members if m.trajectory is not None)
    return (
        f"Strips: the train loss at each kept epoch over {images} images, precision {precision}: on the plane, at the path's "
        "dot (dotted); with the epoch's weights alone, batch norm and biases being those of the end (dashed); as saved "
        "(solid). From dotted to dashed is what the projection leaves out, from dashed to solid what batch norm and biases "
        "do. The axis is logarithmic and the same in all strips."
    )


def _made(members: Sequence[Member]) -> list[str]:
    """How the planes were made, in the order of the panels; then what the losses are."""
    said = []
    for name in dict.fromkeys(str(member.plane) for member in members):
        on = [member for member in members if member.plane == name]
        path = on[0].trajectory
        assert path is not None
        seeds = [seed for seed in (words.plane(path).get("seed"),) if seed is not None]
        said.append(f"Plane {words.escape(name)}: {words.directions_made(path, seeds)}")
        if on[0].surface is not None:
            said.append(f"Grid: {words.grid(on[0].surface)}.")
    with_surface = [member for member in members if member.surface is not None]
    return [*said, *(words.losses_made(with_surface) if with_surface else words.errors_made(members))]


def _item(member: Member) -> str:
    """The numbers of a member's path, and what is not seen of it."""
    path = member.trajectory
    assert path is not None
    said = words.member_item(member, ["train_loss"]) if member.surface is not None else words.run_item(member)
    kept = path.epoch.values
    shares = " and ".join(paths.percent(float(share)) for share in path.share)
    farthest = words.loss(float(path.distance.max()))
    told = [
        f"On {words.escape(str(member.plane))}: {len(kept)} kept epochs from {kept[0]} to {kept[-1]}, shares {shares}, "
        f"at most {farthest} off the plane"
    ]
    if member.surface is not None and (beyond := paths.outside(path, _grid(member.surface))):
        told.append(f"{beyond} epochs outside the grid")
    if hidden := paths.losses_hidden(path):
        told.append(hidden)
    return f"{said} {', '.join(told)}."
