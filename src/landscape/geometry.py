"""Numbers about a surface, and what to beware of in it. On L, never on log L; NaN where undefined."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import ndimage

FIRST_LEVEL = 0.1
"""The lowest level line, whose ring around the centre the eye takes for the size of the minimum."""

UNTRAINED = 0.25
"""Share of ln(classes), the loss of guessing, above which a run counts as not trained.

At a quarter of it the right class has a probability of classes**-0.25 in the geometric mean, 0.56 for ten classes:
the network still misses many training images, so its weights are no minimiser and the surface no picture of one.
"""

_LOWER = 0.01  # share of ln(classes) by which a point must lie below the centre to be reported: less is no shape
_CELLS = 6  # a ring spanned by fewer is drawn from too few points
_HIGH = 100.0  # the top of the colour scale
_HIGH_SHARE = 0.2


@dataclass(frozen=True)
class Finding:
    """Something to know before believing a surface.

    Attributes:
        label: a few words, for under the panel.
        advice: a sentence: what it means, and what to do.
    """

    label: str
    advice: str


def guessing(surface: xr.Dataset) -> float:
    """The loss of guessing, ln(classes)."""
    return math.log(surface.attrs["classes"])


def centre_index(surface: xr.Dataset) -> tuple[int, int] | None:
    """Place of (0, 0) on the grid, or None if it has no such point."""
    index = []
    for axis in ("alpha", "beta"):
        x = np.abs(surface[axis].values)
        k = int(x.argmin())
        if x[k] > 1e-9 * _step(surface[axis].values):
            return None
        index.append(k)
    return index[0], index[1]


def centre(surface: xr.Dataset, variable: str) -> float:
    """Value of `variable` at (0, 0); NaN if the grid has no such point, or what was measured there is NaN."""
    at = centre_index(surface)
    return math.nan if at is None else float(surface[variable].transpose("alpha", "beta").values[at])


def wilson(errors: int, n: int) -> tuple[float, float]:
    """The 95 % interval of an error rate, from `errors` wrong of `n` (Wilson 1927).

    (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)  with p = errors / n, z = 1.96.

    Raises:
        ValueError: unless 0 <= errors <= n and n >= 1.
    """
    if n < 1 or not 0 <= errors <= n:
        raise ValueError(f"{errors} errors of {n}: it must be 0 <= errors <= n, with n at least 1")
    z = 1.959963984540054
    p = errors / n
    middle = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return max(0.0, min(p, (middle - half) / scale)), min(
        1.0, max(p, (middle + half) / scale)
    )  # but for rounding, p lies inside


def non_finite(surface: xr.Dataset, variable: str = "train_loss") -> int:
    """Number of grid points where `variable` is infinite or NaN."""
    return int((~np.isfinite(surface[variable])).sum())


def interval(x: np.ndarray, values: np.ndarray, level: float, start: int) -> tuple[float, float]:
    """Ends of the interval around x[start] on which the piecewise linear `values` lies at or below `level`.

    An end is the grid's own end, or the last point before one that is not finite, if no crossing comes sooner.
    Both are NaN if values[start] is above the level.
    """
    if not values[start] <= level:
        return math.nan, math.nan
    return _crossing(x, values, level, range(start, -1, -1)), _crossing(x, values, level, range(start, x.size))


def basin(surface: xr.Dataset, level: float, variable: str = "train_loss") -> np.ndarray:
    """Grid points (alpha, beta), True in the connected part of {L <= level} that holds the centre.

    Neighbours share an edge. All False if there is no centre, or it lies above the level.
    """
    at = centre_index(surface)
    values = surface[variable].transpose("alpha", "beta").values
    if at is None or not values[at] <= level:
        return np.zeros(values.shape, bool)
    parts, _ = ndimage.label(values <= level)
    return np.asarray(parts == parts[at])


def findings(surface: xr.Dataset, history_row: xr.Dataset) -> list[Finding]:
    """What to know before believing a surface, worst first (of its train loss).

    Args:
        history_row: `train_loss` and `train_accuracy` in eval mode of the state at the centre.
    """
    return list(_findings(surface, history_row))


def _findings(surface: xr.Dataset, row: xr.Dataset) -> Iterator[Finding]:
    trained = float(row.train_loss) <= UNTRAINED * guessing(surface)
    on_the_way = "@" in surface.attrs["state"]
    between_runs = json.loads(surface.attrs["spec"])["directions"] == "to"
    if not trained:
        yield _untrained(row, on_the_way)
    if not between_runs:
        yield from _lower_point(surface, on_the_way)
    if trained:
        yield from _small_ring(surface)
        yield from _open_basin(surface)
    yield from _mostly_high(surface)


def _untrained(row: xr.Dataset, on_the_way: bool) -> Finding:
    accuracy, loss = f"{100 * float(row.train_accuracy):.0f} %", f"{float(row.train_loss):.2g}"
    if on_the_way:
        return Finding(
            f"before the end of training: train accuracy {accuracy}",
            f"This state lies before the end of training (train loss {loss}), so its surroundings are not those of a "
            "minimiser.",
        )
    return Finding(
        f"did not train: train accuracy {accuracy}: not a picture of a minimiser",
        f"The run ended at a train loss of {loss}, above a quarter of the loss of guessing, so this is not a picture of "
        "a minimiser; train longer or at a lower learning rate before comparing it.",
    )


def _lower_point(surface: xr.Dataset, on_the_way: bool) -> Iterator[Finding]:
    here = centre(surface, "train_loss")
    losses = surface.train_loss.where(np.isfinite(surface.train_loss))
    drop = here - float(losses.min())
    if not drop > _LOWER * guessing(surface):
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
            "train longer, and do not read the width of its rings as that of a minimum.",
        )


def _small_ring(surface: xr.Dataset) -> Iterator[Finding]:
    at = centre_index(surface)
    losses = surface.train_loss.transpose("alpha", "beta").values
    if at is None or not losses[at] < FIRST_LEVEL:
        return
    cells = []
    for x, values, start in (
        (surface.alpha.values, losses[:, at[1]], at[0]),
        (surface.beta.values, losses[at[0]], at[1]),
    ):
        if x.size > 1:
            left, right = interval(x, values, FIRST_LEVEL, start)
            cells.append((right - left) / _step(x))
    if min(cells, default=math.inf) < _CELLS:
        yield Finding(
            f"0.1 ring {min(cells):.1f} cells across",
            f"The 0.1 ring spans {min(cells):.1f} cells of the grid, fewer than {_CELLS}: its shape is not resolved; take more "
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
            f"{100 * share:.0f} % of the points have a loss above 100 or not finite: most of the plane is far outside what "
            "the network can do; take a narrower range.",
        )


def _crossing(x: np.ndarray, values: np.ndarray, level: float, order: range) -> float:
    """Where `values`, followed in `order`, first rises above `level`, between two points by linear interpolation."""
    for k, following in zip(order, order[1:], strict=False):
        if not np.isfinite(values[following]):
            return float(x[k])
        if values[following] > level:
            share = (level - values[k]) / (values[following] - values[k])
            return float(x[k] + share * (x[following] - x[k]))
    return float(x[order[-1]])


def _step(x: np.ndarray) -> float:
    return float(x[-1] - x[0]) / (x.size - 1) if x.size > 1 else 1.0
