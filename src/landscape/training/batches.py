"""Batches and random numbers of an epoch, all from (seed, epoch)."""

import hashlib

import torch
from torch import Tensor

from landscape.training.run_section import Run


def generator(run: Run, epoch: int, what: str) -> torch.Generator:
    return torch.Generator().manual_seed(seed(run, epoch, what))


def seed(run: Run, epoch: int, what: str) -> int:
    return int.from_bytes(hashlib.sha256(f"train {run.seed} {epoch} {what}".encode()).digest()[:8])


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Split `order` into batches; a last batch of one example joins the batch before it."""
    split = list(order.split(size))
    if len(split) > 1 and len(split[-1]) == 1 < size:
        split[-2:] = [torch.cat(split[-2:])]
    return split
