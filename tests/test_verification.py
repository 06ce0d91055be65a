"""Derivatives against finite differences: every planted fault is seen, and no sound network is accused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import landscape as ls
from landscape.data.examples import Examples
from landscape.errors import InputError
from landscape.geometry.grid import Status
from landscape.hessian.products import Hessian
from landscape.hessian.verification import DerivativeErrors, Verification
from landscape.networks import building
from landscape.objective.objective import CLASSIFICATION

from faulty_layers import RIGHT, WRONG_GRADIENT, WRONG_IN_SINGLE, WRONG_SECOND, Layer

torch.set_num_threads(1)

LINE: dict[str, Any] = {"alpha": (-0.5, 0.5, 3)}


def data(n: int = 12, inputs: int = 5, seed: int = 1) -> tuple[Tensor, Tensor]:
    return torch.randn(n, inputs, generator=torch.Generator().manual_seed(seed)), torch.arange(n) % 3


def with_layer(layer: nn.Module, seed: int = 0, norm: bool = False) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        before = [nn.Linear(5, 6), nn.BatchNorm1d(6)] if norm else [nn.Linear(5, 6)]
        return nn.Sequential(*before, nn.Tanh(), layer, nn.Linear(6, 3)).eval()


def compared(network: nn.Module, x: Tensor, y: Tensor, *, seed: int = 0, **keys: Any) -> DerivativeErrors:
    theta = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    axes, split = building.filter_axes(network), Examples(x, y)
    given: Any = (network, theta, split, axes, CLASSIFICATION)
    hessian = Hessian(network, theta, {}, split, axes, CLASSIFICATION, parameters="all", **keys)
    verification = Verification(hessian, *given, parameters="all")
    assert not verification.impossible
    return verification.at(theta, seed)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("fault", [*WRONG_GRADIENT, *WRONG_SECOND, *WRONG_IN_SINGLE])
def test_a_planted_fault_is_refused(fault: str, norm: bool) -> None:
    network = with_layer({**WRONG_GRADIENT, **WRONG_SECOND, **WRONG_IN_SINGLE}[fault](), norm=norm)
    said = "gradient is off" if fault in WRONG_GRADIENT else "off"
    with pytest.raises(InputError, match=f"measure: eigenpairs is refused, since .*{said}.* of its size|their size"):
        ls.eigenpairs(network, data(), pairs=1)


@pytest.mark.parametrize("fault", WRONG_GRADIENT)
def test_gradients_refuse_a_wrong_gradient(fault: str) -> None:
    with pytest.raises(InputError, match="measure: gradients is refused, since at the centre the gradient is off"):
        ls.plane(with_layer(WRONG_GRADIENT[fault]()), data(), measure="gradients", **LINE)


@pytest.mark.parametrize("fault", WRONG_SECOND)
def test_gradients_need_no_second_derivative(fault: str) -> None:
    surface = ls.plane(with_layer(WRONG_SECOND[fault]()), data(), measure="gradients", **LINE)
    assert (surface.status == Status.computed).all() and (surface.gradient_error.max() < 1e-5)
    with pytest.raises(
        InputError, match="measure: curvature is refused, since at the centre products with the Hessian"
    ):
        ls.plane(with_layer(WRONG_SECOND[fault]()), data(), measure="curvature", **LINE)


@pytest.mark.parametrize("measure", ["trace", "spectrum", "saddle"])
@pytest.mark.parametrize("fault", ["a constant in the backward", "detach"])
def test_every_probe_refuses(measure: str, fault: str) -> None:
    network = with_layer({**WRONG_GRADIENT, **WRONG_SECOND}[fault]())
    with pytest.raises(InputError, match=f"measure: {measure} is refused"):
        getattr(ls, measure)(network, data())


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "batch norm"])
@pytest.mark.parametrize("layer", RIGHT)
def test_a_sound_layer_is_measured(layer: str, norm: bool) -> None:
    found = ls.eigenpairs(with_layer(RIGHT[layer](), norm=norm), data(), pairs=1)
    assert found.attrs["status"] == "computed"
    assert max(found.attrs["gradient_error"], found.attrs["product_error"]) < 1e-5
    assert found.attrs["precision_error"] < 1e-3 and found.attrs["symmetry_error"] < 1e-5


def test_a_loss_of_ones_own_is_compared_too() -> None:
    def right(output: Tensor, target: Tensor) -> Tensor:
        return (output.logsumexp(1) - output.gather(1, target[:, None])[:, 0]).square()

    def wrong(output: Tensor, target: Tensor) -> Tensor:
        found = right(output, target)
        return found * found.detach()

    network = with_layer(nn.Tanh())
    assert ls.eigenpairs(network, data(), pairs=1, loss=right).attrs["gradient_error"] < 1e-5
    with pytest.raises(InputError, match="the gradient is off finite differences of the loss"):
        ls.eigenpairs(network, data(), pairs=1, loss=wrong)


class Turning(nn.Module):
    """A tanh whose gradient is lost where the weight before it has moved up."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(5, 6)
        self.start = nn.Buffer(self.before.weight.detach().mean())

    def forward(self, x: Tensor) -> Tensor:
        out = self.before(x).tanh()
        return out if self.before.weight.mean() < self.start + 1e-3 else out.detach()


