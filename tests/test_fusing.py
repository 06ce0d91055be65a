"""Convolutions, sums and ReLUs as one kernel, in two forms with the same bits unless something overflows."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from landscape.engine.fusing import Fused, fuse
from landscape.networks import building

from random_networks import Random, block

torch.set_num_threads(1)


def fused(network: nn.Module, images: Tensor) -> Fused:
    made = fuse(fx.symbolic_trace(network.eval()), images)
    assert made is not None
    return made


def relus(network: nn.Module) -> int:
    """Number of separate ReLUs in a traced network."""
    called = {"relu", "relu_"}
    return sum(
        getattr(node.target, "__name__", node.target) in called
        or (node.op == "call_module" and "relu" in type(network.get_submodule(str(node.target))).__name__.lower())
        for node in fx.symbolic_trace(network).graph.nodes
        if node.op.startswith("call")
    )


@torch.no_grad()
def before_relus(network: nn.Module, images: Tensor) -> float:
    """Largest absolute input of a ReLU."""
    seen = [0.0]
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(float(inputs[0].abs().max())))
    network(images)
    return max(seen)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(i, 4, 3, padding=1) for i in (3, 4, 4))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.a(x))
        x = self.relu(self.c(self.relu(self.b(x))) + x)
        return x.mean((2, 3))


def a_residual() -> tuple[Residual, Tensor]:
    torch.manual_seed(0)
    return Residual(), torch.randn(3, 3, 9, 9)


def test_the_relus_of_a_residual_network_are_all_in_the_convolutions() -> None:
    network, images = a_residual()
    made = fused(network, images)
    assert (relus(network), relus(made.apart), relus(made.together)) == (3, 3, 0)


@settings(max_examples=30, deadline=None)
@given(blocks=st.lists(block, min_size=1, max_size=4))
def test_both_forms_give_the_same_bits(blocks: list[dict[str, Any]]) -> None:
    torch.manual_seed(0)
    network, images = Random(blocks).eval(), torch.randn(6, 4, 7, 7)
    if (made := fuse(fx.symbolic_trace(network), images)) is not None:
        assert torch.equal(made.apart(images), made.together(images))
        assert relus(made.together) <= relus(made.apart)


@pytest.mark.parametrize(
    ("name", "args"), [("resnet", {"depth": 20}), ("vgg", {"features": [8, "M", 16, "M"], "hidden": 8})]
)
def test_networks_of_the_house_give_the_same_bits(name: str, args: dict[str, Any]) -> None:
    network = building.build(name, args, seed=0, images=(3, 32, 32), classes=10)
    images = torch.randn(5, 3, 32, 32)
    made = fused(network, images)
    with torch.inference_mode():
        assert torch.equal(made.apart(images), made.together(images))


class ReadBefore(nn.Module):
    """Another operation reads a tensor before a ReLU writes into it."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        y = 2 * x
        return (torch.relu_(x) + y).mean((2, 3))


def test_a_convolution_that_others_read_keeps_its_relu_apart() -> None:
    torch.manual_seed(0)
    made = fused(ReadBefore(), torch.randn(3, 3, 9, 9))
    assert (relus(made.apart), relus(made.together)) == (1, 1)


def in_place(network: nn.Module) -> int:
    """Number of convolutions that write into the tensor they add to."""
    target = torch.ops.mkldnn._convolution_pointwise_.binary
    return sum(node.target is target for node in fx.symbolic_trace(network).graph.nodes)


def test_a_convolution_adds_to_what_is_read_no_later_in_place() -> None:
    made = fused(*a_residual())
    assert (in_place(made.apart), in_place(made.together)) == (1, 1)


class Reader(Residual):
    """Another operation reads the tensor that a convolution is added to."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self.who = who

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x) + 1.0  # no ReLU, which would write
        view = x[:, :1] if self.who == "a view" else 1.0
        y = (self.b(x) if self.who == "the convolution itself" else self.c(self.b(x))) + x
        return (y * (x if self.who == "a later operation" else view)).mean((2, 3))


@pytest.mark.parametrize(
    ("who", "found"), [("the convolution itself", 0), ("a later operation", 0), ("a view", 0), ("nobody", 1)]
)
def test_what_somebody_still_reads_is_not_written_into(who: str, found: int) -> None:
    torch.manual_seed(0)
    network, images = Reader(who).eval(), torch.randn(3, 3, 9, 9)
    made = fused(network, images)
    with torch.inference_mode():
        expected = network(images)
        for form in (made.apart, made.together):
            torch.testing.assert_close(form(images), expected, rtol=1e-5, atol=1e-6)
    assert in_place(made.apart) == in_place(made.together) == found


def test_they_move_together() -> None:
    network, images = a_residual()
    made = fused(network, images)
    before = made.together(images)
    for _, parameter in made.apart.named_parameters():
        parameter.data = 1.5 * parameter.data
    with torch.no_grad():
        assert torch.equal(made.apart(images), made.together(images)) and not torch.equal(before, made.apart(images))


def test_what_goes_into_the_relus_is_seen_while_it_is_watched() -> None:
    network, images = a_residual()
    made = fused(network, images)
    with torch.no_grad():
        made.apart(100 * images)
        with made.relu.watched():
            made.apart(images)
        made.apart(100 * images)
    assert float(made.relu.highest) == pytest.approx(before_relus(network, images), rel=1e-5)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_what_is_not_finite_is_seen(value: float) -> None:
    network, images = a_residual()
    made = fused(network, images)
    images[0, 0, 4, 4] = value
    with torch.no_grad(), made.relu.watched():
        made.apart(images)
    assert not float(made.relu.highest) < 1e30


def test_in_the_convolutions_relus_lose_nan() -> None:
    """So ReLUs are fused only far from overflow."""
    network, images = a_residual()
    made = fused(network, images)
    images[0, 0, 4, 4] = float("nan")
    with torch.no_grad():
        assert made.apart(images)[0].isnan().all() and made.together(images).isfinite().all()
