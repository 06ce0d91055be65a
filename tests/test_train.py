"""The training loop: the images of an epoch, its random numbers, and its results."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from landscape.data.datasets import DataSet
from landscape.data.examples import memory_format
from landscape.engine.device import tensor_floats
from landscape.training import loop
from landscape.training.history import history_of

from toy_training import (
    CLASSES,
    Witness,
    a_data_set,
    a_network,
    a_run,
    assert_same,
    assert_same_weights,
    evaluate,
    numbered,
)


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (3, 8, [3]), (3, 1, [1, 1, 1])]
)
def test_every_image_once_an_epoch(images: int, batch_size: int, sizes: list[int], tmp_path: Path) -> None:
    network = Witness()
    loop.train(a_run(epochs=2, batch_size=batch_size), network, numbered(images), tmp_path, "x", evaluate)
    assert [len(batch) for batch in network.seen] == 2 * sizes
    first, second = (sum(network.seen[k : k + len(sizes)], []) for k in (0, len(sizes)))
    assert sorted(first) == sorted(second) == list(range(images))


def test_running_loss_is_the_mean_over_images(tmp_path: Path) -> None:
    """With a tiny rate the network stands still; a short batch must not count as a whole one."""
    run = a_run(epochs=1, batch_size=4, learning_rate=1e-20)
    history = loop.train(run, Witness(), numbered(10), tmp_path, "x", evaluate).history
    assert float(history.running_loss[1]) == pytest.approx(float(history.train_loss[0]), rel=1e-6)


def test_layout_depends_on_the_shape_of_the_images_only(tmp_path: Path) -> None:
    assert memory_format(torch.zeros(1, 1, 8, 8)) == torch.contiguous_format
    assert memory_format(torch.zeros(1, 3, 32, 32)) == torch.channels_last
    for size, expected in ((8, {False}), (32, {True})):
        network = Witness()
        data = numbered(6, channels=3, size=size)
        loop.train(a_run(epochs=1, batch_size=3), network, data, tmp_path / str(size), "x", evaluate)
        assert network.layouts == expected


# Randomness


def test_other_seeds_and_epochs_have_another_order(tmp_path: Path) -> None:
    orders = set()
    for seed in (0, 1):
        network = Witness()
        loop.train(
            a_run(epochs=2, seed=seed, batch_size=12), network, numbered(12), tmp_path / str(seed), "x", evaluate
        )
        orders |= {tuple(batch) for batch in network.seen}
    assert len(orders) == 4


@pytest.mark.parametrize("settings", [{}, {"sam": 0.1}, {"swa": 0}, {"optimizer": "adagrad"}, {"precision": "bf16"}])
def test_same_seed_same_bits_other_seed_others(settings: dict[str, Any], tmp_path: Path) -> None:
    def of(seed: int, work: str) -> loop.Trained:
        run = a_run(epochs=2, seed=seed, augment=["crop", "flip"], **settings)
        return loop.train(run, a_network(), a_data_set(), tmp_path / work, "x", evaluate)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = of(0, "a")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert_same(first, of(0, "b"))
    assert not torch.equal(first.weights["0.weight"], of(1, "c").weights["0.weight"])


@pytest.mark.parametrize("augment", [["crop"], ["flip"]])
def test_augmentation_alters_training_and_not_what_is_measured(augment: list[str], tmp_path: Path) -> None:
    plain, augmented = (
        loop.train(a_run(epochs=1, augment=kinds), a_network(), a_data_set(), tmp_path / str(len(kinds)), "x", evaluate)
        for kinds in ([], augment)
    )
    assert plain.history.running_loss[1] != augmented.history.running_loss[1]
    assert plain.history.train_loss[0] == augmented.history.train_loss[0]


# Precision


def test_bf16_trains_and_rounds(tmp_path: Path) -> None:
    """Weights stay float32, and loss and accuracy are measured in full precision."""
    exact, rounded = (
        loop.train(a_run(precision=precision), a_network(), a_data_set(), tmp_path / precision, "x", evaluate)
        for precision in ("fp32", "bf16")
    )
    assert float(rounded.history.train_loss[4]) < 0.9 * float(rounded.history.train_loss[0])
    assert rounded.history.train_loss[0] == exact.history.train_loss[0]
    assert not torch.equal(rounded.weights["0.weight"], exact.weights["0.weight"])
    np.testing.assert_allclose(rounded.history.running_loss[1], exact.history.running_loss[1], rtol=0.02)
    assert {tensor.dtype for tensor in rounded.weights.values()} == {torch.float32, torch.int64}


class Allowances(nn.Module):
    """Records whether passes may round to TF32, in train mode and in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, CLASSES)
        self.seen: dict[bool, set[tuple[bool, bool]]] = {True: set(), False: set()}

    def forward(self, images: Tensor) -> Tensor:
        tf32 = torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32
        self.seen[self.training].add((tf32, torch.is_autocast_enabled("cpu")))
        logits: Tensor = self.linear(images.mean((1, 2, 3))[:, None])
        return logits