@pytest.mark.parametrize("measure", ["curvature", "gradients"])
def test_a_point_with_wrong_derivatives_is_marked(measure: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Turning(), nn.Linear(6, 3)).eval()
    surface = ls.plane(network, data(256), measure=measure, alpha=(-0.5, 0.5, 5), seed=1)
    wrong = surface.status == Status.wrong_derivatives
    assert wrong.any() and not wrong.all()
    assert surface.attrs["points_wrong_derivatives"] == int(wrong.sum())
    number = "eigenvalue_max" if measure == "curvature" else "gradient_norm"
    assert (
        np.isnan(surface[number].values[wrong.values]).all()
        and np.isfinite(surface[number].values[~wrong.values]).all()
    )
    assert np.isfinite(surface.train_loss).all()
    assert (surface.gradient_error.values[wrong.values] > 1e-3).all()


ACTIVATIONS = [nn.ReLU, nn.LeakyReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.GELU, nn.PReLU, nn.ELU, nn.Hardtanh]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("state", ["drawn", "zero biases", "black images", "far", "small", "fitted"])
def test_kinks_accuse_nobody(activation: type[nn.Module], state: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(len(state))
        layers = [nn.Conv2d(1, 6, 3, padding=1), activation(), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3), activation()]
        network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(24, 3)).eval()
        images, labels = torch.randn(16, 1, 8, 8), torch.arange(16) % 3
    if state in ("zero biases", "black images"):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
        images[::2] = 0.0 if state == "black images" else images[::2]
    scale = {"far": 8.0, "small": 1e-3}.get(state, 1.0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    if state == "fitted":
        optimiser = torch.optim.Adam(network.parameters(), 0.01)
        for _ in range(60):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimiser.step()
    for seed in range(2):
        assert not compared(network, images, labels, seed=seed).problem


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("below", [1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 1e-20])
def test_a_loss_near_zero_accuses_nobody(activation: type[nn.Module], below: float) -> None:
    """Float64 holds 1 - p to 16 digits of one, so that short differences of the loss may be exactly zero."""
    network = with_layer(activation())
    x, _ = data(300)
    with torch.no_grad():
        logits = network(x)
        best = logits.topk(2).values
        x = x[(best[:, 0] - best[:, 1]).topk(12).indices]
        y = logits[(best[:, 0] - best[:, 1]).topk(12).indices].argmax(1)
        while float(nn.functional.cross_entropy(network(x).double(), y)) > below:
            for parameter in network.get_submodule("3").parameters():
                parameter.mul_(1.2)
    for seed in range(3):
        assert compared(network, x, y, seed=seed).problem == ""
    assert (ls.plane(network, (x, y), measure="gradients", alpha=(0, 1e-3, 2)).status == Status.computed).all()
    if below < 1e-16:
        with pytest.raises(
            InputError, match="not symmetric, by .*; the loss is .*, so near 0 that its derivatives are rounding"
        ):
            ls.eigenpairs(network, (x, y), pairs=1)


def test_the_errors_are_those_of_a_second_computation() -> None:
    """A backward that is wrong by one per cent, of a network with one layer: the gradient is wrong by as much."""
    x, y = data()
    network = nn.Sequential(nn.Linear(5, 3), Layer(WRONG_GRADIENT["a factor of 1.01"]()._function)).eval()  # type: ignore[arg-type]
    found = compared(network, x, y)
    assert 1e-4 < found.gradient_error < 0.02 and found.product_error > 1e-3 and found.precision_error < 1e-4


def test_a_network_that_does_not_run_in_double_says_so() -> None:
    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.eye(6)  # no buffer, so it does not move to float64

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.table

    found = ls.eigenpairs(with_layer(Single()), data(), pairs=1)
    assert found.attrs["status"] == "computed" and np.isnan(found.attrs["product_error"])
    assert found.attrs["derivatives_compared"].startswith("nowhere, since the network does not run in float64: Runtime")
    with pytest.raises(InputError, match="^the network does not run in float64: RuntimeError: expected"):
        ls.eigenpairs(with_layer(Single()), data(), pairs=1, precision="fp64")


def test_a_tensor_that_is_derived_from_a_buffer_is_a_constant() -> None:
    class Standardised(nn.Module):
        scale: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.full((6,), 2.0))
            self.inverse: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            if self.inverse is None:
                self.inverse = 1 / self.scale
            return x * self.inverse

    network = with_layer(Standardised())
    for found in (
        ls.eigenpairs(network, data(), pairs=1),
        ls.plane(network, data(), measure="gradients", alpha=(0, 1, 2)),
    ):
        assert found.attrs["derivatives_compared"].startswith("at")
    ls.probe(network, data(), measure="activations")


@pytest.mark.parametrize("tied", [False, True])
def test_the_row_of_padding_is_a_constant(tied: bool) -> None:
    """Torch leaves it out of the gradient on purpose."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(7, 4, padding_idx=0)
            self.out = nn.Linear(4, 7, bias=False)
            nn.init.normal_(self.tokens.weight)
            if tied:
                self.out.weight = self.tokens.weight

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.out(self.tokens(x).tanh().mean(1))
            return found

    torch.manual_seed(0)
    found = ls.eigenpairs(Tokens(), (torch.randint(0, 3, (12, 5)), torch.arange(12) % 7), pairs=1)
    assert found.attrs["gradient_error"] < 1e-5 and found.attrs["product_error"] < 1e-5
