"""Read checkpoints that other code wrote. Nothing is unpickled but tensors, numpy's arrays of numbers and plain containers."""

from __future__ import annotations

import _codecs
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from landscape.errors import InputError
from landscape.store import weight_files

_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")  # numpy 1 and 2
_MAKERS: Any = tuple(made.__reduce__()[0] for made in (np.zeros(1), np.float64(0)))
_TYPES = {type(np.dtype(kind)) for kind in "?bBhHiIlLqQefdFD"}
_NAMED = re.compile(r"(?:GLOBAL:? |got <class ')([\w.]+)(?: was| whose|'>)")  # torch's message about a name in a pickle
_ARRAYS: list[Any] = [
    *((function, f"{module}.{function.__name__}") for function in _MAKERS for module in _MULTIARRAY),
    *(np.ndarray, np.dtype, _codecs.encode, *_TYPES),
]
"""What a pickle of numpy's arrays of numbers is made of, none of which runs code of the file."""
_ADVICE = "save the bare weights as torch.save(network.state_dict(), path)"


class Entry(NamedTuple):
    """Tensors of one dictionary in a checkpoint.

    Attributes:
        path: keys that lead to the dictionary, joined by dots; empty for the checkpoint itself.
        tensors: by their names in the dictionary.
    """

    path: str
    tensors: dict[str, Tensor]


def read(path: str | Path, *, mapped: bool = False) -> Any:
    """Read what a file, an index of shards or a folder holds: safetensors, or what `torch.save` wrote.

    Args:
        mapped: leave the tensors of a large file on the disk until they are used; the file must stay as it is meanwhile.

    Raises:
        InputError: if it is none of these, or a pickle with code, which is not run.
    """
    first, *shards = weight_files.parts(path)
    if not shards and not first.name.endswith(".index.json"):
        return _read(first, mapped)
    content: dict[str, Tensor] = {}
    held = {shard.name: _read(shard, mapped) for shard in shards}
    for name, shard in weight_files.weight_map(first).items():
        if not isinstance(held[shard], Mapping) or name not in held[shard]:
            raise InputError(f"{first} says that {shard} holds {name}, and it does not")
        content[name] = held[shard][name]
    return content


def entries(content: Any, numbers: Collection[str] = ()) -> list[Entry]:
    """List the dictionaries of tensors in a checkpoint, at any depth, the outer ones first.

    Arrays of numpy count as tensors, and so do Python's numbers under one of the names `numbers`, prefixed or not.
    """
    return list(_entries("", content, tuple(numbers)))


def kinds(content: Any) -> str:
    """Say what a checkpoint without a state dict is."""
    if isinstance(content, Mapping) and not content:
        return "it is an empty dictionary"
    if isinstance(content, Mapping):
        shown = [f"{key}: {type(value).__name__}" for key, value in list(content.items())[:8]]
        return "it is a dictionary of " + ", ".join(shown)
    return f"it is a {type(content).__name__}"


def _entries(path: str, content: Any, numbers: tuple[str, ...]) -> Iterator[Entry]:
    if isinstance(content, list | tuple):
        content = {str(place): value for place, value in enumerate(content) if isinstance(value, Mapping)}
    if not isinstance(content, Mapping):
        return
    named = {str(k): of for k, of in content.items() if isinstance(k, str) or isinstance(of, Mapping)}
    found = {key: _tensor(value, f".{key}".endswith(numbers)) for key, value in named.items()}
    if tensors := {key: tensor for key, tensor in found.items() if tensor is not None}:
        yield Entry(path, tensors)
    for key, value in named.items():
        yield from _entries(f"{path}.{key}" if path else key, value, numbers)


def _tensor(value: Any, may_be_number: bool) -> Tensor | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiubc" and value.dtype.isnative:
        return torch.from_numpy(value)
    if may_be_number and isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return torch.tensor(float(value), dtype=torch.float64)
    return value if isinstance(value, Tensor) else None


def _read(path: Path, mapped: bool) -> Any:
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in list(file.keys())}
    except (SafetensorError, OSError, ValueError) as error:
        if path.suffix == ".safetensors":
            raise InputError(f"{path} is not a whole safetensors file: {error}") from None
    return _load(path, mapped)


def _load(path: Path, mapped: bool) -> Any:
    try:
        can_be_mapped = mapped and zipfile.is_zipfile(path)
        with torch.serialization.safe_globals(_ARRAYS):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=can_be_mapped)
    except Exception as error:
        text = " ".join(str(error).split())
        if named := _NAMED.search(text):
            raise InputError(
                f"{path} holds more than tensors ({named[1]}), and opening it could run code; {_ADVICE}"
            ) from None
        if "TorchScript" in text:
            raise InputError(f"{path} is a TorchScript program, and opening it could run code; {_ADVICE}") from None
        reason = text.partition("WeightsUnpickler error: ")[2] or text
        raise InputError(f"{path} is no safetensors file and no whole file of torch.save: {reason[:120]}") from None
