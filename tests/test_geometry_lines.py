"""Rises, lines between two runs, and the list of all numbers, against formulas."""

import json
import math

import numpy as np
import pytest
import xarray as xr

from landscape import geometry
from landscape.errors import InputError
from landscape.measures import plane_of

from known_surfaces import bowl, line, surface


@pytest.mark.parametrize("r", [0.1, 0.25, 0.5])
def test_slice_rise_of_a_paraboloid(r: float) -> None:
    seen = surface(lambda a, b: 0.7 + bowl(a, b), (-1, 1, 201), (-0.5, 0.7, 241))
    for turned in (seen, seen.transpose("beta", "alpha")):
        mean, highest = geometry.slice_rise(turned, r)
        assert mean.value == pytest.approx(3.5 * r**2, rel=0.01)
        assert highest.value == pytest.approx(4 * r**2, rel=0.01)
        assert mean.step == pytest.approx(0.01)


def test_slice_rise_on_a_line_is_of_its_two_points() -> None:
    mean, highest = geometry.slice_rise(surface(lambda a, b: a**2 + a, (-1, 1, 81), None), 0.5)
    assert (mean.value, highest.value) == pytest.approx((0.25, 0.75))


def test_where_slice_rise_is_undefined() -> None:
    def reason(seen: xr.Dataset, r: float = 0.5) -> str:
        mean, highest = geometry.slice_rise(seen, r)
        assert math.isnan(mean.value) and math.isnan(highest.value) and mean.reason == highest.reason
        return mean.reason

    assert reason(surface(bowl), 0.25) == "not resolved"  # steps of 0.1: more than a third of 0.25
    assert reason(surface(bowl, (-0.4, 1, 71))) == "circle leaves the grid"
    assert reason(surface(bowl, alpha=(-1, 1, 20))) == "no centre on the grid"
    holed = surface(bowl)
    holed.train_loss[15, 15] = math.inf
    assert reason(holed) == "not finite on the circle"
    holed.train_loss[10, 15] = math.nan
    assert reason(holed) == "centre not finite"


def test_the_barrier_of_a_quadratic() -> None:
    seen = line(lambda a: 0.2 * (1 - a) + 0.5 * a + 6 * a * (1 - a), (-0.5, 1.5, 401))
    assert geometry.barrier(seen).value == pytest.approx(6 / 4)
    valley = line(lambda a: 0.2 * (1 - a) + 0.5 * a - 6 * a * (1 - a), (-0.5, 1.5, 401))
    assert geometry.barrier(valley).value == 0


def test_the_barrier_of_the_error() -> None:
    seen = line(lambda a: a, (0, 1, 21))
    seen["test_accuracy"] = 0.9 - 0.2 * seen.train_loss * (1 - seen.train_loss)
    assert geometry.barrier(seen, "test_accuracy").value == pytest.approx(0.05)


def test_where_a_barrier_is_undefined() -> None:
    seen = line(lambda a: np.where(abs(a - 1) < 0.13, np.nan, a), (-0.5, 2, 26))
    assert geometry.barrier(seen).reason == "2 of 11 points between the runs not finite"
    seen["status"] = xr.where(np.isfinite(seen.train_loss), 1, 4)
    assert geometry.barrier(seen).reason.endswith("not finite, 2 for a negative variance")
    assert math.isfinite(geometry.barrier(line(lambda a: np.where(a > 1.01, np.nan, a), (-0.5, 1.5, 41))).value)
    assert geometry.barrier(line(lambda a: a, (0, 0.9, 10))).reason == "no point at alpha = 1"
    assert geometry.barrier(line(lambda a: a, (0.1, 1, 10))).reason == "no point at alpha = 0"
    assert geometry.barrier(line(lambda a: a, (0, 1, 6))).reason == "not resolved"


def test_a_barrier_is_between_two_runs() -> None:
    assert geometry.other_end(line(abs, (0, 1, 11))) == "other"
    through = {"directions": "through", "runs": ["third"], "run": None}
    assert geometry.other_end(line(abs, (0, 1, 11), **through)) == "third"
    with pytest.raises(InputError, match="'random' has directions: random and 1 points along beta; a line between two"):
        geometry.barrier(surface(bowl, beta=None).assign_attrs(plane="random"))
    plane = plane_of({**through, "beta": (-1, 1, 31)})
    with pytest.raises(InputError, match="31 points along beta"):
        geometry.other_end(surface(bowl).assign_attrs(spec=json.dumps(plane.model_dump(mode="json")), plane="p"))


