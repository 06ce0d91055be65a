"""Read directions from a plane's file, choose the metric of a plane, and describe its directions."""

from typing import Any

from landscape.directions.gaussian import Axes, Directions, count_filters, with_filters
from landscape.errors import InputError, one_of
from landscape.store.weights import Weights, check_fit, cosine, norm


def borrowed(tensors: Weights, theta: Weights, axes: Axes, *, line: bool, buffers: bool = False) -> Directions:
    """Take the directions from another plane's file, for use around `theta`.

    Args:
        tensors: keys `alpha/NAME` and `beta/NAME`.
        buffers: keep the other plane's steps of batch norm's running statistics.

    Raises:
        InputError: if they do not fit the parameters of `theta`, or a plane is wanted and the file has one direction.
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
    """Split the keys `alpha/NAME` and `beta/NAME` of a file into the two directions."""
    directions: Directions = {}
    for key, tensor in tensors.items():
        axis, _, name = key.partition("/")
        directions.setdefault(axis, {})[name] = tensor
    return dict(sorted(directions.items()))


def measured_over(directions: Directions, axes: Axes) -> list[str]:
    """Return the parameters of a plane's metric, over which its lengths and angles are measured.

    The metric has the parameters with filters, since the paper's paths leave out batch norm and biases (section 7). If a
    direction moves other parameters too, as directions to other states do, it has all parameters. It never has buffers.

    Raises:
        InputError: if the directions lack a parameter.
    """
    if missing := [f"{axis}/{name}" for axis, d in directions.items() for name in axes if name not in d]:
        raise InputError(f"the directions lack {one_of(missing)}, which the network has; draw them anew")
    names = with_filters(axes)
    moves_others = any(bool(d[name].any()) for d in directions.values() for name in axes if name not in names)
    return list(axes) if moves_others else names


def describe(directions: Directions, theta: Weights, axes: Axes) -> dict[str, Any]:
    """Describe directions by their lengths, their cosine and the numbers of filters without a direction and of all.

    `unit_length_AXIS` is the length of a direction; `norm_AXIS` is this length divided by the norm of `theta` over the
    parameters with filters.
    """
    parameters = {axis: {name: d[name] for name in axes} for axis, d in directions.items()}
    lengths = {axis: norm(d) for axis, d in parameters.items()}
    whole = norm({name: theta[name] for name in with_filters(axes)})
    facts: dict[str, Any] = {f"unit_length_{axis}": length for axis, length in lengths.items()}
    facts |= {f"norm_{axis}": length / whole for axis, length in lengths.items() if whole}
    if len(parameters) == 2:
        facts["cosine"] = cosine(parameters["alpha"], parameters["beta"])
    return facts | dict(zip(("zero_filters", "filters"), count_filters(theta, axes), strict=True))
