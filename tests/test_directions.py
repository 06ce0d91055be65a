"""Directions against the definition, spelt out filter by filter."""

import math

import pytest
import torch
from torch import nn

from landscape import directions, networks
from landscape.errors import InputError
from landscape.weights import cosine, norm


class Mixed(nn.Module):
    """One of each kind of tensor that has or has not filters."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.transposed = nn.ConvTranspose2d(4, 5, 2)
        self.embedding = nn.Embedding(7, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(6, 2)
        self.token = nn.Parameter(torch.ones(1, 2, 3))


@pytest.fixture
def mixed() -> tuple[dict[str, torch.Tensor], dict[str, int | None]]:
    torch.manual_seed(0)
    network = Mixed()
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}, networks.filter_axes(network)


def test_every_filter_gets_the_norm_of_the_networks_own(mixed: tuple) -> None:
    theta, axes = mixed
    pair = directions.random_pair(theta, axes, 3, "filter", line=False)
    for direction in pair.values():
        assert direction.keys() == axes.keys()
        for j in range(4):
            got, wanted = direction["convolution.weight"][j], theta["convolution.weight"][j]
            assert math.isclose(got.norm(), wanted.norm(), rel_tol=1e-6)
        for j in range(5):  # of a transposed convolution, shape (in, out, kh, kw), a filter makes one output channel
            got, wanted = direction["transposed.weight"][:, j], theta["transposed.weight"][:, j]
            assert math.isclose(got.norm(), wanted.norm(), rel_tol=1e-6)
        for j in range(7):
            assert math.isclose(
                direction["embedding.weight"][j].norm(), theta["embedding.weight"][j].norm(), rel_tol=1e-6
            )
        for name in ("convolution.bias", "norm.weight", "norm.bias", "linear.bias", "token"):
            assert not direction[name].any()


def test_so_one_is_a_perturbation_of_a_hundred_percent(mixed: tuple) -> None:
    theta, axes = mixed
    facts = directions.describe(directions.random_pair(theta, axes, 3, "filter", line=False), theta, axes)
    assert math.isclose(facts["norm_alpha"], 1, rel_tol=1e-6)
    assert math.isclose(facts["norm_beta"], 1, rel_tol=1e-6)
    assert facts["zero_filters"] == 0


def test_the_other_normalisations(mixed: tuple) -> None:
    theta, axes = mixed
    raw = directions.random_pair(theta, axes, 3, "none", line=True)["alpha"]
    layer = directions.random_pair(theta, axes, 3, "layer", line=True)["alpha"]
    model = directions.random_pair(theta, axes, 3, "model", line=True)["alpha"]
    having = [name for name, axis in axes.items() if axis is not None]
    total = math.sqrt(sum(float(theta[name].double().square().sum()) for name in having))
    drawn = math.sqrt(sum(float(raw[name].double().square().sum()) for name in having))
    for name in having:
        expected = raw[name] / raw[name].norm() * theta[name].norm()
        torch.testing.assert_close(layer[name], expected)
        torch.testing.assert_close(model[name], raw[name] * (total / drawn))


def test_a_zero_filter_gets_no_direction_and_is_counted(mixed: tuple) -> None:
    theta, axes = mixed
    theta = {name: tensor.clone() for name, tensor in theta.items()}
    theta["convolution.weight"][2] = 0
    pair = directions.random_pair(theta, axes, 3, "filter", line=False)
    assert not pair["alpha"]["convolution.weight"][2].any()
    assert pair["alpha"]["convolution.weight"][1].any()
    assert directions.describe(pair, theta, axes)["zero_filters"] == 1


def test_a_draw_depends_on_seed_axis_and_name_and_on_nothing_else() -> None:
    shallow = networks.build("resnet", {"depth": 8}, seed=0, images=(1, 8, 8), classes=10)
    deep = networks.build("resnet", {"depth": 14}, seed=5, images=(1, 8, 8), classes=10)
    draws = [
        directions.random_pair(dict(net.state_dict()), networks.filter_axes(net), 1, "none", line=False)
        for net in (shallow, deep)
    ]
    shared = [name for name in draws[0]["alpha"] if draws[1]["alpha"].get(name) is not None]
    assert len(shared) > 5
    for axis in ("alpha", "beta"):
        for name in shared:
            assert torch.equal(draws[0][axis][name], draws[1][axis][name])
    assert abs(cosine(draws[0]["alpha"], draws[0]["beta"])) < 0.05
    other = directions.random_pair(dict(shallow.state_dict()), networks.filter_axes(shallow), 2, "none", line=True)
    assert abs(cosine(other["alpha"], draws[0]["alpha"])) < 0.05


def test_towards_another_state_ends_there() -> None:
    here = networks.build("resnet", {"depth": 8}, seed=0, images=(1, 8, 8), classes=10)
    there = networks.build("resnet", {"depth": 8}, seed=1, images=(1, 8, 8), classes=10)
    there(torch.ones(4, 1, 8, 8))  # moves the running statistics
    theta, other = dict(here.state_dict()), dict(there.state_dict())
    step = directions.towards(theta, other, networks.filter_axes(here), buffers=True)["alpha"]
    assert any(name.endswith("running_var") for name in step)
    assert not any(name.endswith("num_batches_tracked") for name in step)
    for name, difference in step.items():
        torch.testing.assert_close(theta[name] + difference, other[name])
    without = directions.towards(theta, other, networks.filter_axes(here), buffers=False)["alpha"]
    assert without.keys() == dict(here.named_parameters()).keys()


def test_directions_are_borrowed_or_refused() -> None:
    small = networks.build("resnet", {"depth": 8}, seed=0, images=(1, 8, 8), classes=10)
    large = networks.build("resnet", {"depth": 14}, seed=0, images=(1, 8, 8), classes=10)
    theta, axes = dict(small.state_dict()), networks.filter_axes(small)
    pair = directions.random_pair(theta, axes, 1, "filter", line=False)
    tensors = {f"{axis}/{name}": t for axis, d in pair.items() for name, t in d.items()}
    again = directions.borrowed(tensors, theta, axes, line=False)
    assert all(torch.equal(again[axis][name], pair[axis][name]) for axis in pair for name in axes)
    assert list(directions.borrowed(tensors, theta, axes, line=True)) == ["alpha"]
    with pytest.raises(InputError):
        directions.borrowed(tensors, dict(large.state_dict()), networks.filter_axes(large), line=False)
    line = {key: t for key, t in tensors.items() if key.startswith("alpha/")}
    with pytest.raises(InputError, match="is a line"):
        directions.borrowed(line, theta, axes, line=False)
    assert norm(again["alpha"]) > 0
