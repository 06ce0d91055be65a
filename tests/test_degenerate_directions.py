"""Directions that lead nowhere are refused, with the reason; some zero filters among others are told."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import landscape as ls
from landscape import geometry
from landscape.errors import InputError

from running import landscape, written


class Scales(nn.Module):
    """A network without filters."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))
        self.bias = nn.Parameter(torch.zeros(3, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.scale + self.bias[0])[:, :3]


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))


def with_values(value: float, *names: str) -> nn.Sequential:
    """The network with these parameters filled; all for none."""
    network = net()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not names or name in names:
                parameter.fill_(value)
    return network


def with_mask(seed: int) -> nn.Sequential:
    network = net(seed)
    network.register_buffer("mask", torch.full((3, 3), float("-inf")).triu(1))
    return network


def one_number() -> nn.Sequential:
    return nn.Sequential(nn.Linear(1, 1))


def turned(seed: int) -> dict[str, torch.Tensor]:
    """The network of seed 0, moved by a quarter of the step to another one."""
    here, there = net().state_dict(), net(seed).state_dict()
    return {name: here[name] + (there[name] - here[name]) / 4 if here[name].ndim else here[name] for name in here}


def still(networks: int = 4) -> list[nn.Module]:
    return [net() for _ in range(networks)]


_DIRECTION = dict.fromkeys(("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"))
"""Names of the parameters of `net`."""


def along(**steps: torch.Tensor) -> dict[str, torch.Tensor]:
    own = dict(net().named_parameters())
    return {name: steps.get(name.replace(".", "_"), torch.zeros_like(own[name])).detach() for name in _DIRECTION}


def given(*directions: dict[str, torch.Tensor]) -> Any:
    """A surface along directions that are handed over."""
    data = torch.randn(20, 5), torch.randint(0, 3, (20,))
    pair = dict(zip(("alpha", "beta"), directions, strict=False))
    return ls.plane(net(), data, along=pair, alpha=(0, 1, 2), beta=(0, 1, 2) if "beta" in pair else None)


NO_FILTERS = "there is no parameter with filters"
ZERO = "all filters are zero"
SAME = "the other state has the parameters of the centre"
PARALLEL = "parallel"
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    **{
        f"no filters, normalize: {how}": (functools.partial(ls.basis, Scales(), seed=1, normalize=how), NO_FILTERS)
        for how in ("filter", "layer", "model", "none")
    },
    **{
        f"zero weights, normalize: {how}": (functools.partial(ls.basis, with_values(0.0), normalize=how), ZERO)
        for how in ("filter", "layer", "model")
    },
    "no filters, a line": (lambda: ls.basis(Scales(), seed=1, line=True), NO_FILTERS),
    "parameters of biases": (lambda: ls.basis(net(), parameters="bias$"), NO_FILTERS),
    "parameters of a norm": (lambda: ls.basis(net(), parameters=r"^1\."), NO_FILTERS),
    "parameters that are zero": (lambda: ls.basis(with_values(0.0, "3.weight"), parameters=r"^3\."), ZERO),
    "parameters of no name": (lambda: ls.basis(net(), parameters="^classifier"), "found in no parameter's name"),
    "to the same network": (lambda: ls.basis(net(), to=net()), SAME),
    "to a network equal but for its statistics": (lambda: ls.basis(net(), to=_other_statistics()), SAME),
    "to a network that differs elsewhere": (
        lambda: ls.basis(net(), to=with_values(1.0, "0.weight"), parameters=r"^3\."),
        SAME,
    ),
    "through the same network": (lambda: ls.basis(net(), through=net(), line=True), SAME),
    "through the same network, a plane": (lambda: ls.basis(net(), through=net()), SAME),
    "through the centre twice": (lambda: ls.basis(net(), through=[net(), net()]), "lie on one line"),
    "through another one twice": (lambda: ls.basis(net(), through=[net(1), net(1)]), "lie on one line"),
    "through a point between": (lambda: ls.basis(net(), through=[net(1), turned(1)]), "lie on one line"),
    "through another one, without filters for beta": (
        lambda: ls.basis(with_values(0.0), through=net(1)),
        "beta has length zero",
    ),
    "through one number": (lambda: ls.basis(_number(1.0), through=_number(2.0)), PARALLEL),
    "a start that is the end": (lambda: ls.basis(net(), checkpoints=[net(), net()], directions="start"), SAME),
    "a path that stays": (lambda: ls.basis(net(), checkpoints=still()), "did not move"),
    "a path without filters": (lambda: ls.basis(Scales(), checkpoints=[Scales(), Scales(), Scales()]), "filters"),
    "a path on a line": (lambda: ls.basis(net(), checkpoints=[net(1), turned(1), net()]), "lie on one line"),
    "directions of another plane that are zero": (lambda: given(along()), "alpha has length zero: the other plane's"),
    "a second one of another plane that is zero": (
        lambda: given(along(**{"0_weight": torch.ones(4, 5)}), along()),
        "beta has length zero",
    ),
    "two of another plane that are parallel": (
        lambda: given(along(**{"0_weight": torch.ones(4, 5)}), along(**{"0_weight": -2 * torch.ones(4, 5)})),
        PARALLEL,
    ),
    "a filter of one number": (lambda: ls.basis(one_number(), seed=1), PARALLEL),
    "an eigenvector that is zero": (
        lambda: ls.basis(
            net(),
            eigenvectors={f"largest-1/{name}": of for name, of in along().items()},
            directions="eigenvectors",
            vectors=["largest-1"],
            line=True,
        ),
        "eigenvector is zero",
    ),
    "NaN among the weights": (lambda: ls.basis(with_values(float("nan"), "3.weight")), r"centre .* 3\.weight hold 12"),
    "infinity among the weights": (lambda: ls.basis(with_values(float("inf"), "0.bias")), r"0\.bias hold 4"),
    "NaN at the other end": (lambda: ls.basis(net(), to=with_values(float("nan"), "3.bias")), r"other .* 3\.bias"),
}


def _number(value: float) -> nn.Module:
    network = one_number()
    nn.init.constant_(network.get_parameter("0.weight"), value)
    nn.init.constant_(network.get_parameter("0.bias"), 0.0)
    return network


def _other_statistics() -> nn.Module:
    network = net()
    network.get_buffer("1.running_mean").add_(1)
    return network


@pytest.mark.parametrize("kind", REFUSED)
def test_directions_without_length_are_refused(kind: str) -> None:
    make, line = REFUSED[kind]
    with pytest.raises(InputError, match=line) as refused:
        make()
    assert len(refused.value.problems) == 1


def test_raw_directions_around_zero_weights_are_allowed() -> None:
    assert ls.basis(with_values(0.0), seed=1, normalize="none")["alpha"]["0.weight"].any()


def test_a_mask_of_infinities_is_no_weight() -> None:
    network = with_mask(0)
    assert ls.basis(network, seed=1)["alpha"]["0.weight"].any()
    for pair in (ls.basis(network, to=with_mask(1)), ls.basis(network, through=[with_mask(1), with_mask(2)])):
        assert all(not step["mask"].any() and step["0.weight"].any() for step in pair.values())


@pytest.mark.parametrize("zero, told", [(0, False), (1, True), (3, True)])
def test_zero_filters_among_others_are_counted_and_told(zero: int, told: bool) -> None:
    network = net()
    with torch.no_grad():
        network.get_parameter("0.weight")[:zero] = 0
    data = torch.randn(20, 5), torch.randint(0, 3, (20,))
    surface = ls.plane(network, data, alpha=(-1, 1, 3), beta=(-1, 1, 3), seed=1)
    assert (surface.attrs["zero_filters"], surface.attrs["filters"]) == (zero, 7)
    row = surface.isel(alpha=1, beta=1)
    said = [finding.label for finding in geometry.findings(surface, row) if "filters are zero" in finding.label]
    assert said == ([f"{zero} of 7 filters are zero"] if told else [])
    assert json.loads(surface.attrs["spec"])["normalize"] == "filter"


NETWORKS = """
import torch
from torch import nn


def full():
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


class Scales(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))

    def forward(self, x):
        return (x * self.scale)[:, :3]


def scales():
    return Scales()
"""


def test_the_check_tells_what_the_configuration_and_the_networks_show(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NETWORKS)
    np.savez(tmp_path / "d.npz", train_inputs=np.ones((9, 5), np.float32), train_targets=np.arange(9) % 3)
    full = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).state_dict()
    for file in ("one.pt", "two.pt"):
        torch.save(full, tmp_path / file)
    torch.save({"scale": torch.ones(5)}, tmp_path / "scales.pt")
    run = {"network": "nets.py:full", "data": "d"}
    scales = {"network": "nets.py:scales", "data": "d"}
    line, grid = {"alpha": [0, 1, 3]}, {"alpha": [0, 1, 3], "beta": [0, 1, 3]}
    planes: dict[str, Any] = {
        "random": grid,
        "raw": {**line, "normalize": "none"},
        "biases": {**line, "parameters": "bias$"},
        "same": {**line, "directions": "to", "run": "again"},
        "other": {**line, "directions": "to", "run": "two"},
        "through": {**grid, "directions": "through", "runs": ["again", "two"]},
        "half": {**grid, "directions": "through", "runs": ["more"]},
        "of": {**line, "directions": "of", "plane": "raw", "run": "more"},
    }
    seen = [("one", name) for name in ("random", "biases", "same", "other", "through")]
    seen += [("scales", name) for name in ("random", "raw", "half", "of")]
    content = {
        "data": {"d": {"source": "d.npz"}},
        "runs": {
            "one": {**run, "weights": "one.pt"},
            "again": {**run, "weights": "one.pt"},
            "two": {**run, "weights": "two.pt"},
            "scales": {**scales, "weights": "scales.pt"},
            "more": {**scales, "weights": "scales.pt"},
        },
        "planes": planes,
        "figures": {
            f"{run}-{plane}": {
                "draw": "contours" if "beta" in planes[plane] else "lines",
                "runs": [run],
                "plane": plane,
            }
            for run, plane in seen
        },
    }
    said = landscape("check", written(content, tmp_path), folder=tmp_path, expect=2)
    told = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
    nothing = f"a random direction has length zero: {NO_FILTERS}"
    wanted = {
        "one-biases": f"one on plane biases: {nothing} among those that parameters: bias$ finds",
        "one-same": "one on plane same: a direction has length zero: again has the weights of one, the file one.pt",
        "one-through": "one on plane through: a direction has length zero: again has the weights of one, the file one.pt",
        "scales-random": f"scales on plane random: {nothing} (",
        "scales-raw": f"scales on plane raw: {nothing} (",
        "scales-half": f"scales on plane half: {nothing} (",
        "scales-of": f"scales on plane of: {nothing} (",
    }
    for figure, line_of in wanted.items():
        assert any(problem.startswith(f"figures.{figure} has {line_of}") for problem in told), (figure, said)
    assert {problem.split()[0].removeprefix("figures.") for problem in told} == set(wanted)
