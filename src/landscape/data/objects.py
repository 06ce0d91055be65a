"""Examples from Python objects: arrays, torch data sets, loaders."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import Dataset as TorchDataset

from landscape.data.arrays import not_finite
from landscape.data.examples import Examples, Rows, joined, laid_out, leaves, memory_format, shapes
from landscape.errors import InputError

_KINDS = "a pair (inputs, targets), a torch Dataset of such pairs, a DataLoader, or what landscape.dataset makes"
TARGETS = ("targets", "target", "labels", "label")
"""Names of the targets in an example that is a dictionary."""


def examples_of(given: Any, name: str) -> Examples:
    """Read examples on the CPU.

    Floating-point numbers become float32; images are laid out.

    Args:
        given: a pair of inputs and targets, inputs alone, a torch `Dataset` or a `DataLoader`.
        name: of the examples in errors.

    Raises:
        InputError: if there are none, or they do not fit each other.
    """
    if isinstance(given, DataLoader):
        with _seeded(given):
            found = [_batch(batch, name) for batch in _read(given, name)]
    elif isinstance(given, TorchDataset):
        with _seeded(given):
            if not hasattr(given, "__len__"):
                found = [_batch(batch, name) for batch in _read(DataLoader(given, batch_size=256), name)]
            else:
                items = [given[k] for k in range(len(given))]
                found = [_batch(_collated(items, name), name)] if items else []
    elif isinstance(given, Mapping | Tensor) or hasattr(given, "__array__"):
        found = [_batch(given, name)]
    elif isinstance(given, tuple | list) and len(given) == 2:
        inputs = _rows(given[0], f"{name}[0]")
        found = [Examples(inputs, None if given[1] is None else _rows(given[1], f"{name}[1]"))]
    else:
        raise InputError(f"{name} is a {type(given).__name__}; allowed are {_KINDS}")
    if not found:
        raise InputError(f"{name} is empty")
    try:
        targets = None if found[0].targets is None else joined([batch.targets for batch in found])
        examples = Examples(joined([batch.inputs for batch in found]), targets)
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise InputError(f"{name} gives batches that cannot be stacked: {error}") from None
    return _checked(examples, name)


def check_alike(train: Examples, test: Examples, names: tuple[str, str]) -> None:
    """Refuse a test split whose inputs or targets differ from those of training in names, type or size.

    Raises:
        InputError: with both.
    """
    for kind, one, other in (("inputs", train.inputs, test.inputs), ("targets", train.targets, test.targets)):
        if _kind(one) != _kind(other):
            raise InputError(f"{names[1]} has {kind} {shapes(other)}, and {names[0]} has {shapes(one)}")


def _kind(rows: Rows | None) -> Any:
    if rows is None or isinstance(rows, Tensor):
        return None if rows is None else (rows.dtype, rows.shape[1:])
    return {name: _kind(rows[name]) for name in (rows if isinstance(rows, dict) else range(len(rows)))}


def _checked(examples: Examples, name: str) -> Examples:
    tensors = {"inputs": leaves(examples.inputs)}
    if examples.targets is not None:
        tensors["targets"] = leaves(examples.targets)
    for kind, of in tensors.items():
        for tensor in of:
            if not tensor.ndim or 0 in tensor.shape:
                raise InputError(
                    f"{name} has {kind} of the shape {tuple(tensor.shape)}, and so no examples or no values"
                )
            if tensor.is_complex() or tensor.is_quantized or tensor.layout is not torch.strided:
                raise InputError(
                    f"{name} has {kind} {shapes(tensor)}; allowed are plain floating-point and whole numbers"
                )
            if len(tensor) != len(examples):
                raise InputError(
                    f"{name} has {kind} {shapes(tensor)}, and {len(examples)} inputs; there must be one for each"
                )
    examples = examples.map(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)
    for kind, rows in (("inputs", examples.inputs), ("targets", examples.targets)):
        for tensor in leaves(rows) if rows is not None else ():
            if problem := not_finite(tensor, f"{name}: {kind}"):
                raise InputError(problem)
    targets = examples.targets
    if isinstance(targets, Tensor) and not targets.is_floating_point() and targets.dtype != torch.bool:
        targets = targets.long()
    return Examples(laid_out(examples.inputs, memory_format(examples.inputs)), targets)


def _batch(given: Any, name: str) -> Examples:
    """Tell inputs from targets in a batch: a pair; more, of which the last are the targets; a dictionary; inputs alone."""
    if isinstance(given, Mapping):
        wanted = next((key for key in TARGETS if key in given), None)
        inputs = {key: value for key, value in given.items() if key != wanted}
        if not inputs:
            raise InputError(f"{name} has {wanted} and no inputs")
        return Examples(_rows(inputs, name), None if wanted is None else _rows(given[wanted], f"{name}.{wanted}"))
    if isinstance(given, tuple | list) and given:
        first: Any = given[0] if len(given) <= 2 else tuple(given[:-1])
        return Examples(_rows(first, name), None if len(given) == 1 else _rows(given[-1], name))
    return Examples(_rows(given, name), None)


def _rows(given: Any, name: str) -> Rows:
    if isinstance(given, Mapping):
        return {str(key): _tensor(value, f"{name}.{key}") for key, value in given.items()}
    if (
        isinstance(given, tuple | list)
        and given
        and all(isinstance(of, Tensor) or hasattr(of, "__array__") for of in given)
    ):
        return tuple(_tensor(value, f"{name}[{k}]") for k, value in enumerate(given))
    return _tensor(given, name)


def _tensor(given: Any, name: str) -> Tensor:
    try:
        return torch.as_tensor(given).detach()
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} is a {type(given).__name__} that makes no tensor: {error}") from None


def _read(given: Any, name: str) -> Iterator[Any]:
    try:
        yield from given
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} cannot be read: {error}") from None


def _collated(items: list[Any], name: str) -> Any:
    try:
        return default_collate(items)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} gives examples that cannot be stacked: {error}") from None


@contextlib.contextmanager
def _seeded(given: Any) -> Iterator[None]:
    """Draw torch's random numbers (those of the CPU) from the seed 0 meanwhile, and put every generator back at the end."""
    own = {
        generator for of in (given, getattr(given, "sampler", None)) if (generator := getattr(of, "generator", None))
    }
    before = {generator: generator.get_state() for generator in own}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        try:
            for generator in own:
                generator.manual_seed(0)
            yield
        finally:
            for generator, state in before.items():
                generator.set_state(state)
