"""Read and write weights: safetensors with a header, and state dicts from elsewhere."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.store import files
from landscape.store.files import HEADER, epoch_of, replacing
from landscape.store.files import file_of as file_of
from landscape.store.weights import Weights

_NESTED = ("state_dict", "model_state_dict", "model", "net", "weights")
_COMPILED = re.compile(r"(^|(?<=\.))_orig_mod\.")  # torch.compile's prefix of any module
_PARALLEL = "module."  # DataParallel's prefix
_NAMED = re.compile(r"GLOBAL:? ([\w.]+) (?:was|whose)")  # torch's message about a name in a pickle


def write(path: str | Path, weights: Weights, header: Mapping[str, Any]) -> None:
    """Write tensors with a header of JSON values. Tensors that share memory are written separately."""
    tensors: Weights = {}
    seen: set[int] = set()
    for name, tensor in weights.items():
        plain = tensor.detach().cpu().contiguous()
        tensors[name] = plain.clone() if plain.untyped_storage().data_ptr() in seen else plain
        seen.add(plain.untyped_storage().data_ptr())
    with replacing(path) as temporary, _system_errors(path):
        save_file(tensors, temporary, {HEADER: json.dumps(header, sort_keys=True)})


def write_epochs(path: str | Path, epochs: Mapping[int, Weights], header: Mapping[str, Any]) -> None:
    """Write the kept epochs of a run, if any, with keys `{epoch:03d}/{name}`."""
    tensors = {f"{epoch:03d}/{name}": tensor for epoch, weights in epochs.items() for name, tensor in weights.items()}
    write(path, tensors, {**header, "epochs": sorted(epochs)})


def read(path: str | Path) -> tuple[Weights, dict[str, Any]]:
    """Read tensors and header of a file; for `FILE@003` those of epoch 3 in a file of epochs.

    Raises:
        InputError: if file or epoch does not exist, or it is not a whole safetensors file.
    """
    epoch = epoch_of(path)
    header = read_header(path)
    prefix = "" if epoch is None else f"{epoch:03d}/"
    with safe_open(file_of(path), "pt") as file:
        keys = [key for key in list(file.keys()) if key.startswith(prefix)]
        weights = {key.removeprefix(prefix): file.get_tensor(key) for key in keys}
    if epoch is None:
        return weights, header
    if "epochs" not in header:
        raise InputError(f"{file_of(path)} is no file of epochs; it holds one state, so leave out @{epoch:03d}")
    if not weights:
        raise InputError(f"{file_of(path)} holds no epoch {epoch:03d}; it holds {header['epochs']}")
    return weights, files.Header(file_of(path), {**header, "epoch": epoch})


def read_epochs(path: str | Path) -> tuple[dict[int, Weights], dict[str, Any]]:
    """Read all kept epochs of a file of epochs, in order, and its header.

    Tensors are memory-mapped, since a path may be larger than memory.

    Raises:
        InputError: if there is no such file, or it is no file of epochs.
    """
    tensors, header = read(path)
    if "epochs" not in header or "epoch" in header:
        raise InputError(f"{path} is no file of epochs")
    epochs: dict[int, Weights] = {}
    for key, tensor in tensors.items():
        epoch, _, name = key.partition("/")
        epochs.setdefault(int(epoch) if epoch.isdecimal() else -1, {})[name] = tensor
    if sorted(epochs) != header["epochs"]:
        held = sorted(epochs)
        raise InputError(f"{path} is damaged: its header names the epochs {header['epochs']}, and it holds {held}")
    return {epoch: epochs[epoch] for epoch in sorted(epochs)}, header


def read_header(path: str | Path) -> files.Header:
    """Read the header alone; for `FILE@003` that of FILE.

    Raises:
        InputError: if the file does not exist, or `write` did not make it, or a later version did.
    """
    return files.read_header(file_of(path))


def adopt(path: str | Path) -> Weights:
    """Read a state dict from elsewhere: safetensors, or `torch.save` of a state dict or of a dictionary that holds one.

    Removes `_orig_mod.` from names, and `module.` if all names begin with it. Unpickles nothing but tensors and plain
    containers.

    Raises:
        InputError: if it is none of these, or a pickle with code, which is not run.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        with safe_open(path, "pt") as file:
            content: Any = {key: file.get_tensor(key) for key in list(file.keys())}
    except (SafetensorError, OSError, ValueError) as error:
        if path.suffix == ".safetensors":
            raise InputError(f"{path} is not a whole safetensors file: {error}") from None
        content = _load(path)
    weights = _state_dict(content)
    if weights is None:
        raise InputError(
            f"{path} holds no state dict: {_kinds(content)}; save it as torch.save(network.state_dict(), path)"
        )
    return plain_names(weights)


def state_dict_in(content: Mapping[str, Any], name: str) -> Weights:
    """The state dict that a dictionary is, or holds as checkpoints do.

    Raises:
        InputError: if there is none, under the name that an error calls it by.
    """
    weights = _state_dict(content)
    if weights is None:
        raise InputError(f"{name} holds no state dict: {_kinds(content)}; hand over network.state_dict()")
    return weights


def plain_names(weights: Weights) -> Weights:
    """The weights under the names that the network has without `torch.compile` and parallel wrappers, detached."""
    weights = {_COMPILED.sub("", name): tensor.detach() for name, tensor in weights.items()}
    while all(name.startswith(_PARALLEL) for name in weights):
        weights = {name.removeprefix(_PARALLEL): tensor for name, tensor in weights.items()}
    return weights


def misfits(weights: Weights, network: nn.Module) -> list[str]:
    """List each tensor that the network or the weights lack, or that differs in shape, in one line each.

    Batch norm's count of batches may be missing, since eval mode does not use it.
    """
    wanted = network.state_dict()
    found = [
        f"{name} is missing, of shape {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name not in weights and not name.endswith("num_batches_tracked")
    ]
    found += [
        f"{name} is not in the network, of shape {tuple(t.shape)}" for name, t in weights.items() if name not in wanted
    ]
    found += [
        f"{name} has shape {tuple(weights[name].shape)}, and the network's has {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    return found


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        text = " ".join(str(error).split())
        advice = "save the bare weights as torch.save(network.state_dict(), path)"
        if named := _NAMED.search(text):
            raise InputError(
                f"{path} holds more than tensors ({named[1]}), and opening it could run code; {advice}"
            ) from None
        if "TorchScript" in text:
            raise InputError(f"{path} is a TorchScript program, and opening it could run code; {advice}") from None
        reason = text.partition("WeightsUnpickler error: ")[2] or text
        raise InputError(f"{path} is no safetensors file and no whole file of torch.save: {reason[:120]}") from None


def _state_dict(content: Any) -> dict[str, Tensor] | None:
    if _is_state_dict(content):
        return dict(content)
    if not isinstance(content, Mapping):
        return None
    for key in _NESTED:
        if (found := _state_dict(content.get(key))) is not None:
            return found
    nested = [value for value in content.values() if _is_state_dict(value)]
    return dict(nested[0]) if len(nested) == 1 else None


def _is_state_dict(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())
    )


def _kinds(content: Any) -> str:
    if isinstance(content, Mapping) and not content:
        return "it is an empty dictionary"
    if isinstance(content, Mapping):
        return "it is a dictionary of " + ", ".join(
            f"{key}: {type(value).__name__}" for key, value in list(content.items())[:8]
        )
    return f"it is a {type(content).__name__}"


@contextlib.contextmanager
def _system_errors(path: str | Path) -> Iterator[None]:
    """Turn safetensors' error about a full disk into Python's OSError."""
    try:
        yield
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise
