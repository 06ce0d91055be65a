"""The fully connected network: what it computes, its parameters, initial weights, work, and its place in a configuration."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from landscape.errors import InputError
from landscape.experiment import reading
from landscape.networks.operations import operations
from landscape.training.run_section import Run

from plain_networks import DIGITS, build, with_random_tensors

ACTIVATIONS = {
    "relu": lambda x: x.clamp(min=0),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "softplus": lambda x: x.exp().log1p(),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [[], [5], [7, 4]])
@pytest.mark.parametrize("images", [DIGITS, (3, 4, 4)])
def test_a_second_implementation_agrees(hidden: list[int], activation: str, images: tuple[int, int, int]) -> None:
    network = with_random_tensors(build("mlp", images, hidden=hidden, activation=activation))
    x = torch.randn(6, *images, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    pairs = list(zip(*[iter(network.state_dict().values())] * 2, strict=True))
    wanted: Tensor = x.reshape(6, -1) / 10
    for k, (weight, bias) in enumerate(pairs):
        wanted = wanted @ weight.T + bias
        wanted = ACTIVATIONS[activation](wanted) if k < len(pairs) - 1 else wanted
    torch.testing.assert_close(network(x / 10), wanted, rtol=1e-9, atol=1e-9)
    assert wanted.shape == (6, 10) and float(wanted.detach().std()) > 0.1


@pytest.mark.parametrize(
    ("hidden", "parameters", "with_filters"),
    [
        ([16, 16], 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10, 64 * 16 + 16 * 16 + 16 * 10),
        ([], 650, 640),
        ([8], 610, 592),
    ],
)
def test_numbers_of_parameters(hidden: list[int], parameters: int, with_filters: int) -> None:
    network = build("mlp", DIGITS, device="meta", hidden=hidden)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert sum(p.numel() for p in network.parameters() if p.ndim > 1) == with_filters


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2**0.5), ("tanh", 1.0), ("softplus", 2**0.5)])
def test_initial_weights(activation: str, gain: float) -> None:
    of_kind = build("mlp", DIGITS, hidden=[400, 400], activation=activation)
    small = build("mlp", DIGITS, hidden=[400, 400], activation=activation, linear_std=0.05)
    wanted = [gain / 64**0.5, gain / 400**0.5, 1 / 400**0.5]
    for network, stds in ((of_kind, wanted), (small, [0.05] * 3)):
        linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        for layer, std in zip(linear, stds, strict=True):
            assert float(layer.weight.detach().std()) == pytest.approx(std, rel=0.05)
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"hidden": [0]}, r"mlp's hidden is \[0\]; it must be a list of whole numbers of at least 1"),
        ({"hidden": 16}, "mlp's hidden is 16"),
        ({"hidden": ["a"]}, "mlp's hidden is"),
        ({"hidden": [8], "activation": "gelu"}, "mlp's activation is 'gelu'; it must be relu, tanh, softplus"),
        ({"hidden": [8], "linear_std": -1}, "mlp's linear_std is -1"),
        ({}, "missing a required argument: 'hidden'"),
    ],
)
def test_wrong_arguments(args: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build("mlp", DIGITS, **args)


@pytest.mark.parametrize(("hidden", "shape"), [([16, 16], DIGITS), ([], DIGITS), ([9], (3, 7, 7))])
def test_work_is_torchs_count(hidden: list[int], shape: tuple[int, int, int]) -> None:
    network = build("mlp", shape, device="meta", hidden=hidden)
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *shape, device="meta"))
    assert operations("mlp", {"hidden": hidden}, shape, 10) == counter.get_total_flops()


def test_a_configuration_names_it() -> None:
    def resolved(**args: Any) -> Run:
        run = {"network": "mlp", "args": args, "data": "digits", "epochs": 1}
        return reading.resolve({"data": {"digits": {"source": "digits"}}, "runs": {"small": run}}).runs["small"]

    read = resolved(hidden=[16, 16], activation="tanh")
    built = build(read.network, DIGITS, **read.args)
    assert [p.shape[0] for p in built.parameters()] == [16, 16, 16, 16, 10, 10]
    with pytest.raises(InputError, match="lacks 'hidden', which mlp needs"):
        resolved()
