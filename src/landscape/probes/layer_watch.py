"""Watch the layers of a network by PyTorch hooks: what they give out, and the gradients by it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from landscape.store.weights import Weights

_TRIED = (2, 3)  # numbers of examples, of which an output has rows in proportion


@dataclass
class Layer:
    """Sums over a module's outputs, and over the norms of the gradients by them.

    Attributes:
        problem: why it cannot be seen; `partly` how not whole.
        is_leaf: no other module was called inside it.
        has_rows: every output had a row per example, or several.
    """

    problem: str | None = None
    partly: str = ""
    is_leaf: bool = True
    has_rows: bool = True
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    zeros: int = 0
    examples: int = 0
    gradient_norms: float = 0.0
    gradient_squares: Tensor | None = field(default=None, repr=False)
    """Squared gradient norms of the current batch, per example, summed over the calls."""

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def std(self) -> float:
        return (
            math.sqrt(max(self.squares / self.count - self.mean**2, 0.0)) if math.isfinite(self.squares) else math.nan
        )

    @property
    def gradient_norm(self) -> float:
        return self.gradient_norms / self.examples if self.has_rows and self.examples else math.nan

    def gave(self, output: Tensor) -> None:
        values = output.detach().double()
        self.count += values.numel()
        self.total += float(values.sum())
        self.squares += float(values.square().sum())
        self.zeros += int((values == 0).sum())

    def got(self, gradient: Tensor, examples: int, dim: int) -> None:
        squares = gradient.detach().double().movedim(dim, 0).reshape(examples, -1).square().sum(1)
        self.gradient_squares = squares if self.gradient_squares is None else self.gradient_squares + squares

    def end_batch(self) -> None:
        if self.gradient_squares is not None:
            self.examples += len(self.gradient_squares)
            self.gradient_norms += float(self.gradient_squares.sqrt().sum())
            self.gradient_squares = None


class LayerWatch:
    """Watch what the modules of a network give out, and the gradients by it; as a context, it hooks and unhooks them.

    Attributes:
        layers: the modules that were called, by name, in the order in which they first gave something out.
        examples: their number in the current batch.
    """

    def __init__(self, network: nn.Module) -> None:
        self.layers: dict[str, Layer] = {}
        self.examples = 0
        self._network = network
        self._tried: dict[int, dict[str, torch.Size]] = {}
        self._is_trying = False
        self._inside: list[set[str]] = []  # by open call, the modules called inside it
        parts = [name for name, of in network.named_modules() if isinstance(of, ParametrizationList)]
        self._modules = {
            name: module
            for name, module in network.named_modules()
            if not any(f"{name}.".startswith(f"{part}.") for part in parts)
        }
        first = {module: name for name, module in self._modules.items()}
        self._names = {name: first.get(of, "") for name, of in network.named_modules(remove_duplicate=False)}

    def __enter__(self) -> Self:
        self._handles = []
        for name, module in self._modules.items():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # it takes no hooks, and counts as a part of the module around it
            self._handles.append(module.register_forward_pre_hook(self._begins))
            self._handles.append(
                module.register_forward_hook(functools.partial(self._ends, name), always_call=True, with_kwargs=True)
            )
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def find_rows(self, run: Callable[[int], Any]) -> None:
        """Find where each output has its rows: in the dimension that grows with the number of examples.

        Several rows of an example, such as windows of an image, are taken to follow each other.
        """
        self._is_trying = True
        for self.examples in _TRIED:
            self._tried[self.examples] = {}
            run(self.examples)
        self._is_trying = False

    def end_batch(self) -> None:
        for layer in self.layers.values():
            layer.end_batch()

    def owned(self, gradients: Weights) -> dict[str, dict[str, Tensor]]:
        """Return for each module the parameters that it uses: those whose nearest called module it is."""
        found: dict[str, dict[str, Tensor]] = {}
        for key, parameter in self._network.named_parameters(remove_duplicate=False):
            name = self._user(key, self.layers)
            if key in gradients and name is not None:
                own = found.setdefault(name, {})
                if not any(parameter is other for other in own.values()):
                    own[key] = parameter
        return found

    def unused(self, gradients: Weights) -> list[str]:
        """List the modules that were not called, and no parameter of which the loss depends on."""
        holders: dict[str, bool] = {}
        for key, _ in self._network.named_parameters(remove_duplicate=False):
            holder = self._holder(key)
            holders[holder] = holders.get(holder, False) or key in gradients
        return [name for name, is_used in holders.items() if name and not is_used and name not in self.layers]

    def _holder(self, key: str) -> str:
        """The module that a parameter stands in; of a parametrised weight the layer."""
        name = key.rpartition(".")[0]
        while name and self._names.get(name, "") == "":
            name = name.rpartition(".")[0]
        return self._names.get(name, "")

    def _user(self, key: str, called: Container[str]) -> str | None:
        """The nearest module above a parameter that was called."""
        name = self._holder(key)
        while name and name not in called:
            name = self._names[name.rpartition(".")[0]]
        return name if name in called else None

    def _begins(self, module: nn.Module, inputs: Any) -> None:
        self._inside.append(set())

    def _ends(self, name: str, module: nn.Module, inputs: Any, keywords: Any, output: Any) -> None:
        inside = self._inside.pop()
        if self._inside:
            self._inside[-1] |= {name, *inside}
        tensors = list(_tensors(output))
        chosen = next((of for of in tensors if of.is_floating_point()), None)
        if self._is_trying:
            if chosen is not None:
                self._tried[self.examples].setdefault(name, chosen.shape)
            return
        layer = self.layers.setdefault(name, Layer())
        layer.is_leaf = layer.is_leaf and not inside
        within = f"{name}." if name else ""
        if inside and all(self._user(within + key, inside) is not None for key, _ in module.named_parameters()):
            return  # a container, whose output is that of the last layer in it
        if chosen is None or not chosen.numel():
            layer.problem = f"gives out {_kinds(tensors, output)}"
            return
        layer.gave(chosen)
        dim = self._dimension_of_rows(name)
        layer.partly = f"the first of {len(tensors)} tensors" if len(tensors) > 1 else ""
        if dim is None or chosen.ndim <= dim or chosen.shape[dim] % self.examples:
            layer.has_rows = False
            layer.partly = f"without gradient_norm: the shape {tuple(chosen.shape)} has no row per example"
        elif chosen.requires_grad:
            chosen.register_hook(functools.partial(layer.got, examples=self.examples, dim=dim))

    def _dimension_of_rows(self, name: str) -> int | None:
        few, more = (self._tried[n].get(name) for n in _TRIED)
        if few is None or more is None or len(few) != len(more):
            return None
        grows = [d for d, (a, b) in enumerate(zip(few, more, strict=True)) if a < b and a * _TRIED[1] == b * _TRIED[0]]
        return grows[0] if grows else None


def _tensors(output: Any) -> Iterator[Tensor]:
    """Yield the tensors of an output: of tuples, dictionaries and data classes, at any depth, in their order."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, tuple | list):
        for value in output:
            yield from _tensors(value)
    elif is_dataclass(output):
        for one in fields(output):
            yield from _tensors(getattr(output, one.name))


def _kinds(tensors: list[Tensor], output: Any) -> str:
    if not tensors:
        return f"a {type(output).__name__}"
    kinds = dict.fromkeys(str(of.dtype).removeprefix("torch.") for of in tensors)
    return ", ".join(kinds) if any(of.numel() for of in tensors) else "an empty tensor"
