"""The path of a training on planes (Li et al. 2018, Figures 8 and 9)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.errors import InputError
from landscape.figures.kind import OfRuns
from landscape.figures.shared import paths, style, ticks, value_words, words
from landscape.figures.shared.groups import errors, group
from landscape.figures.shared.level_lines import colour_bar, frame, label_levels, level_lines
from landscape.figures.shared.loss_scale import LossScale, dashed, scale_of
from landscape.figures.shared.members import Drawing, Member, numbers, tabulate
from landscape.figures.shared.panel_grid import NOTE, Grid, grid, wrap
from landscape.figures.shared.paths import Panel
from landscape.lazy import mpl, np, pd
from landscape.measures import plane_of


class Trajectories(OfRuns):
    """The path of a training on planes, over the level lines (Li et al. 2018, Figures 8 and 9)."""

    example: ClassVar[str] = "path"
    draw: Literal["trajectories"]
    planes: Annotated[Names, Ref("planes", axes=2)] = Field(
        min_length=1, description="one panel for each run and plane; * stands for several"
    )
    scales: tuple[Literal["equal", "auto"], ...] = Field(
        ("equal",), min_length=1, description="of the two axes; with both, every plane is drawn twice"
    )
    contours: bool = Field(True, description="whether the loss is drawn under the path")
    losses: bool = Field(True, description="whether the three losses per epoch are drawn in a strip below")

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """Draw one panel per member and scale, all members at one scale before the next scale."""
        for member in members:
            _require_path(member)
        shown = [Panel(member, scale, k > 0) for k, scale in enumerate(self.scales) for member in members]
        across = len(members) if len(members) > 1 else len(shown)
        columns = 2 if across == 4 else min(across, 3)
        panels = grid(len(shown), 1 + self.losses, columns=columns, narrow=1, heading=self.title, share="none")
        ratio = _ratio(shown)
        last = max(int(panel.path.epoch[-1]) for panel in shown)
        colours = mpl.colors.Normalize(0, max(last, 1))
        limits = paths.loss_limits([panel.path for panel in shown])
        scale = scale_of([member.seen for member in members], ["train_loss"]) if self.contours else None
        lines = []
        for ax, panel in zip(panels.rows[0], shown, strict=True):
            lines.append(_draw_panel(ax, panel, colours, ratio, scale))
            ax.set_title(_title(panel, self, members), parse_math=False)
            room = panels.room - 0.3
            look: style.Look = {"fontsize": NOTE, "parse_math": False, "linespacing": 1.1}
            ax.set_xlabel("\n".join(wrap(paths.axis_label(panel.path, "alpha"), room, NOTE)), **look)
            ax.set_ylabel("\n".join(wrap(paths.axis_label(panel.path, "beta"), room * ratio, NOTE)), **look)
        for k, (ax, panel) in enumerate(zip(panels.rows[-1], shown, strict=True)):
            if self.losses:
                paths.strip(ax, panel.path, panel.falls, limits, last)
                ax.set(xlabel="epoch", ylabel=words.loss_label([panel.path]) if panels.begins(k) else "")
                ax.tick_params(labelleft=panels.begins(k))
            panels.note(ax, _notes(panel), "right")
        _scales(panels, self, shown, colours, scale)
        panels.fit(ratio, *([0.3] if self.losses else []))
        for ax, panel, of in zip(panels.rows[0], shown, lines, strict=True):
            labels = paths.label_falls(ax, panel.path, panel.falls)
            if of is not None and scale is not None:
                avoid = [*paths.finite_points(panel.path), *(np.array(label.xyann) for label in labels)]
                label_levels(ax, of, scale, avoid=avoid)
        return Drawing(panels.figure, _numbers(members), _caption(self, members, shown, scale))

    @property
    def seen(self) -> list[tuple[str, str]]:
        return self.paths if self.contours else []

    @property
    def paths(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.planes))


_FEW_CELLS = 6  # a view at auto scale that spans fewer cells of the grid has a warning


def _draw_panel(
    ax: mpl.axes.Axes, panel: Panel, colours: mpl.colors.Normalize, ratio: float, scale: LossScale | None
) -> mpl.contour.QuadContourSet | None:
    """Draw the path over the level lines, if there is a surface; return the lines."""
    surface = panel.member.surface
    lines = None
    if surface is not None and scale is not None:
        lines = level_lines(ax, surface, variable="train_loss", scale=scale)
    xlim, ylim = paths.view(panel.path, surface, panel.scale, ratio)
    ax.set(xlim=xlim, ylim=ylim)
    frame(ax)
    paths.draw_path(ax, panel.path, panel.falls, colours=colours)
    return lines


def _ratio(shown: Sequence[Panel]) -> float:
    """Choose height over width of the panels: that of the first grid, within the page's limits."""
    surface = shown[0].member.surface
    if surface is None:
        return 1.0
    return float(np.clip(np.ptp(surface.beta.values) / np.ptp(surface.alpha.values), 0.75, 1.25))


