"""Directions along Hessian eigenvectors that a probe found."""

from collections.abc import Sequence

import torch

from landscape.directions.gaussian import Axes, Directions
from landscape.errors import InputError, one_of
from landscape.store.weights import Weights, check_fit


def eigenvectors(tensors: Weights, names: Sequence[str], theta: Weights, axes: Axes) -> Directions:
    """Take unit eigenvectors of the Hessian at `theta` as directions; other parameters get zero.

    The Hessian H is the plain one, not the filter-scaled one: along an eigenvector the loss is
    L + alpha g'v + alpha^2 lambda / 2 to second order.

    Args:
        tensors: keys `largest-1/NAME`, `smallest-1/NAME`, ...
        names: `largest-1`, ...; for a plane those of alpha and beta, for a line that of alpha.

    Raises:
        InputError: if there is no such eigenvector, it is not finite, or it does not fit the parameters of `theta`.
    """
    return {axis: _along(tensors, name, theta, axes) for axis, name in zip(("alpha", "beta"), names, strict=False)}


def _along(tensors: Weights, name: str, theta: Weights, axes: Axes) -> Weights:
    found = {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}
    if not found:
        there = dict.fromkeys(key.partition("/")[0] for key in tensors)
        raise InputError(f"the probe found no eigenvector {name}; it found {one_of(there)}")
    if not all(bool(tensor.isfinite().all()) for tensor in found.values()):
        raise InputError(f"the probe's eigenvector {name} is not finite, as its loss or its Hessian is not")
    check_fit(found, {key: theta[key] for key in found if key in axes})
    return {key: found[key].to(theta[key]) if key in found else torch.zeros_like(theta[key]) for key in axes}
