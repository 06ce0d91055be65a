"""Arithmetic on weights: dictionaries from parameter and buffer names to tensors."""

import math

import torch
from torch import Tensor, nn

from landscape.errors import InputError

Weights = dict[str, Tensor]


def tensors_of(network: nn.Module) -> Weights:
    """Return the tensors of a network's state dict, without a history."""
    return {name: value.detach() for name, value in network.state_dict().items() if isinstance(value, Tensor)}


def displace(theta: Weights, d1: Weights, a: float, d2: Weights | None = None, b: float = 0.0) -> Weights:
    """Compute theta + a d1 + b d2 (Li et al. 2018, section 2); tensors outside the directions stay.

    Always adds in this order from the centre, so that a point has the same bits wherever it is computed.

    Raises:
        InputError: if `theta` lacks a tensor of a direction, or has it in another shape.
    """
    moved = dict(theta)
    for direction in (d1, d2) if d2 is not None else (d1,):
        check_fit(direction, {name: theta[name] for name in direction if name in theta})
    for name, step in d1.items():
        moved[name] = torch.add(theta[name], step, alpha=a)
    for name, step in (d2 or {}).items():
        moved[name] = moved[name].add_(step, alpha=b) if name in d1 else torch.add(theta[name], step, alpha=b)
    return moved


def difference(x: Weights, y: Weights) -> Weights:
    """Compute x - y for the floating-point tensors.

    Raises:
        InputError: if the two have different keys or shapes.
    """
    check_fit(x, y)
    return {name: minus(x[name], y[name]) for name in x if x[name].is_floating_point()}


def minus(x: Tensor, y: Tensor) -> Tensor:
    """Compute x - y, zero where both are equal, as the infinities of a mask are."""
    return (x - y).masked_fill(x == y, 0)


def dot(x: Weights, y: Weights) -> float:
    """Compute the inner product over all tensors, in float64.

    Raises:
        InputError: if the two have different keys or shapes.
    """
    check_fit(x, y)
    return sum((float(torch.sum(x[name].double() * y[name].double())) for name in x), 0.0)


def norm(x: Weights) -> float:
    """Compute the Euclidean norm over all tensors, in float64."""
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in x.values()))


def cosine(x: Weights, y: Weights) -> float:
    """Compute the cosine of the angle between two directions; NaN if one is zero."""
    lengths = norm(x) * norm(y)
    return dot(x, y) / lengths if lengths else math.nan


def check_fit(x: Weights, y: Weights) -> None:
    """Check that both have the same keys and shapes.

    Raises:
        InputError: naming each tensor that one of the two lacks, or that differs in shape.
    """
    problems = [f"{name} is in the first only" for name in x if name not in y]
    problems += [f"{name} is in the second only" for name in y if name not in x]
    problems += [
        f"{name} has shape {tuple(x[name].shape)} in the first and {tuple(y[name].shape)} in the second"
        for name in x
        if name in y and x[name].shape != y[name].shape
    ]
    if problems:
        raise InputError(["the weights do not fit each other:", *problems])
