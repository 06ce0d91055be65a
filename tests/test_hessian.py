"""Products with the Hessian of the training loss, against the whole matrix by torch.func in float64."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from landscape import directions
from landscape.config.values import Parameters
from landscape.data.examples import Examples
from landscape.errors import InputError
from landscape.hessian import products as module
from landscape.hessian.products import Hessian, filter_scale, scaled
from landscape.networks import building
from landscape.objective.objective import of_loss
from landscape.store.weights import Weights, displace

from plain_networks import with_random_tensors

torch.set_num_threads(1)

POINTS = [(0.0, 0.0), (0.4, -0.3)]


def split(images: tuple[int, int, int] = (1, 4, 4), n: int = 20, classes: int = 4) -> Examples:
    drawn = torch.randn(n, *images, generator=torch.Generator().manual_seed(5))
    return Examples(drawn, torch.arange(n) % classes)


def mlp(*widths: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def vgg() -> nn.Module:
    """Convolutions with a bias, batch norm behind each and behind a linear layer, pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4, affine=False),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Linear(5, 4),
    )


def group_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.GroupNorm(2, 4),
        nn.Softplus(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 4),
    )


def resnet() -> nn.Module:
    return building.build("resnet", {"depth": 8, "width": 1}, seed=0, images=(1, 4, 4), classes=4)


NETWORKS = {"resnet": resnet, "vgg": vgg, "mlp": lambda: mlp(16, 5, 4, 4), "group norm": group_norm}


class Case:
    """A network in float64 with the plane around it, and its loss written down a second time."""

    def __init__(self, network: nn.Module, parameters: Parameters = "filters", data: Examples | None = None):
        torch.manual_seed(0)  # of layers that draw their own weights there is no other use
        self.network, self.split, self.parameters = network.double().eval(), data or split(), parameters
        self.theta: Weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        self.axes = building.filter_axes(network)
        self.pair = directions.random_pair(self.theta, self.axes, 1, "filter", line=False)

    def hessian(self, **keys: Any) -> Hessian:
        keys = {"dtype": torch.float64, "parameters": self.parameters, **keys}
        return Hessian(self.network, self.theta, self.pair, self.split, self.axes, **keys)

    def dense(self, alpha: float = 0.0, beta: float = 0.0) -> tuple[float, Tensor, Tensor]:
        """Loss, gradient (size,) and Hessian (size, size)."""
        here = displace(self.theta, self.pair["alpha"], alpha, self.pair["beta"], beta)
        names = [name for name, axis in self.axes.items() if axis is not None or self.parameters == "all"]
        sizes = [here[name].numel() for name in names]

        def loss(flat: Tensor) -> Tensor:
            chosen = {name: part.view_as(here[name]) for name, part in zip(names, flat.split(sizes), strict=True)}
            logits = functional_call(self.network, {**here, **chosen}, (self.split.inputs.double(),))
            return functional.cross_entropy(logits, self.split.targets)

        flat = torch.cat([here[name].reshape(-1) for name in names])
        return float(loss(flat)), torch.func.grad(loss)(flat), torch.func.hessian(loss)(flat)


def matrix(hessian: Hessian) -> Tensor:
    """Every column of the Hessian, by its product with a unit vector."""
    unit = torch.eye(hessian.size, dtype=hessian.dtype)
    return torch.stack([hessian.product(column) for column in unit], 1)


def close(found: Tensor, expected: Tensor, rtol: float = 1e-11) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=rtol * float(expected.abs().max()))


@pytest.fixture(autouse=True)
def _seeded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Random vectors from a seed, and pieces of the graph that are smaller than what they are pieces of."""
    monkeypatch.setattr(module, "PIXELS", 16 * 64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("parameters", ["filters", "all"])
@pytest.mark.parametrize("name", NETWORKS)
def test_loss_gradient_and_every_product_are_those_of_the_whole_matrix(name: str, parameters: Parameters) -> None:
    case = Case(with_random_tensors(NETWORKS[name]()), parameters)
    kept, anew, whole = case.hessian(), case.hessian(memory=0), case.hessian(folding=False)
    assert kept.keeps and not anew.keeps
    assert whole.folded == 0 and (kept.folded > 0) == (name in ("resnet", "vgg") and parameters == "filters")
    for point in POINTS:
        loss, gradient, expected = case.dense(*point)
        for hessian in (kept, anew, whole):
            hessian.move(*point)
            assert hessian.loss() == pytest.approx(loss, rel=1e-12)
            close(hessian.gradient(), gradient)
            for vector in torch.randn(2, hessian.size, dtype=torch.float64):
                close(hessian.product(vector), expected @ vector)


def test_single_precision_is_near() -> None:
    case = Case(with_random_tensors(resnet()))
    loss, gradient, expected = case.dense(0.1, 0.2)
    hessian = case.hessian(dtype=torch.float32)
    hessian.move(0.1, 0.2)
    vector = torch.randn(hessian.size)
    assert hessian.loss() == pytest.approx(loss, rel=1e-5)
    close(hessian.gradient().double(), gradient, 1e-4)
    close(hessian.product(vector).double(), expected @ vector.double(), 1e-4)


def test_the_graph_is_kept_where_it_fits() -> None:
    """The kept and the recomputed graph of the same point give the same bits."""
    case = Case(with_random_tensors(resnet()))
    needed = case.hessian().example_bytes * len(case.split.targets)
    kept, anew = case.hessian(memory=needed), case.hessian(memory=needed - 1)
    assert kept.keeps and not anew.keeps
    vector = torch.randn(kept.size, dtype=torch.float64)
    assert torch.equal(kept.product(vector), anew.product(vector))
    assert torch.equal(kept.gradient(), anew.gradient()) and kept.loss() == anew.loss()


def test_the_measured_memory_is_what_the_tensors_of_a_layer_take() -> None:
    """Of a linear layer and a softmax the graph keeps about its input, its output and the latter's gradient."""
    case = Case(nn.Sequential(nn.Flatten(), nn.Linear(16, 4)))
    assert 8 * 16 <= case.hessian().example_bytes <= 8 * (16 + 10 * 4)


def test_gradients_of_halves() -> None:
    case = Case(with_random_tensors(vgg()))
    hessian = case.hessian()
    hessian.move(0.3, 0.1)
    for start, found in enumerate(hessian.gradients_of_halves()):
        half = Examples(case.split.inputs[start::2], case.split.targets[start::2])
        other = Case(case.network, data=half)
        other.theta, other.pair = case.theta, case.pair
        close(found, other.dense(0.3, 0.1)[1])
    close(sum(hessian.gradients_of_halves(), torch.zeros(())) / 2, hessian.gradient())


def test_the_half_of_a_single_example_is_zero() -> None:
    case = Case(nn.Sequential(nn.Flatten(), nn.Linear(16, 4)))
    hessian = case.hessian()
    with hessian.over(case.split[:1]):
        first, second = hessian.gradients_of_halves()
        assert torch.equal(first, hessian.gradient()) and first.any() and not second.any()


def test_there_and_back_is_the_same_to_the_bit() -> None:
    case = Case(with_random_tensors(resnet()))
    hessian = case.hessian(dtype=torch.float32)
    vector = torch.randn(hessian.size)
    before = hessian.product(vector)
    hessian.move(1.0, -1.0)
    assert not torch.equal(hessian.product(vector), before)
    hessian.move(0.0, 0.0)
    assert torch.equal(hessian.product(vector), before)


def test_other_weights_become_the_centre() -> None:
    case, other = Case(with_random_tensors(resnet())), Case(resnet())
    hessian = case.hessian(folding=False)
    hessian.load(other.theta)
    _, gradient, expected = other.dense()
    vector = torch.randn(hessian.size, dtype=torch.float64)
    close(hessian.gradient(), gradient)
    close(hessian.product(vector), expected @ vector)


