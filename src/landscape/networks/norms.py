"""The layer between a convolution and its ReLU: batch norm, group norm, or none."""

from typing import Literal

from torch import nn

from landscape.errors import InputError

Norm = Literal["batch", "group", "none"]
NORMS: tuple[Norm, ...] = ("batch", "group", "none")

MAX_GROUPS = 32  # Wu and He 2018


def check(norm: object, network: str) -> None:
    """Raise InputError if there is no such norm."""
    if norm not in NORMS:
        raise InputError(f"{network}'s norm is {norm!r}; it must be batch, group or none")


def group_norm(channels: int) -> nn.GroupNorm:
    """Make a group norm with as many groups as possible, at most 32, of equal size and at least two channels.

    A group of one channel (instance norm) would lose its mean and, on an image of one pixel, everything. 16 channels make
    8 groups, 64, 128, ... make 32; a prime number of channels makes one.
    """
    most = min(MAX_GROUPS, channels // 2)
    groups = next((groups for groups in range(most, 1, -1) if channels % groups == 0), 1)
    return nn.GroupNorm(groups, channels)


def norm_2d(norm: Norm, channels: int) -> nn.Module:
    """Make the norm of a convolution. `none` is an `nn.Identity`, so that the names of other tensors do not change."""
    match norm:
        case "batch":
            return nn.BatchNorm2d(channels)
        case "group":
            return group_norm(channels)
        case "none":
            return nn.Identity()


def norm_1d(norm: Norm, units: int) -> nn.Module:
    """Make the norm of a hidden linear layer. `group` is one group: a group of two units would keep only their order."""
    match norm:
        case "batch":
            return nn.BatchNorm1d(units)
        case "group":
            return nn.GroupNorm(1, units)
        case "none":
            return nn.Identity()
