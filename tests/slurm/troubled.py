"""A network that meets with trouble where the tests want it: as often as they say, and never again."""

import time
from pathlib import Path

import numpy as np
from torch import Tensor, nn

SLOW = Path("trouble/slow")
"""Says how many trainings are still to be slow."""

LARGE = Path("trouble/large")
"""Where it is, this network takes 1,200 MiB beside what all take, about 500: too much for a first attempt only."""

BALLAST: list[np.ndarray] = []


class Troubled(nn.Module):
    """Trains for longer than any limit: it stops in the second epoch that a process trains, of 12 batches each."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.batches = 0
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(4 * 3 * 3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        self.batches += self.training
        if self.batches == 20 and (times := left()):
            SLOW.write_text(str(times - 1))
            time.sleep(300)
        logits: Tensor = self.head(self.body(images))
        return logits


def left(folder: Path = Path()) -> int:
    """How many trainings in a folder are still to be slow."""
    return int((folder / SLOW).read_text() or 0) if (folder / SLOW).exists() else 0


def net(*, num_classes: int) -> nn.Module:
    if LARGE.exists() and not BALLAST:
        BALLAST.append(np.ones(1200 * 2**20, dtype=np.uint8))
    return Troubled(num_classes)
