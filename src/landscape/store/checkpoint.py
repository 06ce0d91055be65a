"""Read and write weights: safetensors with a header."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from landscape.errors import InputError
from landscape.store import files
from landscape.store.files import HEADER, epoch_of, replacing
from landscape.store.files import file_of as file_of
from landscape.store.weights import Weights, tensors_of


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


def misfits(weights: Weights, network: nn.Module) -> list[str]:
    """List each tensor that the network or the weights lack, or that differs in shape, in one line each.

    Batch norm's count of batches may be missing, since eval mode does not use it.
    """
    wanted = tensors_of(network)
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


@contextlib.contextmanager
def _system_errors(path: str | Path) -> Iterator[None]:
    """Turn safetensors' error about a full disk into Python's OSError."""
    try:
        yield
    except SafetensorError as error:
        if number := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise
