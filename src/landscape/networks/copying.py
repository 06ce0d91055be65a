"""Copy networks, and set a copy to weights as everybody does by hand: load the state dict, then `eval()`."""

import copy
import functools
import types
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from landscape.store.weights import Weights

_Memo = dict[int, Any]


@torch.no_grad()  # else the copies of a script's parameters have a history
def duplicate(network: nn.Module) -> nn.Module:
    """Copy a network with all that it holds.

    Tensors that share memory in the network share it in the copy, tensors with a history are detached, and functions that
    close over a part of the network close over the copy's. An attribute that Python cannot copy, such as a lock or an open
    file, is shared.
    """
    memo: _Memo = _tensors(network)
    try:
        made: nn.Module = copy.deepcopy(network, dict(memo))
    except Exception:  # from the network's own code, or of an attribute that cannot be copied
        made = _rebuilt(network, memo)
    _rebind(network, made)
    return made


def at_weights(network: nn.Module, theta: Weights, dtype: torch.dtype | None = None) -> nn.Module:
    """Return a copy of the network with the weights `theta`, in eval mode, without gradients of its parameters.

    Args:
        theta: every parameter and buffer.
        dtype: type of the copy, in which `theta` is given; None keeps the network's own.
    """
    made = duplicate(network)
    if dtype is not None:
        made = made.to(dtype)
    load(made, theta)
    made.eval()
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    return made


def load(network: nn.Module, theta: Weights) -> None:
    """Load a state dict; what it holds beside tensors (`get_extra_state`) stays the network's own."""
    own = {name: value for name, value in network.state_dict().items() if not isinstance(value, Tensor)}
    network.load_state_dict({**own, **theta}, strict=True)


def changed(network: nn.Module, theta: Weights) -> str | None:
    """Name the first tensor of a network's state dict that is not that of `theta`; None if all are."""
    state = network.state_dict()
    for name, tensor in theta.items():
        found = state.get(name)
        if not isinstance(found, Tensor) or found.shape != tensor.shape:
            return name
        expected = tensor.to(found)
        if not torch.equal(found, expected) and not torch.equal(found.nan_to_num(), expected.nan_to_num()):
            return name
    return None


