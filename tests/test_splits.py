"""A plane of the training split alone: the same numbers, and nothing of the test split."""

import torch
from torch import nn

import landscape as ls
from landscape.measures.loss import LossPlane

LINE = {"alpha": (-1, 1, 5)}


def test_without_the_test_split_the_training_numbers_are_the_same() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    train, test = ((torch.randn(n, 4), torch.arange(n) % 3) for n in (64, 32))  # both fit whole batches
    both = ls.line(network, train, test=test, **LINE)
    alone = ls.line(network, train, test=test, splits="train", **LINE)
    assert {name for name in both if str(name).startswith("test_")} == set(both) - set(alone) != set()
    assert alone.equals(both[list(alone)])
    assert "test_examples" in both.attrs and "test_examples" not in alone.attrs


def test_it_costs_the_training_split_alone() -> None:
    def passes(**keys: str) -> float:
        return LossPlane.model_validate({"measure": "loss", "examples": 100, **keys}).forward_passes(range(9), 500, 300)

    assert passes() == 2 * passes(splits="train") == 10 * 200
