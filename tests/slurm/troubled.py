"""A network that meets with trouble where the tests want it: once, and never again."""

import time
from pathlib import Path

import numpy as np
from torch import Tensor, nn

BALLAST: list[np.ndarray] = []


class Troubled(nn.Module):
    def __init__(self, trouble: str, num_classes: int):
        super().__init__()
        self.trouble = Path("trouble") / trouble
        self.batches = 0
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(4 * 3 * 3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.batches += 1
        if self.batches == 20 and self.trouble.exists():  # of 12 in an epoch: in the second that the process trains
            self.trouble.unlink()
            time.sleep(300)
        logits: Tensor = self.head(self.body(images))
        return logits


def slow(*, num_classes: int) -> nn.Module:
    """Trains for longer than any limit, the first time."""
    return Troubled("slow", num_classes)


def large(*, num_classes: int) -> nn.Module:
    """Takes 1,200 MiB beside what all take, about 500, on a cluster: too much for a first attempt, and not for a second."""
    if Path("trouble/large").exists() and not BALLAST:
        BALLAST.append(np.ones(1200 * 2**20, dtype=np.uint8))
    return Troubled("nothing", num_classes)
