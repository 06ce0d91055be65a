"""The path of a training on planes (Li et al. 2018, Figures 8 and 9)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.errors import InputError
from landscape.figures.kind import OfRuns
from landscape.figures.kinds.contours import LEVELS, colour_bar, frame, label_levels, level_lines, numbers
from landscape.figures.shared import path_words, paths, style, words
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panels import LABEL, NOTE, Panels, lay_out, wrap
from landscape.figures.shared.paths import Panel
from landscape.lazy import mpl, np, pd
from landscape.measures import plane_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize


class Trajectories(OfRuns):
    """The path of a training on planes, over the level lines (Li et al. 2018, Figures 8 and 9)."""

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
        """One panel per member and scale; with several scales first all members at the one, then at the next.

        Raises:
            InputError: if the plane is a line, or no epoch of a path is finite.
        """
        for member in members:
            _require_path(member)
        shown = [Panel(member, scale, k > 0) for k, scale in enumerate(self.scales) for member in members]
        columns = _columns(len(members) if len(members) > 1 else len(shown))
        width = style.COLUMN_WIDTH if columns == 1 else style.TEXT_WIDTH
        side = (width - _LEFT - 0.12 - _LEFT * (columns - 1)) / columns
        ratio = _ratio(shown)
        across = [wrap(paths.axis_label(panel.path, "alpha"), side + 0.2, NOTE) for panel in shown]
        up = [wrap(paths.axis_label(panel.path, "beta"), side * ratio, NOTE) for panel in shown]
        label = _LINE * max(map(len, across))
        below = label + (_TICKS + 0.06 + _STRIP if self.losses else 0)
        bars = [0.55] * (int(self.contours) + 1 if columns == 1 else 1)
        panels = lay_out(
            [path_words.title(panel, self, members) for panel in shown],
            [path_words.notes(panel) for panel in shown],
            columns=columns,
            width=width,
            panel=(side, side * ratio + below),
            margins=(_LEFT, 0.12),
            foot=0.2 + sum(bars) + (0.16 if self.losses else 0),
            labels=("epoch" if self.losses else "", ""),
            heading=self.title,
        )
        last = max(int(panel.path.epoch[-1]) for panel in shown)
        colours = mpl.colors.Normalize(0, max(last, 1))
        limits = paths.loss_limits([panel.path for panel in shown])
        for k, (ax, panel) in enumerate(zip(panels.axes, shown, strict=True)):
            place = ax.get_position()
            share = side * ratio / (side * ratio + below)
            ax.set_position((place.x0, place.y1 - share * place.height, place.width, share * place.height))
            _draw_panel(ax, panel, colours, ratio)
            ax.set_xlabel("\n".join(across[k]), fontsize=NOTE, parse_math=False, linespacing=1.1)
            ax.set_ylabel("\n".join(up[k]), fontsize=NOTE, parse_math=False, linespacing=1.1)
            ax.tick_params(labelleft=True)
            if self.losses:
                height = place.height * _STRIP / (side * ratio + below)
                losses = panels.figure.add_axes((place.x0, place.y0, place.width, height))
                paths.strip(losses, panel.path, list(panel.falls), limits, last)
                if panels.is_first(k):
                    losses.set_ylabel("loss")
                else:
                    losses.tick_params(labelleft=False)
        _foot(panels, self, shown, colours)
        return Drawing(panels.figure, _numbers(members), path_words.caption(self, members, shown))

    @property
    def seen(self) -> list[tuple[str, str]]:
        return self.paths if self.contours else []

    @property
    def paths(self) -> list[tuple[str, str]]:
        return list(itertools.product(self.runs, self.planes))


_STRIP = 0.45  # inches, height of the losses
_LINE = 0.13  # from line to line of an axis label
_TICKS = 0.17
_LEFT = 0.7


def _draw_panel(ax: Axes, panel: Panel, colours: Normalize, ratio: float) -> None:
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
        labels = [text.xyann for text in ax.texts if isinstance(text, mpl.text.Annotation)]
        label_levels(ax, lines, avoid=np.array([*points[np.isfinite(points).all(axis=1)], *labels]))


def _columns(panels: int) -> int:
    return panels if panels <= 3 else 2 if panels == 4 else 3


def _ratio(shown: Sequence[Panel]) -> float:
    """Height over width of the panels: that of the first grid, within what a page can bear."""
    surface = shown[0].member.surface
    if surface is None:
        return 1.0
    return float(np.clip(np.ptp(surface.beta.values) / np.ptp(surface.alpha.values), 0.75, 1.25))


def _foot(panels: Panels, spec: Trajectories, shown: Sequence[Panel], colours: Normalize) -> None:
    """Legends, and the colour bars of the loss and of the epochs: side by side, or of one column below each other."""
    height = panels.figure.get_size_inches()[1]
    symbols = [handle for handle in paths.handles() if handle.get_label() != paths.FALLS or any(p.falls for p in shown)]
    lines = [mpl.lines.Line2D([], [], label=label, **look) for label, look in paths.LOSSES.values()]
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
    bar = panels.figure.colorbar(
        mpl.cm.ScalarMappable(colours, style.colour_map(paths.EPOCHS)), cax=ax, orientation="horizontal"
    )
    assert bar.solids is not None
    bar.solids.set_rasterized(True)
    bar.locator = mpl.ticker.MaxNLocator(5, integer=True, steps=[1, 2, 5, 10])
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


def _require_path(member: Member) -> None:
    assert member.trajectory is not None, member.state
    if plane_of(words.plane(member.trajectory)).is_line:
        name = member.trajectory.attrs["plane"]
        raise InputError(
            f"the plane {name!r} has one direction, and draw: trajectories needs two; give it a beta, or another plane"
        )
    if not np.isfinite(paths.points_of(member.trajectory)).all(axis=1).any():
        raise InputError(f"the path of {member.state} has no finite point: its training diverged")
