"""Directions to other states: a line to one, a plane through two."""

from collections.abc import Iterable, Sequence

import torch

from landscape.directions.gaussian import Axes, Directions, with_filters
from landscape.errors import InputError
from landscape.store.weights import Weights, check_fit, difference, dot, minus, norm

Place = tuple[float, float]
"""Coordinates (alpha, beta) in multiples of the directions."""

_FLAT = 1e-5
"""Share of a distance below which a state lies on a line. Rounding of float32 weights is a hundredth of it."""


def towards(theta: Weights, other: Weights, axes: Axes, *, buffers: bool) -> Directions:
    """Compute the direction from `theta` (alpha = 0) to `other` (alpha = 1) (Li et al. 2018, section 3).

    Args:
        buffers: move floating-point buffers (batch norm's running mean and variance) too.

    Raises:
        InputError: if the two have different keys or shapes; it names each.
    """
    names = list(axes)
    if buffers:
        names += [name for name, tensor in theta.items() if name not in axes and tensor.is_floating_point()]
    step = difference(other, theta)
    return {"alpha": {name: step[name] for name in names}}


def through_two(
    theta: Weights, others: Sequence[Weights], axes: Axes, *, buffers: bool
) -> tuple[Directions, list[Place]]:
    """Lay a plane through `theta` at (0, 0) and two other states B and C; return it and the places of B and C.

    alpha = B - theta; beta is the part of C - theta orthogonal to alpha, scaled to alpha's norm. So B lies at (1, 0), both
    axes have the same unit, and distances in the picture are distances between weights. Inner products are over all
    parameters. With `buffers`, floating-point buffers follow the same linear combination, so that B and C have their own
    batch-norm statistics at their places.

    Raises:
        InputError: if the three have different keys or shapes, or lie on one line.
    """
    b, c = others
    alpha = towards(theta, b, axes, buffers=buffers)["alpha"]
    check_fit(c, theta)
    step = {name: minus(c[name].double(), theta[name].double()) for name in alpha}
    along, rest = _split(step, alpha, list(axes))
    unit, height = _length(alpha, axes), _length(rest, axes)
    if min(unit, height) <= _FLAT * max(unit, _length(step, axes)):
        raise InputError(
            "the centre and the two other states lie on one line, which makes no plane: the third is "
            f"{height:.3g} away from the line through the first two, which are {unit:.3g} apart"
        )
    return {"alpha": alpha, "beta": _scaled(rest, unit / height, theta)}, [(1.0, 0.0), (along, height / unit)]


def through_one(
    theta: Weights, other: Weights, beta: Weights, axes: Axes, *, buffers: bool
) -> tuple[Directions, list[Place]]:
    """Lay a plane through `theta` at (0, 0) and another state at (1, 0), with a second direction from `beta`.

    `beta` is made orthogonal to alpha, and gets alpha's norm over all parameters. It is zero on parameters without filters
    and moves no buffers.

    Raises:
        InputError: if the two have different keys or shapes, or the same parameters; or nothing of `beta` is orthogonal.
    """
    alpha = towards(theta, other, axes, buffers=buffers)["alpha"]
    unit = _length(alpha, axes)
    if unit == 0:
        raise InputError("the other state has the parameters of the centre, so no direction leads there")
    filters = with_filters(axes)
    _, rest = _split({name: beta[name].double() for name in filters}, alpha, filters)
    length, whole = _length(rest, filters), _length(beta, filters)
    if length <= _FLAT * whole:
        raise InputError(
            "the direction beta has length zero: no filter has weights to draw it from"
            if not whole
            else "the directions alpha and beta are parallel: the filters have no other way to move; leave beta out"
        )
    drawn = _scaled(rest, unit / length, theta)
    still = {name: torch.zeros_like(theta[name]) for name in axes if name not in drawn}
    return {"alpha": alpha, "beta": drawn | still}, [(1.0, 0.0)]


def _split(step: Weights, alpha: Weights, names: Sequence[str]) -> tuple[float, Weights]:
    """Split `step` into a multiple of `alpha` and a rest orthogonal to it over `names`; the rest is float64."""
    over = {name: alpha[name] for name in names}
    length = dot(over, over)
    along = dot({name: step[name] for name in names}, over) / length if length else 0.0
    return along, {name: tensor - along * alpha[name].double() for name, tensor in step.items()}


def _scaled(direction: Weights, factor: float, like: Weights) -> Weights:
    return {name: (tensor * factor).to(like[name]) for name, tensor in direction.items()}


def _length(direction: Weights, names: Iterable[str]) -> float:
    return norm({name: direction[name] for name in names})
