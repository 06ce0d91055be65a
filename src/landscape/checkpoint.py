"""Weights in files: safetensors with a header that explains them, and state dicts made elsewhere."""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.files import replacing
from landscape.weights import Weights

_STATE = re.compile(r"(?P<file>.+)@(?P<epoch>\d{3})")
_HEADER = "landscape"
_NESTED = ("state_dict", "model_state_dict", "model", "net", "weights")
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile


def write(path: str | Path, weights: Weights, header: Mapping[str, Any]) -> None:
    """Write tensors with a header of JSON values. Tensors that share memory are written one by one."""
    tensors: Weights = {}
    seen: set[int] = set()
    for name, tensor in weights.items():
        plain = tensor.detach().cpu().contiguous()
        tensors[name] = plain.clone() if plain.untyped_storage().data_ptr() in seen else plain
        seen.add(plain.untyped_storage().data_ptr())
    with replacing(path) as temporary:
        save_file(tensors, temporary, {_HEADER: json.dumps(header, sort_keys=True)})


def write_epochs(path: str | Path, epochs: Mapping[int, Weights], header: Mapping[str, Any]) -> None:
    """Write the kept epochs of a run, keys `{epoch:03d}/{name}`; the file may hold none."""
    tensors = {f"{epoch:03d}/{name}": tensor for epoch, weights in epochs.items() for name, tensor in weights.items()}
    write(path, tensors, {**header, "epochs": sorted(epochs)})


def read(path: str | Path) -> tuple[Weights, dict[str, Any]]:
    """Tensors and header of a file; of `FILE@003`, those of epoch 3 in a file of epochs.

    Raises:
        InputError: if there is no such file or epoch, or it is not a whole safetensors file.
    """
    epoch = _epoch(path)
    header = read_header(path)
    prefix = "" if epoch is None else f"{epoch:03d}/"
    with safe_open(file_of(path), "pt") as file:
        weights = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}
    if epoch is None:
        return weights, header
    if not weights:
        raise InputError(f"{file_of(path)} holds no epoch {epoch:03d}; it holds {header.get('epochs')}")
    return weights, {**header, "epoch": epoch}


def read_header(path: str | Path) -> dict[str, Any]:
    """The header alone.

    Raises:
        InputError: if there is no such file, or it is not a whole safetensors file made by `write`.
    """
    file_path = file_of(path)
    if not file_path.is_file():
        raise InputError(f"{file_path}: there is no such file")
    try:
        with safe_open(file_path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file_path} is not a whole safetensors file: {error}") from None
    if _HEADER not in metadata:
        raise InputError(f"{file_path} was not made by landscape: its header has no entry {_HEADER!r}")
    return json.loads(metadata[_HEADER])


def file_of(path: str | Path) -> Path:
    """The file that `FILE` or `FILE@003` names."""
    match = _STATE.fullmatch(str(path))
    return Path(match["file"]) if match else Path(path)


def adopt(path: str | Path) -> Weights:
    """A state dict made elsewhere: safetensors, or `torch.save` of a state dict or of a dictionary that holds one.

    The prefixes `module.` and `_orig_mod.` are taken off. Nothing is unpickled beyond tensors and plain containers.

    Raises:
        InputError: if it is none of these; if it is a pickle with code in it, which is not run.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        with safe_open(path, "pt") as file:
            content: Any = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        if path.suffix == ".safetensors":
            raise InputError(f"{path} is not a whole safetensors file: {error}") from None
        content = _load(path)
    weights = _state_dict(content)
    if weights is None:
        raise InputError(f"{path} holds no state dict: {_kinds(content)}; save it as torch.save(network.state_dict(), path)")
    return {_without_prefixes(name): tensor.detach() for name, tensor in weights.items()}


def misfits(weights: Weights, network: nn.Module) -> list[str]:
    """Each tensor that the network lacks, that the weights lack, or whose shapes differ, one line each.

    Batch norm's count of batches may be missing: nothing is computed from it in eval mode.
    """
    wanted = network.state_dict()
    found = [
        f"{name} is missing, of shape {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name not in weights and not name.endswith("num_batches_tracked")
    ]
    found += [f"{name} is not in the network, of shape {tuple(t.shape)}" for name, t in weights.items() if name not in wanted]
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
        if "nsupported" in text or "weights_only" in text.lower():
            reason = re.search(r"(GLOBAL \S+|global: \S+|Unsupported \S+ \S+)", text)
            detail = f" ({reason[0].rstrip('.')})" if reason else ""
            if zipfile.is_zipfile(path) or reason:
                raise InputError(
                    f"{path} is a pickle that would run code{detail}, so it was not opened; "
                    "save the bare weights as torch.save(network.state_dict(), path)"
                ) from None
        raise InputError(f"{path} is no safetensors file and no whole file of torch.save: {text[:200]}") from None


def _state_dict(content: Any) -> dict[str, Tensor] | None:
    if not isinstance(content, Mapping) or not content:
        return None
    if all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()):
        return dict(content)
    for key in _NESTED:
        if key in content and (found := _state_dict(content[key])) is not None:
            return found
    nested = [found for value in content.values() if (found := _state_dict(value)) is not None]
    return nested[0] if len(nested) == 1 else None


def _without_prefixes(name: str) -> str:
    while (prefix := next((p for p in _PREFIXES if name.startswith(p)), None)) is not None:
        name = name.removeprefix(prefix)
    return name


def _kinds(content: Any) -> str:
    if isinstance(content, Mapping):
        return "it is a dictionary of " + ", ".join(f"{key}: {type(value).__name__}" for key, value in list(content.items())[:8])
    return f"it is a {type(content).__name__}"


def _epoch(path: str | Path) -> int | None:
    match = _STATE.fullmatch(str(path))
    return int(match["epoch"]) if match else None
