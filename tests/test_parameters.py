"""Planes and Hessians over chosen parameters, against a plain loop and a dense Hessian in float64."""

import copy
import json
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.func import functional_call

import landscape as ls
from landscape.config.values import Parameters
from landscape.errors import InputError
from landscape.experiment import reading
from landscape.figures.shared import words

N = 23


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = nn.Sequential()
    network.add_module("body", nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten()))
    network.add_module("classifier", nn.Linear(12, 3))
    network(draw(40, 1, 4, 4, seed=seed))  # statistics other than 0 and 1
    return network.eval()


DATA = draw(N, 1, 4, 4), torch.randint(0, 3, (N,), generator=torch.Generator().manual_seed(1))


def loss_at(network: nn.Module, weights: dict[str, Tensor]) -> Tensor:
    network = copy.deepcopy(network).double()
    return nn.functional.cross_entropy(functional_call(network, weights, DATA[0].double()), DATA[1])


def in_double(network: nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().double() if v.is_floating_point() else v for k, v in network.state_dict().items()}


@pytest.mark.parametrize("pattern", ["classifier", r"^body\.\d", "weight$"])
@pytest.mark.parametrize("normalize", ["filter", "model"])
def test_a_plane_moves_the_chosen_parameters_alone(pattern: str, normalize: str) -> None:
    network = net()
    keys: dict[str, Any] = {"seed": 3, "parameters": pattern, "normalize": normalize}
    surface = ls.plane(network, DATA, alpha=(-1, 1, 3), beta=(-1, 1, 3), **keys)
    pair = ls.basis(network, **keys)
    moved = {name for d in pair.values() for name, step in d.items() if step.any()}
    whole = {name for d in ls.basis(network, seed=3).values() for name, step in d.items() if step.any()}
    wanted = {"classifier": {"classifier.weight"}, "weight$": whole}.get(pattern, {"body.0.weight"})
    assert moved == wanted and set(pair["alpha"]) == {name for name, _ in network.named_parameters()}
    theta = in_double(network)
    for a in range(3):
        for b in range(3):
            alpha, beta = float(surface.alpha[a]), float(surface.beta[b])
            point = theta | {k: theta[k] + alpha * pair["alpha"][k] + beta * pair["beta"][k] for k in pair["alpha"]}
            assert float(surface.train_loss[a, b]) == pytest.approx(float(loss_at(network, point)), rel=2e-5)


def test_a_draw_of_some_parameters_is_that_of_all() -> None:
    """Every tensor has its own draw, so the part and the whole can be compared."""
    network = net()
    some, whole = ls.basis(network, seed=3, parameters="classifier"), ls.basis(network, seed=3)
    assert torch.equal(some["beta"]["classifier.weight"], whole["beta"]["classifier.weight"])


def test_the_way_to_another_network_goes_the_chosen_part() -> None:
    here, there = net(), net(5)
    line = ls.line(here, DATA, to=there, parameters="^body", alpha=(0, 1, 2))
    mixed = in_double(here) | {k: v for k, v in in_double(there).items() if k.startswith("body")}
    assert float(line.train_loss[1, 0]) == pytest.approx(float(loss_at(here, mixed)), rel=2e-5)
    pair = ls.basis(here, through=[there, net(6)], parameters="classifier")
    alpha, beta = (torch.cat([step.flatten().double() for step in d.values()]) for d in pair.values())
    assert abs(float(alpha @ beta)) < 1e-6 * float(alpha @ alpha)
    assert not any(k.startswith("body") and step.any() for d in pair.values() for k, step in d.items())


