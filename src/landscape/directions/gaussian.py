"""Random directions, and their normalisation by filters (Li et al. 2018, section 4)."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from landscape.errors import InputError, one_of
from landscape.store.weights import Weights, norm

Axes = Mapping[str, int | None]
"""For each parameter the dimension that counts its filters, None if it has no filters (`networks.filter_axes`)."""

Axis = Literal["alpha", "beta"]

Directions = dict[str, Weights]
"""The axes `alpha` and, for a plane, `beta`; each holds every parameter of the network, zeros included."""


def random(theta: Weights, axes: Axes, seed: int, axis: Axis) -> Weights:
    """Draw a Gaussian direction over the parameters that have filters.

    Each tensor is drawn on the CPU from (seed, axis, parameter name), so it is equal on every device and in every network
    with that parameter. Biases and batch-norm parameters get zero (Li et al. 2018, section 4).
    """
    return {
        name: torch.zeros_like(theta[name]) if filters is None else _gaussian(theta[name], seed, axis, name)
        for name, filters in axes.items()
    }


def filter_normalize(direction: Weights, theta: Weights, axes: Axes) -> Weights:
    """Give every filter of `direction` the norm of the same filter of `theta`.

    For filter j of layer i (Li et al. 2018, section 4):  d_ij <- d_ij / ||d_ij|| * ||theta_ij||.

    A filter is a slice along the filter dimension `axes[name]`: the weights of one output channel of a convolution, shape
    (out, in, kh, kw), or one row of a linear layer, shape (out, in). Tensors without filters, and filters of `theta` that
    are zero, get direction zero.
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
    """Give the direction the norm of `theta`, both over the parameters that have filters.

    The paper does not use this; many introductions do.
    """
    names = with_filters(axes)
    length = norm({n: direction[n] for n in names})
    scale = norm({n: theta[n] for n in names}) / length if length else 0.0
    return {name: direction[name] * scale if name in names else torch.zeros_like(theta[name]) for name in axes}


def unnormalized(direction: Weights, theta: Weights, axes: Axes) -> Weights:
    """Return the direction as drawn, N(0, I) over the parameters that have filters."""
    return direction


NORMALIZE: dict[str, Callable[[Weights, Weights, Axes], Weights]] = {
    "filter": filter_normalize,
    "layer": layer_normalize,
    "model": model_normalize,
    "none": unnormalized,
}


def random_axis(theta: Weights, axes: Axes, seed: int, normalize: str, axis: Axis) -> Weights:
    """Draw a random direction, and normalise it."""
    return NORMALIZE[normalize](random(theta, axes, seed, axis), theta, axes)


def random_pair(theta: Weights, axes: Axes, seed: int, normalize: str, *, line: bool) -> Directions:
    """Draw the directions of a plane, or the one of a line. They are not orthogonal; `describe` gives their cosine."""
    names: tuple[Axis, ...] = ("alpha",) if line else ("alpha", "beta")
    return {axis: random_axis(theta, axes, seed, normalize, axis) for axis in names}


def with_filters(axes: Axes) -> list[str]:
    """Return the names of the parameters that have filters."""
    return [name for name, filters in axes.items() if filters is not None]


def chosen(axes: Axes, parameters: str) -> list[str]:
    """Return the names of the chosen parameters: `filters`, `all`, or a regular expression that is found in them.

    Raises:
        InputError: if there is none.
    """
    if parameters in ("filters", "all"):
        names = with_filters(axes) if parameters == "filters" else list(axes)
        if not names:
            raise InputError("the network has no parameter with filters; use parameters: all")
        return names
    names = [name for name in axes if re.search(parameters, name)]
    if not names:
        raise InputError(f"parameters: {parameters} is found in no parameter's name; there are {one_of(list(axes))}")
    return names


def restricted(axes: Axes, parameters: str) -> Axes:
    """Leave filters to the chosen parameters alone, so that random directions are zero elsewhere."""
    names = set(chosen(axes, parameters))
    return {name: filters if name in names else None for name, filters in axes.items()}


def count_filters(theta: Weights, axes: Axes) -> tuple[int, int]:
    """Count the filters that are zero, which get no direction, and all filters."""
    norms = [_norms(theta[n], _all_but(theta[n], axis)) for n, axis in axes.items() if axis is not None]
    return sum(int((found == 0).sum()) for found in norms), sum(found.numel() for found in norms)


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
    """Scale `direction` by wanted / found; zero if `found` is zero."""
    scale = torch.where(found > 0, wanted / found.clamp_min(torch.finfo(found.dtype).tiny), 0)
    return (direction.double() * scale).to(direction)


def _norms(tensor: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Euclidean norms over `dims` (all for an empty tuple), float64, with the reduced dimensions kept as 1."""
    return torch.linalg.vector_norm(tensor, dim=dims or None, keepdim=True, dtype=torch.float64)


def _all_but(tensor: Tensor, dim: int) -> tuple[int, ...]:
    return tuple(d for d in range(tensor.ndim) if d != dim)
