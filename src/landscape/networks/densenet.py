"""DenseNet-121 for small images (Li et al. 2018, Figures 4 and 7; Huang et al. 2017)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from landscape.networks.resnet import initialize

BLOCKS = (6, 12, 24, 16)


class Layer(nn.Module):
    """BN, ReLU, 1x1 convolution to 4 x growth channels; BN, ReLU, 3x3 convolution to `growth`; joined to its input."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.relu(self.bn1(x)))
        return torch.cat([self.conv2(functional.relu(self.bn2(y))), x], 1)


class Transition(nn.Module):
    """BN, ReLU, 1x1 convolution, 2x2 average pooling: half the channels, half the size."""

    def __init__(self, channels: int, out_channels: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(self.conv(functional.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    def __init__(self, blocks: tuple[int, ...], growth: int, in_channels: int, num_classes: int):
        super().__init__()
        channels = 2 * growth
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        layers: list[nn.Module] = []
        for k, count in enumerate(blocks):
            for _ in range(count):
                layers.append(Layer(channels, growth))
                channels += growth
            if k < len(blocks) - 1:
                layers.append(Transition(channels, channels // 2))
                channels //= 2
        self.layers = nn.Sequential(*layers)
        self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn(self.layers(self.conv1(x))))
        return self.linear(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


def densenet121(growth: int = 32, in_channels: int = 3, num_classes: int = 10) -> nn.Module:
    """DenseNet-121 with a 3x3 stem of 2 x `growth` channels, blocks of 6, 12, 24 and 16 layers, and no dropout."""
    network = DenseNet(BLOCKS, growth, in_channels, num_classes)
    network.apply(initialize)
    return network
