"""Count a network's operations from its name and arguments, without torch, since the number of jobs depends on them."""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from landscape.networks import code

UNKNOWN = 0.25e9
"""Assumed operations of a network that is not built in, on an image of 32 x 32: about ResNet-56's."""

Shape = tuple[int, int, int]
"""(channels, height, width) of an image."""


def operations(network: str, args: Mapping[str, Any], shape: Shape, classes: int) -> float:
    """Count the floating-point operations of one forward pass on one image, two per multiplication and addition.

    Counts convolutions and linear layers; exact for built-in networks with valid arguments.
    """
    layers = _layers(network, json.dumps(args, default=str), shape, classes)
    if not layers:
        return UNKNOWN * shape[1] * shape[2] / 32**2
    return sum(2.0 * layer.weights * layer.places for layer in layers)


def weights(network: str, args: Mapping[str, Any], shape: Shape, classes: int) -> int:
    """Count the weights of a built-in network's convolutions and linear layers, nearly all it has; 0 for another network."""
    return sum(layer.weights for layer in _layers(network, json.dumps(args, default=str), shape, classes))


class _Work(NamedTuple):
    """Weights of a layer, and the number of places in an image at which they are used."""

    weights: int
    places: int


@functools.cache  # every job asks
def _layers(network: str, args: str, shape: Shape, classes: int) -> list[_Work]:
    """Layers of a network, its arguments as JSON; none if it is not built in, or cannot be built (reported elsewhere)."""
    name, full = code.plain(network, json.loads(args))
    try:
        match name:
            case "mlp":
                return list(_mlp(full["hidden"], shape, classes))
            case "resnet":
                return list(_resnet(full["depth"], full["width"], full["shortcut"], shape, classes))
            case "vgg":
                return list(_vgg(full["features"], full["hidden"], shape, classes))
            case "vgg9":
                return list(_vgg([64, 64, "M", 128, 128, "M", 256, 256, 256, "M"], 256, shape, classes))
            case "densenet121":
                return list(_densenet121(shape, classes))
    except (KeyError, TypeError):
        pass
    return []


def _mlp(hidden: Sequence[int], shape: Shape, classes: int) -> Iterator[_Work]:
    inputs = shape[0] * shape[1] * shape[2]
    for units in [*hidden, classes]:
        yield _linear(inputs, units)
        inputs = units


def _resnet(depth: int, width: int, shortcut: bool, shape: Shape, classes: int) -> Iterator[_Work]:
    channels, *size = shape
    yield _convolution(3, channels, width, size)
    channels = width
    for stage in range(3):
        for block in range((depth - 2) // 6):
            outputs = width << stage
            shrinks = stage > 0 and block == 0
            if shrinks:
                size = [-(-side // 2) for side in size]
            yield _convolution(3, channels, outputs, size)
            yield _convolution(3, outputs, outputs, size)
            if shortcut and shrinks:
                yield _convolution(1, channels, outputs, size)
            channels = outputs
    yield _linear(channels, classes)


def _vgg(features: Sequence[int | str], hidden: int, shape: Shape, classes: int) -> Iterator[_Work]:
    channels, *size = shape
    for feature in features:
        if isinstance(feature, str):
            size = [side // 2 for side in size]
        else:
            yield _convolution(3, channels, feature, size)
            channels = feature
    yield _linear(channels * size[0] * size[1], hidden)
    yield _linear(hidden, classes)


def _densenet121(shape: Shape, classes: int) -> Iterator[_Work]:
    channels, *size = shape
    yield _convolution(3, channels, 64, size)
    channels = 64
    for layers in (6, 12, 24, 16):
        if channels > 64:
            yield _convolution(1, channels, channels // 2, size)
            channels, size = channels // 2, [side // 2 for side in size]
        for _ in range(layers):
            yield _convolution(1, channels, 128, size)
            yield _convolution(3, 128, 32, size)
            channels += 32
    yield _linear(channels, classes)


def _convolution(kernel: int, inputs: int, outputs: int, size: Sequence[int]) -> _Work:
    return _Work(kernel**2 * inputs * outputs, size[0] * size[1])


def _linear(inputs: int, outputs: int) -> _Work:
    return _Work(inputs * outputs, 1)
