"""Layers whose derivative by torch is not that of what they compute, and some whose is, though it looks alike."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional


class Layer(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)


class _Sine(Function):
    """The sine, differentiable any number of times; the classes below are wrong in one place each."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * ctx.saved_tensors[0].cos()


class _Factor(_Sine):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 1.01 * gradient * ctx.saved_tensors[0].cos()


class _Constant(_Sine):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * ctx.saved_tensors[0].detach().cos()


class _Unlinked(_Sine):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.detach() * ctx.saved_tensors[0].cos()


class _Once(_Sine):
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * ctx.saved_tensors[0].cos()


class _Cosine(Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, x)
        return gradient * x.cos()

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, Tensor]:
        gradient, x = ctx.saved_tensors
        return along * x.cos(), along * gradient * x.sin()  # the sign


class _SecondSign(_Sine):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        found: Tensor = _Cosine.apply(gradient, ctx.saved_tensors[0])
        return found


class _Single(_Sine):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        wrong = 1.5 if gradient.dtype == torch.float32 else 1.0
        return wrong * gradient * ctx.saved_tensors[0].cos()


class _Sign(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Reversed(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


class _Rounded(nn.Linear):
    """A linear layer whose weights are rounded, with the gradient straight through."""

    def forward(self, x: Tensor) -> Tensor:
        rounded = (self.weight * 127).round() / 127
        return functional.linear(x, self.weight + (rounded - self.weight).detach(), self.bias)


class _Ungraded(nn.Linear):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class _ByData(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight.data, self.bias)


def _hooked() -> nn.Module:
    layer = nn.Tanh()

    def halved(module: nn.Module, inputs: Any, outputs: Any) -> tuple[Tensor]:
        return (inputs[0] / 2,)

    layer.register_full_backward_hook(halved)
    return layer


WRONG_GRADIENT: dict[str, Callable[[], nn.Module]] = {
    "a factor of 1.01": lambda: Layer(_Factor.apply),
    "the sign, straight through": lambda: Layer(_Sign.apply),
    "a reversed gradient": lambda: Layer(_Reversed.apply),
    "detach": lambda: Layer(lambda x: x.sin() * x.detach()),
    "data": lambda: Layer(lambda x: x.sin() * x.data),
    "a rounding, straight through": lambda: Layer(lambda x: x + ((16 * x).round() / 16 - x).detach()),
    "quantised": lambda: Layer(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.05, 0, -128, 127)),
    "rounded weights": lambda: _Rounded(6, 6),
    "a layer without gradients": lambda: _Ungraded(6, 6),
    "the data of weights": lambda: _ByData(6, 6),
    "a backward hook": _hooked,
    "a number": lambda: Layer(lambda x: x * float(x.detach().abs().max())),
    "through numpy": lambda: Layer(lambda x: x * torch.from_numpy(x.detach().numpy()).cos()),
    "hard choices, straight through": lambda: Layer(
        lambda x: x.softmax(1) + (functional.one_hot(x.argmax(1), x.shape[1]) - x.softmax(1)).detach()
    ),
}
WRONG_SECOND: dict[str, Callable[[], nn.Module]] = {
    "a constant in the backward": lambda: Layer(_Constant.apply),
    "a detached gradient": lambda: Layer(_Unlinked.apply),
    "once differentiable": lambda: Layer(_Once.apply),
    "a sign in the second backward": lambda: Layer(_SecondSign.apply),
}
WRONG_IN_SINGLE: dict[str, Callable[[], nn.Module]] = {"a factor in single precision": lambda: Layer(_Single.apply)}
RIGHT: dict[str, Callable[[], nn.Module]] = {
    "a right backward": lambda: Layer(_Sine.apply),
    "a detached shift of a softmax": lambda: Layer(lambda x: (x - x.max(1, keepdim=True)[0].detach()).softmax(1)),
    "a softmax in single precision": lambda: Layer(lambda x: x.float().softmax(1).to(x.dtype)),
    "a mask": lambda: Layer(lambda x: x * (x > 0).to(x.dtype)),
    "the largest": lambda: Layer(lambda x: x * functional.one_hot(x.argmax(1), x.shape[1])),
    "a number of the layer's own type": lambda: Layer(lambda x: torch.zeros(1) + x.tanh()),
}
