"""A folded network computes what the whole one computes, at the centre and along directions."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from landscape import directions
from landscape.engine.folding import fold
from landscape.networks import building
from landscape.store.weights import displace

from random_networks import Random, block


def settled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Convert a network to float64, with statistics and batch-norm parameters away from their initial values."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.double().state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(drawn + 0.5 if name.endswith(("var", "weight")) else drawn - 0.5)
    return network.eval()


def assert_folds(network: nn.Module, images: Tensor, pairs: int | None = None) -> None:
    theta = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = fold(network, images)
    assert folded is not None
    assert pairs is None or len(folded.pairs) == pairs
    axes = building.filter_axes(network)
    pair = directions.random_pair(theta, axes, 1, "filter", line=False)
    assert all(folded.leaves_norms_alone(direction) for direction in pair.values())
    d1, d2 = (folded.direction(direction, theta) for direction in pair.values())
    for a, b in ((0.0, 0.0), (0.7, -0.4), (-3.0, 1.0)):
        whole = copy.deepcopy(network)
        whole.load_state_dict(displace(theta, pair["alpha"], a, pair["beta"], b))
        folded.network.load_state_dict(displace(folded.centre(theta), d1, a, d2, b))
        with torch.no_grad():
            torch.testing.assert_close(folded.network(images), whole(images), rtol=1e-9, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(blocks=st.lists(block, min_size=1, max_size=4))
def test_random_networks(blocks: list[dict[str, Any]]) -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    ready = sum(b["norm"] in ("affine", "plain") and not b["first"] for b in blocks)
    assert_folds(settled(Random(blocks)), images, None if any(b["first"] for b in blocks) else ready + 1)


@pytest.mark.parametrize(
    ("name", "args", "pairs"),
    [
        ("resnet", {"depth": 14, "width": 4}, 15),
        ("resnet", {"depth": 14, "width": 4, "shortcut": False}, 13),
        ("vgg", {"features": [4, "M", 6, "M"], "hidden": 5}, 3),
    ],
)
def test_our_own_networks_fold_whole(name: str, args: dict[str, Any], pairs: int) -> None:
    network = building.build(name, args, seed=0, images=(1, 8, 8), classes=10)
    assert_folds(settled(network), torch.randn(2, 1, 8, 8, dtype=torch.float64), pairs)


class Shared(nn.Module):
    """Has pairs that must not fold: a layer called twice, an output read twice, a norm called twice."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.a, self.b = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "layer twice":
            y = self.norm(self.a(self.a(x)))
        elif self.kind == "norm twice":
            y = self.norm(self.b(self.norm(self.a(x))))
        elif self.kind == "output twice":
            z = self.a(x)
            y = z + self.norm(z)
        else:
            y = self.norm(self.a(self.b(x)))
        return y.flatten(1)


@pytest.mark.parametrize("kind", ["layer twice", "norm twice", "output twice"])
def test_what_is_shared_stays(kind: str) -> None:
    assert_folds(settled(Shared(kind)), torch.randn(2, 4, 3, 3, dtype=torch.float64), 0)


def test_tied_weights_are_left_alone() -> None:
    network = Shared("plain")
    assert fold(network.eval(), torch.randn(2, 4, 3, 3)) is not None
    network.b.weight = network.a.weight
    assert fold(network, torch.randn(2, 4, 3, 3)) is None


class Moody(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)[:, :4]
        if x.sum() > 0:
            x = 2 * x
        out: Tensor = self.linear(x)
        return out


def test_what_cannot_be_traced_is_not_folded() -> None:
    assert fold(Moody(), torch.randn(2, 4, 3, 3)) is None


def test_a_trace_that_computes_something_else_is_not_used() -> None:
    class Fixed(nn.Module):
        """Its trace keeps what Python decided while tracing."""

        def __init__(self) -> None:
            super().__init__()
            self.linear, self.calls = nn.Linear(4, 3), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            out: Tensor = self.linear(x.flatten(1)[:, :4]) * self.calls
            return out

    assert fold(Fixed(), torch.randn(2, 4, 3, 3)) is None


def test_a_direction_that_moves_a_norm_is_told() -> None:
    network = building.build("resnet", {"depth": 8, "width": 4}, seed=0, images=(1, 8, 8), classes=10)
    folded = fold(network, torch.randn(2, 1, 8, 8))
    assert folded is not None
    zero = {name: torch.zeros_like(tensor) for name, tensor in network.named_parameters()}
    assert folded.leaves_norms_alone(zero)
    assert not folded.leaves_norms_alone(zero | {"bn1.weight": torch.ones(4)})
    assert not folded.leaves_norms_alone(zero | {"bn1.running_var": torch.ones(4)})
