"""Fuse convolution, addition and ReLU into one oneDNN kernel, in a traced network on the CPU (torch.fx).

oneDNN's ReLU turns NaN into 0, so a network with an overflow would have finite logits. Therefore `fuse` makes two networks
with the same parameters and the same bits: one with separate ReLUs, for any numbers, and one with fused ReLUs, for numbers
far from overflow.

The fused operators are private ones of torch, which its compiler uses. Where they are missing, or do not reproduce the
plain network's logits, `fuse` returns None.
"""

import contextlib
import copy
import itertools
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from landscape.engine.folding import NORMS, is_plain

_RELU = (functional.relu, torch.relu, torch.relu_, "relu", "relu_")
_SUMS = (operator.add, torch.add)  # a trace records `x += y` as one of these, too
_IN_PLACE_OPERATORS = tuple(
    getattr(operator, name) for name in dir(operator) if name.startswith("i") and hasattr(operator, name[1:])
)
_NEW = (*_SUMS, functional.pad)
_TOLERANCE = 1e-4  # share of the largest logit; rounding is a thousandth of this, a wrong operand far more


class ApartReLU(nn.Module):
    """Apply ReLU in place, and inside `watched` record the largest input.

    Attributes:
        highest: largest absolute value of an input since `watched` began, (); NaN if an input was NaN.
    """

    def __init__(self) -> None:
        super().__init__()
        self.highest = torch.zeros(())
        self._is_watched = False

    def forward(self, x: Tensor) -> Tensor:
        if self._is_watched and x.numel():
            least, most = torch.aminmax(x)
            self.highest = torch.stack([self.highest, -least.float(), most.float()]).amax()
        return torch.relu_(x)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        self.highest, self._is_watched = torch.zeros(()), True
        try:
            yield
        finally:
            self._is_watched = False


@dataclass(frozen=True)
class Fused:
    """A network with fused convolutions in two forms, which share their parameters.

    Attributes:
        apart: the form with separate ReLUs.
        together: the form with fused ReLUs; correct if no input of `relu` is NaN or infinite.
        relu: the module in `apart` that computes all ReLUs that `together` fuses.
    """

    apart: fx.GraphModule
    together: fx.GraphModule
    relu: ApartReLU


def fuse(network: fx.GraphModule, example: Tensor) -> Fused | None:
    """Return a copy of a traced network with fused 2D convolutions, or None if none can be fused.

    Args:
        network: in eval mode; the copy's parameters have the same names.
        example: images on which the copy must reproduce the logits, up to rounding.
    """
    if example.device.type != "cpu" or example.ndim != 4 or not available():
        return None
    try:
        apart = copy.deepcopy(network)
        with torch.inference_mode():
            expected = network(example)
            _Shapes(apart).run(example)
        convolutions = [node for node in apart.graph.nodes if _is_plain_convolution(apart, node)]
        for node in convolutions:
            _replace(apart, node)
        for node in list(apart.graph.nodes):
            _relu_in_place(apart, node)
        fused = _in_two_forms(apart)
        for form in (fused.apart, fused.together):
            _add_in_place(form)
        with torch.inference_mode():
            found = [form(example) for form in (fused.apart, fused.together)]
    except Exception:  # from the network's own code, or from the private operators
        return None
    close = all(bool((f - expected).abs().max() <= _TOLERANCE * expected.abs().max()) for f in found)
    return fused if convolutions and close else None


