"""Saddles: found to the arithmetic, with the index that theory and the dense Hessian say, and the plane that is drawn.

Of one hidden layer of tanh units the origin, with the biases of the last layer at the logarithms of the classes' shares,
is a saddle whatever the data: each unit has as many negative as positive directions, by the rank of the classes' mean images.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional

from landscape.data.datasets import DataSet
from landscape.data.examples import Examples
from landscape.errors import InputError
from landscape.hessian import saddle_search
from landscape.networks import building
from landscape.networks.mlp import mlp
from landscape.objective.objective import CLASSIFICATION
from landscape.probes import probe_of
from landscape.store.weights import Weights

CLASSES, HIDDEN = 3, 2


def data_set(images: int = 60, overlap: float = 1.0) -> DataSet:
    """Images (1, 2, 2) around the mean of their class; with noise in them that no small network can fit."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(images) % 5 % CLASSES  # 2/5, 2/5, 1/5 of them
    means = torch.tensor([[1.5, 0.0, 0.5, 0.0], [0.0, -1.0, 0.0, 0.5], [-1.0, 1.0, 0.0, -0.5]])
    drawn = means[labels] + overlap * torch.randn(images, 4, generator=generator)
    return DataSet(Examples(drawn.view(-1, 1, 2, 2), labels), None, CLASSES, torch.zeros(1), {})


def network(hidden: tuple[int, ...] = (HIDDEN,), **args: Any) -> nn.Module:
    torch.manual_seed(0)
    args = {"activation": "tanh", "linear_std": 0.05, **args}
    return mlp(hidden, in_channels=1, image_size=2, num_classes=CLASSES, **args)


def measured(built: nn.Module, dataset: DataSet, **keys: Any) -> tuple[xr.Dataset, Weights]:
    theta = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    probe = probe_of({"measure": "saddle", "points": 7, **keys})
    return probe.measured(built, theta, {}, building.filter_axes(built), dataset, CLASSIFICATION)


def vector(vectors: Weights, name: str) -> Tensor:
    return torch.cat([part.flatten() for key, part in vectors.items() if key.startswith(f"{name}/")])


def loss_of(dataset: DataSet) -> Any:
    """The loss of one hidden layer of tanh units as a function of all weights, written down a second time."""
    x, labels = dataset.train.inputs.double().reshape(-1, 4), dataset.train.targets

    def loss(flat: Tensor) -> Tensor:
        w1, b1, w2, b2 = flat.split([4 * HIDDEN, HIDDEN, CLASSES * HIDDEN, CLASSES])
        hidden = torch.tanh(x @ w1.view(HIDDEN, 4).T + b1)
        return functional.cross_entropy(hidden @ w2.view(CLASSES, HIDDEN).T + b2, labels)

    return loss


@pytest.fixture(scope="module")
def found() -> tuple[xr.Dataset, Weights]:
    return measured(network(), data_set())


def test_the_saddle_at_the_origin(found: tuple[xr.Dataset, Weights]) -> None:
    numbers, vectors = found
    last, bias = vectors["saddle/classifier.weight"], vectors["saddle/classifier.bias"]
    assert float((last - last.mean(0)).norm()) < 1e-6  # what is added to all classes alike is nothing
    shares = torch.tensor([0.4, 0.4, 0.2], dtype=torch.float64)
    torch.testing.assert_close(bias.softmax(0), shares, rtol=0, atol=1e-6)
    assert float(numbers.train_loss) == pytest.approx(-0.8 * math.log(0.4) - 0.2 * math.log(0.2), abs=1e-9)
    assert int(numbers["index"]) == HIDDEN * (CLASSES - 1)


def test_gradient_and_eigenvalues_are_those_of_the_dense_hessian(found: tuple[xr.Dataset, Weights]) -> None:
    numbers, vectors = found
    loss, theta = loss_of(data_set()), vector(vectors, "saddle")
    assert theta.dtype == torch.float64
    gradient = torch.func.grad(loss)(theta)
    assert float(gradient.norm()) <= 1e-6 and float(numbers.gradient_norm) == pytest.approx(
        float(gradient.norm()), abs=1e-12
    )
    dense = torch.func.hessian(loss)(theta)
    wanted = np.linalg.eigvalsh(dense.numpy())
    np.testing.assert_allclose(numbers.eigenvalue, wanted, rtol=1e-9, atol=1e-12)
    threshold = float(numbers.negative_threshold)
    assert threshold == pytest.approx(2**-26 * np.abs(wanted).max())
    assert int(numbers["index"]) == (wanted < -threshold).sum()
    for name, value in (("smallest-1", wanted[0]), ("largest-1", wanted[-1])):
        unit = vector(vectors, name)
        assert float(unit.norm()) == pytest.approx(1) and float(unit[unit.abs().argmax()]) > 0
        torch.testing.assert_close(dense @ unit, value * unit, rtol=0, atol=1e-9)


