"""A data set, a network and a run that train in a moment, for the tests of training."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.data.datasets import DataSet
from landscape.data.examples import Examples
from landscape.training import loop
from landscape.training.history import Evaluate
from landscape.training.run_section import Run

torch.set_num_threads(1)

CLASSES = 3


def a_run(**settings: Any) -> Run:
    stated = {"network": "resnet", "data": "toy", "epochs": 4, "batch_size": 16, "learning_rate": 0.05, **settings}
    return Run.model_validate(stated)


def a_data_set(images: int = 50, size: int = 8, test: bool = True) -> DataSet:
    generator = torch.Generator().manual_seed(1)

    def split(n: int) -> Examples:
        labels = torch.arange(n) % CLASSES
        return Examples(torch.randn(n, 1, size, size, generator=generator) + labels[:, None, None, None], labels)

    return DataSet(split(images), split(20) if test else None, CLASSES, torch.tensor([-0.5]), {})


def a_network(seed: int = 0) -> nn.Module:
    """Convolution, batch normalisation and dropout, of images of any size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(4, 4, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, CLASSES),
        )


def evaluate(network: nn.Module, data: DataSet) -> dict[str, float]:
    network.eval()
    found = {}
    for name, split in {"train": data.train, "test": data.test}.items():
        if split is not None:
            with torch.no_grad():
                logits = network(split.inputs).double()
            found[f"{name}_loss"] = nn.functional.cross_entropy(logits, split.targets).item()
            found[f"{name}_accuracy"] = (logits.argmax(1) == split.targets).double().mean().item()
    return found


class Interruption(Exception):
    pass


def interrupted_at(call: int) -> Evaluate:
    """`evaluate` that gives up at its call number `call`, counted from 0."""
    calls = iter(range(call))

    def giving_up(network: nn.Module, data: DataSet) -> dict[str, float]:
        if next(calls, None) is None:
            raise Interruption
        return evaluate(network, data)

    return giving_up


def assert_same(a: loop.Trained, b: loop.Trained) -> None:
    """Equal to the last bit, but for the times it took."""
    assert_same_weights(a.weights, b.weights)
    assert set(a.history) == set(b.history)
    for column in set(a.history) - {"seconds", "examples_per_second"}:
        np.testing.assert_array_equal(a.history[column], b.history[column], err_msg=str(column))
    assert a.epochs.keys() == b.epochs.keys()
    for epoch in a.epochs:
        assert_same_weights(a.epochs[epoch], b.epochs[epoch])


def assert_same_weights(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


class Witness(nn.Module):
    """Notes the images of every batch it is trained on, by the number that fills them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, CLASSES)
        self.seen: list[list[int]] = []
        self.layouts: set[bool] = set()

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.append(images[:, 0, 0, 0].int().tolist())
            self.layouts.add(images.is_contiguous(memory_format=torch.channels_last))
        logits: Tensor = self.linear(images.mean((1, 2, 3))[:, None])
        return logits


def numbered(images: int, channels: int = 1, size: int = 2) -> DataSet:
    filled = torch.arange(images).float()[:, None, None, None].expand(-1, channels, size, size).contiguous()
    return DataSet(Examples(filled, torch.arange(images) % CLASSES), None, CLASSES, torch.zeros(channels), {})
