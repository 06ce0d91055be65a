"""Directions in weight space: random and normalised, towards another state, or borrowed from another plane.

A pair of directions is a dictionary with the axes `alpha` and (for a plane) `beta`; each axis holds every parameter of
the network, zeros included.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from landscape.errors import InputError
from landscape.weights import Weights, check_fit, cosine, difference, norm

Axes = Mapping[str, int | None]
"""For each parameter the dimension that counts its filters, None where it has none (`networks.filter_axes`)."""

Directions = dict[str, Weights]


def random(theta: Weights, axes: Axes, seed: int, axis: Literal["alpha", "beta"]) -> Weights:
    """A Gaussian direction over the parameters of `theta` that have filters, zero on the others.

    Each tensor is drawn on the CPU from (seed, axis, parameter name): equal on every device, and in every network that
    has the parameter. Biases and batch-norm parameters get zero (Li et al. 2018, section 4).
    """
    return {
        name: torch.zeros_like(theta[name]) if filters is None else _gaussian(theta[name], seed, axis, name)
        for name, filters in axes.items()
    }


def filter_normalize(direction: Weights, theta: Weights, axes: Axes) -> Weights:
    """Give every filter of `direction` the norm of the same filter of `theta`.

    For filter j of layer i (Li et al. 2018, section 4):  d_ij <- d_ij / ||d_ij|| * ||theta_ij||.

    A filter is the slice of a tensor at one index of its filter dimension `axes[name]`: of a convolution, shape
    (out, in, kh, kw), the weights of one output channel; of a linear layer, shape (out, in), one row. A tensor without
    filters gets direction zero, and so does a filter of `theta` that is zero.
    """
    return {name: _scaled_by_filter(direction[name], theta[name], filters) for name, filters in axes.items()}


def layer_normalize(direction: Weights, theta: Weights, axes: Axes) -> Weights:
    """Give every tensor that has filters the norm of the same tensor of `theta` (the authors' code, `layer`)."""
    return {
        name: torch.zeros_like(theta[name])
        if filters is None
        else _ratio(direction[name], _norms(theta[name], ()), _norms(direction[name], ()))
        for name, filters in axes.items()
    }


def model_normalize(direction: Weights, theta: Weights, axes: Axes) -> Weights:
    """Give the whole direction the norm of the whole of `theta`, both over the parameters that have filters.

    Not of the paper; it is what many introductions do, and stands here for the contrast.
    """
    with_filters = [name for name, filters in axes.items() if filters is not None]
    scale = norm({n: theta[n] for n in with_filters}) / norm({n: direction[n] for n in with_filters})
    return {name: direction[name] * scale if name in with_filters else torch.zeros_like(theta[name]) for name in axes}


def unnormalized(direction: Weights, theta: Weights, axes: Axes) -> Weights:
    """The direction as it was drawn, N(0, I) over the parameters that have filters."""
    return direction


NORMALIZE: dict[str, Callable[[Weights, Weights, Axes], Weights]] = {
    "filter": filter_normalize,
    "layer": layer_normalize,
    "model": model_normalize,
    "none": unnormalized,
}


def random_pair(theta: Weights, axes: Axes, seed: int, normalize: str, *, line: bool) -> Directions:
    """Random directions of a plane (or, for a line, one). They are not made orthogonal; `describe` tells their cosine."""
    names: tuple[Literal["alpha", "beta"], ...] = ("alpha",) if line else ("alpha", "beta")
    return {axis: NORMALIZE[normalize](random(theta, axes, seed, axis), theta, axes) for axis in names}


def towards(theta: Weights, other: Weights, axes: Axes, *, buffers: bool) -> Directions:
    """The direction from `theta` to `other`: one at alpha = 0, the other at alpha = 1 (Li et al. 2018, section 3).

    Args:
        buffers: whether floating-point buffers, batch norm's running mean and variance, move along.

    Raises:
        InputError: if the two have different keys or shapes; each is named.
    """
    names = list(axes)
    if buffers:
        names += [name for name, tensor in theta.items() if name not in axes and tensor.is_floating_point()]
    step = difference(other, theta)
    return {"alpha": {name: step[name] for name in names}}


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


def describe(directions: Directions, theta: Weights, axes: Axes) -> dict[str, Any]:
    """What a reader should know of directions: their cosine, relative norms, and filters without a direction."""
    parameters = {axis: {name: d[name] for name in axes} for axis, d in directions.items()}
    with_filters = norm({name: theta[name] for name, filters in axes.items() if filters is not None})
    facts: dict[str, Any] = {f"norm_{axis}": norm(d) / with_filters for axis, d in parameters.items() if with_filters}
    if len(parameters) == 2:
        facts["cosine"] = cosine(parameters["alpha"], parameters["beta"])
    facts["zero_filters"] = sum(
        int((_norms(theta[name], _all_but(theta[name], filters)) == 0).sum())
        for name, filters in axes.items()
        if filters is not None
    )
    return facts


def _gaussian(like: Tensor, seed: int, axis: str, name: str) -> Tensor:
    key = hashlib.sha256(f"{seed}/{axis}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)
    return torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like)


def _scaled_by_filter(direction: Tensor, theta: Tensor, filters: int | None) -> Tensor:
    if filters is None:
        return torch.zeros_like(theta)
    rest = _all_but(theta, filters)
    return _ratio(direction, _norms(theta, rest), _norms(direction, rest))


def _ratio(direction: Tensor, wanted: Tensor, found: Tensor) -> Tensor:
    """`direction` scaled by wanted / found, zero where nothing was found."""
    scale = torch.where(found > 0, wanted / found.clamp_min(torch.finfo(found.dtype).tiny), 0)
    return (direction.double() * scale).to(direction)


def _norms(tensor: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Euclidean norms over `dims` (all for an empty tuple), in float64, the reduced dimensions kept as 1."""
    return torch.linalg.vector_norm(tensor, dim=dims or None, keepdim=True, dtype=torch.float64)


def _all_but(tensor: Tensor, dim: int) -> tuple[int, ...]:
    return tuple(d for d in range(tensor.ndim) if d != dim)
