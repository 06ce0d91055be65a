"""First passes over a network: the mode that it needs, the batch that suits it, and the outputs that a faster form must have."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape.data.examples import Examples, equal, leaves
from landscape.networks.copying import at_weights
from landscape.objective.examination import observed
from landscape.objective.objective import Objective
from landscape.store.weights import Weights

_TOLERANCE = 1e-3
"""Allowed difference of logits, as a share of the largest: rounding is far below it, a wrong form far above."""
_ACTIVATIONS = {"cpu": 2**20, "cuda": 2**26}
"""Wanted size of a batch's largest activation, in numbers. On a CPU these 4 MB stay in its cache (measured); the GPU's
size is not measured."""
_BATCHES = {"cpu": (32, 512), "cuda": (64, 4096)}  # the smallest and the largest batch of images
_OTHERS = (1, 2**14)
"""The smallest and the largest batch of other examples, whose activations differ more: a table's row, a text's tokens."""


@dataclass(frozen=True)
class Trial:
    """Outcome of two passes over a few examples, one with gradients and one without.

    Attributes:
        whole: a copy of the network with the weights, in eval mode, called once.
        mode: the mode in which the network runs: inference, if there it gives what it gives with gradients enabled.
        batch: examples in one forward pass: a power of two that brings the largest activation near `_ACTIVATIONS`.
        overwrites: whether the network writes into its inputs.
        output: what tells two forms of the network apart (`examination.seen`).
        gives_tensor: whether the network's output is a tensor that a loss takes.
    """

    whole: nn.Module
    mode: Callable[[], Any]
    batch: int
    overwrites: bool
    output: Tensor
    gives_tensor: bool


def first_passes(network: nn.Module, theta: Weights, example: Examples, objective: Objective) -> Trial:
    """Pass over a few examples, in a fresh copy each time: a network may keep tensors of one mode for the next pass.

    A network or an objective that differentiates its own output needs gradients.
    """
    first, second = at_weights(network, theta), at_weights(network, theta)
    given = example.fresh()
    with torch.enable_grad():
        expected, batch = _looked(first, objective, given)
    overwrites = not equal(given.inputs, example.inputs)
    found: list[Tensor] = []
    try:
        with torch.inference_mode():
            found = observed(objective, second, example.fresh())
            alike = all(the_same(one, other) for one, other in zip(found, expected, strict=True))
    except Exception:  # from the network's own code
        alike = False
    whole, mode, output = (second, torch.inference_mode, found) if alike else (first, torch.enable_grad, expected)
    return Trial(whole, mode, batch, overwrites, output[0].detach().clone(), len(output) > 1)


def the_same(found: Tensor, expected: Tensor) -> bool:
    """Return whether two outputs agree up to rounding. If the expected one overflows, anything agrees."""
    if not bool(expected.isfinite().all()):
        return True
    return bool((found - expected).abs().max() <= _TOLERANCE * expected.abs().max())


def plain_copy(tensor: Tensor) -> Tensor:
    """Copy a tensor in torch's default layout."""
    return tensor.clone(memory_format=torch.contiguous_format)


def _looked(network: nn.Module, objective: Objective, given: Examples) -> tuple[list[Tensor], int]:
    """Return what a pass gives, and the batch that follows from its largest activation."""
    tensors = leaves(given.inputs)
    rows = len(tensors[0])
    largest = max(tensor[0].numel() for tensor in tensors)

    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor) and output.ndim and len(output) == rows:
            largest = max(largest, output[0].numel())

    layers = [
        each for each in network.modules() if each is not network and not isinstance(each, torch.jit.ScriptModule)
    ]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    found = observed(objective, network, given)
    for hook in hooks:
        hook.remove()
    kind = "cpu" if tensors[0].device.type == "cpu" else "cuda"
    least, most = _BATCHES[kind] if tensors[0].ndim == 4 else _OTHERS
    return found, min(most, max(least, 2 ** int(math.log2(max(1.0, _ACTIVATIONS[kind] / largest)))))
