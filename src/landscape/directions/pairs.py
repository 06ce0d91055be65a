"""Directions as they are kept in files and used again, and what a reader should know of them."""

from typing import Any

from landscape.directions.gaussian import Axes, Directions, with_filters, zero_filters
from landscape.errors import InputError, one_of
from landscape.store.weights import Weights, check_fit, cosine, norm


def borrowed(tensors: Weights, theta: Weights, axes: Axes, *, line: bool, buffers: bool = False) -> Directions:
    """The directions in another plane's file, to be used around `theta`.

    Args:
        tensors: keys `alpha/NAME` and `beta/NAME`.
        buffers: whether batch norm's running statistics move along, where the other plane moves them.

    Raises:
        InputError: if they do not fit the parameters of `theta`, or a plane is asked for and they are a line's.
    """
    directions = unflatten(tensors)
    if not line and "beta" not in directions:
        raise InputError("the other plane is a line: its directions have no beta; leave beta out here too")
    wanted = {name: theta[name] for name in axes}
    chosen: Directions = {}
    for axis in ("alpha",) if line else ("alpha", "beta"):
        steps = directions[axis]
        check_fit({name: step for name, step in steps.items() if name in axes or name not in theta}, wanted)
        chosen[axis] = {name: step for name, step in steps.items() if buffers or name in axes}
    return chosen


def unflatten(tensors: Weights) -> Directions:
    """Directions from the keys `alpha/NAME` and `beta/NAME` of their file."""
    directions: Directions = {}
    for key, tensor in tensors.items():
        axis, _, name = key.partition("/")
        directions.setdefault(axis, {})[name] = tensor
    return dict(sorted(directions.items()))


def measured_over(directions: Directions, axes: Axes) -> list[str]:
    """The parameters over which lengths and angles on a plane are measured: its metric.

    Those with filters, as the paper's paths leave out batch norm and biases (section 7). All of them, where a direction
    moves others too: on planes towards, through or to the start of something, where other states lie with everything they
    have. Buffers never count.

    Raises:
        InputError: if the directions lack a parameter.
    """
    if missing := [f"{axis}/{name}" for axis, d in directions.items() for name in axes if name not in d]:
        raise InputError(f"the directions lack {one_of(missing)}, which the network has; draw them anew")
    names = with_filters(axes)
    moves_others = any(bool(d[name].any()) for d in directions.values() for name in axes if name not in names)
    return list(axes) if moves_others else names


def describe(directions: Directions, theta: Weights, axes: Axes) -> dict[str, Any]:
    """What a reader should know of directions: their lengths, cosine, and filters without a direction.

    The length of a unit of each axis comes plain (`unit_length_`) and as a multiple of that of `theta` over the
    parameters with filters (`norm_`).
    """
    parameters = {axis: {name: d[name] for name in axes} for axis, d in directions.items()}
    lengths = {axis: norm(d) for axis, d in parameters.items()}
    whole = norm({name: theta[name] for name in with_filters(axes)})
    facts: dict[str, Any] = {f"unit_length_{axis}": length for axis, length in lengths.items()}
    facts |= {f"norm_{axis}": length / whole for axis, length in lengths.items() if whole}
    if len(parameters) == 2:
        facts["cosine"] = cosine(parameters["alpha"], parameters["beta"])
    return {**facts, "zero_filters": zero_filters(theta, axes)}