@pytest.mark.parametrize("pattern", ["classifier", r"body\.1|bias$", "filters", "all"])
def test_eigenvalues_are_those_of_the_dense_hessian_over_them(pattern: str) -> None:
    network = net()
    found = ls.eigenpairs(network, DATA, parameters=pattern, pairs=1, precision="fp64")
    named = [name for name, _ in network.named_parameters()]
    filters = ["body.0.weight", "classifier.weight"]
    wanted = {
        "classifier": ["classifier.weight", "classifier.bias"],
        "filters": filters,
        "all": named,
    }.get(pattern, ["body.0.bias", "body.1.weight", "body.1.bias", "classifier.bias"])
    theta = in_double(network)
    sizes, shapes = [theta[k].numel() for k in wanted], [theta[k].shape for k in wanted]

    def of(vector: Tensor) -> Tensor:
        parts = zip(wanted, vector.split(sizes), shapes, strict=True)
        return loss_at(network, theta | {k: part.view(shape) for k, part, shape in parts})

    dense = torch.autograd.functional.hessian(of, torch.cat([theta[k].flatten() for k in wanted]))
    values = torch.linalg.eigvalsh((dense + dense.T) / 2)
    scale = float(values.abs().max())
    assert float(found.eigenvalue_largest[0]) == pytest.approx(float(values[-1]), abs=0.01 * scale)
    assert float(found.eigenvalue_smallest[0]) == pytest.approx(float(values[0]), abs=0.01 * scale)


def test_curvature_of_a_plane_is_over_them_too() -> None:
    network = net()
    keys: dict[str, Any] = {"parameters": "classifier", "alpha": (0, 0, 1), "precision": "fp64"}
    surface = ls.plane(network, DATA, measure="curvature", **keys)
    found = ls.eigenpairs(network, DATA, parameters="classifier", pairs=1, precision="fp64")
    assert float(surface.eigenvalue_max[0, 0]) == pytest.approx(float(found.eigenvalue_largest[0]), rel=0.01)
    assert json.loads(surface.attrs["spec"])["parameters"] == "classifier"


def test_what_finds_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"parameters: head is found in no parameter's name; there are body.0.weight"):
        ls.plane(net(), DATA, parameters="head")
    with pytest.raises(InputError, match="parameters: head is found in no parameter's name"):
        ls.eigenpairs(net(), DATA, parameters="head")
    with pytest.raises(InputError, match="alpha has length zero: there is no parameter with filters among those that"):
        ls.plane(net(), DATA, parameters="bias$")
    with pytest.raises(
        InputError,
        match="a plane that is not of gradients or curvature, without a regular expression, takes no parameters",
    ):
        ls.plane(net(), DATA, parameters="all")
    with pytest.raises(ValidationError, match="no regular expression: missing"):
        TypeAdapter(Parameters).validate_python("(")


def test_a_direction_of_length_zero_is_refused() -> None:
    network = net()
    with pytest.raises(InputError, match="alpha has length zero: the other state has the parameters of the centre"):
        ls.line(network, DATA, to=copy.deepcopy(network), batchnorm="stored")
    scales = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16))
    for normalize in ("filter", "layer", "model", "none"):
        with pytest.raises(InputError, match="there is no parameter with filters .*biases, norm layers"):
            ls.basis(scales, normalize=normalize)
    dead = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    nn.init.zeros_(dead.get_parameter("1.weight"))
    for normalize in ("filter", "model"):
        with pytest.raises(InputError, match="all filters are zero"):
            ls.plane(dead, DATA, normalize=normalize)


def test_specifications_name_an_expression_alone() -> None:
    planes = {
        "plain": {"seed": 1},
        "some": {"seed": 1, "parameters": "classifier"},
        "slope": {"seed": 1, "measure": "gradients", "parameters": "all"},
        "slope-some": {"seed": 1, "measure": "gradients", "parameters": "classifier"},
    }
    read = reading.resolve(
        {
            "data": {"digits": {"source": "digits"}},
            "runs": {"one": {"network": "resnet20", "data": "digits"}},
            "planes": planes,
        }
    ).planes
    stated = {name: plane.drawn().model_dump(exclude_defaults=True) for name, plane in read.items()}
    assert stated["plain"] == stated["slope"] == {"seed": 1, "line": True}
    assert stated["some"] == stated["slope-some"] == {"seed": 1, "line": True, "parameters": "classifier"}


def test_captions_say_what_moves() -> None:
    surface = ls.line(net(), DATA, alpha=(0, 1, 2), parameters="body")
    said = words.directions_made(surface, [0])
    assert said.endswith("They move the parameters in whose name body is found; the others stay.")