class Escapes(TorchDispatchMode):
    """Tell in this context if an operation takes a tensor of a network's state, which a copy of it must not.

    Attributes:
        found: whether one did.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        state = (*network.parameters(), *network.buffers())
        self._memory = {_memory(tensor) for tensor in state if tensor.numel()} - {None}
        self.found = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found = self.found or any(_memory(one) in self._memory for one in _leaves([args, kwargs or {}]))
        return func(*args, **(kwargs or {}))


def _memory(tensor: Tensor) -> int | None:
    try:
        return tensor.untyped_storage().data_ptr() or None
    except (RuntimeError, NotImplementedError):  # of a layout without one
        return None


def tied(network: nn.Module) -> dict[str, str]:
    """Map each further name of a parameter or buffer to its first one."""
    first: dict[int, str] = {}
    found = {}
    for named in (network.named_parameters, network.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            if first.setdefault(id(tensor), name) != name:
                found[name] = first[id(tensor)]
    return found


def _tensors(network: nn.Module) -> _Memo:
    """Copy the tensors that `copy.deepcopy` refuses or takes apart: those with a history, and those that share memory."""
    found = {id(tensor): tensor for module in network.modules() for tensor in _leaves(vars(module).values())}
    shared: dict[int, list[Tensor]] = {}
    memo: _Memo = {}
    for key, tensor in found.items():
        if not tensor.is_leaf:
            memo[key] = tensor.detach().clone()
        elif tensor.layout is torch.strided and type(tensor) in (Tensor, nn.Parameter) and not tensor.is_meta:
            shared.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)
    for tensors in shared.values():
        if len(tensors) == 1 or not tensors[0].numel():
            continue
        storage = tensors[0].untyped_storage().clone()
        for tensor in tensors:
            view = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            view.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())
            is_parameter = isinstance(tensor, nn.Parameter)
            memo[id(tensor)] = (
                nn.Parameter(view, tensor.requires_grad) if is_parameter else view.requires_grad_(tensor.requires_grad)
            )
    return memo


def _leaves(values: Iterable[Any], seen: set[int] | None = None) -> Iterator[Tensor]:
    seen = set() if seen is None else seen  # of containers, which may hold each other
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            yield from _leaves(value.values() if isinstance(value, Mapping) else value, seen)


def _rebuilt(module: nn.Module, memo: _Memo) -> nn.Module:
    """Copy a module attribute by attribute, its children first; share what cannot be copied."""
    if id(module) in memo:
        return memo[id(module)]
    if isinstance(module, torch.jit.ScriptModule):
        memo[id(module)] = copy.deepcopy(module)
        return memo[id(module)]
    made: nn.Module = type(module).__new__(type(module))
    memo[id(module)] = made
    children = {name: child and _rebuilt(child, memo) for name, child in module._modules.items()}
    for name, value in vars(module).items():
        vars(made)[name] = type(value)(children) if name == "_modules" else _piece(value, memo)
    return made


def _piece(value: Any, memo: _Memo) -> Any:
    trial = dict(memo)
    try:
        found = copy.deepcopy(value, trial)
    except Exception:
        if type(value) not in (dict, OrderedDict, list):
            return value
        members = memo[id(value)] = copy.copy(value)  # all but the member that cannot be copied
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            members[key] = _piece(member, memo)
        return members
    memo.update(trial)
    return found


def _rebind(network: nn.Module, made: nn.Module) -> None:
    """Let the functions among the copy's attributes and hooks close over the copy in the network's place."""
    pairs = [(id(old), new) for old, new in zip(network.modules(), made.modules(), strict=False)]
    for of in ("named_parameters", "named_buffers"):
        copies = dict(getattr(made, of)(remove_duplicate=False))
        pairs += [(id(old), copies[name]) for name, old in getattr(network, of)(remove_duplicate=False)]
    memo: _Memo = dict(pairs)
    for module in made.modules():
        for name, value in vars(module).items():
            if name not in ("_parameters", "_buffers", "_modules"):
                vars(module)[name] = _following(value, memo)


def _following(value: Any, memo: _Memo) -> Any:
    """Return a value with the copies in the place of the parts of the network that functions and weak references name."""
    if isinstance(value, types.FunctionType):
        return _rebound(value, memo)
    if isinstance(value, weakref.ref):
        return weakref.ref(memo[id(value())]) if id(value()) in memo else value
    if isinstance(value, functools.partial):
        return functools.partial(_following(value.func, memo), *value.args, **value.keywords)
    if type(value) is tuple:
        parts = tuple(_following(part, memo) for part in value)
        return parts if any(one is not other for one, other in zip(parts, value, strict=True)) else value
    if (isinstance(value, dict) or type(value) is list) and id(value) not in memo:
        memo[id(value)] = value  # containers may hold each other
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if (other := _following(part, memo)) is not part:
                value[key] = other
    return value


def _named(inside: Any, memo: _Memo) -> Any:
    """Return the copy of a module, a tensor or a method that a function names; all else as `_following` does."""
    if isinstance(inside, types.MethodType) and id(inside.__self__) in memo:
        return types.MethodType(inside.__func__, memo[id(inside.__self__)])
    if isinstance(inside, nn.Module | Tensor):
        return memo.get(id(inside), inside)
    return _following(inside, memo) if isinstance(inside, types.FunctionType | weakref.ref) else inside


def _rebound(function: types.FunctionType, memo: _Memo) -> types.FunctionType:
    """Return a function over the copies of what it closes over, and has as default arguments."""
    if id(function) in memo:
        made: types.FunctionType = memo[id(function)]
        return made
    memo[id(function)] = function  # for functions that call each other
    held = [_content(cell) for cell in function.__closure__ or ()]
    before = (*held, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    found = [_named(inside, memo) for inside in before]
    if all(one is other for one, other in zip(found, before, strict=True)):
        return function
    itself = types.CellType()  # a function may close over itself, to call itself
    cells = [
        itself if inside is function else cell if other is inside else types.CellType(other)
        for cell, inside, other in zip(function.__closure__ or (), held, found, strict=False)
    ]
    defaults = found[len(cells) : len(cells) + len(function.__defaults__ or ())]
    made = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        tuple(defaults) or None,
        tuple(cells) if function.__closure__ else None,
    )
    keywords = dict(zip(function.__kwdefaults__ or {}, found[len(cells) + len(defaults) :], strict=True))
    made.__kwdefaults__, made.__dict__ = keywords or None, dict(function.__dict__)
    itself.cell_contents = memo[id(function)] = made
    return made


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None