def test_the_wells_at_both_ends() -> None:
    seen = line(lambda a: np.minimum(50 * a**2, 0.2 + 8 * (a - 1) ** 2), (-0.5, 1.5, 401))
    small, large = geometry.well(seen, 0), geometry.well(seen, 1)
    assert (small.low, small.high) == pytest.approx((-0.1, 0.1), abs=1e-3)
    assert (large.low, large.high) == pytest.approx((0.75, 1.25), abs=1e-3)
    assert not small.cut and not large.cut
    assert (small.width.value, large.width.value) == pytest.approx((0.2, 0.5), abs=1e-3)


def test_a_well_that_is_cut_by_the_end_of_the_line_or_by_a_gap() -> None:
    seen = line(lambda a: np.where(a > 1.21, np.nan, 0.8 * a**2 * (1 - a) ** 2), (-0.5, 1.5, 81))
    assert geometry.well(seen, 0).cut and geometry.well(seen, 1).cut
    assert geometry.well(seen, 1).high == pytest.approx(1.2)
    assert geometry.well(seen, 0).width.value == pytest.approx(0.5 + 1.2)


def test_a_well_on_any_line_but_on_no_plane() -> None:
    found = geometry.well(surface(lambda a, b: 2 * a**2, (-1, 1, 201), None), 0)
    assert (found.low, found.high) == pytest.approx((-0.5, 0.5))
    with pytest.raises(InputError, match="plane 'contour' has 31 points along beta; a line has one"):
        geometry.well(surface(bowl).assign_attrs(plane="contour"), 0)


def test_where_a_well_is_undefined() -> None:
    seen = line(lambda a: np.where(a > 0.9, np.inf, 100 * a**2), (-0.5, 1.5, 41))
    assert geometry.well(seen, 1).width.reason == "not finite at alpha = 1"
    assert geometry.well(seen, 0).width.reason == "not resolved"
    assert geometry.well(seen, 0).high == pytest.approx(0.06, abs=0.02)
    assert geometry.well(line(abs, (0, 0.9, 10)), 1).width.reason == "no point at alpha = 1"
    assert all(np.isnan(geometry.well(seen, x).width.value) for x in (0, 1))


def test_every_number_has_a_name_and_every_missing_one_a_reason() -> None:
    gaps = surface(lambda a, b: 1.5 + bowl(a, b), (-1, 1, 41), (-1, 1, 41))
    gaps.train_loss[:3] = math.nan
    for seen in (gaps, surface(bowl, beta=None), surface(bowl, (-1, 1, 20)), surface(bowl, (0, 0, 1), None)):
        found = geometry.numbers(seen)
        assert list(found) == list(geometry.NAMES)
        assert set(geometry.reasons(seen)) == {name for name, value in found.items() if math.isnan(value)}


def test_numbers_are_those_of_their_functions_whatever_the_order_of_the_axes() -> None:
    seen = surface(lambda a, b: 0.05 + bowl(a, b), (-1, 1, 51), (-1, 0.8, 91))
    found = geometry.numbers(seen)
    assert geometry.numbers(seen.transpose("beta", "alpha")) == pytest.approx(found, nan_ok=True)
    for name, level in (("level_0.1", 0.1), ("level_1", 1), ("level_guessing", math.log(10)), ("rise_0.5", 0.55)):
        assert found[f"area_{name}"] == geometry.shape(seen, level)["area"].value
    assert found["convex_share"] == found["minima"] == 1
    assert found["slice_rise_max_0.5"] == pytest.approx(1, rel=0.01)
    assert (found["step_alpha"], found["step_beta"]) == pytest.approx((0.04, 0.02))


def test_numbers_of_another_variable() -> None:
    seen = surface(bowl, (-1, 1, 51), (-1, 1, 51))
    seen["test_loss"] = 4 * seen.train_loss
    assert geometry.numbers(seen, "test_loss")["area_rise_1"] == pytest.approx(geometry.shape(seen, 0.25)["area"].value)
