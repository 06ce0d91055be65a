"""Loss and accuracy along a line (Li et al. 2018, Figures 2 and 3)."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from landscape import geometry
from landscape.config.schema import Lines
from landscape.errors import InputError
from landscape.figures import style, words
from landscape.figures.contours import HATCH, numbers
from landscape.figures.drawing import Drawing, Member
from landscape.figures.panels import default_columns, few_ticks, lay_out, plain_ticks

_LOSSES = ("train_loss", "test_loss")
_VARIABLES = (*_LOSSES, "train_accuracy", "test_accuracy")


def draw(spec: Lines, members: Sequence[Member]) -> Drawing:
    """One panel per member, losses on the left axis, accuracies on the right one.

    Raises:
        InputError: if the plane is not a line.
    """
    for member in members:
        _require_line(member.seen)
    first = members[0].seen
    columns = spec.columns or default_columns(len(members), most=3)
    width = style.COLUMN_WIDTH if columns == 1 else style.TEXT_WIDTH
    panel = (width - 0.94 - 0.28 * (columns - 1)) / columns
    panels = lay_out(
        [member.label for member in members],
        [_notes(member) for member in members],
        columns=columns,
        width=width,
        panel=(panel, min(1.6, 0.8 * panel)),
        margins=(0.45, 0.49),
        foot=0.27,
        labels=(words.axis(first, "alpha"), ""),
        heading=spec.title,
    )
    top = loss_limit([member.seen for member in members])
    for k, (ax, member) in enumerate(zip(panels.axes, members, strict=True)):
        twin = line(ax, member.seen, top=top)
        if panels.is_first(k):
            ax.set_ylabel("loss", color=style.LOSS)
        if panels.is_last(k):
            twin.set_ylabel("accuracy (%)", color=style.ACCURACY)
        else:
            twin.tick_params(labelright=False)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=style.GREY, linestyle=style.SPLITS[split], label=split)
        for split in style.SPLITS
        if any(f"{split}_loss" in member.seen for member in members)
    ]
    if any(geometry.non_finite(member.seen, variable) for member in members for variable in _losses(member.seen)):
        handles.append(Patch(facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, label="not finite"))
    height = panels.figure.get_size_inches()[1]
    panels.figure.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.02 / height), ncols=3, borderpad=0)
    return Drawing(panels.figure, numbers(members, _VARIABLES), _caption(spec, members, top))


def line(ax: Axes, surface: xr.Dataset, *, top: float) -> Axes:
    """Losses on `ax`, up to `top`, and accuracies in percent on its twin, which is returned.

    Spans where a loss is not finite are hatched; of a line between two runs, what lies beyond them is grey.
    """
    here = surface.isel(beta=0)
    alpha = here.alpha.values
    if words.plane(surface)["directions"] == "to":
        for beyond in ((alpha[0], min(0.0, alpha[-1])), (max(1.0, alpha[0]), alpha[-1])):
            if beyond[0] < beyond[1]:
                ax.axvspan(*beyond, facecolor="0.95", linewidth=0, zorder=0)
    twin = ax.twinx()
    for split, dashes in style.SPLITS.items():
        if f"{split}_loss" in here:
            ax.plot(alpha, here[f"{split}_loss"].where(np.isfinite), dashes, color=style.LOSS)
            twin.plot(alpha, 100 * here[f"{split}_accuracy"], dashes, color=style.ACCURACY)
    finite = np.all([np.isfinite(here[name].values) for name in _losses(here)], axis=0)
    for left, right in _spans(alpha, ~finite):
        ax.axvspan(left, right, facecolor="white", edgecolor="0.6", hatch=HATCH, linewidth=0, zorder=0.5)
    ax.set(xlim=alpha[[0, -1]], ylim=(0, top))
    ax.xaxis.set_major_locator(few_ticks())
    ax.xaxis.set_major_formatter(plain_ticks())
    ax.yaxis.set_major_locator(few_ticks())
    ax.tick_params(axis="y", labelcolor=style.LOSS)
    twin.set(ylim=(0, 100))
    twin.spines["right"].set_visible(True)
    twin.tick_params(axis="y", labelcolor=style.ACCURACY)
    return twin


def loss_limit(surfaces: Sequence[xr.Dataset]) -> float:
    """The common top of the loss axes: the highest loss, at most 5 (Li et al. 2018), or twice ln(classes) if more."""
    cap = max(5.0, *(2 * geometry.guessing(surface) for surface in surfaces))
    values = np.concatenate([surface[name].values.ravel() for surface in surfaces for name in _losses(surface)])
    finite = values[np.isfinite(values)]
    return min(cap, 1.05 * float(finite.max())) if finite.size and finite.max() > 0 else cap


def _spans(x: np.ndarray, where: np.ndarray) -> list[tuple[float, float]]:
    """The intervals half-way around runs of consecutive points."""
    between = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [(float(between[a]), float(between[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _losses(surface: xr.Dataset) -> list[str]:
    return [name for name in _LOSSES if name in surface]


def _notes(member: Member) -> list[str]:
    """Those of every panel; of a line between two runs also the error at the other one."""
    said = words.notes(member, _losses(member.seen))
    surface = member.seen.isel(beta=0)
    other = words.plane(member.seen)["run"]
    if words.plane(member.seen)["directions"] == "to" and "test_accuracy" in surface and 1.0 in surface.alpha:
        accuracy = float(surface.test_accuracy.sel(alpha=1.0))
        if np.isfinite(accuracy):
            said.insert(2, f"test error at {other} {words.error_of(accuracy, int(surface.attrs['test_images']))}")
    return said


def _require_line(surface: xr.Dataset) -> None:
    shape = surface.sizes["alpha"], surface.sizes["beta"]
    if shape[1] > 1 or shape[0] < 2:
        name = surface.attrs["plane"]
        raise InputError(
            f"the plane {name!r} has {shape[0]} x {shape[1]} points, and draw: lines needs a line: at least 2 points of alpha "
            "and no beta"
        )


def _caption(spec: Lines, members: Sequence[Member], top: float) -> str:
    above = sum(int((member.seen[name] > top).sum()) for member in members for name in _losses(member.seen))
    cut = f" {above:,} values lie above the loss axis, which ends at {top:.2g}." if above else ""
    seen = (
        f"Loss (blue, left axis) and accuracy (vermilion, right axis) along the line {words.escape(', '.join(spec.plane))}, of the "
        f"training images solid and of the test images dashed; the axes are the same in all panels.{cut} Spans where a loss "
        "is not finite are hatched."
    )
    return words.caption(
        spec.about,
        seen,
        words.surface_made(members),
        [words.member_item(member, _losses(member.seen)) for member in members],
    )