class Linear(nn.Module):
    """Logits (w, -w) of every image, which cross-entropy curves; `forward` of labels that are all alike does not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0, 2.0], [0.5, -1.0]]))

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([-self.weight.sum().expand(len(images)), torch.zeros(len(images)).to(self.weight)], 1)


def test_a_loss_that_is_linear_has_no_curvature() -> None:
    """The mean logit in the place of the cross-entropy: its gradient does not depend on the parameters."""

    def mean_logit(logits: Tensor, labels: Tensor) -> Tensor:
        return logits.gather(1, labels[:, None]).squeeze(1)

    case = Case(Linear(), data=Examples(torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64)))
    for memory in (0, 2**20):
        hessian = case.hessian(memory=memory, objective=of_loss(mean_logit))
        assert not hessian.product(torch.ones(4, dtype=torch.float64)).any()
        assert torch.equal(hessian.gradient(), torch.full((4,), -1.0, dtype=torch.float64))


def test_a_parameter_that_does_nothing_has_no_curvature() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    network.register_parameter("idle", nn.Parameter(torch.ones(3, 2)))
    hessian = Case(network).hessian()
    found = matrix(hessian)
    idle = hessian.unflatten(torch.arange(hessian.size))["idle"].reshape(-1)
    assert not found[idle].any() and not found[:, idle].any() and found.any()


def test_without_filters_there_is_nothing_to_take() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16))
    with pytest.raises(InputError, match="no parameter with filters; use parameters: all"):
        Case(network).hessian()
    assert Case(network, "all").hessian().names == ["1.weight", "1.bias"]


def test_vectors_and_directions() -> None:
    case = Case(resnet())
    hessian = case.hessian()
    vector = torch.randn(hessian.size, dtype=torch.float64)
    found = hessian.unflatten(vector)
    assert list(found) == hessian.names and all(found[name].shape == case.theta[name].shape for name in found)
    assert torch.equal(hessian.flatten(found), vector)
    assert torch.equal(hessian.flatten(case.pair["alpha"])[:9], case.pair["alpha"]["conv1.weight"].reshape(-1))


def twin(network: nn.Module) -> nn.Module:
    """The same function: some filters before batch norm times c, running mean times c, variance times c squared."""
    other = copy.deepcopy(network)
    tensors = other.state_dict()
    for layer, norm, row, c in (("0", "1", 1, 0.01), ("4", "5", 2, 0.05), ("4", "5", 3, 7.0), ("9", "10", 1, 3.0)):
        tensors[f"{layer}.weight"][row] *= c
        if f"{layer}.bias" in tensors:
            tensors[f"{layer}.bias"][row] *= c
        tensors[f"{norm}.running_mean"][row] *= c
        tensors[f"{norm}.running_var"][row] *= c**2
    return other


@pytest.mark.parametrize("folding", [True, False])
def test_rescaled_twins_have_one_filter_scaled_spectrum(folding: bool) -> None:
    network = with_random_tensors(vgg())
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.eps = 0.0
    raw, spectra, losses = [], [], []
    for case in (Case(network), Case(twin(network))):
        hessian = case.hessian(folding=folding)
        assert hessian.folded == (3 if folding else 0)
        columns, scale = matrix(hessian), filter_scale(case.theta, case.axes, hessian)
        raw.append(np.linalg.eigvalsh(columns.numpy()))
        within = scale[:, None] * columns * scale
        spectra.append(np.linalg.eigvalsh(within.numpy()))
        vector = torch.randn(hessian.size, dtype=torch.float64)
        close(scaled(hessian, scale)(vector), within @ vector)
        losses.append(hessian.loss())
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    np.testing.assert_allclose(spectra[0], spectra[1], atol=1e-11 * np.abs(spectra[0]).max())
    assert raw[1][-1] > 2 * raw[0][-1]


def test_the_scale_of_a_filter() -> None:
    case = Case(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 4)), "all")
    hessian = case.hessian()
    found = hessian.unflatten(filter_scale(case.theta, case.axes, hessian))
    convolution = case.theta["0.weight"]
    for j in range(2):
        expected = float((convolution[j] ** 2).mean().sqrt())
        np.testing.assert_allclose(found["0.weight"][j].numpy(), np.full((1, 3, 3), expected), rtol=1e-14)
    assert not found["0.bias"].any() and not found["2.bias"].any() and bool((found["2.weight"] > 0).all())


def test_a_loss_that_is_not_finite_gives_no_number() -> None:
    case = Case(mlp(16, 5, 4))
    case.theta["1.weight"][0, 0] = float("nan")
    hessian = case.hessian()
    assert np.isnan(hessian.loss())
    assert hessian.product(torch.ones(hessian.size, dtype=torch.float64)).isnan().any()
