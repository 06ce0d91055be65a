"""Networks that are more, or less, than their state dicts: each a class or function that makes one, by what is strange."""

import functools
import itertools
import random
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

INPUTS, CLASSES = 6, 3

Make = Callable[[], nn.Module]


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(INPUTS, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.a(x))

    def after(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.b(hidden.relu())
        return out


class MergedByEval(Base):
    """A low-rank layer that eval() merges into the weight, and train() takes out."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Parameter(torch.randn(2, INPUTS) * 0.3), nn.Parameter(torch.randn(8, 2))
        self.merged = False

    def train(self, mode: bool = True) -> "MergedByEval":
        super().train(mode)
        if mode == self.merged:
            self.a.weight.data += (-1 if mode else 1) * (self.up.data @ self.down.data)
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.a(x) if self.merged else self.a(x) + x @ self.down.T @ self.up.T)


class FusedByEval(Base):
    """Two branches that eval() makes one, whose names leave the state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Linear(INPUTS, 8)

    def train(self, mode: bool = True) -> "FusedByEval":
        super().train(mode)
        if not mode and hasattr(self, "c"):
            self.one = nn.Linear(INPUTS, 8)
            self.one.weight.data = self.a.weight.data + self.c.weight.data
            self.one.bias.data = self.a.bias.data + self.c.bias.data
            del self.c
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.one(x) if hasattr(self, "one") else self.a(x) + self.c(x))


class AveragedByEval(Base):
    """eval() swaps a weight with its average."""

    def __init__(self) -> None:
        super().__init__()
        self.average = nn.Parameter(self.a.weight.detach() * 0.5)
        self.swapped = False

    def train(self, mode: bool = True) -> "AveragedByEval":
        if mode == self.swapped:
            self.a.weight.data, self.average.data = self.average.data, self.a.weight.data
            self.swapped = not mode
        super().train(mode)
        return self


class StandardisedOnce(Base):
    """Keeps the standardised weight of its first pass."""

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = self.a.weight / self.a.weight.norm(dim=1, keepdim=True)
        return self.after(F.linear(x, self.kept, self.a.bias))


class DerivedWhenLoaded(Base):
    """A hook of load_state_dict computes a further tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.register_load_state_dict_post_hook(lambda module, keys: module.derive())
        self.derive()

    def derive(self) -> None:
        self.doubled = 2 * self.a.weight.detach()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(F.linear(x, self.doubled, self.a.bias))


class DerivedByEval(Base):
    """eval() computes a further tensor that is in no state dict."""

    def train(self, mode: bool = True) -> "DerivedByEval":
        super().train(mode)
        self.kept = None if mode else self.a.weight.detach().tanh()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.after(F.linear(x, self.a.weight.tanh() if self.kept is None else self.kept, self.a.bias))


class SecondName(Base):
    """Another tensor on the memory of a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.same = self.a.weight.data

    def forward(self, x: Tensor) -> Tensor:
        return self.after(F.linear(x, self.same, self.a.bias))


class Closure(Base):
    """A function among the attributes closes over the network."""

    def __init__(self) -> None:
        super().__init__()
        self.first = lambda x: F.linear(x, self.a.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.first(x))


class DefaultArgument(Base):
    def __init__(self) -> None:
        super().__init__()
        self.first = lambda x, layer=self.a: layer(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.first(x))


class NestedFunctions(Base):
    def __init__(self) -> None:
        super().__init__()
        self.ways: dict[str, Any] = {"first": [lambda x: self.a(x)]}

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.ways["first"][0](x))


class WeakReference(Base):
    def __init__(self) -> None:
        super().__init__()
        self.first = weakref.ref(self.a)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.first()
        assert layer is not None
        return self.after(layer(x))


class Partial(Base):
    def __init__(self) -> None:
        super().__init__()
        self.first = functools.partial(F.linear, weight=self.a.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.first(x))


class _Holder:
    def __init__(self, held: nn.Module) -> None:
        self.held = held

    def __deepcopy__(self, memo: Any) -> "_Holder":
        return self


class HeldElsewhere(Base):
    """Calls its layer through an object that every copy shares."""

    def __init__(self) -> None:
        super().__init__()
        self.holder = _Holder(self.a)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.holder.held(x))


