"""`alpha="auto"`: the least range at whose ends the loss has risen enough."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

import landscape as ls
from landscape.api import planes
from landscape.errors import InputError
from landscape.experiment import reading, specs
from landscape.measures import auto_range
from landscape.store import files

from running import landscape, written


@pytest.fixture(scope="module")
def digits() -> Any:
    return ls.dataset("digits", examples=300)


@pytest.fixture(scope="module")
def network(digits: Any) -> nn.Module:
    built = ls.network("resnet", digits, depth=8, width=4, seed=0)
    ls.train(built, digits, epochs=2, batch_size=50)
    return built


@given(threshold=st.floats(0.01, 900))
def test_the_least_candidate_is_found_where_a_condition_stays_true(threshold: float) -> None:
    found = auto_range.least(lambda r: r >= threshold)
    assert found is not None and found >= threshold
    assert float(f"{found:.2g}") == found and found / threshold < 1.11


def test_nothing_is_found_where_nothing_holds() -> None:
    assert auto_range.least(lambda r: False) is None
    assert auto_range.least(lambda r: True) == 0.01


@pytest.mark.parametrize("rise", [None, 0.5])
def test_the_loss_has_risen_at_all_ends_and_not_before(digits: Any, network: nn.Module, rise: float | None) -> None:
    seen = ls.plane(network, digits, alpha=("auto", 5), beta=("auto", 5), rise=rise, examples=200, seed=3)
    enough = math.log(10) if rise is None else rise
    assert seen.rise == enough and seen.rise_examples == 200
    reach = float(seen.alpha[-1])
    assert seen.alpha.values.tolist() == seen.beta.values.tolist() and float(seen.alpha[0]) == -reach
    assert float(_least_rise(seen)) >= enough
    before = auto_range.CANDIDATES[auto_range.CANDIDATES.index(reach) - 1]
    shorter = ls.plane(network, digits, alpha=(-before, before, 3), beta=(-before, before, 3), examples=200, seed=3)
    assert float(_least_rise(shorter)) < enough


def _least_rise(seen: xr.Dataset) -> Any:
    """The smallest rise over the centre at the four ends of the axes."""
    centre, loss = seen.train_loss.sel(alpha=0, beta=0), seen.train_loss
    ends = [loss.isel(alpha=end).sel(beta=0) for end in (0, -1)] + [loss.isel(beta=end).sel(alpha=0) for end in (0, -1)]
    return min(float(end - centre) for end in ends)


def test_the_same_plane_with_its_range_stated_has_the_same_bits_in_every_tile(digits: Any, network: nn.Module) -> None:
    keys: dict[str, Any] = {"examples": 100, "seed": 1}
    found = ls.plane(network, digits, alpha=("auto", 5), beta=("auto", 3), **keys)
    r = float(found.alpha[-1])
    stated = ls.plane(network, digits, alpha=(-r, r, 5), beta=(-r, r, 3), **keys)
    xr.testing.assert_equal(found, stated)
    assert found.spec == stated.spec
    part = ls.plane(network, digits, alpha=("auto", 5), beta=("auto", 3), tile=(2, 4), **keys)
    whole = stated.train_loss.values.ravel()[part["index"].values]
    assert part.train_loss.values.tolist() == whole.tolist()


def test_a_loss_without_unit_rises_tenfold_and_every_eigenvector_has_a_range_of_its_own() -> None:
    torch.manual_seed(0)
    inputs = torch.linspace(-1, 1, 60)[:, None]
    data = (inputs, torch.sin(3 * inputs))
    network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    keys: dict[str, Any] = {"loss": "mse"}
    line = ls.line(network, data, alpha="auto", seed=1, **keys)
    centre = float(line.train_loss.sel(alpha=0, beta=0))
    assert line.sizes["alpha"] == 51
    assert line.rise == pytest.approx(9 * centre) and min(line.train_loss.values[[0, -1], 0]) >= 10 * centre * 0.999999
    _, vectors = ls.probe(network, data, measure="eigenpairs", pairs=2, **keys)
    bent: dict[str, Any] = {
        "directions": "eigenvectors",
        "eigenvectors": vectors,
        "vectors": ("largest-1", "largest-2"),
    }
    seen = ls.plane(network, data, alpha=("auto", 3), beta=("auto", 3), **bent, **keys)
    assert float(seen.alpha[-1]) < float(seen.beta[-1])
    with pytest.raises(InputError, match="rises by less than 1e\\+30 up to 990; state a smaller rise, or the range"):
        ls.line(network, data, alpha="auto", rise=1e30, **keys)
    with pytest.raises(InputError, match="no multiple of it tells a range; state rise"):
        ls.line(network, data, alpha="auto", loss=lambda output, target: -output[:, 0].abs())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"alpha": ("auto", 1)},
            "alpha is .'auto', 1.: allowed are auto and .auto, number of points., from 2 to 10,000",
        ),
        ({"alpha": ("auto", "auto", 3)}, "allowed are auto"),
        ({"alpha": ("auto", 2.5)}, "allowed are auto"),
        ({"alpha": ("auto", True)}, "allowed are auto"),
        ({"alpha": (3, "auto")}, "allowed are auto"),
        ({"alpha": ("auto", 10_001)}, "allowed are auto"),
        ({"alpha": "automatic"}, "must be .first, last, number of points."),
        ({"rise": 1.0}, "a plane with neither alpha nor beta auto takes no rise"),
        ({"alpha": "auto", "rise": -1}, "rise is -1: input should be greater than 0"),
        ({"alpha": "auto", "rise": 0}, "rise is 0: input should be greater than 0"),
        ({"alpha": "auto", "rise": math.inf}, "rise is inf: input should be a finite number"),
        ({"alpha": "auto", "to": "self"}, "alpha is auto, and directions: to leads to another state, at 1"),
    ],
)
def test_mistakes(digits: Any, network: nn.Module, keys: dict[str, Any], said: str) -> None:
    other = {name: 2 * tensor for name, tensor in network.state_dict().items()}
    given = {**keys, **({"to": other} if "to" in keys else {})}
    with pytest.raises(InputError, match=said):
        ls.line(network, digits, examples=20, **given)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"directions": "to", "run": "b", "alpha": "auto"},
            "alpha is auto, and directions: to leads to another state, at 1",
        ),
        ({"directions": "start", "alpha": "auto"}, "directions: start leads to another state"),
        (
            {"directions": "pca", "beta": "auto"},
            "beta is auto, and directions: pca has a grid that holds the whole path",
        ),
        (
            {"directions": "through", "runs": ["b", "c"], "alpha": [0, 1, 3], "beta": "auto"},
            "beta is auto, and directions: th",
        ),
        ({"rise": 1}, "a plane with neither alpha nor beta auto takes no rise"),
        ({"alpha": "auto", "rise": "much"}, "rise"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        reading.entry("planes", keys)


@pytest.mark.parametrize(
    ("keys", "shape", "wanted"),
    [
        ({"alpha": "auto"}, (51, 1), {"alpha": 51}),
        ({"alpha": ["auto"]}, (51, 1), {"alpha": 51}),
        ({"alpha": ["auto", 2]}, (2, 1), {"alpha": 2}),
        ({"alpha": ("auto", 9), "beta": ["auto", 7]}, (9, 7), {"alpha": 9, "beta": 7}),
        ({"alpha": [-1, 1, 3], "beta": "auto"}, (3, 51), {"beta": 51}),
        ({"alpha": ["auto", 4], "beta": [0, 2, 5]}, (4, 5), {"alpha": 4}),
        ({"directions": "start", "alpha": [0, 1, 3], "beta": ["auto", 5]}, (3, 5), {"beta": 5}),
        ({"directions": "through", "runs": ["b"], "alpha": [0, 1, 3], "beta": ["auto", 5]}, (3, 5), {"beta": 5}),
        ({"directions": "of", "run": "b", "plane": "p", "alpha": ["auto", 5]}, (5, 1), {"alpha": 5}),
        ({"directions": "eigenvectors", "probe": "p", "alpha": ["auto", 5]}, (5, 1), {"alpha": 5}),
        ({"measure": "curvature", "alpha": ["auto", 3], "rise": 0.5}, (3, 1), {"alpha": 3}),
        ({"measure": "gradients", "alpha": [-1, 1, 3]}, (3, 1), {}),
    ],
)
def test_a_configuration_says_auto(keys: dict[str, Any], shape: tuple[int, int], wanted: dict[str, int]) -> None:
    plane = reading.entry("planes", keys)
    assert plane.shape == shape and plane.wanted == wanted
    again, _ = specs.load(specs.of("surface", plane), "surface")
    assert again == plane and reading.entry("planes", plane.in_full()) == plane
    assert "alpha" not in specs.of("directions", plane), "directions do not depend on the grid"


CONFIG: dict[str, Any] = {
    "data": {"digits": {"source": "digits", "examples": 200}},
    "runs": {
        name: {"network": "mlp", "args": {"hidden": [hidden]}, "data": "digits", "epochs": 1, "learning_rate": 0.05}
        for name, hidden in (("small", 8), ("large", 40))
    },
    "planes": {
        "contour": {"alpha": ["auto", 5], "beta": ["auto", 3], "rise": 0.5, "seed": 2, "examples": 60, "tiles": 2},
        "sharp": {"directions": "eigenvectors", "probe": "pairs", "alpha": ["auto", 5], "rise": 0.1},
    },
    "probes": {"pairs": {"measure": "eigenpairs", "pairs": 1, "examples": 30}},
    "figures": {"contours": {"draw": "contours", "runs": ["small", "large"], "plane": "contour"}},
}


def test_the_workflow_finds_the_ranges_that_python_finds(tmp_path: Path) -> None:
    config = written(CONFIG, tmp_path)
    wanted = ["results/figures/contours.pdf", "results/surfaces/small/sharp.nc"]
    landscape("run", config.name, *wanted, folder=tmp_path)
    digits = ls.dataset("digits", examples=200)
    reaches = set()
    for name, plane in (("small", "contour"), ("large", "contour"), ("small", "sharp")):
        run = CONFIG["runs"][name]
        network = ls.network(run["network"], digits, **run["args"])
        network.load_state_dict(load_file(tmp_path / f"results/runs/{name}/weights.safetensors"))
        keys = {key: value for key, value in CONFIG["planes"][plane].items() if key not in ("tiles", "probe")}
        more: dict[str, Any] = {}
        if plane == "sharp":
            more["eigenvectors"] = ls.probe(network, digits, **CONFIG["probes"]["pairs"])[1]
        by_python = ls.plane(network, digits, **keys, **more)
        found = files.read_dataset(tmp_path / f"results/surfaces/{name}/{plane}.nc")
        xr.testing.assert_equal(found, by_python)
        assert json.loads(found.spec)["alpha"] == [-float(found.alpha[-1]), float(found.alpha[-1]), 5]
        assert found.rise == by_python.rise and found.rise_examples == by_python.rise_examples
        reaches.add(float(found.alpha[-1]))
    assert len(reaches) == 3, "every run has a range of its own"
    assert "of small 5 x 3 points" in (tmp_path / "results/figures/contours.rst").read_text()


def test_tiles_that_found_different_ranges_are_told(digits: Any, network: nn.Module) -> None:
    keys: dict[str, Any] = {"alpha": ("auto", 5), "examples": 50}
    spec = reading.entry("planes", keys)
    parts = [(f"tile {i}", ls.plane(network, digits, tile=(i, 2), seed=0, **keys)) for i in (1, 2)]
    xr.testing.assert_equal(planes.merge(parts, spec), ls.plane(network, digits, seed=0, **keys))
    other = ls.plane(network, digits, tile=(2, 2), seed=0, rise=0.1, **keys)
    with pytest.raises(InputError, match="tile 2 has found the range .*, and tile 1 .*; state it instead of auto"):
        planes.merge([parts[0], ("tile 2", other)], spec)
