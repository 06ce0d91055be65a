"""Single values of a surface, and what is found in it, against surfaces whose numbers are known."""

import json
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape import geometry
from landscape.measures import plane_of

from known_surfaces import bowl, surface


def row(loss: float = 0.001, accuracy: float = 1.0) -> xr.Dataset:
    return xr.Dataset({"train_loss": loss, "train_accuracy": accuracy})


def labels(seen: xr.Dataset, at: xr.Dataset) -> list[str]:
    return [finding.label for finding in geometry.findings(seen, at)]


@settings(deadline=None)  # the first call imports scipy.stats
@given(n=st.integers(1, 60000), share=st.floats(0, 1))
def test_wilson_ends_solve_the_test_it_inverts(n: int, share: float) -> None:
    errors = round(share * n)
    low, high = geometry.wilson(errors, n)
    p, z = errors / n, 1.959963984540054

    assert 0 <= low <= p <= high <= 1
    for end in (low, high):  # those q whose own standard error puts p at 1.96 of it
        assert (p - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / n, rel=1e-6, abs=1e-12)


def test_wilson_of_a_published_example() -> None:
    assert geometry.wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)


@pytest.mark.parametrize(("errors", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(errors: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{errors} errors of {n}"):
        geometry.wilson(errors, n)


def test_centre_is_the_value_at_the_origin_of_any_grid() -> None:
    assert geometry.centre(surface(lambda a, b: 5 + a + 7 * b), "train_loss") == pytest.approx(5)
    seen = surface(lambda a, b: 5 + a, alpha=(-0.3, 0.7, 11), beta=None)
    assert abs(seen.alpha.values[3]) > 0  # linspace misses zero by a rounding error
    assert geometry.centre(seen, "train_loss") == pytest.approx(5)


def test_centre_is_nan_where_the_grid_has_no_origin() -> None:
    assert math.isnan(geometry.centre(surface(bowl, alpha=(-1, 1, 20)), "train_loss"))
    assert geometry.centre_index(surface(bowl, alpha=(0.5, 1, 5))) is None


def test_non_finite_counts_infinities_and_nan() -> None:
    seen = surface(bowl)
    seen.train_loss[0, 0], seen.train_loss[1, 0], seen.train_loss[2, 0] = np.inf, np.nan, -np.inf
    assert geometry.non_finite(seen) == 3


@given(level=st.floats(0.01, 3), curvature=st.floats(0.5, 40))
def test_interval_of_a_parabola(level: float, curvature: float) -> None:
    x = np.linspace(-1, 1, 2001)
    exact = min(1.0, math.sqrt(level / curvature))
    assert geometry.interval(x, curvature * x**2, level, 1000) == pytest.approx((-exact, exact), abs=1e-3)


def test_interval_ends_before_a_gap_and_has_none_above_the_level() -> None:
    x = np.arange(5.0)
    assert geometry.interval(x, np.array([0, 0, 0, np.inf, 0]), 1, 1) == (0, 2)
    assert np.isnan(geometry.interval(x, np.full(5, 2.0), 1, 1)).all()
    assert np.isnan(geometry.interval(x, np.full(5, np.nan), 1, 1)).all()


def test_basin_is_the_part_that_holds_the_centre() -> None:
    seen = surface(lambda a, b: np.minimum(20 * (a**2 + b**2), 20 * ((a - 0.8) ** 2 + b**2)))
    inside = geometry.basin(seen, 1.0)
    assert inside[10, 15] and not inside[18, 15]
    assert (inside <= (seen.train_loss.values <= 1)).all()


def test_a_good_surface_has_no_findings() -> None:
    assert labels(surface(bowl, alpha=(-1, 1, 51), beta=(-1, 1, 51)), row()) == []
    assert labels(surface(bowl, alpha=(-1, 1, 51), beta=None), row()) == []


def test_a_run_that_did_not_train() -> None:
    seen = surface(lambda a, b: 1.5 + bowl(a, b))
    assert labels(seen, row(1.5, 0.48)) == ["did not train: train accuracy 48 %: not a picture of a minimiser"]
    assert labels(seen, row(float("nan"), 0.1))[0].startswith("did not train: train accuracy 10 %")
    limit = geometry.UNTRAINED * math.log(10)
    assert not any("train" in label for label in labels(seen, row(0.999 * limit)))


def test_a_state_on_the_way_is_not_blamed() -> None:
    seen = surface(lambda a, b: 2 + bowl(a - 0.5, b), state="net@000")
    found = geometry.findings(seen, row(2.3, 0.1))
    assert [finding.label for finding in found] == [
        "before the end of training: train accuracy 10 %",
        "lowest at (0.5, 0): 0.75 below the centre",
    ]
    assert not any("train longer" in finding.advice for finding in found)


def test_a_lower_point_is_named_with_its_depth() -> None:
    seen = surface(lambda a, b: 3 * (a - 0.2) ** 2 + 3 * (b + 0.4) ** 2, beta=(-1, 1, 21))
    assert "lowest at (0.2, -0.4): 0.6 below the centre" in labels(seen, row())
    assert "lowest at 0.2: 0.12 below the centre" in labels(surface(lambda a, b: 3 * (a - 0.2) ** 2, beta=None), row())


def test_a_point_lower_by_less_than_a_hundredth_of_guessing_is_no_finding() -> None:
    for drop, found in ((0.009 * math.log(10), False), (0.011 * math.log(10), True)):
        seen = surface(lambda a, b: 0.5 + bowl(a, b))
        seen.train_loss[-1, -1] = 0.5 - drop
        assert any("lowest" in label for label in labels(seen, row())) is found


def test_a_lower_end_of_a_line_between_runs_is_no_finding() -> None:
    seen = surface(lambda a, b: 40 * (a * (1 - a)) ** 2 + 0.05 * (1 - a), alpha=(-0.5, 1.5, 81), beta=None)
    assert any("lowest" in label for label in labels(seen, row()))
    seen.attrs["spec"] = json.dumps(plane_of({"directions": "to", "run": "other"}).model_dump(mode="json"))
    assert not any("lowest" in label for label in labels(seen, row()))


def test_a_small_ring_is_measured_in_cells_of_the_coarser_view() -> None:
    seen = surface(lambda a, b: 10 * a**2 + b**2, alpha=(-1, 1, 21), beta=(-1, 1, 201))  # 0.1 at |a| = 0.1: one cell
    assert "0.1 ring 2.0 cells across" in labels(seen, row())


def test_a_basin_that_reaches_the_border() -> None:
    assert "basin reaches the border" in labels(surface(lambda a, b: 5 * a**2 + b**2), row())
    assert "basin reaches the border" in labels(surface(lambda a, b: a**2, beta=None), row())
    apart = surface(lambda a, b: np.where(a > 0.95, 0.05, 3 * bowl(a, b)))
    assert "basin reaches the border" not in labels(apart, row())


def test_points_too_high_are_counted_with_those_not_finite() -> None:
    seen = surface(lambda a, b: np.where(a > 0.55, np.inf, np.where(a < -0.85, 101.0, bowl(a, b))))
    assert "33 % above 100 or not finite" in labels(seen, row())  # 5 and 2 of 21
    assert not any("above" in label for label in labels(surface(lambda a, b: np.where(a > 0.85, np.nan, 1.0)), row()))


def test_a_plane_through_other_minima_may_be_lower_there() -> None:
    seen = surface(lambda a, b: 3 * (a - 1) ** 2 + 3 * b**2, alpha=(-0.5, 1.5, 41))
    assert any("lowest" in label for label in labels(seen, row()))
    seen.attrs["spec"] = json.dumps(plane_of({"directions": "through", "runs": ["other"]}).model_dump())
    assert not any("lowest" in label for label in labels(seen, row()))


def test_a_ring_that_turns_away_from_the_axes_is_measured_whole() -> None:
    def crescent(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 40 * (np.hypot(a + 0.4, b) - 0.4) ** 2  # 0.1 between radii 0.35 and 0.45

    assert not any("ring" in label for label in labels(surface(crescent, (-1, 1, 81), (-1, 1, 81)), row()))


def test_points_of_negative_variance_are_counted() -> None:
    seen = surface(bowl).assign_attrs(points_negative_variance=1234)
    assert "1,234 points: variance < 0" in labels(seen, row())
    assert not any("variance" in label for label in labels(seen.assign_attrs(points_negative_variance=0), row()))


def test_precision_that_moves_the_first_level_line() -> None:
    for deviation, found in ((0.9, False), (1.1, True), (math.inf, True)):
        seen = surface(bowl).assign_attrs(precision="bf16", precision_deviation=deviation)
        assert ("bf16 error above 0.1" in labels(seen, row())) is found


def test_a_sampling_error_counts_where_the_first_level_line_is() -> None:
    seen = surface(bowl, alpha=(-1, 1, 51), beta=(-1, 1, 51))
    near = bowl(*np.meshgrid(seen.alpha, seen.beta, indexing="ij")) <= 0.1
    for inside, outside, found in ((0.09, 5.0, False), (0.11, 0.0, True)):
        seen["train_loss_paired_standard_error"] = ("alpha", "beta"), np.where(near, inside, outside)
        assert ("sampling error 0.11" in labels(seen, row())) is found
