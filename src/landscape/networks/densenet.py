"""DenseNet-121 for small images (Huang et al. 2017, with the bottlenecks and halving transitions of DenseNet-BC)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from landscape.networks.building import initialize

GROWTH = 32


def densenet121(in_channels: int = 3, num_classes: int = 10) -> nn.Module:
    """Build four dense blocks of 6, 12, 24 and 16 layers, each adding 32 channels. Images have at least 8 x 8 pixels."""
    network = DenseNet(in_channels, num_classes)
    initialize(network)
    return network


class DenseNet(nn.Module):
    """Parameters have the names of the authors' code, so that their weights fit."""

    def __init__(self, in_channels: int, num_classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        self.dense1, self.trans1 = _block(6, 64), Transition(256, 128)
        self.dense2, self.trans2 = _block(12, 128), Transition(512, 256)
        self.dense3, self.trans3 = _block(24, 256), Transition(1024, 512)
        self.dense4 = _block(16, 512)
        self.bn = nn.BatchNorm2d(1024)
        self.linear = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.trans1(self.dense1(self.conv1(x)))
        x = self.trans2(self.dense2(x))
        x = self.trans3(self.dense3(x))
        x = functional.relu(self.bn(self.dense4(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


class DenseLayer(nn.Module):
    """Put `GROWTH` new channels in front of the input's."""

    def __init__(self, inputs: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * GROWTH, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * GROWTH)
        self.conv2 = nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(functional.relu(self.bn1(x)))
        new = self.conv2(functional.relu(self.bn2(new)))
        return torch.cat([new, x], 1)


class Transition(nn.Module):
    """Reduce the channels, and halve the size."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(self.conv(functional.relu(self.bn(x))), 2)


def _block(layers: int, inputs: int) -> nn.Sequential:
    return nn.Sequential(*(DenseLayer(inputs + k * GROWTH) for k in range(layers)))
