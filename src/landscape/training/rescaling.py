"""Rescale a network to a twin: other weights that compute the same (Li et al. 2018, section 4: scale invariance).

If batch norm follows a layer, one may multiply the layer's filters by c, the running mean by c and the variance by c^2. If
ReLU leads from a layer to the next, one may multiply the layer's weights and biases by c, and divide the next one's weights
by c. A step of fixed length from the twin is another step of the function, so the raw curves of the two differ;
filter-normalised curves coincide.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from landscape.engine.folding import LAYERS, Pair, fold, is_plain
from landscape.errors import InputError
from landscape.networks.copying import duplicate
from landscape.store.weights import Weights

EXAMPLES = 4
"""Images on which twin and network are compared."""

_CLOSE = 1e-4
"""Largest difference of logits, as a share of the largest logit, that counts as rounding."""

_HOMOGENEOUS: tuple[Any, ...] = (
    *(nn.ReLU, nn.LeakyReLU, nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(torch.relu, functional.relu, functional.leaky_relu, functional.dropout, torch.flatten),
    *(functional.max_pool2d, functional.avg_pool2d, functional.adaptive_avg_pool2d),
    *("relu", "flatten", "mean"),
)
"""Modules, functions and methods f with f(c x) = c f(x) for every c > 0."""


@dataclass(frozen=True)
class Joined:
    """Names of a layer and the next one, with only homogeneous operations such as ReLU between them."""

    layer: str
    following: str


@dataclass(frozen=True)
class Twin:
    """Rescaled weights with the same function, and the rescaled layers."""

    weights: Weights
    normed: tuple[Pair, ...]
    joined: tuple[Joined, ...]


def twin(network: nn.Module, theta: Weights, by: float, example: Tensor) -> Twin:
    """Multiply by `by` every layer before batch norm, and every other layer that a following layer can make up for.

    No layer is rescaled twice. A variance becomes by^2 (variance + eps) - eps, which keeps the function exact with eps.

    Args:
        by: above 1, since a variance near 0 would become negative otherwise.
        example: a few examples on the network's device, on which the two are compared.

    Raises:
        InputError: if there is no such layer, the network cannot be traced, or its logits change.
    """
    network = duplicate(network)
    network.load_state_dict(theta, strict=False)
    network.eval()
    folded = fold(network, example)
    if folded is None:
        raise InputError(
            "the network cannot be rescaled: torch.fx cannot trace what it computes, or layers of it share weights"
        )
    joined = tuple(_joined(folded.network, {pair.layer for pair in folded.pairs}))
    if not folded.pairs and not joined:
        raise InputError(
            "the network cannot be rescaled: it has no layer that batch norm alone reads, and none from which ReLU leads "
            "straight to the next"
        )
    weights = dict(theta)
    for pair in folded.pairs:
        _multiply(weights, f"{pair.layer}.weight", by)
        _multiply(weights, f"{pair.layer}.bias", by)
        _multiply(weights, f"{pair.norm}.running_mean", by)
        variance = f"{pair.norm}.running_var"
        weights[variance] = (by**2 * (theta[variance].double() + pair.eps) - pair.eps).to(theta[variance])
    for both in joined:
        _multiply(weights, f"{both.layer}.weight", by)
        _multiply(weights, f"{both.layer}.bias", by)
        _multiply(weights, f"{both.following}.weight", 1 / by)
    _require_same(network, weights, example)
    return Twin(weights, folded.pairs, joined)


def _joined(traced: fx.GraphModule, taken: set[str]) -> list[Joined]:
    """Find pairs of consecutive layers, in the order of the network, without `taken` ones; no layer is in two pairs."""
    modules, used = dict(traced.named_modules()), set[Any](taken)
    calls = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    read = {str(node.target).rpartition(".")[0] for node in traced.graph.nodes if node.op == "get_attr"}

    def is_free(node: fx.Node) -> bool:
        if node.op != "call_module" or type(modules[node.target]) not in LAYERS:
            return False
        once = calls.count(node.target) == 1 and node.target not in used | read
        return once and len(node.args) == 1 and is_plain(modules[node.target])

    found = []
    for node in traced.graph.nodes:
        if not is_free(node):
            continue
        end = _next(node)
        while end is not None and _is_homogeneous(end, modules):
            end = _next(end)
        if end is not None and is_free(end):
            found.append(Joined(str(node.target), str(end.target)))
            used |= {node.target, end.target}
    return found


def _next(node: fx.Node) -> fx.Node | None:
    """Return the only reader of a node's output if it reads nothing else."""
    readers = list(node.users)
    return readers[0] if len(readers) == 1 and readers[0].all_input_nodes == [node] else None


def _is_homogeneous(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    what = type(modules[str(node.target)]) if node.op == "call_module" else node.target
    return node.op.startswith("call") and what in _HOMOGENEOUS


def _multiply(weights: Weights, name: str, by: float) -> None:
    if name in weights:
        weights[name] = (by * weights[name].double()).to(weights[name])


@torch.inference_mode()
def _require_same(network: nn.Module, weights: Weights, example: Tensor) -> None:
    """Raise InputError if the logits with `weights` differ from the network's by more than rounding."""
    expected = network(example)
    network.load_state_dict(weights, strict=False)
    error = float((network(example) - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
    if not error <= _CLOSE:
        raise InputError(
            f"the network cannot be rescaled: its logits change by {100 * error:.2g} %, so it uses its layers in a way "
            "that torch.fx does not show"
        )
