"""Single steps against the papers' formulas, and the points they lead to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from landscape.data.datasets import DataSet
from landscape.data.examples import Examples
from landscape.training import loop

from toy_training import CLASSES, a_data_set, a_network, a_run, evaluate


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.0},
        {"clip": 0.3},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "adamw", "learning_rate": 0.01},
        {"optimizer": "adagrad"},
        {"sam": 0.5},
        {"sam": 2.0, "clip": 0.3},
        {"sam": 0.5, "optimizer": "adamw"},
        {"sam": 0.5, "optimizer": "adagrad", "clip": 0.3},
    ],
)
def test_steps_follow_the_textbook(settings: dict[str, Any], tmp_path: Path) -> None:
    """Softmax regression by full batches, against the update formulas in float64."""
    run = a_run(epochs=5, batch_size=50, schedule="constant", weight_decay=0.01, **settings)
    data = a_data_set()
    linear = nn.Linear(64, CLASSES, bias=False)
    network = nn.Sequential(nn.Flatten(), linear)
    theta = linear.weight.detach().double().numpy().copy()
    x, onehot = data.train.inputs.flatten(1).double().numpy(), np.eye(CLASSES)[data.train.targets.numpy()]

    def loss_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p = np.exp(x @ theta.T)
        p /= p.sum(1, keepdims=True)
        return -np.log((p * onehot).sum(1)).mean(), (p - onehot).T @ x / len(x)

    expected: dict[str, list[float]] = {"running_loss": [], "gradient_norm": [], "weight_norm": []}
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    rate = run.initial_rate
    for t in range(1, 6):
        loss, g = loss_and_gradient(theta)
        expected["running_loss"].append(loss)
        expected["gradient_norm"].append(float(np.linalg.norm(g)))
        if run.sam:
            _, g = loss_and_gradient(theta + run.sam * g / np.linalg.norm(g))
        if run.clip:
            g = g * min(1, run.clip / np.linalg.norm(g))
        if run.optimizer == "adamw":
            theta = theta - rate * 0.01 * theta
        else:
            g = g + 0.01 * theta
        if run.optimizer == "sgd":
            m = run.momentum * m + g
            theta = theta - rate * (g + run.momentum * m)
        elif run.optimizer == "adagrad":
            v = v + g**2
            theta = theta - rate * g / (np.sqrt(v) + 1e-10)
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            theta = theta - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        expected["weight_norm"].append(float(np.linalg.norm(theta)))
    trained = loop.train(run, network, data, tmp_path, "x", evaluate)
    np.testing.assert_allclose(trained.weights["1.weight"], theta, rtol=1e-4, atol=1e-6)
    for column, values in expected.items():
        np.testing.assert_allclose(trained.history[column][1:], values, rtol=1e-5, err_msg=column)


def test_the_step_up_leaves_nothing_behind(tmp_path: Path) -> None:
    """With a tiny rate, neither weights nor running statistics change."""
    plain, sharp = (
        loop.train(
            a_run(epochs=2, learning_rate=1e-20, weight_decay=0, **settings),
            a_network(),
            a_data_set(),
            tmp_path / str(len(settings)),
            "x",
            evaluate,
        )
        for settings in ({}, {"sam": 0.5})
    )
    initial = a_network().state_dict()
    for name, _ in a_network().named_parameters():
        torch.testing.assert_close(sharp.weights[name], initial[name], rtol=0, atol=1e-15)
    assert not torch.equal(sharp.weights["1.running_mean"], initial["1.running_mean"])
    for name, _ in a_network().named_buffers():
        assert torch.equal(sharp.weights[name], plain.weights[name]), name


class Ravine(nn.Module):
    """One weight theta, and the loss 1 + h theta^2 / 2."""

    def __init__(self, h: float) -> None:
        super().__init__()
        self.h = h
        self.theta = nn.Parameter(torch.tensor(0.7))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of two classes for which the cross-entropy of class 0 is the loss."""
        loss = 1 + self.h * self.theta**2 / 2
        return torch.stack([torch.zeros(()), loss.expm1().log()]).expand(len(images), 2)


@pytest.mark.parametrize("h", [1.0, 4.0])
@pytest.mark.parametrize("sam", [None, 0.5])
def test_sam_bounces_across_a_ravine(h: float, sam: float | None, tmp_path: Path) -> None:
    """With rate r, theta <- theta - r h (theta + rho sign(theta)) ends at +-r h rho / (2 - r h) (Bartlett et al. 2023).

    Plain gradient descent ends at the bottom.
    """
    data = DataSet(Examples(torch.zeros(40, 1, 2, 2), torch.zeros(40).long()), None, 2, torch.zeros(1), {})
    run = a_run(epochs=5, batch_size=1, learning_rate=0.1, momentum=0.0, weight_decay=0.0, schedule="constant", sam=sam)
    network = Ravine(h)
    loop.train(run, network, data, tmp_path, "x", evaluate)
    assert abs(network.theta.item()) == pytest.approx(0.1 * h * (sam or 0) / (2 - 0.1 * h), abs=1e-5)
