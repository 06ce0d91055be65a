"""The graph of the loss over a few examples, which can be differentiated twice."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape.data.examples import Examples, copied
from landscape.engine import device as devices
from landscape.hessian.derivatives import TwiceDifferentiable
from landscape.objective.objective import Objective


class Twice:
    """A context in which all that the network computes can be differentiated twice.

    Fused kernels of attention and of recurrent layers have no second derivative; their plain forms do.
    """

    def __init__(self, network: nn.Module):
        self._is_recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(TwiceDifferentiable())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if self._is_recurrent:
                stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            yield


class Piece:
    """The share of a few examples in the loss at the current point: value, gradient and graph."""

    def __init__(
        self,
        network: nn.Module,
        chosen: list[Tensor],
        part: Examples,
        objective: Objective,
        weight: float,
        twice: Twice,
        *,
        graph: bool,
    ):
        self._chosen = chosen
        with devices.tensor_floats(False):
            with twice() if graph else contextlib.nullcontext():
                loss = objective.total(network, Examples(copied(part.inputs), part.targets)) / weight
            found = torch.autograd.grad(loss, chosen, create_graph=graph, allow_unused=True)
        self.loss = float(loss.detach())
        self.gradient = _joined(found, chosen).detach()
        self._gradients = found if graph else ()

    def product(self, parts: list[Tensor]) -> Tensor:
        pairs = [(g, v) for g, v in zip(self._gradients, parts, strict=True) if g is not None and g.requires_grad]
        if not pairs:  # the loss is linear in the parameters
            return torch.zeros_like(self.gradient)
        with devices.tensor_floats(False):
            found = torch.autograd.grad(
                [g for g, _ in pairs], self._chosen, [v for _, v in pairs], retain_graph=True, allow_unused=True
            )
        return _joined(found, self._chosen)


def _joined(tensors: tuple[Tensor | None, ...], like: list[Tensor]) -> Tensor:
    return torch.cat(
        [torch.zeros_like(p).reshape(-1) if t is None else t.reshape(-1) for t, p in zip(tensors, like, strict=True)]
    )
