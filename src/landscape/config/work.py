"""How much work a network is, as far as its name and arguments tell: no job may be cut by what only torch could count."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from landscape.config import code

UNKNOWN = 0.25e9
"""Operations taken for a network that is not built in, on an image of 32 x 32: about ResNet-56's."""

Shape = tuple[int, int, int]
"""(channels, height, width) of an image."""


def operations(network: str, args: Mapping[str, Any], shape: Shape, classes: int) -> float:
    """Floating-point operations of one forward pass on one image, two per multiplication and addition.

    Those of convolutions and linear layers, exact for built-in networks with arguments they can be built with.
    """
    name, full = code.plain(network, args)
    try:
        match name:
            case "mlp":
                return sum(_mlp(full["hidden"], shape, classes))
            case "resnet":
                return sum(_resnet(full["depth"], full["width"], full["shortcut"], shape, classes))
            case "vgg":
                return sum(_vgg(full["features"], full["hidden"], shape, classes))
            case "vgg9":
                return sum(_vgg([64, 64, "M", 128, 128, "M", 256, 256, 256, "M"], 256, shape, classes))
            case "densenet121":
                return sum(_densenet121(shape, classes))
    except (KeyError, TypeError):
        pass  # arguments that no network can be built with, which is reported where they stand
    return UNKNOWN * shape[1] * shape[2] / 32**2


def _mlp(hidden: Sequence[int], shape: Shape, classes: int) -> Iterator[float]:
    inputs = shape[0] * shape[1] * shape[2]
    for units in [*hidden, classes]:
        yield _linear(inputs, units)
        inputs = units


def _resnet(depth: int, width: int, shortcut: bool, shape: Shape, classes: int) -> Iterator[float]:
    channels, *size = shape
    yield _convolution(3, channels, width, size)
    channels = width
    for stage in range(3):
        for block in range((depth - 2) // 6):
            outputs = width << stage
            shrinks = stage > 0 and block == 0
            if shrinks:
                size = [-(-side // 2) for side in size]
            yield _convolution(3, channels, outputs, size) + _convolution(3, outputs, outputs, size)
            if shortcut and shrinks:
                yield _convolution(1, channels, outputs, size)
            channels = outputs
    yield _linear(channels, classes)


def _vgg(features: Sequence[int | str], hidden: int, shape: Shape, classes: int) -> Iterator[float]:
    channels, *size = shape
    for feature in features:
        if isinstance(feature, str):
            size = [side // 2 for side in size]
        else:
            yield _convolution(3, channels, feature, size)
            channels = feature
    yield _linear(channels * size[0] * size[1], hidden) + _linear(hidden, classes)


def _densenet121(shape: Shape, classes: int) -> Iterator[float]:
    channels, *size = shape
    yield _convolution(3, channels, 64, size)
    channels = 64
    for layers in (6, 12, 24, 16):
        if channels > 64:
            yield _convolution(1, channels, channels // 2, size)
            channels, size = channels // 2, [side // 2 for side in size]
        for _ in range(layers):
            yield _convolution(1, channels, 128, size) + _convolution(3, 128, 32, size)
            channels += 32
    yield _linear(channels, classes)


def _convolution(kernel: int, inputs: int, outputs: int, size: Sequence[int]) -> float:
    return 2.0 * kernel**2 * inputs * outputs * size[0] * size[1]


def _linear(inputs: int, outputs: int) -> float:
    return 2.0 * inputs * outputs
