"""`alpha="auto"`: the least range at whose ends the loss has risen enough."""

import math
from typing import Any

import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import landscape as ls
from landscape.errors import InputError
from landscape.measures import auto_range


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
    assert line.sizes["alpha"] == auto_range.POINTS
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
        ({"alpha": ("auto", 1)}, "alpha is .'auto', 1.; allowed are 'auto' and .'auto', number of points."),
        ({"alpha": ("auto", "auto", 3)}, "allowed are 'auto'"),
        ({"rise": 1.0}, "neither alpha nor beta is auto"),
        ({"alpha": "auto", "rise": -1}, "rise is -1; it must be a number above 0"),
        ({"alpha": "auto", "to": "self"}, "alpha is auto, and directions: to leads to another state, at 1"),
    ],
)
def test_mistakes(digits: Any, network: nn.Module, keys: dict[str, Any], said: str) -> None:
    other = {name: 2 * tensor for name, tensor in network.state_dict().items()}
    given = {**keys, **({"to": other} if "to" in keys else {})}
    with pytest.raises(InputError, match=said):
        ls.line(network, digits, examples=20, **given)


def test_a_configuration_states_its_ranges() -> None:
    from landscape.experiment import reading

    with pytest.raises(InputError, match="alpha is 'auto': must be .first, last, number of points.*landscape see"):
        reading.entry("planes", {"alpha": "auto"})
