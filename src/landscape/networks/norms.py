"""What stands between a convolution and its ReLU: batch norm, group norm, or nothing."""

from typing import Literal

from torch import nn

from landscape.errors import InputError

Norm = Literal["batch", "group", "none"]
NORMS: tuple[Norm, ...] = ("batch", "group", "none")

MAX_GROUPS = 32
"""Of a group norm (Wu and He 2018)."""


def check(norm: object, network: str) -> None:
    """Raises: InputError if there is no such norm."""
    if norm not in NORMS:
        raise InputError(f"{network}'s norm is {norm!r}; it must be batch, group or none")


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with the most groups, 32 or fewer, that divide the channels into equal shares of at least two.

    A channel of its own (instance norm) would lose its mean, and on an image of one pixel everything. 16 channels are in
    8 groups, 64 and more, powers of two, in 32; a prime number of channels is one group.
    """
    most = min(MAX_GROUPS, channels // 2)
    groups = next((groups for groups in range(most, 1, -1) if channels % groups == 0), 1)
    return nn.GroupNorm(groups, channels)


def norm_2d(norm: Norm, channels: int) -> nn.Module:
    """Of images. `none` is an `nn.Identity`, so that a network's other tensors have one name whatever its norm."""
    match norm:
        case "batch":
            return nn.BatchNorm2d(channels)
        case "group":
            return group_norm(channels)
        case "none":
            return nn.Identity()


def norm_1d(norm: Norm, units: int) -> nn.Module:
    """Of a hidden layer's output. `group` is one group: of two units, normalised, nothing would be left but which is more."""
    match norm:
        case "batch":
            return nn.BatchNorm1d(units)
        case "group":
            return nn.GroupNorm(1, units)
        case "none":
            return nn.Identity()
