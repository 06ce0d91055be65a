"""Loss and accuracy along a line (Li et al. 2018, Figures 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from landscape import geometry
from landscape.config.fields import Ref
from landscape.config.values import Names
from landscape.figures.kind import Columns, OfRuns, OverSeeds
from landscape.figures.kinds.contours import HATCH
from landscape.figures.shared import style, words
from landscape.figures.shared.bands import band, require_lines, stack, table
from landscape.figures.shared.groups import Group, counted, group, items, loss_names, not_finite, notes
from landscape.figures.shared.members import Drawing, Member
from landscape.figures.shared.panels import default_columns, few_ticks, lay_out, ticks_within
from landscape.lazy import mpl, np, xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch


class Lines(OfRuns):
    """Loss and accuracy along a line, on twin axes (Li et al. 2018, Figures 2 and 3)."""

    draw: Literal["lines"]
    plane: Annotated[Names, Ref("planes", axes=1)] = Field(
        description="a line, or with * several: their median, and a band between their extremes"
    )
    over: OverSeeds
    columns: Columns

    def drawing(self, members: Sequence[Member]) -> Drawing:
        """One panel per run, or with `over: seed` per recipe; losses on the left axis, accuracies on the right one.

        Raises:
            InputError: if a plane is not a line, or lines of one panel differ in more than their seed.
        """
        groups = group(members, self.over)
        require_lines(groups, self.draw)
        columns = self.columns or default_columns(len(groups), most=3)
        width = style.COLUMN_WIDTH if columns == 1 else style.TEXT_WIDTH
        panel = (width - 0.94 - 0.28 * (columns - 1)) / columns
        panels = lay_out(
            [together.label for together in groups],
            [_notes(together) for together in groups],
            columns=columns,
            width=width,
            panel=(panel, min(1.6, 0.8 * panel)),
            margins=(0.45, 0.49),
            foot=0.27,
            labels=(words.axis(members[0].seen, "alpha"), ""),
            heading=self.title,
        )
        surfaces = [member.seen for member in members]
        top = loss_limit(surfaces)
        for k, (ax, together) in enumerate(zip(panels.axes, groups, strict=True)):
            frame(ax, together.surfaces, top=top)
            losses(ax, together.surfaces)
            ax.tick_params(axis="y", labelcolor=style.LOSS)
            twin = accuracy_axis(ax)
            accuracies(twin, together.surfaces)
            if panels.is_first(k):
                ax.set_ylabel("loss", color=style.LOSS)
            if panels.is_last(k):
                twin.set_ylabel("accuracy (%)", color=style.ACCURACY)
            else:
                twin.tick_params(labelright=False)
        height = panels.figure.get_size_inches()[1]
        at = (0.5, 0.02 / height)
        panels.figure.legend(handles=split_keys(surfaces), loc="lower center", bbox_to_anchor=at, ncols=3, borderpad=0)
        return Drawing(panels.figure, table(members, VARIABLES), _caption(self, groups, top))


_SHADE = {"train_loss": 0.22, "test_loss": 0.12, "train_accuracy": 0.14, "test_accuracy": 0.08}  # of the bands
VARIABLES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


def frame(ax: Axes, surfaces: Sequence[xr.Dataset], *, top: float) -> None:
    """Limits and ticks of the loss along a line, up to `top`.

    Spans where a loss of any of the surfaces is not finite are hatched; of a line between two runs, what lies beyond them
    is grey.
    """
    alpha = surfaces[0].alpha.values
    if words.plane(surfaces[0])["directions"] in ("to", "through"):
        for beyond in ((alpha[0], min(0.0, alpha[-1])), (max(1.0, alpha[0]), alpha[-1])):
            if beyond[0] < beyond[1]:
                ax.axvspan(*beyond, facecolor="0.95", linewidth=0, zorder=0)
    finite = np.all([np.isfinite(stack(surfaces, name)).all(axis=0) for name in loss_names(surfaces)], axis=0)
    for left, right in _spans(alpha, ~finite):
        ax.axvspan(left, right, facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, zorder=0.5)
    ax.set(xlim=alpha[[0, -1]], ylim=(0, top))
    ticks_within(ax)
    ax.yaxis.set_major_locator(few_ticks())


def losses(ax: Axes, surfaces: Sequence[xr.Dataset], linewidth: float = 0.8) -> None:
    """Of several surfaces the median, and a band between the extremes."""
    for name in loss_names(surfaces):
        _curve(ax, surfaces, name, stack(surfaces, name), style.LOSS, linewidth)


def accuracy_axis(ax: Axes) -> Axes:
    """A twin of `ax` for accuracies in percent."""
    twin = ax.twinx()
    twin.set(ylim=(0, 100))
    twin.spines["right"].set_visible(True)
    twin.tick_params(axis="y", labelcolor=style.ACCURACY)
    return twin


def accuracies(ax: Axes, surfaces: Sequence[xr.Dataset], linewidth: float = 0.8) -> None:
    """In percent; of several surfaces the median, and a band between the extremes."""
    for loss in loss_names(surfaces):
        name = loss.replace("loss", "accuracy")
        _curve(ax, surfaces, name, 100 * stack(surfaces, name), style.ACCURACY, linewidth)


def loss_limit(surfaces: Sequence[xr.Dataset]) -> float:
    """The common top of the loss axes: the highest loss, but no more than `highest`."""
    values = np.concatenate([surface[name].values.ravel() for surface in surfaces for name in loss_names([surface])])
    finite = values[np.isfinite(values)]
    cap = highest(surfaces)
    return min(cap, 1.05 * float(finite.max())) if finite.size and finite.max() > 0 else cap


def highest(surfaces: Sequence[xr.Dataset]) -> float:
    """A loss of 5 (Li et al. 2018), or twice that of guessing if this is more."""
    return max(5.0, *(2 * geometry.guessing(surface) for surface in surfaces))


def split_keys(surfaces: Sequence[xr.Dataset]) -> list[Line2D | Patch]:
    """What a legend says of solid and dashed lines, and of hatching if there is some."""
    splits = [
        mpl.lines.Line2D([], [], color=style.GREY, linestyle=dashes, label=split)
        for split, dashes in style.SPLITS.items()
        if any(f"{split}_loss" in surface for surface in surfaces)
    ]
    return [*splits, *hatch_keys(surfaces)]


def hatch_keys(surfaces: Sequence[xr.Dataset]) -> list[Patch]:
    """What a legend says of hatching, if there is some."""
    if not not_finite(surfaces):
        return []
    return [mpl.patches.Patch(facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, label="not finite")]


def above(surfaces: Sequence[xr.Dataset], top: float) -> str:
    """A sentence on the losses that the axis does not reach, if there are any."""
    count = sum(int((surface[name] > top).sum()) for surface in surfaces for name in loss_names([surface]))
    return f" {count:,} values lie above the loss axis, which ends at {top:.2g}." if count else ""


def error_at(surface: xr.Dataset, alpha: float) -> str | None:
    """The test error at a point of a line with its Wilson interval, if it was measured there."""
    line = surface.isel(beta=0)
    if "test_accuracy" not in line or alpha not in line.alpha:
        return None
    accuracy = float(line.test_accuracy.sel(alpha=alpha))
    return words.error_of(accuracy, int(surface.attrs["test_images"])) if np.isfinite(accuracy) else None


def _curve(
    ax: Axes, surfaces: Sequence[xr.Dataset], name: str, curves: np.ndarray, color: str, linewidth: float
) -> None:
    split = name.partition("_")[0]
    x = surfaces[0].alpha.values
    band(ax, x, curves, style.SPLITS[split], color=color, shade=_SHADE[name], linewidth=linewidth)


def _spans(x: np.ndarray, where: np.ndarray) -> list[tuple[float, float]]:
    """The intervals half-way around runs of consecutive points."""
    between = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [(float(between[a]), float(between[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _notes(together: Group) -> list[str]:
    """Of one line those of every panel, and of one between two runs the error at the other; of several a summary."""
    if len(together.members) > 1:
        return notes(together)
    said = words.notes(together.first, loss_names(together.surfaces))
    surface = together.first.seen
    spec = words.plane(surface)
    if spec["directions"] == "to" and (error := error_at(surface, 1.0)):
        said.insert(2, f"test error at {spec['run']} {error}")
    return said


def _caption(spec: Lines, groups: Sequence[Group], top: float) -> str:
    members = [member for together in groups for member in together.members]
    seen = (
        "Loss (blue, left axis) and accuracy (vermilion, right axis) along "
        f"{'the line' if len(spec.plane) == 1 else 'the lines'} {words.escape(', '.join(spec.plane))}, of the training "
        "images solid and of the test images dashed; the axes are the same in all panels."
        f"{above([member.seen for member in members], top)} Spans where a loss is not finite are hatched."
        f"{counted(groups)}"
    )
    return words.caption(spec.about, seen, words.surface_made(members), items(groups))
