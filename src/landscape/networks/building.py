"""Networks by name: the built-in ones (`landscape.networks.code` has their table) and the user's own."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from landscape.errors import InputError
from landscape.networks import code
from landscape.networks.import_function import function_named


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

    It is made on the CPU, so that a seed gives the same weights on every device, and then moved.

    Args:
        network: a built-in name, `package.module:function` or `path/file.py:function`.
        args: arguments of the function, without those that its name sets (`resnet56` the depth). If the function names
            `in_channels`, `image_size` or `num_classes` among its parameters and `args` does not, they come from the
            data set.
        images: (channels, height, width) of one image.
        device: on `meta` it takes no memory and has no weights.

    Raises:
        InputError: if it cannot be found or built with these arguments, or is no torch.nn.Module.
    """
    target = torch.device(device or "cpu")
    name = network
    network, fixed = code.expanded(name)
    if twice := [key for key in args if key in fixed]:
        raise InputError(f"{name} sets {twice[0]} to {fixed[twice[0]]!r}, and args has it too")
    args = {**fixed, **args}
    with torch.random.fork_rng(devices=[]), function_named(network) as function:
        given = _arguments(network, function, args, images, classes)
        if target.type == "meta":
            try:
                with target:
                    return _checked(network, function(**given)).to(target)
            except Exception:
                pass  # code that looks at values cannot run there; what is wrong with other code shows below
        try:
            torch.default_generator.manual_seed(seed)
            built = _checked(network, function(**given))
        except (InputError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"{_call(network, given)} cannot be built: {type(error).__name__}: {error}") from error
    return built.to(target)


def filter_axes(network: nn.Module) -> dict[str, int | None]:
    """For each parameter the dimension that counts its filters, or None where it has none.

    A filter is what makes one output channel: of a convolution or linear layer a slice of dimension 0, of a transposed
    convolution one of dimension 1, of an embedding a row. A tensor of one dimension, or a bare one whose leading size is
    1, has no filters. A parameter that two layers share stands once, under its first name.
    """
    axes: dict[str, int | None] = {}
    seen: set[nn.Parameter] = set()
    for prefix, layer in network.named_modules():
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                axes[name] = _filter_axis(layer, parameter)
    return axes


def initialize(network: nn.Module, linear_std: float = 1e-3) -> None:
    """Kaiming normal (fan in) for convolutions, N(0, 1e-3) for linear weights (the recipe of Li et al. 2018).

    Batch norm and biases keep what PyTorch gives them: 1 and 0, and a uniform distribution.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=linear_std)


_LAYERS = (nn.modules.conv._ConvNd, nn.Linear, nn.Embedding, nn.EmbeddingBag)


def _filter_axis(layer: nn.Module, parameter: nn.Parameter) -> int | None:
    if parameter.ndim < 2:
        return None
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return 1
    return 0 if isinstance(layer, _LAYERS) or parameter.shape[0] > 1 else None


def _arguments(
    network: str, function: Callable[..., Any], args: Mapping[str, Any], images: tuple[int, int, int], classes: int
) -> dict[str, Any]:
    """What to call the function with: `args`, and what it wants to know of the data set."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled code need not have one
        return dict(args)
    channels, height, width = images
    known = {"in_channels": channels, "image_size": height, "num_classes": classes}
    wanted = [name for name in known if name in signature.parameters and name not in args]
    if "image_size" in wanted and height != width:
        raise InputError(f"{network} takes one image_size, and the images are {height} x {width}; state it in args")
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
