"""Epoch 0 has batch-norm statistics of its own, and the training does not notice."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

import landscape as ls
from landscape.data.datasets import subset
from landscape.data.examples import Examples


def data(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return 50 + 30 * torch.randn(n, 6, generator=random), torch.arange(n) % 3


def network(norm: bool = True) -> nn.Module:
    torch.manual_seed(0)
    layers = [
        nn.Linear(6, 8),
        nn.BatchNorm1d(8) if norm else nn.Identity(),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(8, 3),
    ]
    return nn.Sequential(*layers)


def test_epoch_0_is_measured_and_kept_with_statistics_of_1024_examples(tmp_path: Path) -> None:
    train = data(2000)
    trained = ls.train(network(), train, epochs=1, batch_size=100, keep="all", work=tmp_path)
    assert trained.history.attrs["statistics_at_start"] == 1024

    plain = network().double().eval()
    few = subset(Examples(*train), 1024).inputs
    hidden = plain[0](few.double()).detach()  # type: ignore[index]
    parts = hidden.chunk(8)
    mean = torch.stack([part.mean(0) for part in parts]).mean(0)
    variance = torch.stack([part.var(0) for part in parts]).mean(0)
    kept = trained.epochs[0]
    assert torch.allclose(kept["1.running_mean"].double(), mean, rtol=1e-5)
    assert torch.allclose(kept["1.running_var"].double(), variance, rtol=1e-5)
    plain[1].running_mean, plain[1].running_var = mean, variance  # type: ignore[index]
    loss = float(nn.functional.cross_entropy(plain(train[0].double()), train[1]).detach())
    assert float(trained.history.train_loss[0]) == pytest.approx(loss, rel=1e-5)
    raw = float(nn.functional.cross_entropy(network().eval()(train[0]), train[1]))
    assert raw > 2 * loss, "the placeholders 0 and 1 give another loss altogether"


def test_the_training_itself_is_not_altered(tmp_path: Path) -> None:
    """A network that has statistics already, the placeholders, is trained to the same weights."""
    train = data(300)
    fresh, settled = network(), network()
    settled[1].num_batches_tracked += 1  # type: ignore[index]
    one = ls.train(copy.deepcopy(fresh), train, epochs=2, batch_size=50, work=tmp_path / "one")
    other = ls.train(copy.deepcopy(settled), train, epochs=2, batch_size=50, work=tmp_path / "other")
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]) or name == "1.num_batches_tracked"
    assert "statistics_at_start" not in other.history.attrs
    assert float(one.history.train_loss[0]) != float(other.history.train_loss[0])
    assert float(one.history.train_loss[1]) == float(other.history.train_loss[1])


def test_a_resumed_training_still_says_it_and_one_without_norms_does_not(tmp_path: Path) -> None:
    train = data(200)
    ls.train(network(), train, epochs=3, batch_size=50, work=tmp_path, until=1)
    resumed = ls.train(network(), train, epochs=3, batch_size=50, work=tmp_path)
    assert resumed.history.attrs["statistics_at_start"] == 200
    assert "statistics_at_start" not in ls.train(network(norm=False), train, epochs=1, batch_size=50).history.attrs