class Hooked(Base):
    """A hook closes over a parameter of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(8))
        self.a.register_forward_hook(lambda module, inputs, output: output * self.gain)


class BesideAHook(Base):
    """A hook closes over a layer, beside a hook that cannot be copied: the method of an object that holds a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(8, 8)
        self.a.register_forward_hook(lambda module, inputs, output: self.mix(output))
        self.a.register_forward_hook(_Locked().look)


class _Locked:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def look(self, module: nn.Module, inputs: Any, output: Any) -> None:
        assert not self.lock.locked()


class CallsItself(Base):
    """A function among the attributes closes over the network, and over itself."""

    def __init__(self) -> None:
        super().__init__()

        def first(x: Tensor, times: int = 1) -> Any:
            return first(x, times - 1) if times else self.a(x)

        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.first(x))


class HoldsItself(Base):
    """Containers that hold each other."""

    def __init__(self) -> None:
        super().__init__()
        parent: dict[str, Any] = {"first": lambda x: self.a(x)}
        parent["children"] = [parent, [parent]]
        self.tree = parent

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.tree["children"][1][0]["first"](x))


class _Frozen(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("this dictionary is frozen")


class FrozenSettings(Base):
    def __init__(self) -> None:
        super().__init__()
        self.settings = _Frozen(scale=1.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.settings["scale"] * super().forward(x)


class CountsInABuffer(Base):
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x) / (1 + 0.05 * self.calls)


class Counts(Base):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x) / (1 + 0.05 * self.calls)


class CountsInVain(Base):
    calls: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.tensor(0.0))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.steps = self.steps + 1
        return super().forward(x)


class OwnGenerator(Base):
    """Draws from a generator of its own, which goes on from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.random = torch.Generator().manual_seed(3)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.randn(len(x), CLASSES, generator=self.random)


class LargestSoFar(Base):
    """Rounds inputs by the largest that it has met, as observers of quantisation do."""

    largest: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("largest", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.largest = torch.maximum(self.largest, x.abs().max())
        return super().forward((x / self.largest * 7).round() * self.largest / 7)


class Uncopied(Base):
    """A lock, a module of Python and an open file, none of which can be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock, self.python, self.held = threading.Lock(), np, [threading.RLock()]

    def forward(self, x: Tensor) -> Tensor:
        with self.lock, self.held[0]:
            return super().forward(x)


class RefusesCopies(Base):
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("no copies")


class ExtraState(Base):
    scale = 1.5

    def get_extra_state(self) -> Any:
        return {"scale": self.scale}

    def set_extra_state(self, state: Any) -> None:
        self.scale = state["scale"]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class AlwaysInEval(Base):
    def train(self, mode: bool = True) -> "AlwaysInEval":
        super().train(False)
        return self


class OneOutput(Base):
    """Returns a view of the same memory at every call."""

    kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        found = super().forward(x)
        if self.kept is None or len(self.kept) != len(found):
            self.kept = torch.zeros_like(found)
        self.kept = self.kept.detach()
        return self.kept.copy_(found)[:]


class WritesIntoInputs(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(2))


