"""Networks by name: built in, of an installed package, or of a file of the user's."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from landscape.config import code
from landscape.errors import InputError, one_of


def build(
    network: str,
    args: Mapping[str, Any],
    *,
    seed: int,
    images: tuple[int, int, int],
    classes: int,
    device: str | torch.device | None = None,
) -> nn.Module:
    """The network a configuration names, with its initial weights drawn from `seed`.

    A function that names `in_channels`, `image_size` or `num_classes` among its parameters gets them from the data set,
    unless `args` states them.

    Args:
        network: a built-in name, `package.module:function` or `path/file.py:function`.
        images: (channels, height, width) of one image.
        device: `meta` builds it without memory, and without weights.

    Raises:
        InputError: if it cannot be found or built with these arguments, or is no torch.nn.Module.
    """
    function = _find(network)
    known = {"in_channels": images[0], "image_size": images[1], "num_classes": classes}
    named = _parameters(function)
    supplied = {name: value for name, value in known.items() if name in named and name not in args}
    with torch.random.fork_rng(devices=_cuda(device)), torch.device(device or "cpu"):
        torch.manual_seed(seed)
        try:
            built = function(**supplied, **args)
        except InputError:
            raise
        except Exception as error:
            given = ", ".join(f"{key}={value!r}" for key, value in {**supplied, **args}.items())
            raise InputError(f"{network}({given}) cannot be built: {type(error).__name__}: {error}") from error
    if not isinstance(built, nn.Module):
        raise InputError(f"{network} returned {type(built).__name__}; it must return a torch.nn.Module")
    return built


def filter_axes(network: nn.Module) -> dict[str, int | None]:
    """For each parameter the dimension that counts its filters, or None where it has none.

    A filter is what makes one output channel: of a convolution or linear layer a slice of dimension 0, of a transposed
    convolution one of dimension 1, of an embedding a row. A tensor of one dimension, or a bare one whose leading size is
    1, has no filters. A parameter that two layers share stands once.
    """
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)
    of_transposed = {id(m.weight) for m in network.modules() if isinstance(m, transposed)}
    of_layers = {id(m.weight) for m in network.modules() if isinstance(m, layers)}
    axes: dict[str, int | None] = {}
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2 or (parameter.shape[0] == 1 and id(parameter) not in of_layers | of_transposed):
            axes[name] = None
        else:
            axes[name] = 1 if id(parameter) in of_transposed else 0
    return axes


def _find(network: str) -> Callable[..., Any]:
    try:
        module_name, function_name = code.split(network)
    except InputError as error:
        raise InputError(f"the network {error}") from None
    try:
        module = _load(Path(module_name)) if module_name.endswith(".py") else importlib.import_module(module_name)
    except Exception as error:
        raise InputError(f"{network}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        callables = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise InputError(f"{network}: {module_name} has no function {function_name}; it has {one_of(callables)}")
    return function


def _load(path: Path) -> ModuleType:
    """Import a file; its own folder can be imported from while it loads."""
    spec = importlib.util.spec_from_file_location(f"landscape_user_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling look classes up there
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def _parameters(function: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return set()


def _cuda(device: str | torch.device | None) -> list[int]:
    chosen = torch.device(device or "cpu")
    return [chosen.index or 0] if chosen.type == "cuda" else []