def available() -> bool:
    """Return whether this build of torch has oneDNN and its fused convolution."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


class _Shapes(fx.Interpreter):
    """Run a traced network and note the shape of each node's tensor; torch's `ShapeProp` loads sympy, in 0.5 s."""

    def run_node(self, n: fx.Node) -> Any:
        found = super().run_node(n)
        n.meta["shape"] = tuple(found.shape) if isinstance(found, Tensor) else None
        return found


def _is_plain_convolution(network: fx.GraphModule, node: fx.Node) -> bool:
    if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
        return False
    layer = network.get_submodule(str(node.target))
    if (
        type(layer) is not nn.Conv2d
        or not is_plain(layer)
        or layer.padding_mode != "zeros"
        or isinstance(layer.padding, str)
    ):
        return False
    calls = [other for other in network.graph.nodes if other.op == "call_module" and other.target == node.target]
    return len(calls) == 1


def _replace(network: fx.GraphModule, node: fx.Node) -> None:
    """Replace a convolution, and the addition after it if possible, by the fused operator."""
    layer = network.get_submodule(str(node.target))
    taken, other = [node], _added(network, node)
    if other is not None:
        taken.append(next(iter(node.users)))
    if not _can_wait(network, node, taken[-1]):
        taken, other = [node], None
    last = taken[-1]
    with network.graph.inserting_before(last):
        weight = network.graph.get_attr(f"{node.target}.weight")
        bias = network.graph.get_attr(f"{node.target}.bias") if layer.bias is not None else None
        convolution: tuple[Any, ...] = (weight, bias, layer.padding, layer.stride, layer.dilation, layer.groups)
        operators = torch.ops.mkldnn._convolution_pointwise
        if other is None:
            alone = (node.args[0], *convolution, "none", [], "")
            fused = network.graph.call_function(operators.default, alone)
        else:
            added = (node.args[0], other, *convolution, "add", 1.0, None, [], None)
            fused = network.graph.call_function(operators.binary, added)
    fused.meta = dict(last.meta)
    last.replace_all_uses_with(fused)
    for done in reversed(taken):
        network.graph.erase_node(done)


def _relu_in_place(network: fx.GraphModule, node: fx.Node) -> None:
    """Let a ReLU work in place if it is the only reader of a convolution, a batch norm or a sum."""
    operators = torch.ops.mkldnn._convolution_pointwise
    fresh = node.op == "call_function" and node.target in (*_SUMS, operators.default, operators.binary)
    if node.op == "call_module":
        fresh = isinstance(network.get_submodule(str(node.target)), NORMS)
    if fresh and _feeds_alone(network, node, _RELU, nn.ReLU):
        relu = next(iter(node.users))
        with network.graph.inserting_before(relu):
            in_place = network.graph.call_function(torch.relu_, (node,))
        relu.replace_all_uses_with(in_place)
        network.graph.erase_node(relu)


def _in_two_forms(network: fx.GraphModule) -> Fused:
    """Make both forms of a network with fused convolutions; `network` itself becomes `apart`."""
    relu = ApartReLU()
    name = next(name for name in (f"relu_{i}" for i in itertools.count()) if not hasattr(network, name))
    network.add_submodule(name, relu)
    for node in network.graph.find_nodes(op="call_function", target=torch.relu_):
        (convolution,) = node.all_input_nodes
        if _unary(convolution) is not None and len(convolution.users) == 1:
            with network.graph.inserting_before(node):
                node.replace_all_uses_with(network.graph.call_module(name, (convolution,)))
            network.graph.erase_node(node)
    together = fx.GraphModule(network, copy.deepcopy(network.graph))
    for node in together.graph.find_nodes(op="call_module", target=name):
        (convolution,) = node.all_input_nodes
        convolution.update_arg(_unary(convolution), "relu")
        node.replace_all_uses_with(convolution)
        together.graph.erase_node(node)
    for form in (network, together):
        form.delete_all_unused_submodules()
        form.graph.lint()
        form.recompile()
    return Fused(network, together, relu)


def _unary(node: fx.Node) -> int | None:
    """Index of the argument by which a fused convolution names its activation; None for other nodes."""
    operators = torch.ops.mkldnn._convolution_pointwise
    where: dict[Any, int] = {operators.default: 7, operators.binary: 10}
    return where.get(node.target)


def _add_in_place(network: fx.GraphModule) -> None:
    """Let a convolution add into its other operand if nothing reads that later: saves 1/6 of the time (16 channels)."""
    place = {node: i for i, node in enumerate(network.graph.nodes)}
    operators = torch.ops.mkldnn
    for node in network.graph.find_nodes(op="call_function", target=operators._convolution_pointwise.binary):
        images, other, *rest = node.args
        readers = [user for user in other.users if user is not node]
        if (
            images is not other
            and _is_new(network, other)
            and all(place[user] < place[node] and _makes_new(network, user) for user in readers)
        ):
            node.target = operators._convolution_pointwise_.binary
            node.args = (other, images, *rest)
    network.recompile()


def _is_new(network: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether no other tensor in use shares the memory of a node's output."""
    if node.target is torch.ops.mkldnn._convolution_pointwise_.binary or _makes_new(network, node):
        return True
    in_place = node.target is torch.relu_
    if node.op == "call_module":
        in_place = isinstance(network.get_submodule(str(node.target)), ApartReLU)
    (before, *_) = node.all_input_nodes or [node]
    return in_place and len(before.users) == 1 and _is_new(network, before)


def _makes_new(network: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether an operation surely writes into no input, and its output shares no memory with an input."""
    if node.op == "call_module":
        layer = network.get_submodule(str(node.target))
        return type(layer) in (*NORMS, nn.Conv2d, nn.Linear) and is_plain(layer)
    operators = torch.ops.mkldnn._convolution_pointwise
    return (
        node.op == "call_function"
        and node.target in (*_NEW, operators.default, operators.binary)
        and (node.kwargs.get("out") is None)
    )


def _can_wait(network: fx.GraphModule, node: fx.Node, last: fx.Node) -> bool:
    """Return whether a convolution may be computed later, at `last`: nothing in between writes into a tensor."""
    if node is last:
        return True
    following = node.next
    while following is not last:
        if _may_write(network, following):
            return False
        following = following.next
    return not _may_write(network, last)


def _added(network: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Return the other operand, of the same shape, if one addition is the only reader of a node's output."""
    if not _feeds_alone(network, node, (*_SUMS, "add")):
        return None
    addition = next(iter(node.users))
    if len(addition.args) != 2 or addition.kwargs or addition.args[0] is addition.args[1]:
        return None
    other = addition.args[1] if addition.args[0] is node else addition.args[0]
    if not isinstance(other, fx.Node) or other.meta.get("shape") is None or other.meta["shape"] != node.meta["shape"]:
        return None
    return other


def _feeds_alone(
    network: fx.GraphModule, node: fx.Node, functions: tuple[Any, ...], module: type | None = None
) -> bool:
    """Return whether a node's output has one reader, and this is one of these functions, methods or modules."""
    if len(node.users) != 1:
        return False
    user = next(iter(node.users))
    if user.op == "call_module":
        return module is not None and type(network.get_submodule(str(user.target))) is module
    return user.op in ("call_function", "call_method") and user.target in functions


def _may_write(network: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether an operation may write into its inputs; an unknown module or function may."""
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        return bool(getattr(module, "inplace", False)) or not type(module).__module__.startswith("torch.nn.modules")
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if node.op not in ("call_function", "call_method") or name == "getattr":
        return False
    written = bool(node.kwargs.get("inplace")) or node.kwargs.get("out") is not None
    written = written or any(argument is True for argument in node.args[1:])  # relu(x, True), but not an axis 1
    return written or name.endswith("_") or name in ("setitem", "setattr") or node.target in _IN_PLACE_OPERATORS