def test_the_plane_is_the_mountain_pass(found: tuple[xr.Dataset, Weights]) -> None:
    numbers, vectors = found
    loss, theta = loss_of(data_set()), vector(vectors, "saddle")
    smallest, largest = vector(vectors, "smallest-1"), vector(vectors, "largest-1")
    for a in numbers.alpha.values:
        for b in numbers.beta.values:
            wanted = float(loss(theta + a * smallest + b * largest))
            assert float(numbers.loss.sel(alpha=a, beta=b)) == pytest.approx(wanted, rel=1e-9)
    here, middle = float(numbers.train_loss), numbers.sizes["alpha"] // 2
    assert float(numbers.alpha[middle]) == 0 == float(numbers.beta[middle])
    along, across = numbers.loss[:, middle].values, numbers.loss[middle].values
    assert (np.delete(along, middle) < here).all() and (np.delete(across, middle) > here).all()
    step = 1e-3
    for unit, value in ((smallest, numbers.eigenvalue[0]), (largest, numbers.eigenvalue[-1])):
        second = float(loss(theta + step * unit) + loss(theta - step * unit) - 2 * loss(theta)) / step**2
        assert second == pytest.approx(float(value), rel=1e-3)


def test_the_path_comes_down(found: tuple[xr.Dataset, Weights]) -> None:
    numbers, vectors = found
    norms = numbers.gradient_norm_path.values
    start = torch.cat([p.detach().double().flatten() for p in network().parameters()])
    loss = loss_of(data_set())
    assert norms[0] == pytest.approx(float(torch.func.grad(loss)(start).norm()))
    assert float(numbers.loss_path[0]) == pytest.approx(float(loss(start)))
    assert (np.diff(norms) < 0).all() and norms[-1] == float(numbers.gradient_norm)
    assert float(numbers.distance) == pytest.approx(float((vector(vectors, "saddle") - start).norm()))
    assert float(numbers.newton_step) < 1e-6


def test_over_a_subset_with_another_activation() -> None:
    numbers, vectors = measured(network(activation="softplus"), data_set(), examples=20)
    assert int(numbers["index"]) == HIDDEN * (CLASSES - 1) and float(numbers.gradient_norm) < 1e-6
    assert set(vectors) == {
        f"{name}/{parameter}" for name in ("saddle", "smallest-1", "largest-1") for parameter in network().state_dict()
    }


def test_a_minimum_is_called_one() -> None:
    """Multinomial regression is convex."""
    numbers, _ = measured(network(hidden=()), data_set())
    assert int(numbers["index"]) == 0 and float(numbers.gradient_norm) < 1e-6
    zeros = int((numbers.eigenvalue < float(numbers.negative_threshold)).sum())
    assert zeros == 5  # what is added to all classes alike: four weights and a bias
    assert float(numbers.loss.min()) == pytest.approx(float(numbers.train_loss))


def test_where_the_gradient_only_fades_there_is_no_saddle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saddle_search, "STEPS", 40)
    separable = data_set(overlap=0.01)
    with pytest.raises(InputError, match="no saddle found: after .* norm of the weights .* begin at another epoch"):
        measured(network(hidden=()), separable, tolerance=0.01)  # which is passed on the way


@pytest.mark.parametrize(
    ("built", "message"),
    [
        (lambda: network(activation="relu"), "layers of the kind ReLU, and measure: saddle needs a loss without kinks"),
        (lambda: torch.jit.script(network()), "measure: saddle takes no torch.jit script"),
        (lambda: network(hidden=(600,)), "4,803 parameters, .* it takes at most 4,000"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_networks_that_cannot_be_searched(built: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measured(built(), data_set())


def test_a_loss_that_is_not_finite_is_refused() -> None:
    built = network()
    built.get_parameter("classifier.bias").data[0] = math.inf
    with pytest.raises(InputError, match="the loss at the state is nan"):
        measured(built, data_set())


def test_tied_weights_are_one() -> None:
    torch.manual_seed(0)
    built = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    built[3].weight = built[1].weight
    split = data_set().train
    loss = saddle_search.FlatLoss(built, built.state_dict(), split, building.filter_axes(built))

    def again(flat: Tensor) -> Tensor:
        weight, first, last = flat.split([16, 4, 4])
        hidden = torch.tanh(split.inputs.double().flatten(1) @ weight.view(4, 4).T + first)
        return functional.cross_entropy(hidden @ weight.view(4, 4).T + last, split.targets)

    assert loss.value(loss.start) == pytest.approx(float(again(loss.start)), rel=1e-12)
    expected: Any = torch.autograd.functional.hessian(again, loss.start)
    torch.testing.assert_close(loss.hessian(loss.start), expected, rtol=0, atol=1e-12)
