"""A twin computes the same, with other raw curves and, up to rounding, the same filter-normalised curves."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from test_folding import settled
from torch import Tensor, nn
from torch.nn import functional

from landscape import directions
from landscape.errors import InputError
from landscape.networks import building
from landscape.store.weights import Weights, displace
from landscape.training.rescaling import Joined, twin

IMAGES = torch.randn(24, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(24) % 10


def built(name: str, args: dict[str, Any]) -> tuple[nn.Module, Weights]:
    network = settled(building.build(name, args, seed=0, images=(1, 8, 8), classes=10))
    return network, {key: tensor.clone() for key, tensor in network.state_dict().items()}


@torch.no_grad()
def logits(network: nn.Module, theta: Weights) -> Tensor:
    network = copy.deepcopy(network)
    network.load_state_dict(theta)
    found: Tensor = network(IMAGES)
    return found


def curve(network: nn.Module, theta: Weights, normalize: Any) -> np.ndarray:
    """The loss along one direction, with the draw that `theta` and its twin share."""
    pair = directions.random_pair(theta, building.filter_axes(network), 3, normalize, line=True)
    points = [displace(theta, pair["alpha"], a) for a in np.linspace(-0.5, 0.5, 5)]
    return np.array([float(functional.cross_entropy(logits(network, point), LABELS)) for point in points])


NETWORKS = [
    ("resnet", {"depth": 8, "width": 4}),
    ("vgg", {"features": [4, "M", 6, "M"], "hidden": 5}),
    ("resnet", {"depth": 8, "width": 4, "norm": "none"}),
    ("mlp", {"hidden": [9, 7]}),
]


@pytest.mark.parametrize(("name", "args"), NETWORKS)
def test_the_same_function_twice(name: str, args: dict[str, Any]) -> None:
    network, theta = built(name, args)
    other = twin(network, theta, 10.0, IMAGES[:4]).weights
    torch.testing.assert_close(logits(network, other), logits(network, theta), rtol=1e-9, atol=1e-9)
    assert np.abs(curve(network, other, "none") / curve(network, theta, "none") - 1).max() > 0.05
    np.testing.assert_allclose(curve(network, other, "filter"), curve(network, theta, "filter"), rtol=1e-8)


def test_which_layers_are_rescaled_and_what_makes_up_for_it() -> None:
    network, theta = built("vgg", {"features": [4, "M", 6, "M"], "hidden": 5})
    found = twin(network, theta, 10.0, IMAGES[:4])
    assert len(found.normed) == 3 and not found.joined
    pair = found.normed[0]
    for tensor in (f"{pair.layer}.weight", f"{pair.layer}.bias", f"{pair.norm}.running_mean"):
        torch.testing.assert_close(found.weights[tensor], 10 * theta[tensor])
    variance = f"{pair.norm}.running_var"
    torch.testing.assert_close(found.weights[variance] + pair.eps, 100 * (theta[variance] + pair.eps))
    changed = {name for name, tensor in theta.items() if not torch.equal(tensor, found.weights[name])}
    assert {name.rpartition(".")[0] for name in changed} == {name for p in found.normed for name in (p.layer, p.norm)}

    network, theta = built("mlp", {"hidden": [9, 7]})
    found = twin(network, theta, 10.0, IMAGES[:4])
    first, second, _ = (name.rpartition(".")[0] for name in theta if name.endswith("weight"))
    assert found.joined == (Joined(first, second),)  # of three layers two are a pair, and the third has no other
    torch.testing.assert_close(found.weights[f"{first}.weight"], 10 * theta[f"{first}.weight"])
    torch.testing.assert_close(found.weights[f"{first}.bias"], 10 * theta[f"{first}.bias"])
    torch.testing.assert_close(found.weights[f"{second}.weight"], theta[f"{second}.weight"] / 10)
    torch.testing.assert_close(found.weights[f"{second}.bias"], theta[f"{second}.bias"])


def test_a_network_without_such_layers_says_so() -> None:
    for name, args in (
        ("mlp", {"hidden": [9], "activation": "tanh"}),
        ("resnet", {"depth": 8, "width": 4, "norm": "group"}),
    ):
        with pytest.raises(InputError, match="it has no layer that batch norm alone reads"):
            twin(*built(name, args), 10.0, IMAGES[:4])


class Peeking(nn.Module):
    """Uses a layer's weight outside the layer."""

    def __init__(self, straight: bool):
        super().__init__()
        self.straight = straight
        self.a, self.b = nn.Linear(64, 5), nn.Linear(5, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.b(self.a(x.flatten(1)).relu())
        return out if self.straight else out + self.a.weight.norm()


def test_a_weight_that_is_read_elsewhere_stays() -> None:
    for straight in (True, False):
        network = Peeking(straight).double()
        theta = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        if straight:
            assert twin(network, theta, 10.0, IMAGES[:4]).joined == (Joined("a", "b"),)
        else:
            with pytest.raises(InputError, match="it has no layer"):
                twin(network, theta, 10.0, IMAGES[:4])
