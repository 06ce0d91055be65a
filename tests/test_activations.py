"""The scale of activations and gradients, against forward and backward passes written down by hand."""

import json
import math
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

import landscape as ls
from landscape import directions
from landscape.data.datasets import DataSet
from landscape.data.examples import Examples
from landscape.directions import Directions
from landscape.errors import InputError
from landscape.networks import building
from landscape.objective.objective import CLASSIFICATION
from landscape.probes import probe_of
from landscape.store.weights import displace

IMAGES, CLASSES = 150, 3  # more than two batches

Network = TypeVar("Network", bound=nn.Module)


def data_set() -> DataSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(IMAGES, 1, 2, 2, generator=generator)
    return DataSet(Examples(images, torch.arange(IMAGES) % CLASSES), None, CLASSES, torch.zeros(1), {})


def drawn(network: Network) -> Network:
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data.normal_(generator=generator)
    return network


def measured(
    network: nn.Module, pair: Directions | None = None, dataset: DataSet | None = None, **keys: Any
) -> xr.Dataset:
    theta = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    axes = building.filter_axes(network)
    probe = probe_of({"measure": "activations", **keys})
    found, vectors = probe.measured(network, theta, pair or {}, axes, dataset or data_set(), CLASSIFICATION)
    assert vectors == {}
    return found


def chain() -> nn.Sequential:
    return drawn(nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, CLASSES, bias=False)))


def by_hand(theta: dict[str, Tensor], dataset: DataSet) -> dict[str, dict[str, float]]:
    """Of `chain`, in numpy and float64: per layer the outputs, the gradients by them, and those by its parameters."""
    w1, b1, w2 = (theta[name].double().numpy() for name in ("1.weight", "1.bias", "3.weight"))
    x = dataset.train.inputs.double().numpy().reshape(-1, 4)
    before = x @ w1.T + b1
    after = np.maximum(before, 0)
    logits = after @ w2.T
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    labels = dataset.train.targets.numpy()
    at_logits = p - np.eye(CLASSES)[labels]
    at_after = at_logits @ w2
    at_before = at_after * (before > 0)
    of_w1, of_b1, of_w2 = at_before.T @ x / len(x), at_before.mean(0), at_logits.T @ after / len(x)
    outputs = {"0": x, "1": before, "2": after, "3": logits}
    gradients = {"0": at_before @ w1, "1": at_before, "2": at_after, "3": at_logits}
    norms: dict[str, tuple[Any, Any]] = {
        "1": (math.hypot(np.linalg.norm(of_w1), np.linalg.norm(of_b1)), math.hypot(*map(np.linalg.norm, (w1, b1))))
    }
    norms["3"] = np.linalg.norm(of_w2), np.linalg.norm(w2)
    return {
        name: {
            "activation_mean": outputs[name].mean(),
            "activation_std": outputs[name].std(),
            "activation_zero_share": (outputs[name] == 0).mean(),
            "gradient_norm": np.linalg.norm(gradients[name], axis=1).mean(),
            "weight_gradient_norm": norms.get(name, (math.nan,))[0],
            "weight_norm": norms.get(name, (math.nan, math.nan))[1],
        }
        for name in outputs
    } | {"": {"train_loss": -np.log(p[np.arange(len(x)), labels]).mean()}}


def assert_is(found: xr.Dataset, wanted: dict[str, dict[str, float]]) -> None:
    assert list(found.layer.values) == [name for name in wanted if name]
    for name, numbers in wanted.items():
        for key, value in numbers.items():
            here = float(found[key].sel(layer=name) if name else found[key])
            assert here == pytest.approx(value, rel=1e-4, abs=1e-6, nan_ok=True), (name, key)


