"""Find the range of a plane: `alpha="auto"` and `beta="auto"` of the public functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape.errors import InputError
from landscape.measures.plane import Plane

if TYPE_CHECKING:
    from torch import nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Directions
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights

AUTO = "auto"
POINTS = 51
"""Points on an axis by default."""
EXAMPLES = 256
"""Training examples on which a range is found, at most."""
NATS = math.log(10)
"""Rise by default of a loss in natural logarithms: the probability of the right answer falls to a tenth (geometric mean)."""
TIMES = 10
"""Rise by default of any other loss: to so many times that of the centre."""

CANDIDATES = tuple(float(f"{digits}e{power}") for power in range(-3, 2) for digits in range(10, 100))
"""Numbers of two digits, from 0.01 to 990: a range is one of them, so that it can be written down exactly."""
_DOUBLE = 27  # candidates from 0.01 to about twice as much; elsewhere the factor lies between 1.3 and 3


def split(keys: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """Split keywords into those of a plane, with a stand-in for each range to be found, and the points of such axes.

    Raises:
        InputError: if `auto` does not stand alone or with a number of points.
    """
    kept, wanted = dict(keys), {}
    for axis in ("alpha", "beta"):
        value = keys.get(axis)
        parts = [value] if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
        if AUTO not in parts:
            continue
        points = POINTS if parts == [AUTO] else parts[1] if len(parts) == 2 and parts[0] == AUTO else None
        if not isinstance(points, int) or isinstance(points, bool) or points < 2:
            raise InputError(f"{axis} is {value!r}; allowed are 'auto' and ('auto', number of points), at least 2")
        kept[axis], wanted[axis] = (-1, 1, points), points
    return kept, wanted


def with_range(
    spec: Plane,
    wanted: Mapping[str, int],
    rise: float | None,
    network: nn.Module,
    theta: Weights,
    directions: Directions,
    data: DataSet,
    objective: Objective,
) -> tuple[Plane, dict[str, Any]]:
    """Give a plane the least symmetric range at whose ends the training loss has risen enough over that of the centre.

    Random directions share one range, at whose ends the loss has risen along each of them. Eigenvectors differ much in
    curvature, and each has a range of its own. The loss is that of at most `EXAMPLES` training examples in float32, so the
    same call finds the same range on one device. Ranges are numbers of two digits; the search doubles, then bisects.

    Args:
        wanted: the number of points of each axis whose range is to be found.
        rise: how much is enough; by default ln(10) for losses in natural logarithms, otherwise nine times the loss of the
            centre.

    Returns:
        The plane, and what was used: `rise` and `rise_examples`.

    Raises:
        InputError: if the directions have a range of their own, or the loss never rises that much.
    """
    from landscape.data.datasets import subset
    from landscape.engine.engine import Engine

    _check(spec, wanted, rise)
    train = subset(data.train, min(EXAMPLES, spec.examples or EXAMPLES, len(data.train)))
    again = spec.statistics == "recalibrated"
    few = subset(data.train, spec.recalibration_examples).inputs if again else None
    engine = Engine(network, theta, directions, {"train": train}, objective, recalibration=few)
    centre = engine.centre()["train"].loss
    enough = _default(centre, objective) if rise is None else float(rise)

    def risen(axes: Sequence[str], r: float) -> bool:
        ends = [(sign * r, 0.0) if axis == "alpha" else (0.0, sign * r) for axis in axes for sign in (1, -1)]
        # a loss that overflowed has risen too
        return all(not measured["train"].loss < centre + enough for measured, _ in engine.measure(ends))

    groups = [[axis] for axis in wanted] if spec.directions == "eigenvectors" else [list(wanted)]
    found: dict[str, Any] = {}
    for axes in groups:
        r = least(lambda r, axes=axes: risen(axes, r))  # type: ignore[misc]
        if r is None:
            raise InputError(
                f"{' and '.join(axes)}: auto finds no range: the loss is {centre:.3g} at the centre and rises by less than "
                f"{enough:.3g} up to {CANDIDATES[-1]:g}; state a smaller rise, or the range"
            )
        found |= {axis: (-r, r, wanted[axis]) for axis in axes}
    plane = type(spec).model_validate({**spec.model_dump(exclude_defaults=True), "measure": spec.measure, **found})
    return plane, {"rise": enough, "rise_examples": len(train)}


def least(holds: Callable[[float], bool]) -> float | None:
    """Find the least candidate at which `holds`, as far as doubling steps see it; None if there is none."""
    low, high = -1, 0
    while not holds(CANDIDATES[high]):
        if high == len(CANDIDATES) - 1:
            return None
        low, high = high, min(high + _DOUBLE, len(CANDIDATES) - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(CANDIDATES[middle]) else (middle, high)
    return CANDIDATES[high]


def in_nats(unit: str | None) -> bool:
    """Say if a loss of this unit is in natural logarithms."""
    return unit == "natural logarithm"


def _check(spec: Plane, wanted: Mapping[str, int], rise: float | None) -> None:
    if rise is not None and not (isinstance(rise, int | float) and 0 < rise < math.inf):
        raise InputError(f"rise is {rise!r}; it must be a number above 0")
    for axis in wanted:
        if spec.directions == "pca":
            raise InputError(f"{axis} is auto, and directions: pca has a grid that holds the whole path; leave it out")
        leads = spec.directions in ("to", "through", "start")
        if leads and (axis == "alpha" or not spec.has_random_axis):
            raise InputError(
                f"{axis} is auto, and directions: {spec.directions} leads to another state, at 1; state a range with it"
            )


def _default(centre: float, objective: Objective) -> float:
    if in_nats(objective.unit):
        return NATS
    if not 0 < centre < math.inf:
        raise InputError(f"the loss is {centre:g} at the centre, so no multiple of it tells a range; state rise")
    return (TIMES - 1) * centre
