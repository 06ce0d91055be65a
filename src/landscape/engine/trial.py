"""Try a network on a few examples before it is measured: the mode that it needs, and the batch that suits it."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from landscape.data.examples import Examples, Rows, call, leaves
from landscape.engine.kernel_choice import the_same
from landscape.objective.objective import Objective

_ACTIVATIONS = {"cpu": 2**20, "cuda": 2**26}
"""Wanted size of a batch's largest activation, in numbers. On a CPU these 4 MB stay in its cache (measured); the GPU's
size is not measured."""
_BATCHES = {"cpu": (32, 512), "cuda": (64, 4096)}  # the smallest and the largest batch of images
_OTHERS = (1, 2**14)
"""The smallest and the largest batch of other examples, whose activations differ more: a table's row, a text's tokens."""


def mode_of(network: nn.Module, objective: Objective, example: Examples) -> Callable[[], Any]:
    """Choose the mode in which the network runs: inference, if there it gives what it gives with gradients enabled.

    A network or an objective that differentiates its own output needs gradients.
    """
    with torch.enable_grad():
        expected = objective.values_of_loss(network, example.fresh()).detach()
    try:
        with torch.inference_mode():
            found = objective.values_of_loss(network, example.fresh())
            alike = the_same(found, expected)
    except RuntimeError:
        return torch.enable_grad
    return torch.inference_mode if alike else torch.enable_grad


def plain_copy(tensor: Tensor) -> Tensor:
    """Copy a tensor in torch's default layout."""
    return tensor.clone(memory_format=torch.contiguous_format)


def batch_of(network: nn.Module, inputs: Rows) -> int:
    """Examples in one forward pass: a power of two that brings the largest activation near `_ACTIVATIONS`."""
    tensors = leaves(inputs)
    rows = len(tensors[0])
    largest = max(tensor[0].numel() for tensor in tensors)

    def look(module: nn.Module, given: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor) and output.ndim and len(output) == rows:
            largest = max(largest, output[0].numel())

    hooks = [module.register_forward_hook(look) for module in network.modules() if module is not network]
    call(network, inputs)
    for hook in hooks:
        hook.remove()
    kind = "cpu" if tensors[0].device.type == "cpu" else "cuda"
    least, most = _BATCHES[kind] if tensors[0].ndim == 4 else _OTHERS
    return min(most, max(least, 2 ** int(math.log2(max(1.0, _ACTIVATIONS[kind] / largest)))))