def test_a_chain_of_layers() -> None:
    network, dataset = chain(), data_set()
    network.train()
    found = measured(network)
    assert_is(found, by_hand(network.state_dict(), dataset))
    assert list(found["depth"]) == [0, 1, 2, 3]
    assert 0.1 < float(found.activation_zero_share.sel(layer="2")) < 0.9
    assert found.attrs == {"skipped": "{}", "partly": "{}", "status": "computed"}
    assert network.training and not any(module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_at_a_point_of_a_plane_over_a_subset() -> None:
    network, dataset = chain(), data_set()
    theta = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pair = directions.random_pair(theta, building.filter_axes(network), 1, "filter", line=False)
    found = measured(network, pair, plane="contour", alpha=0.5, beta=-1.5)
    there = displace(theta, pair["alpha"], 0.5, pair["beta"], -1.5)
    assert_is(found, by_hand(there, dataset))
    few = Examples(dataset.train.inputs[:6], dataset.train.targets[:6])
    doubled = Examples(few.inputs.repeat(2, 1, 1, 1), few.targets.repeat(2))
    assert_is(
        measured(network, dataset=DataSet(doubled, None, CLASSES, torch.zeros(1), {})),
        by_hand(theta, DataSet(few, None, CLASSES, torch.zeros(1), {})),
    )
    assert float(measured(network, examples=9).train_loss) != float(measured(network).train_loss)


class Twice(nn.Module):
    """One layer called twice, another that gives out a tuple, one with a row per example behind, and one never called."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, CLASSES)
        self.again = nn.Linear(4, 4)
        self.lstm = nn.LSTM(4, 4, batch_first=True)
        self.turned = Turned()
        self.never = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.again(x.flatten(1)))
        turned: Tensor = self.turned(x)
        return self.last(self.lstm(x[:, None])[0][:, 0] + turned.T)


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.T


def test_layers_called_twice_and_layers_left_out() -> None:
    network = drawn(Twice())
    found = measured(network)
    assert list(found.layer.values) == ["again", "turned", "lstm", "last"] and list(found["depth"]) == [0, 1, 2, 3]
    assert json.loads(found.attrs["skipped"]) == {"never": "is not used"}
    assert json.loads(found.attrs["partly"]) == {"lstm": "the first of 3 tensors"}
    split = data_set().train
    first = network.again(split.inputs.flatten(1))
    second = network.again(first)
    turned = network.lstm(second[:, None])[0][:, 0] + second
    loss = nn.functional.cross_entropy(network.last(turned), split.targets, reduction="sum")
    at_first, at_second = torch.autograd.grad(loss, [first, second], retain_graph=True)
    own = torch.autograd.grad(loss / IMAGES, list(network.again.parameters()), retain_graph=True)
    both = torch.cat([first, second], 1)
    wanted = {
        "activation_mean": both.mean(),
        "activation_std": both.std(correction=0),
        "gradient_norm": torch.cat([at_first, at_second], 1).norm(dim=1).mean(),
        "weight_gradient_norm": torch.cat([g.flatten() for g in own]).norm(),
    }
    for key, value in wanted.items():
        assert float(found[key].sel(layer="again")) == pytest.approx(float(value.detach()), rel=1e-4), key
    of_turned = found.gradient_norm.sel(layer="turned")
    (at_turned,) = torch.autograd.grad(loss, turned, retain_graph=True)  # the addition's own gradient
    assert float(of_turned) == pytest.approx(float(at_turned.norm(dim=1).mean()), rel=1e-4)


def test_convolutions_with_batch_norm_and_layers_in_place() -> None:
    """Against gradients by autograd of a network cut open, in eval mode."""
    first = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3))
    network = drawn(nn.Sequential(*first, nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(12, CLASSES)))
    found = measured(network)
    split = data_set().train
    network.eval()
    conv = network[0](split.inputs)
    norm = network[1](conv)
    loss = nn.functional.cross_entropy(network[4](norm.clamp(min=0).flatten(1)), split.targets, reduction="sum")
    for name, output in (("0", conv), ("1", norm)):
        (gradient,) = torch.autograd.grad(loss, output, retain_graph=True)
        numbers = found.sel(layer=name)
        assert float(numbers.activation_std) == pytest.approx(float(output.detach().std(correction=0)), rel=1e-4)
        assert float(numbers.gradient_norm) == pytest.approx(float(gradient.flatten(1).norm(dim=1).mean()), rel=1e-4)
    assert float(found.activation_zero_share.sel(layer="1")) == 0
    assert float(found.activation_zero_share.sel(layer="2")) == pytest.approx(float((norm <= 0).double().mean()))


def test_a_loss_that_is_not_finite_is_said() -> None:
    network = chain()
    network.get_parameter("1.bias").data[0] = math.inf
    found = measured(network)
    assert found.attrs["status"] == "non_finite: the loss at this point is nan"
    assert math.isnan(float(found.train_loss)) and np.isnan(found.gradient_norm.sel(layer="3"))


def test_without_a_layer_that_can_be_seen() -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, CLASSES))

    def objective(network: nn.Module, batch: Any) -> Tensor:
        return nn.functional.cross_entropy(batch[0].flatten(1) @ network.weight, batch[1], reduction="none")

    with pytest.raises(InputError, match="no layer of the network is called"):
        ls.probe(Whole(), data_set(), measure="activations", objective=objective)
