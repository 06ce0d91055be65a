"""Operations counted from a name and its arguments, against torch's own count."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from landscape.networks import building
from landscape.networks.operations import UNKNOWN, operations, weights

CIFAR = (3, 32, 32)
DIGITS = (1, 8, 8)


@pytest.mark.parametrize(
    ("network", "args", "shape", "classes"),
    [
        ("resnet20", {}, CIFAR, 10),
        ("resnet56-noshort", {}, CIFAR, 100),
        ("wrn56-4", {}, CIFAR, 10),
        ("resnet", {"depth": 14, "width": 6}, (1, 9, 13), 7),
        ("resnet", {"depth": 20, "norm": "none"}, DIGITS, 10),
        ("vgg9", {}, CIFAR, 10),
        ("vgg", {"features": [8, 16, "M", 32], "hidden": 12}, DIGITS, 10),
        ("densenet121", {}, CIFAR, 10),
    ],
)
def test_against_torchs_count(network: str, args: dict[str, Any], shape: tuple[int, int, int], classes: int) -> None:
    built = building.build(network, args, seed=0, images=shape, classes=classes, device="meta").eval()
    with FlopCounterMode(display=False) as counter:
        built(torch.empty(1, *shape, device="meta"))
    assert operations(network, args, shape, classes) == counter.get_total_flops()
    assert weights(network, args, shape, classes) == sum(p.numel() for p in built.parameters() if p.ndim > 1)


def test_of_others_a_guess_by_the_size_of_the_image() -> None:
    assert operations("torchvision.models:resnet18", {}, CIFAR, 10) == UNKNOWN
    assert weights("torchvision.models:resnet18", {}, CIFAR, 10) == 0
    assert operations("nets/mine.py:net", {"hidden": 3}, (1, 16, 64), 10) == UNKNOWN
    assert operations("resnet", {}, CIFAR, 10) == UNKNOWN  # without its depth, which is reported elsewhere