class OneByOne(Base):
    """Instance norm: statistics of each example alone."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm1d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.norm(self.a(x)[:, None])[:, 0])


class DrawsInVain(Base):
    def forward(self, x: Tensor) -> Tensor:
        torch.rand(3)
        return super().forward(F.dropout(x, 0.0))


def old_norms() -> nn.Module:
    made = Base()
    nn.utils.weight_norm(made.a)
    nn.utils.spectral_norm(made.b)
    return made


def new_norms() -> nn.Module:
    made = Base()
    parametrizations.weight_norm(made.a)
    parametrizations.orthogonal(made.b)
    return made


def scripted() -> nn.Module:
    return torch.jit.script(Base())


def traced() -> nn.Module:
    return torch.jit.trace(Base().eval(), torch.zeros(3, INPUTS))


def scripted_part() -> nn.Module:
    return nn.Sequential(torch.jit.script(Base()), nn.Linear(CLASSES, CLASSES))


def compiled_part() -> nn.Module:
    compiled: Any = torch.compile(Base(), backend="eager")
    return nn.Sequential(compiled, nn.Linear(CLASSES, CLASSES))


def new_forward() -> nn.Module:
    made = Base()
    forward = made.forward
    made.forward = lambda x: 2 * forward(x)  # type: ignore[method-assign]
    return made


def tied() -> nn.Module:
    made = nn.Sequential(nn.Linear(INPUTS, INPUTS), nn.Tanh(), nn.Linear(INPUTS, INPUTS), nn.Linear(INPUTS, CLASSES))
    made[2].weight = made[0].weight
    return made


BY_VIEWS: list[Make] = [
    Closure,
    DefaultArgument,
    NestedFunctions,
    WeakReference,
    Partial,
    Hooked,
    BesideAHook,
    CallsItself,
    HoldsItself,
    FrozenSettings,
    CountsInVain,
    Uncopied,
    RefusesCopies,
    ExtraState,
    AlwaysInEval,
    OneOutput,
    WritesIntoInputs,
]
BY_VIEWS += [
    OneByOne,
    DrawsInVain,
    old_norms,
    new_norms,
    scripted,
    traced,
    scripted_part,
    compiled_part,
    new_forward,
    tied,
]
"""Functions of their state dicts, which views of a buffer move."""
BY_LOADING: list[Make] = [
    MergedByEval,
    FusedByEval,
    AveragedByEval,
    StandardisedOnce,
    DerivedWhenLoaded,
    DerivedByEval,
    SecondName,
]
BY_LOADING += [CountsInABuffer, Counts, LargestSoFar, OwnGenerator]
"""Functions of the state dict that is loaded into a fresh network."""


class BatchMean(Base):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.a(x)
        return self.after(hidden - hidden.mean(0))


class BatchNorm(Base):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.norm(self.a(x)))


class NormInTraining(Base):
    """A batch norm that is put into train mode at every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        self.norm.train()
        return self.after(self.norm(self.a(x)))


class GhostNorm(Base):
    def forward(self, x: Tensor) -> Tensor:
        parts = [(part - part.mean(0)) / (part.std(0, correction=0) + 0.1) for part in self.a(x).split(16)]
        return self.after(torch.cat(parts))


class Sorted(Base):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.a(x)
        return self.after(hidden + hidden.sort(0).values)


class Contrasts(Base):
    def forward(self, x: Tensor) -> Tensor:
        hidden = F.normalize(self.a(x))
        return self.after((hidden @ hidden.T).softmax(1) @ hidden)


class LargestOfBatch(Base):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.a(x)
        return self.after(hidden / hidden.abs().max())


class AgainstTheFirst(Base):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.a(x)
        return self.after(hidden - hidden[:1])


class Neighbours(Base):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.a(x)
        return self.after(hidden + hidden.roll(1, 0))


class ManyOnly(Base):
    """Loses the dimension of a batch of one example."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze()


OF_BATCHES: list[Make] = [
    BatchMean,
    BatchNorm,
    NormInTraining,
    GhostNorm,
    Sorted,
    Contrasts,
    LargestOfBatch,
    AgainstTheFirst,
]
OF_BATCHES += [Neighbours, ManyOnly]
"""Networks whose output for an example depends on the batch."""


class Dropout(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.5))


class AlphaDropout(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.after(F.alpha_dropout(self.a(x), 0.3, training=True))


class Gumbel(Base):
    def forward(self, x: Tensor) -> Tensor:
        return F.gumbel_softmax(super().forward(x))


class SeldomLeftOut(Base):
    """A block that one batch in five leaves out."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float(torch.rand(()) > 0.2)


class Noisy(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.01 * torch.randn_like(x))


class OfNumpy(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + float(np.random.randn())


class OfPython(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * random.random()


class Shuffles(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, torch.randperm(INPUTS)])


class TrainsDropout(Base):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        self.dropout.train()
        return super().forward(self.dropout(x))


class Unseeded(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + float(np.random.default_rng().random())


class CountsForAll(Base):
    calls = itertools.count(1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * next(CountsForAll.calls)


RANDOM: list[Make] = [Dropout, AlphaDropout, Gumbel, SeldomLeftOut, Noisy, OfNumpy, OfPython, Shuffles, TrainsDropout]
WHATEVER_THE_SEED: list[Make] = [Unseeded, CountsForAll]
