"""Residual networks for small images, with or without their shortcuts (Li et al. 2018, section 5; He et al. 2015)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from landscape.errors import InputError


class Block(nn.Module):
    """Two 3x3 convolutions; with a shortcut, y = relu(x + f(x)), without, y = relu(f(x)).

    Where the shape changes the shortcut is a 1x1 convolution with batch norm (option B of He et al.).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module | None = None
        if shortcut and (stride != 1 or in_channels != out_channels):
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        elif shortcut:
            self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y if self.shortcut is None else y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, depth: int, shortcut: bool, width: int, in_channels: int, num_classes: int):
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stage1 = _stage(blocks, width, width, 1, shortcut)
        self.stage2 = _stage(blocks, width, 2 * width, 2, shortcut)
        self.stage3 = _stage(blocks, 2 * width, 4 * width, 2, shortcut)
        self.linear = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.linear(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


def resnet(
    depth: int, shortcut: bool = True, width: int = 16, in_channels: int = 3, num_classes: int = 10
) -> nn.Module:
    """A ResNet of three stages of `width`, 2 `width` and 4 `width` channels, (depth - 2) / 6 blocks each.

    `shortcut=False` leaves the shortcuts out and keeps both ReLUs of a block: the paper's "noshort". A wide net
    WRN-56-k has `width` = 16 k, the first convolution included.

    Raises:
        InputError: if depth is not 6 n + 2.
    """
    if not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise InputError(f"resnet's depth is {depth!r}; it must be 6 n + 2: 8, 14, 20, 26, 32, ..., 56, ..., 110, ...")
    if not isinstance(width, int) or width < 1:
        raise InputError(f"resnet's width is {width!r}; it must be a whole number of at least 1")
    network = ResNet(depth, shortcut, width, in_channels, num_classes)
    network.apply(initialize)
    return network


def initialize(module: nn.Module) -> None:
    """Kaiming normal (fan in) for convolutions, N(0, 1e-3) for linear weights, 1 and 0 for batch norm."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=1e-3)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def _stage(blocks: int, in_channels: int, out_channels: int, stride: int, shortcut: bool) -> nn.Sequential:
    """Blocks of one width, of which the first may change the shape. A stage's names are those of any depth."""
    first = Block(in_channels, out_channels, stride, shortcut)
    return nn.Sequential(first, *(Block(out_channels, out_channels, 1, shortcut) for _ in range(blocks - 1)))
