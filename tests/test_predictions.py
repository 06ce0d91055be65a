"""Which test examples are classified rightly at the end: against a plain loop, for trained, resumed and adopted runs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import landscape as ls
from landscape.training.run_factors import errors


def images(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    return torch.randn(n, 6, generator=random) + labels[:, None], labels


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def plainly(network: nn.Module, test: tuple[torch.Tensor, torch.Tensor]) -> np.ndarray:
    with torch.no_grad():
        return np.asarray((network.eval()(test[0]).argmax(1) == test[1]).numpy())


def test_a_trained_and_an_adopted_run_keep_them(tmp_path: Path) -> None:
    train, test = images(90, 0), images(45, 1)
    network = mlp()
    trained = ls.train(network, train, test=test, epochs=2, batch_size=30, work=tmp_path)
    kept = trained.history.test_correct
    assert kept.dims == ("test_example",) and kept.dtype == np.uint8
    expected = plainly(network, test)
    np.testing.assert_array_equal(kept.values, expected)
    assert 0 < expected.mean() < 1
    assert float(trained.history.test_accuracy[-1]) == pytest.approx(expected.mean())
    again = ls.train(mlp(), train, test=test, epochs=2, batch_size=30, work=tmp_path)  # all is done already
    np.testing.assert_array_equal(again.history.test_correct.values, expected)
    adopted = ls.adopt(mlp(), trained.weights, train, test=test)
    np.testing.assert_array_equal(adopted.history.test_correct.values, expected)
    found = errors(trained.history.assign_attrs(test_examples=45))
    assert found is not None and found.correct is not None
    assert found.wrong == (~found.correct).sum()


def test_what_is_no_classification_of_examples_or_has_no_test_split_keeps_none() -> None:
    train, test = images(30, 0), images(15, 1)
    assert "test_correct" not in ls.train(mlp(), train, epochs=1, batch_size=15).history
    regression = ls.adopt(
        nn.Linear(6, 1), nn.Linear(6, 1), (train[0], train[0][:, :1]), test=(test[0], test[0][:, :1]), loss="mse"
    )
    assert "test_correct" not in regression.history
    pixels = (torch.randn(8, 2, 4, 4), torch.randint(2, (8, 4, 4)))
    assert "test_correct" not in ls.adopt(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), pixels, test=pixels).history
