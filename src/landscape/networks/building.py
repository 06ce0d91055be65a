"""Build networks by name: built-in ones (table in `landscape.networks.code`) and the user's own."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from landscape.errors import InputError
from landscape.networks import code
from landscape.networks.filters import filter_axes
from landscape.networks.import_function import function_named
from landscape.networks.model_libraries import adapted

__all__ = ["build", "filter_axes", "initialize", "plain"]


def build(
    network: str,
    args: Mapping[str, Any],
    *,
    seed: int,
    images: tuple[int, int, int] | None,
    classes: int | None,
    device: str | torch.device | None = None,
) -> nn.Module:
    """Build the network that a configuration names, with initial weights drawn from `seed`.

    It is built on the CPU and then moved, so that a seed gives the same weights on every device.

    Args:
        network: a built-in name, `package.module:function` or `path/file.py:function`; a function may stand in a class,
            as `transformers:AutoModelForCausalLM.from_config` (`model_libraries.adapted`).
        args: arguments of the function, without those in its name (the depth in `resnet56`). `in_channels`, `image_size`
            and `num_classes` come from the data set if the function has these parameters and `args` lacks them.
        images: (channels, height, width) of one image; None if the inputs are no images.
        classes: None if the targets are not whole numbers.
        device: `meta` gives a network without weights, which takes no memory.

    Raises:
        InputError: if the function is missing or fails with these arguments, or returns no torch.nn.Module.
    """
    target = torch.device(device or "cpu")
    name = network
    network, fixed = code.expanded(name)
    if twice := [key for key in args if key in fixed]:
        raise InputError(f"{name} sets {twice[0]} to {fixed[twice[0]]!r}, and args has it too; leave it out of args")
    args = {**fixed, **args}
    with torch.random.fork_rng(devices=[]), function_named(network) as named:
        function = adapted(network, named)
        given = _arguments(network, function, args, images, classes)
        if target.type == "meta":
            try:
                with target:
                    return _checked(network, function(**given)).to(target)
            except Exception:
                pass  # code that reads values of tensors cannot run on meta; other errors show below
        try:
            torch.default_generator.manual_seed(seed)
            built = _checked(network, function(**given))
        except (InputError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"{_call(network, given)} cannot be built: {type(error).__name__}: {error}") from error
    return built.to(target)


def plain(network: nn.Module) -> nn.Module:
    """Unwrap the network from `torch.compile` or a parallel wrapper.

    Raises:
        InputError: if it is no network that can be measured.
    """
    if not isinstance(network, nn.Module):
        raise InputError(f"network is a {type(network).__name__}; it must be a torch.nn.Module")
    while True:
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
            network = network.module
        elif isinstance(inside := getattr(network, "_orig_mod", None), nn.Module):  # torch.compile's
            network = inside
        else:
            break
    parameters = dict(network.named_parameters())
    if not parameters:
        raise InputError(f"network is a {type(network).__name__} without parameters; there is nothing to move")
    for name, parameter in parameters.items():
        if isinstance(parameter, nn.UninitializedParameter):
            raise InputError(
                f"network has a lazy layer: the shape of {name} is not known; pass an example through it first"
            )
        if parameter.dtype != torch.float32:
            advice = "" if parameter.is_complex() else ": call network.float()"
            raise InputError(f"network has {name} in {parameter.dtype}; allowed is torch.float32{advice}")
    return network


def initialize(network: nn.Module, linear_std: float = 1e-3) -> None:
    """Draw convolutions Kaiming normal (fan in) and linear weights from N(0, `linear_std`^2), as Li et al. 2018.

    Their biases start at 0, as in the authors' code; batch norm keeps PyTorch's 1 and 0.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=linear_std)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _arguments(
    network: str,
    function: Callable[..., Any],
    args: Mapping[str, Any],
    images: tuple[int, int, int] | None,
    classes: int | None,
) -> dict[str, Any]:
    """Add to `args` the parameters that the function takes from the data set, and check that all fit its signature."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled code need not have one
        return dict(args)
    channels, height, width = images or (None, None, None)
    known = {"in_channels": channels, "image_size": height, "num_classes": classes}
    wanted = [name for name in known if name in signature.parameters and name not in args]
    if "image_size" in wanted and height != width:
        raise InputError(f"{network} takes one image_size, and the images are {height} x {width}; state it in args")
    for name in [name for name in wanted if known[name] is None]:
        if network in code.BUILTIN:
            what = "labels, whole numbers (n,)" if name == "num_classes" else "images"
            raise InputError(f"{network} takes its {name} from the data, which has no {what}; state it in args")
        wanted.remove(name)
    given = {**{name: known[name] for name in wanted}, **args}
    try:
        signature.bind(**given)
    except TypeError as error:
        raise InputError(f"{_call(network, given)} cannot be built: {error}; its parameters are {signature}") from None
    return given


def _checked(network: str, built: Any) -> nn.Module:
    if not isinstance(built, nn.Module):
        raise InputError(f"{network} returned {type(built).__name__}; it must return a torch.nn.Module")
    for name, parameter in built.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise InputError(f"{network} has a lazy layer: the shape of {name} is not known; state it in the code")
    return built


def _call(network: str, given: Mapping[str, Any]) -> str:
    return f"{network}({', '.join(f'{key}={value!r}' for key, value in given.items())})"
