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
from landscape.figures.shared import path_words, paths, style, words
from landscape.figures.shared.level_lines import LEVELS, colour_bar, frame, label_levels, level_lines
from landscape.figures.shared.members import Drawing, Member, numbers
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
        """Draw one panel per member and scale, all members at one scale before the next scale.

        Raises:
            InputError: if the plane is a line, or no epoch of a path is finite.
        """
        for member in members:
            _require_path(member)
        shown = [Panel(member, scale, k > 0) for k, scale in enumerate(self.scales) for member in members]
        columns = _columns(len(members) if len(members) > 1 else len(shown))
        width = style.COLUMN_WIDTH if columns == 1 else style.TEXT_WIDTH
        quantities = 2 if self.losses else 1
        panels = grid(len(shown), quantities, columns=columns, width=width, heading=self.title, share="none")
        ratio = _ratio(shown)
        last = max(int(panel.path.epoch[-1]) for panel in shown)
        colours = mpl.colors.Normalize(0, max(last, 1))
        limits = paths.loss_limits([panel.path for panel in shown])
        lines = []
        for ax, panel in zip(panels.rows[0], shown, strict=True):
            lines.append(_draw_panel(ax, panel, colours, ratio))
            ax.set_title(path_words.title(panel, self, members), parse_math=False)
            room = panels.room - 0.3
            across = wrap(paths.axis_label(panel.path, "alpha"), room, NOTE)
            up = wrap(paths.axis_label(panel.path, "beta"), room * ratio, NOTE)
            ax.set_xlabel("\n".join(across), fontsize=NOTE, parse_math=False, linespacing=1.1)
            ax.set_ylabel("\n".join(up), fontsize=NOTE, parse_math=False, linespacing=1.1)
        for k, (ax, panel) in enumerate(zip(panels.rows[-1], shown, strict=True)):
            if self.losses:
                paths.strip(ax, panel.path, list(panel.falls), limits, last)
                ax.set(xlabel="epoch", ylabel="loss" if panels.begins(k) else "")
                ax.tick_params(labelleft=panels.begins(k))
            panels.note(ax, path_words.notes(panel), "right")
        _scales(panels, self, shown, colours)
        panels.fit(ratio, *([0.3] if self.losses else []))
        for ax, panel, of in zip(panels.rows[0], shown, lines, strict=True):
            _label_panel(ax, panel, of)
        return Drawing(panels.figure, _numbers(members), path_words.caption(self, members, shown))

    @property
    def seen(self) -> list[tuple[str, str]]:
        return self.paths if self.contours else []

    @property
    def paths(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.planes))


def _draw_panel(
    ax: mpl.axes.Axes, panel: Panel, colours: mpl.colors.Normalize, ratio: float
) -> mpl.contour.QuadContourSet | None:
    """Draw the path over the level lines, if there is a surface; return the lines."""
    surface = panel.member.surface
    lines = None
    if surface is not None:
        lines = level_lines(ax, surface, variable="train_loss", levels=LEVELS["log"])
    xlim, ylim = paths.view(panel.path, surface, panel.scale, ratio)
    ax.set(xlim=xlim, ylim=ylim)
    frame(ax)
    paths.draw_path(ax, panel.path, panel.falls, colours=colours, size=8 if panel.path.sizes["epoch"] <= 60 else 3)
    return lines


def _label_panel(ax: mpl.axes.Axes, panel: Panel, lines: mpl.contour.QuadContourSet | None) -> None:
    """Label the epochs at which the rate falls, and the levels away from them, on axes of their final size."""
    labels = paths.label_falls(ax, panel.path, panel.falls)
    points = paths.points_of(panel.path)
    if lines is not None:
        avoid = [*points[np.isfinite(points).all(axis=1)], *(label.xyann for label in labels)]
        label_levels(ax, lines, avoid=np.array(avoid))


def _columns(panels: int) -> int:
    return panels if panels <= 3 else 2 if panels == 4 else 3


def _ratio(shown: Sequence[Panel]) -> float:
    """Choose height over width of the panels: that of the first grid, within the page's limits."""
    surface = shown[0].member.surface
    if surface is None:
        return 1.0
    return float(np.clip(np.ptp(surface.beta.values) / np.ptp(surface.alpha.values), 0.75, 1.25))


def _scales(panels: Grid, spec: Trajectories, shown: Sequence[Panel], colours: mpl.colors.Normalize) -> None:
    """Draw the scales of the loss and of the epochs, and a legend."""
    if spec.contours:
        colour_bar(panels, LEVELS["log"], words.NAMES["train_loss"], [panel.member.seen for panel in shown])
    epochs = mpl.cm.ScalarMappable(colours, style.colour_map(paths.EPOCHS))
    bar = panels.color_bar(epochs, label="epoch")
    bar.locator = mpl.ticker.MaxNLocator(5, integer=True, steps=[1, 2, 5, 10])
    falls = any(panel.falls for panel in shown)
    keys = [key for key in paths.handles() if falls or key.get_label() != paths.FALLS]
    if spec.losses:
        keys += [mpl.lines.Line2D([], [], label=label, **look) for label, look in paths.LOSSES.values()]
    panels.legend(keys, 3)


def _numbers(members: Sequence[Member]) -> pd.DataFrame:
    """Tabulate the kept epochs of each path, and the points of each surface, which have no epoch."""
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


def _require_path(member: Member) -> None:
    assert member.trajectory is not None, member.state
    if plane_of(words.plane(member.trajectory)).is_line:
        name = member.trajectory.attrs["plane"]
        raise InputError(
            f"the plane {name!r} has one direction, and draw: trajectories needs two; give it a beta, or another plane"
        )
    if not np.isfinite(paths.points_of(member.trajectory)).all(axis=1).any():
        raise InputError(f"the path of {member.state} has no finite point: its training diverged")
