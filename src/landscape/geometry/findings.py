"""Warnings about a surface, each with a sentence of advice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from landscape.geometry.grid import CELLS, centre, guessing, specification, values_of
from landscape.geometry.levels import basin, cells_across
from landscape.lazy import np, xr
from landscape.objective import meanings

FIRST_LEVEL = 0.1
"""The lowest level line. The eye takes its ring around the centre for the size of the minimum."""

UNTRAINED = 0.25
"""A run counts as not trained if its loss is above this share of ln(classes), the loss of guessing.

At a quarter, the right class has a probability of classes**-0.25 in the geometric mean, 0.56 for ten classes: the
network still misses many training examples, so its weights are no minimiser.
"""

_LOWER = 0.01  # a point is reported if it lies below the centre by this share of ln(classes), or of half the rise of the plane
_HIGH = 100.0  # the top of the colour scale
_HIGH_SHARE = 0.2
_STILL_SHARE = 0.1  # of filters that are zero, so that a random direction leaves them as they are


@dataclass(frozen=True)
class Finding:
    """A reason to doubt a surface.

    Attributes:
        label: a few words, for a caption or a table.
        advice: a sentence that says what it means and what to do.
    """

    label: str
    advice: str


def findings(surface: xr.Dataset, history_row: xr.Dataset) -> list[Finding]:
    """List the reasons to doubt the train loss of a surface, the worst first.

    Args:
        history_row: `train_loss` in eval mode of the state at the centre, and the accuracy if it was measured.
    """
    trained = is_trained(float(history_row.train_loss), guessing(surface))
    on_the_way = "@" in surface.attrs["state"]
    found = [] if trained else [_untrained(history_row, on_the_way)]
    if specification(surface)["directions"] not in ("to", "through"):  # they lead to other minima, which may be lower
        found += _lower_point(surface, on_the_way)
    nats = meanings.in_nats(surface.attrs)  # levels such as 0.1 and 100 mean something
    checks = (
        [_small_ring] * (nats and trained) + [_open_basin] * trained + [_mostly_high if nats else _mostly_undefined]
    )
    for check in (*checks, _negative_variance, _still_filters, _imprecise, *[_few_images] * nats):
        found += check(surface)
    return found


def is_trained(loss: float, guessing: float) -> bool:
    """Say if a train loss is low enough for a minimiser (`UNTRAINED`); it counts as such where there is no guessing."""
    return math.isnan(guessing) or loss <= UNTRAINED * guessing


def _untrained(row: xr.Dataset, on_the_way: bool) -> Finding:
    loss = f"{float(row.train_loss):.2g}"
    reached = f"accuracy {100 * float(row.train_accuracy):.0f} %" if "train_accuracy" in row else f"loss {loss}"
    if on_the_way:
        return Finding(
            f"before the end of training: train {reached}",
            f"This state lies before the end of training (train loss {loss}), so the plane does not surround a minimiser.",
        )
    return Finding(
        f"did not train: train {reached}: not a picture of a minimiser",
        f"The run ended at a train loss of {loss}, above a quarter of the loss of guessing, so this is not a picture of "
        "a minimiser; train longer or at a lower learning rate before comparing it.",
    )


def _lower_point(surface: xr.Dataset, on_the_way: bool) -> Iterator[Finding]:
    here = centre(surface, "train_loss")
    losses = surface.train_loss.where(np.isfinite(surface.train_loss))
    drop = here - float(losses.min())
    scale = guessing(surface)
    if not drop > _LOWER * (float(losses.median()) - float(losses.min()) if math.isnan(scale) else scale):
        return
    lowest = losses.isel(losses.argmin(...))
    place = (
        f"({float(lowest.alpha):.2g}, {float(lowest.beta):.2g})"
        if surface.sizes["beta"] > 1
        else f"{float(lowest.alpha):.2g}"
    )
    label = f"lowest at {place}: {drop:.2g} below the centre"
    if on_the_way:
        yield Finding(label, f"The lowest point lies at {place}, as it may for a state before the end of training.")
    else:
        yield Finding(
            label,
            f"The loss at {place} is {drop:.2g} below the centre's {here:.2g}, so the centre is no minimum of this plane: "
            "train longer, and do not read the width of its rings as the width of a minimum.",
        )


def _small_ring(surface: xr.Dataset) -> Iterator[Finding]:
    cells = cells_across(surface, FIRST_LEVEL)
    if cells < CELLS:
        yield Finding(
            f"0.1 ring {cells:.1f} cells across",
            f"The 0.1 ring spans {cells:.1f} cells of the grid, fewer than {CELLS}: its shape is not resolved; take more "
            "points or a narrower range.",
        )


def _open_basin(surface: xr.Dataset) -> Iterator[Finding]:
    inside = basin(surface, guessing(surface))
    at_border = inside[[0, -1]].any() or (surface.sizes["beta"] > 1 and inside[:, [0, -1]].any())
    if at_border:
        yield Finding(
            "basin reaches the border",
            "The region around the centre below ln(classes) reaches the border of the plane, so its extent is not seen: "
            "take a wider range.",
        )


def _mostly_high(surface: xr.Dataset) -> Iterator[Finding]:
    share = float((~(surface.train_loss <= _HIGH)).mean())
    if share > _HIGH_SHARE:
        yield Finding(
            f"{100 * share:.0f} % above 100 or not finite",
            f"At {100 * share:.0f} % of the points the loss is above 100 or not finite: the plane leads far away from "
            "working networks; take a narrower range.",
        )


def _mostly_undefined(surface: xr.Dataset) -> Iterator[Finding]:
    share = float((~np.isfinite(surface.train_loss)).mean())
    if share > _HIGH_SHARE:
        yield Finding(
            f"{100 * share:.0f} % not finite",
            f"At {100 * share:.0f} % of the points the loss is not finite: the plane leads far away from working networks; "
            "take a narrower range.",
        )


def _negative_variance(surface: xr.Dataset) -> Iterator[Finding]:
    points = surface.attrs.get("points_negative_variance", 0)
    if points:
        yield Finding(
            f"{points:,} points: variance < 0",
            f"At {points:,} of {surface.train_loss.size:,} points there is no loss, since an interpolated batch-norm "
            "variance is negative: stay between the runs, or take batchnorm: recalibrated.",
        )


def _still_filters(surface: xr.Dataset) -> Iterator[Finding]:
    still, filters = (surface.attrs.get(name, 0) for name in ("zero_filters", "filters"))
    if still <= _STILL_SHARE * filters:
        return
    spec = specification(surface)
    if spec["directions"] == "random" and spec["normalize"] == "filter":
        yield Finding(
            f"{still:,} of {filters:,} filters are zero",
            f"{still:,} of the {filters:,} filters are zero and have no direction, since a step has a filter's own length: "
            "the plane shows the other filters alone; train longer, or compare with normalize: layer.",
        )


def _imprecise(surface: xr.Dataset) -> Iterator[Finding]:
    deviation = surface.attrs.get("precision_deviation", 0.0)  # relative: at a loss of 0.1, times 0.1
    if deviation > 1:
        precision = surface.attrs["precision"]
        much = f"up to {100 * deviation:.0f} %" if math.isfinite(deviation) else "without bound"
        if not meanings.in_nats(surface.attrs):
            yield Finding(
                f"{precision} error as large as the loss",
                f"At the points compared, the loss in {precision} deviates from the loss in fp32 {much}: take precision: fp32.",
            )
            return
        yield Finding(
            f"{precision} error above 0.1",
            f"At the points compared, the loss in {precision} deviates from the loss in fp32 {much}, more than 0.1 at the "
            "first level line, 0.1: take precision: fp32.",
        )


def _few_images(surface: xr.Dataset) -> Iterator[Finding]:
    if "train_loss_paired_standard_error" not in surface:
        return
    near = basin(surface, centre(surface, "train_loss") + FIRST_LEVEL)
    error = np.max(values_of(surface, "train_loss_paired_standard_error")[near], initial=0.0)
    if error > FIRST_LEVEL:
        yield Finding(
            f"sampling error {error:.2g}",
            f"On so few examples, a rise over the centre below 0.1 has a standard error of up to {error:.2g}, so the first "
            "level line may be noise: take more examples.",
        )
