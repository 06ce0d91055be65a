"""Convolutions and ReLUs with fast second derivatives, and right ones where torch's are missing or wrong.

PyTorch differentiates the gradient of a convolution by convolutions with kernels as large as the image. Its libraries are
slow at these: on a CPU they take 72 % of the time of a product with the Hessian. Here each term is the forward, the
input-gradient or the weight-gradient convolution of the layer itself. PyTorch also adds up zeros for the derivative of a
ReLU's gradient by the ReLU's input, another 6 % of the remaining time.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from landscape.engine import fusing

_DIMENSIONS: dict[Callable[..., Any], int] = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}
_RELUS: dict[Callable[..., Any], bool] = {
    functional.relu: False,
    torch.relu: False,
    Tensor.relu: False,
    torch.relu_: True,
    Tensor.relu_: True,
}
"""ReLU functions; True if the function always writes into its input."""


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """Compute w = g v / ||v||, a norm for every index of the dimension; one for all with -1."""
    rest = [d for d in range(v.ndim) if d != dim]
    return v * (g / torch.linalg.vector_norm(v, dim=rest, keepdim=True))


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    found = functional.relu6(input + 3) / 6
    return input.copy_(found) if inplace else found


_FORMULAS: dict[Callable[..., Any], Callable[..., Tensor]] = {
    torch._weight_norm: _weight_norm,
    functional.hardsigmoid: _hardsigmoid,
}
"""Functions whose second derivative is wrong in torch, not even symmetric (weight norm), or missing (hardsigmoid)."""


class TwiceDifferentiable(TorchFunctionMode):
    """Replace torch's convolutions, ReLU and `_FORMULAS` in its context: the same values, differentiable at most twice."""

    def __init__(self, *, fast: bool = True):
        super().__init__()
        self._fast = fast

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        ours: Callable[..., Any] = func
        if func in _FORMULAS:
            ours = _FORMULAS[func]
        elif self._fast and func in _DIMENSIONS:
            ours = functools.partial(_convolution, func)
        elif self._fast and func in _RELUS:
            ours = functools.partial(_relu, _RELUS[func])
        try:
            return ours(*args, **(kwargs or {}))
        except RuntimeError as error:  # torch.vmap and other functorch transforms refuse such functions
            if "functorch" not in str(error):
                raise
            return func(*args, **(kwargs or {}))


class Twice:
    """A context in which all that the network computes can be differentiated twice.

    Fused kernels of attention and of recurrent layers have no second derivative; their plain forms do. The fast convolutions
    and ReLUs are left out with `fast=False`: torch.vmap refuses them.
    """

    def __init__(self, network: nn.Module):
        self._is_recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())

    @contextlib.contextmanager
    def __call__(self, *, fast: bool = True) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(TwiceDifferentiable(fast=fast))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if self._is_recurrent:
                stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            yield


def _relu(writes: bool, input: Tensor, inplace: bool = False) -> Any:
    return _ReLU.apply(input, writes or inplace)


def _convolution(
    func: Callable[..., Any],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    dimensions = _DIMENSIONS[func]
    if isinstance(padding, str) or input.ndim != dimensions + 2:
        return func(input, weight, bias, stride, padding, dilation, groups)
    each = [_of_each_dimension(value, dimensions) for value in (stride, padding, dilation)]
    return _Convolution.apply(input, weight, bias, _Kind(each[0], each[1], each[2], groups))


def _of_each_dimension(value: Any, dimensions: int) -> list[int]:
    values = list(value) if isinstance(value, (tuple, list)) else [value]
    return values * dimensions if len(values) == 1 else values


@dataclass(frozen=True)
class _Kind:
    """Hyperparameters of a convolution: lists with a number for each dimension, and the number of channel groups."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return torch.ops.aten.convolution(x, weight, bias, *self._arguments)

    def forward_added(self, x: Tensor, weight: Tensor, to: Tensor) -> Tensor:
        """Add the convolution to `to` in place, by one fused kernel where torch has one."""
        if x.dtype == torch.float32 and x.ndim == 4 and x.device.type == "cpu" and fusing.available():
            kind = (self.padding, self.stride, self.dilation, self.groups)
            operator: Callable[..., Tensor] = torch.ops.mkldnn._convolution_pointwise_.binary
            return operator(to, x, weight, None, *kind, "add", 1.0, None, [], None)
        return to.add_(self.forward(x, weight))

    def backward(
        self, gradient: Tensor, x: Tensor, weight: Tensor, *, to: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Compute the gradients by the input, the weight and the bias; `to` says which of them."""
        return torch.ops.aten.convolution_backward(gradient, x, weight, [weight.shape[0]], *self._arguments, to)

    @property
    def _arguments(self) -> tuple[Any, ...]:
        return self.stride, self.padding, self.dilation, False, [0] * len(self.stride), self.groups


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, kind: _Kind) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.kind = kind
        return kind.forward(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        found: tuple[Tensor | None, ...] = _Gradient.apply(
            gradient, x, weight, ctx.kind, tuple(ctx.needs_input_grad[:3])
        )
        return *found, None


class _Gradient(Function):
    """Backward pass of a convolution: from the gradient g by its output to those by its input x, weight w and bias."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, x: Tensor, weight: Tensor, kind: _Kind, to: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, ...]:
        ctx.save_for_backward(gradient, x, weight)
        ctx.kind = kind
        ctx.set_materialize_grads(False)
        return kind.backward(gradient, x, weight, to=to)

    @staticmethod
    def backward(
        ctx: Any, along_x: Tensor | None, along_weight: Tensor | None, along_bias: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Differentiate by g, x and w; the arguments are the cotangents of the gradients by x, w and the bias."""
        if torch.is_grad_enabled():  # the terms below build no graph
            raise RuntimeError("these convolutions cannot be differentiated three times")
        gradient, x, weight = ctx.saved_tensors
        kind: _Kind = ctx.kind
        to_gradient, to_x, to_weight = ctx.needs_input_grad[:3]
        found: list[Tensor | None] = [None, None, None]
        if to_gradient:
            if along_weight is not None:
                term = kind.forward(x, along_weight, along_bias)
                found[0] = term if along_x is None else kind.forward_added(along_x, weight, term)
            elif along_x is not None:
                found[0] = kind.forward(along_x, weight, along_bias)
            elif along_bias is not None:
                found[0] = along_bias.view(-1, *[1] * (x.ndim - 2)).expand_as(gradient)
        if to_x and along_weight is not None:
            found[1] = kind.backward(gradient, x, along_weight, to=(True, False, False))[0]
        if to_weight and along_x is not None:
            found[2] = kind.backward(gradient, along_x, weight, to=(False, True, False))[1]
        return *found, None, None


class _ReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, writes: bool) -> Tensor:
        if writes:
            ctx.mark_dirty(x)
        out = torch.relu_(x) if writes else torch.relu(x)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        return _Passed.apply(gradient, out), None


class _Passed(Function):
    """Backward pass of a ReLU with output `out`; its derivative by `out` is zero."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, out: Tensor) -> Tensor:
        ctx.save_for_backward(out)
        return torch.ops.aten.threshold_backward(gradient, out, 0)

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        return _Passed.apply(along, out), None