@pytest.mark.parametrize(
    ("precision", "allowed"), [("fp32", (False, False)), ("tf32", (True, False)), ("bf16", (False, True))]
)
def test_precision_is_that_of_training_passes(precision: str, allowed: tuple[bool, bool], tmp_path: Path) -> None:
    network = Allowances()
    run = a_run(epochs=2, precision=precision, sam=0.1, swa=0)
    with tensor_floats(False):
        loop.train(run, network, numbered(6), tmp_path, "x", evaluate)
    assert network.seen == {True: {allowed}, False: {(False, False)}}


# What comes back


def test_history_and_kept_epochs(tmp_path: Path) -> None:
    network, data = a_network(), a_data_set()
    initial = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trained = loop.train(a_run(epochs=5, keep=2, milestones=[2, 4]), network, data, tmp_path, "x", evaluate)
    history = trained.history
    assert history.epoch.values.tolist() == [0, 1, 2, 3, 4, 5]
    for name in ("running_loss", "learning_rate", "gradient_norm", "examples_per_second"):
        assert np.isnan(history[name].values).tolist() == [True] + 5 * [False]
    assert all("long_name" in v.attrs and "units" in v.attrs and v.dtype == np.float64 for v in history.values())
    np.testing.assert_allclose(history.learning_rate[1:], [0.05, 0.05, 0.005, 0.005, 0.0005])
    assert (np.diff(history.seconds) > 0).all()
    assert sorted(trained.epochs) == [0, 2, 4, 5]
    moved = {name for name, tensor in initial.items() if not torch.equal(tensor, trained.epochs[0][name])}
    assert moved and all("running" in name or "num_batches" in name for name in moved)  # statistics of epoch 0
    assert_same_weights(trained.epochs[5], trained.weights)
    for epoch, theta in trained.epochs.items():
        there = a_network(seed=9)
        there.load_state_dict(theta)
        assert len(found := evaluate(there, data)) == 4
        assert {name: float(history[name][epoch]) for name in found} == found
        flat = torch.cat([p.detach().double().flatten() for p in there.parameters()])
        assert float(history.weight_norm[epoch]) == pytest.approx(float(flat.norm()), rel=1e-12)
    start = a_network()
    start.load_state_dict(trained.epochs[0])
    row = history_of(start, data, evaluate)
    assert row.sizes["epoch"] == 1
    assert set(row) == set(history)
    assert row.train_loss[0] == history.train_loss[0]


def test_examples_per_second_are_those_of_the_training_passes(tmp_path: Path) -> None:
    def slow(network: nn.Module, data: DataSet) -> dict[str, float]:
        time.sleep(0.05)
        return evaluate(network, data)

    history = loop.train(a_run(epochs=3), a_network(), a_data_set(), tmp_path, "x", slow).history
    passes = 50 / history.examples_per_second[1:].values
    assert (passes > 0).all()
    assert (passes + 0.05 < np.diff(history.seconds)).all()


def test_without_a_test_split_there_are_no_test_columns(tmp_path: Path) -> None:
    trained = loop.train(a_run(epochs=1), a_network(), a_data_set(test=False), tmp_path, "x", evaluate)
    assert not [name for name in trained.history if str(name).startswith("test")]
    assert trained.epochs == {}


def test_a_run_that_diverges_is_a_result(tmp_path: Path) -> None:
    run = a_run(learning_rate=1e30, schedule="constant", clip=1.0, keep="all")
    trained = loop.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate)
    assert trained.history.sizes["epoch"] == 5
    assert not np.isfinite(trained.history.train_loss[4])
    assert math.isfinite(trained.history.train_loss[0])


def test_a_line_per_epoch_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        loop.train(a_run(epochs=3), a_network(), a_data_set(), tmp_path, "x", evaluate, "toy")
    lines = [line for line in caplog.messages if line.startswith("training toy: epoch")]
    assert len(lines) == 4
    assert "epoch 3 of 3: train_loss" in lines[3]
