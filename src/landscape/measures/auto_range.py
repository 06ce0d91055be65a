"""Find the range of a plane: `alpha: auto` and `beta: auto`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape.errors import InputError
from landscape.geometry.grid import specification
from landscape.measures.plane import Plane
from landscape.objective import meanings

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

    from landscape.data.datasets import DataSet
    from landscape.directions import Directions
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights

EXAMPLES = 256
"""Training examples on which a range is found, at most."""
NATS = math.log(10)
"""Rise by default of a loss in natural logarithms: the probability of the right answer falls to a tenth (geometric mean)."""
TIMES = 10
"""Rise by default of any other loss: to so many times that of the centre."""

CANDIDATES = tuple(float(f"{digits}e{power}") for power in range(-3, 2) for digits in range(10, 100))
"""Numbers of two digits, from 0.01 to 990: a range is one of them, so that it can be written down exactly."""
_DOUBLE = 27  # candidates from 0.01 to about twice as much; elsewhere the factor lies between 1.3 and 3


def with_range(
    spec: Plane,
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

    Returns:
        The plane, and what was used: `rise` and `rise_examples`; the plane as it is if it states its ranges.

    Raises:
        InputError: if the loss never rises that much.
    """
    from landscape.data.datasets import subset
    from landscape.engine.engine import Engine

    if not (wanted := spec.wanted):
        return spec, {}
    train = subset(data.train, min(EXAMPLES, spec.examples or EXAMPLES, len(data.train)))
    again = spec.statistics == "recalibrated"
    few = subset(data.train, spec.recalibration_examples).inputs if again else None
    engine = Engine(network, theta, directions, {"train": train}, objective, recalibration=few)
    centre = engine.centre()["train"].loss
    enough = _default(centre, objective) if spec.rise is None else spec.rise

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
    return _with(spec, found), {"rise": enough, "rise_examples": len(train)}


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


def as_found(spec: Plane, tiles: Sequence[tuple[str, xr.Dataset]]) -> Plane:
    """Give a plane the range that its tiles have found.

    Raises:
        InputError: if they have found different ones, as they may on different devices.
    """
    if not spec.wanted:
        return spec
    found = {name: [specification(tile)[axis] for axis in spec.wanted] for name, tile in tiles}
    first = next(iter(found))
    for name, ranges in found.items():
        if ranges != found[first]:
            raise InputError(
                f"{name} has found the range {ranges}, and {first} {found[first]}; state it instead of auto"
            )
    return _with(spec, dict(zip(spec.wanted, found[first], strict=True)))


def _with(spec: Plane, found: Mapping[str, Any]) -> Plane:
    stated = spec.model_dump(exclude_defaults=True, exclude={"rise"})
    return type(spec).model_validate({**stated, "measure": spec.measure, **found})


def _default(centre: float, objective: Objective) -> float:
    if objective.unit == meanings.NATS:
        return NATS
    if not 0 < centre < math.inf:
        raise InputError(f"the loss is {centre:g} at the centre, so no multiple of it tells a range; state rise")
    return (TIMES - 1) * centre