def _scales(
    panels: Grid,
    spec: Trajectories,
    shown: Sequence[Panel],
    colours: mpl.colors.Normalize,
    scale: LossScale | None,
) -> None:
    """Draw the scales of the loss and of the epochs, and a legend."""
    if scale is not None:
        surfaces = [panel.member.seen for panel in shown]
        colour_bar(panels, scale, words.loss_label(surfaces, words.NAMES["train_loss"]), surfaces)
    epochs = mpl.cm.ScalarMappable(colours, style.colour_map(paths.EPOCHS))
    bar = panels.color_bar(epochs, label="epoch")
    ticks.whole(bar.ax.xaxis, 5)
    falls = any(panel.falls for panel in shown)
    keys = [key for key in paths.handles() if falls or key.get_label() != paths.FALLS]
    if spec.losses:
        keys += [style.key(label, **look) for label, look in paths.LOSSES.values()]
    panels.legend(keys, 3)


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate the kept epochs of each path, and the points of each surface, which have no epoch."""

    def rows(member: Member) -> pd.DataFrame:
        names = ["alpha", "beta", "distance", "distance_to_end", "step_norm", *paths.LOSSES]
        path = member.path[names].to_dataframe().reset_index()[["epoch", *names]]
        surface = numbers([member], ["train_loss"]).drop(columns="member") if member.surface is not None else None
        both = pd.concat([path, surface], ignore_index=True)
        both.insert(0, "plane", member.plane)
        return both

    return tabulate(members, rows)


def _require_path(member: Member) -> None:
    path = member.path
    if plane_of(words.plane(path)).is_line:
        name = path.attrs["plane"]
        raise InputError(
            f"the plane {name!r} has one direction, and draw: trajectories needs two; give it a beta, or another plane"
        )
    if not paths.finite_points(path).size:
        raise InputError(f"the path of {member.state} has no finite point: its training diverged")


def _title(panel: Panel, spec: Trajectories, members: Sequence[Member]) -> str:
    """Title a panel with whatever of run, plane and scale differs between the panels; with the run if nothing does."""
    runs, planes = (dict.fromkeys(names) for names in zip(*((m.state, m.plane) for m in members), strict=True))
    said = [panel.member.label] * (len(runs) > 1) + [str(panel.member.plane)] * (len(planes) > 1)
    said += [f"{panel.scale} scale{'s' * (panel.scale == 'equal')}"] * (len(spec.scales) > 1)
    care = bool(_beware(panel)) or (panel.member.surface is not None and bool(panel.member.findings))
    return words.with_care(", ".join(said or [panel.member.label]), care)


def _notes(panel: Panel) -> list[str]:
    """Write test error and train loss below the panel, unless the same path stood in an earlier one."""
    if panel.again:
        return []
    return [*errors(group([panel.member])[0]), f"train loss {value_words.loss(float(panel.member.row.train_loss))}"]


def _beware(panel: Panel) -> list[str]:
    """Warn of hidden parts of the path, and of level lines from few points."""
    said = paths.hidden(panel.path)
    if panel.member.surface is not None:
        surface = panel.member.seen
        if beyond := paths.outside(panel.path, surface):
            said.append(f"{beyond} of {panel.path.sizes['epoch']} epochs outside the grid")
        view = zip(("alpha", "beta"), paths.view(panel.path, surface, panel.scale, 1.0), strict=True)
        cells = [(high - low) / float(np.diff(surface[axis].values).mean()) for axis, (low, high) in view]
        if panel.scale == "auto" and min(cells) < _FEW_CELLS:
            said.append(f"level lines at auto scale from {cells[0]:.1f} x {cells[1]:.1f} cells of the grid")
    return said


def _caption(spec: Trajectories, members: Sequence[Member], shown: Sequence[Panel], scale: LossScale | None) -> str:
    falls = [panel.falls for panel in shown]
    surfaces = [member.surface for member in members if member.surface is not None]
    guessed = dashed(surfaces, ", the dashed one at the loss of guessing")
    seen = words.sentences(
        "The path of training on a plane: a dot for each kept epoch, light at the start (square) and dark at the end (star), "
        "at the foot of the perpendicular from the weights.",
        any(falls) and "Red diamonds, with the epoch: where the learning rate falls to less than half.",
        any(drop != kept for panel in falls for drop, kept in panel.items())
        and "The diamond of an epoch that was not kept stands at the last kept one before it.",
        scale is not None
        and f"Under the path, level lines of the train loss at {scale.listed}{guessed}; "
        "white where the grid ends or the loss is not finite (then hatched).",
        "equal" in spec.scales
        and "Equal scales: both axes, in multiples of their directions, have one scale, and the view holds the whole grid "
        "and the whole path.",
        "auto" in spec.scales
        and "Auto scale: each axis is fitted to the path, so that angles and lengths cannot be compared.",
        _shares_explained(members),
        spec.losses and _losses_explained(members),
    )
    return words.caption(spec.about, seen, _made(members), [_item(member, shown) for member in members])


def _shares_explained(members: Sequence[Member]) -> str:
    planes = [words.plane(member.path) for member in members]
    said = "Beside an axis stands the share that it holds of the path's variance"
    if not all(plane.get("centred", True) for plane in planes):
        said += ", of planes that are not centred that of the squared distance to the end"
    if any(plane["directions"] == "pca" for plane in planes):
        said += "; in brackets that of the principal component of a random walk with the same step lengths"
    if any(np.isfinite(member.path.expected_share).any() for member in members):
        said += "; of a random direction, in brackets, the share that such a direction has on average"
    if any(words.cosine(member.path) for member in members):
        said += "; where directions are not orthogonal, the share of beta is that of its part orthogonal to alpha"
    return f"{said}."


def _losses_explained(members: Sequence[Member]) -> str:
    examples = words.each(
        min(int(member.history.attrs["train_examples"]), words.plane(member.path).get("examples") or 10**12)
        for member in members
    )
    precision = words.each(member.path.attrs["precision"] for member in members)
    return (
        f"Strips: the train loss at each kept epoch over {examples} examples, precision {precision}: on the plane, at the path's "
        "dot (dotted); with the epoch's weights alone, batch norm and biases being those of the end (dashed); as saved "
        "(solid). From dotted to dashed is what the projection leaves out, from dashed to solid what batch norm and biases "
        "do. The axis is logarithmic and the same in all strips."
    )


def _made(members: Sequence[Member]) -> list[str]:
    """Explain how the planes were made, in the order of the panels; then the losses."""
    said = []
    for name in dict.fromkeys(str(member.plane) for member in members):
        on = [member for member in members if member.plane == name]
        path = on[0].path
        seed = words.plane(path).get("seed")
        said.append(f"Plane {words.escape(name)}: {words.directions_made(path, [] if seed is None else [seed])}")
        if on[0].surface is not None:
            said.append(f"Grid: {words.grid(on[0].surface)}.")
    with_surface = [member for member in members if member.surface is not None]
    return [*said, *(words.losses_made(with_surface) if with_surface else words.errors_made(members))]


def _item(member: Member, shown: Sequence[Panel]) -> str:
    """Write the numbers of a member's path, and its hidden parts."""
    path = member.path
    beware = list(dict.fromkeys(text for panel in shown if panel.member is member for text in _beware(panel)))
    if member.surface is None:
        of = words.run_item(member, bool(beware))
    else:
        of = words.member_item(member, ["train_loss"], care=bool(beware))
    kept = path.epoch.values
    shares = " and ".join(paths.percent(float(share)) for share in path.share)
    told = [
        f"On {words.escape(str(member.plane))}: {len(kept)} kept epochs from {kept[0]} to {kept[-1]}, shares {shares}, "
        f"at most {value_words.loss(float(path.distance.max()))} off the plane",
        *(words.cosine(path) if member.surface is None or "cosine" not in member.surface.attrs else []),
    ]
    return f"{of} {', '.join([*told, *beware])}."
