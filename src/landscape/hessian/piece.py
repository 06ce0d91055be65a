"""The share of a few examples in the loss, differentiated once and twice."""

import contextlib
import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from landscape.data.examples import Examples
from landscape.engine import device as devices
from landscape.errors import InputError
from landscape.hessian.derivatives import Twice
from landscape.objective.objective import Objective


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
                loss = objective.total(network, part.fresh()) / weight
            with _refused("differentiated twice" if graph else "differentiated"):
                found = torch.autograd.grad(loss, chosen, create_graph=graph, allow_unused=True)
        self.loss = float(loss.detach())
        self.gradient = _joined(found, chosen).detach()
        self._gradients = found if graph else ()

    def product(self, parts: list[Tensor]) -> Tensor:
        pairs = [(g, v) for g, v in zip(self._gradients, parts, strict=True) if g is not None and g.requires_grad]
        if not pairs:  # the loss is linear in the parameters
            return torch.zeros_like(self.gradient)
        with devices.tensor_floats(False), _refused("differentiated twice"):
            found = torch.autograd.grad(
                [g for g, _ in pairs], self._chosen, [v for _, v in pairs], retain_graph=True, allow_unused=True
            )
        return _joined(found, self._chosen)


@contextlib.contextmanager
def _refused(done: str) -> Iterator[None]:
    """Turn an error of differentiation, in torch or in the network's own backward, into an `InputError`."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        missing = re.search(r"derivative for '?(?:aten::)?([^' ]+)'? is not implemented", first)
        reason = f"torch has no derivative of {missing[1]}" if missing else f"{type(error).__name__}: {first}"
        raise InputError(f"the network cannot be {done}, as this measurement needs: {reason}") from error


def _joined(tensors: tuple[Tensor | None, ...], like: list[Tensor]) -> Tensor:
    return torch.cat(
        [torch.zeros_like(p).reshape(-1) if t is None else t.reshape(-1) for t, p in zip(tensors, like, strict=True)]
    )
