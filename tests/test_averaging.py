"""Stochastic weight averaging against the mean of a plain training's epochs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from landscape.training import loop

from toy_training import CLASSES, Witness, a_data_set, a_network, a_run, assert_same_weights, evaluate, numbered


def pair(work: Path, swa: int, **settings: Any) -> tuple[loop.Trained, loop.Trained]:
    """A plain training and an averaged one of five epochs, all epochs kept."""
    stated: dict[str, Any] = {"epochs": 5, "keep": "all", "schedule": "constant", **settings}
    plain, averaged = a_run(**stated), a_run(**stated, swa=swa)
    data = a_data_set()
    return (
        loop.train(plain, a_network(), data, work / "plain", "x", evaluate),
        loop.train(averaged, a_network(), data, work / "averaged", "x", evaluate),
    )


@pytest.mark.parametrize("swa", [0, 2, 4])
def test_it_ends_with_the_mean_of_later_epochs(swa: int, tmp_path: Path) -> None:
    plain, averaged = pair(tmp_path, swa)
    for name, _ in a_network().named_parameters():
        mean = np.mean([plain.epochs[epoch][name].double().numpy() for epoch in range(swa + 1, 6)], axis=0)
        np.testing.assert_array_equal(averaged.weights[name], mean.astype(np.float32))
    assert_same_weights(averaged.epochs[5], averaged.weights)


def test_the_history_before_the_end_is_that_of_the_training(tmp_path: Path) -> None:
    plain, averaged = pair(tmp_path, 2)
    for epoch in range(5):
        assert_same_weights(plain.epochs[epoch], averaged.epochs[epoch])
    timeless = ["seconds", "examples_per_second"]
    rows = [trained.history.drop_vars(timeless) for trained in (plain, averaged)]
    assert rows[0].isel(epoch=slice(5)).equals(rows[1].isel(epoch=slice(5)))
    network = a_network()
    network.load_state_dict(averaged.weights)
    last = rows[1].isel(epoch=5)
    for column, value in evaluate(network, a_data_set()).items():
        assert float(last[column]) == value
    flat = torch.cat([p.detach().double().flatten() for p in network.parameters()])
    assert float(last.weight_norm) == pytest.approx(float(flat.norm()), rel=1e-12)
    for column in ("running_loss", "gradient_norm", "learning_rate"):
        assert last[column] == rows[0][column][5], "of the steps, which are the same"


@pytest.mark.parametrize("batch_size", [50, 25])
def test_batch_norm_has_the_statistics_of_the_images_as_they_are(batch_size: int, tmp_path: Path) -> None:
    """The statistics of one batch do not depend on its order, nor does their mean over several."""
    _, averaged = pair(tmp_path, 2, batch_size=batch_size, augment=["crop", "flip"])
    weight, bias = averaged.weights["0.weight"], averaged.weights["0.bias"]
    before = nn.functional.conv2d(a_data_set().train.inputs, weight, bias, padding=1).transpose(0, 1).flatten(1)
    torch.testing.assert_close(averaged.weights["1.running_mean"], before.mean(1))
    if batch_size == 50:
        torch.testing.assert_close(averaged.weights["1.running_var"], before.var(1))
    assert averaged.weights["1.num_batches_tracked"] == 50 // batch_size


def test_without_batch_norm_there_is_no_pass(tmp_path: Path) -> None:
    network = Witness()
    loop.train(a_run(epochs=3, batch_size=4, swa=1), network, numbered(8), tmp_path, "x", evaluate)
    assert len(network.seen) == 3 * 2


def test_sorted_images_are_mixed(tmp_path: Path) -> None:
    """A batch of neighbours would lack most of their variance."""

    network = nn.Sequential(nn.BatchNorm2d(1, affine=False), nn.Flatten(), nn.Linear(4, CLASSES))
    trained = loop.train(a_run(epochs=2, batch_size=32, swa=1), network, numbered(64), tmp_path, "x", evaluate)
    whole = torch.arange(64).float().var()
    torch.testing.assert_close(trained.weights["0.running_var"], whole[None], rtol=0.3, atol=0)
