"""Residual networks for small images (He et al. 2015, section 4.2), with and without shortcuts (Li et al. 2018)."""

from torch import Tensor, nn
from torch.nn import functional

from landscape.errors import InputError
from landscape.networks import norms
from landscape.networks.building import initialize
from landscape.networks.norms import Norm, norm_2d


def resnet(
    depth: int,
    shortcut: bool = True,
    width: int = 16,
    linear_std: float = 1e-3,
    norm: Norm = "batch",
    in_channels: int = 3,
    num_classes: int = 10,
) -> nn.Module:
    """Build three stages of (depth - 2) / 6 basic blocks with `width`, 2 `width` and 4 `width` channels.

    `shortcut=False` removes the shortcuts alone. The wide networks WRN-depth-k have `width=16 * k`, in the stem too. Images
    may have any size. `linear_std` is the deviation of the last layer's initial weights: the paper's 0.001 lets almost no
    gradient through at first, and a short training without shortcuts then fails.

    `norm="group"` puts group norm in the place of batch norm (`landscape.networks.norms`). `norm="none"` puts a bias into
    every convolution instead, and starts the second convolution of every block with a shortcut at zero, weights and bias.
    So every block begins as its shortcut and ReLU, which keeps a deep network's activations finite (one part of Fixup,
    Zhang et al. 2019, without its scaling of the first convolution and its scalars). Blocks without shortcuts start as
    ever, since a zero would let no gradient through.

    Raises:
        InputError: if depth is not 6 n + 2, or another argument has a wrong type or value.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise InputError(f"resnet's depth is {depth!r}; it must be 6 n + 2: 8, 14, 20, 26, 32, ..., 56, ..., 110, ...")
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise InputError(f"resnet's width is {width!r}; it must be a whole number of at least 1")
    if isinstance(linear_std, bool) or not isinstance(linear_std, int | float) or not 0 <= linear_std < 100:
        raise InputError(f"resnet's linear_std is {linear_std!r}; it must be a number of at least 0 and below 100")
    if not isinstance(shortcut, bool):
        raise InputError(f"resnet's shortcut is {shortcut!r}; it must be true or false")
    norms.check(norm, "resnet")
    network = ResNet((depth - 2) // 6, shortcut, width, norm, in_channels, num_classes)
    initialize(network, linear_std)
    if norm == "none":
        for block in network.modules():
            if isinstance(block, BasicBlock):
                block.begin_as_shortcut()
    return network


class ResNet(nn.Module):
    """Parameters have the names of the authors' code, so that their weights fit."""

    def __init__(self, blocks: int, shortcut: bool, width: int, norm: Norm, in_channels: int, num_classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=norm == "none")
        self.bn1 = norm_2d(norm, width)
        self.layer1 = _stage(blocks, width, width, 1, shortcut, norm)
        self.layer2 = _stage(blocks, width, 2 * width, 2, shortcut, norm)
        self.layer3 = _stage(blocks, 2 * width, 4 * width, 2, shortcut, norm)
        self.linear = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


class PlainBlock(nn.Module):
    """Two convolutions, each with its norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=norm == "none")
        self.bn1 = norm_2d(norm, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=norm == "none")
        self.bn2 = norm_2d(norm, outputs)

    def residual(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        before_relu: Tensor = self.bn2(self.conv2(x))
        return before_relu

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.residual(x))


class BasicBlock(PlainBlock):
    """A plain block with a shortcut: a 1x1 convolution and norm where the shape changes (option B), else the identity."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm):
        super().__init__(inputs, outputs, stride, norm)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=norm == "none")
            self.shortcut = nn.Sequential(convolution, norm_2d(norm, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.residual(x) + self.shortcut(x))

    def begin_as_shortcut(self) -> None:
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)


def _stage(blocks: int, inputs: int, outputs: int, stride: int, shortcut: bool, norm: Norm) -> nn.Sequential:
    block = BasicBlock if shortcut else PlainBlock
    rest = (block(outputs, outputs, 1, norm) for _ in range(blocks - 1))
    return nn.Sequential(block(inputs, outputs, stride, norm), *rest)
