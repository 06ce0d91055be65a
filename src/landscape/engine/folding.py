"""Fold batch norm into the layer before it: the network (by torch.fx), its weights, and directions.

In eval mode batch norm is affine: with s = gamma / sqrt(var + eps), it turns the output W x + b of a convolution or
linear layer into (s W) x + (beta + (b - mean) s). If a plane does not move batch norm, s is constant on it: the folded
centre plus the folded directions is the folded perturbed network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from landscape.data.examples import Rows, call
from landscape.networks.copying import duplicate
from landscape.store.weights import Weights

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Pair:
    """Names of a layer and of the batch norm that is the only reader of its output."""

    layer: str
    norm: str
    eps: float


@dataclass(frozen=True)
class Folded:
    """A network in eval mode without the folded batch norms, and the maps of weights and directions to it."""

    network: fx.GraphModule
    pairs: tuple[Pair, ...]

    def centre(self, theta: Weights) -> Weights:
        """Fold weights: the folded network with the result computes the same as the whole network with `theta`."""
        folded = self._kept(theta)
        for pair in self.pairs:
            scale = _scale(pair, theta)
            weight, bias = f"{pair.layer}.weight", f"{pair.layer}.bias"
            mean = theta[f"{pair.norm}.running_mean"].double()
            shift = theta[f"{pair.norm}.bias"].double() if f"{pair.norm}.bias" in theta else torch.zeros_like(mean)
            before = theta[bias].double() if bias in theta else torch.zeros_like(mean)
            folded[weight] = _scaled_rows(theta[weight], scale)
            folded[bias] = (shift + (before - mean) * scale).to(theta[weight])
        return folded

    def direction(self, direction: Weights, theta: Weights) -> Weights:
        """Fold a direction from `theta`, which must be zero on the folded batch norms (`leaves_norms_alone`)."""
        folded = self._kept(direction)
        for pair in self.pairs:
            scale = _scale(pair, theta)
            weight, bias = f"{pair.layer}.weight", f"{pair.layer}.bias"
            folded[weight] = _scaled_rows(direction[weight], scale)
            before = direction[bias].double() if bias in direction else torch.zeros_like(scale)
            folded[bias] = (before * scale).to(direction[weight])
        return folded

    def row_scales(self, theta: Weights) -> Weights:
        """Factors s of the rows of every folded layer, by the name of its weight, float64, (out,)."""
        return {f"{pair.layer}.weight": _scale(pair, theta) for pair in self.pairs}

    def leaves_norms_alone(self, direction: Weights) -> bool:
        """Return whether a direction is zero on the folded batch norms, so that folding is linear along it."""
        norms = {pair.norm for pair in self.pairs}
        return not any(name.rpartition(".")[0] in norms and bool(step.any()) for name, step in direction.items())

    def _kept(self, weights: Weights) -> Weights:
        names = self.network.state_dict().keys()
        return {name: tensor for name, tensor in weights.items() if name in names}


def fold(network: nn.Module, example: Rows) -> Folded | None:
    """Fold all batch norms that can be folded; return None if the network cannot be traced.

    A batch norm folds if it is the only reader of a convolution or linear layer, and both are called once. DenseNet's
    batch norms before the convolution stay. A network with tied weights gives None: the trace may use another of their
    names.

    Args:
        example: inputs of a few examples; if their outputs change, or are no tensor, the result is None.
    """
    names = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    if len(names) > len(list(network.parameters())):
        return None
    network = duplicate(network).eval()
    try:
        traced = fx.GraphModule(network, _Tracer().trace(network))
        folded = Folded(traced, tuple(_fold(traced)))
        with torch.inference_mode():
            expected = call(network, example)
        theta = {name: tensor.clone() for name, tensor in network.state_dict().items() if isinstance(tensor, Tensor)}
        folded.network.load_state_dict(folded.centre(theta), strict=False)
        with torch.inference_mode():
            found = call(folded.network, example)
    except Exception:  # the network's own code runs, and may raise anything
        return None
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor) or found.shape != expected.shape:
        return None
    error = (found - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    return folded if bool(error < 1e-4) else None


class _Tracer(fx.Tracer):
    """Reads buffers on every call, so that a value computed from one is no constant of the trace."""

    proxy_buffer_attributes = True


def is_plain(layer: nn.Module) -> bool:
    """Return whether a layer has no hooks, and weight and bias are its own (no parametrisation computes them)."""
    hooked = layer._forward_hooks or layer._forward_pre_hooks
    return not hooked and all(name in layer._parameters for name in ("weight", "bias"))


def _fold(traced: fx.GraphModule) -> list[Pair]:
    """Remove foldable batch norms from a traced network, give their layers a bias, and return the pairs."""
    modules = dict(traced.named_modules())
    calls = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    read = {node.target for node in traced.graph.nodes if node.op == "get_attr"}
    pairs = []
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or type(modules[node.target]) not in NORMS or len(node.args) != 1:
            continue
        before = node.args[0]
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        layer, norm = modules[before.target], modules[node.target]
        names = {f"{before.target}.weight", f"{before.target}.bias"}
        alone = calls.count(before.target) == calls.count(node.target) == 1 and not names & read
        if not (
            type(layer) in LAYERS
            and is_plain(layer)
            and is_plain(norm)
            and alone
            and norm.running_var is not None
            and _width(layer) == norm.num_features
        ):
            continue
        pairs.append(Pair(str(before.target), str(node.target), norm.eps))
        if layer.bias is None:
            layer.bias = nn.Parameter(layer.weight.new_zeros(norm.num_features), requires_grad=False)
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.graph.lint()
    traced.recompile()
    return pairs


def _width(layer: nn.Module) -> int:
    return int(layer.weight.shape[0])  # type: ignore[index]


def _scale(pair: Pair, theta: Weights) -> Tensor:
    """gamma / sqrt(var + eps) in float64, shape (out,)."""
    scale = (theta[f"{pair.norm}.running_var"].double() + pair.eps).rsqrt()
    return scale * theta[f"{pair.norm}.weight"].double() if f"{pair.norm}.weight" in theta else scale


def _scaled_rows(weight: Tensor, scale: Tensor) -> Tensor:
    return (weight.double() * scale.view(-1, *[1] * (weight.ndim - 1))).to(weight)
