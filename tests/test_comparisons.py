"""Orders of networks, against scipy, against counting by hand, and against chance."""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from landscape.geometry import comparisons

ranks = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=7)


@settings(deadline=None)  # it tries up to 5,040 orders too
@given(ranks)
def test_tau_b_is_the_sum_over_pairs(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, np.float64).T
    a, b = (np.sign(z[:, None] - z[None]) for z in (x, y))
    scale = math.sqrt((a * a).sum() * (b * b).sum())
    expected = (a * b).sum() / scale if scale else math.nan
    assert comparisons.kendall(x, y).tau == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("y", [(1, 2, 3, 4, 5), (2, 1, 3, 5, 4), (3, 3, 1, 4, 4), (1, 1, 1, 1, 2)])
def test_p_is_the_share_of_all_orders_that_are_as_extreme(y: tuple[int, ...]) -> None:
    x = (1.0, 2.0, 3.0, 4.0, 5.0)
    taus = [stats.kendalltau(x, order).statistic for order in itertools.permutations(y)]
    observed = stats.kendalltau(x, y).statistic

    found = comparisons.kendall(x, y)
    assert found.tau == pytest.approx(observed) and found.exact
    assert found.p == pytest.approx(np.mean(np.abs(taus) > abs(observed) - 1e-9))


def test_p_of_many_values_with_ties_is_sampled_and_near_the_normal_one() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=25)
    y = np.round(x + generator.normal(scale=3, size=25))
    found = comparisons.kendall(x, y)
    assert not found.exact
    assert found.p == pytest.approx(stats.kendalltau(x, y, method="asymptotic").pvalue, abs=0.02)
    assert comparisons.kendall(x, y) == found


def test_a_constant_series_has_no_tau_and_a_gap_is_refused() -> None:
    assert math.isnan(comparisons.kendall([1, 2, 3], [4, 4, 4]).tau)
    for y in ([1.0, 2.0], [1.0, 2.0, math.nan]):
        with pytest.raises(ValueError, match="two series of finite values of the same length"):
            comparisons.kendall([1, 2, 3], y)


def test_agreement_counts_pairs() -> None:
    x, y = np.array([1.0, 2, 3, 3]), np.array([1.0, 3, 2, 2])
    assert comparisons.agreement(x, y) == (3, 5)  # 0 against 1, 2 and 3; 2 and 3 are equal in y
    x = np.array([1.0, 1, 2])
    assert comparisons.agreement(x, np.array([1.0, 2, 3])) == (2, 3)  # equal in x: does not agree


def test_intervals_that_touch_overlap() -> None:
    apart = comparisons.separated(np.array([0.0, 1.0, 1.5]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(apart, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])


FACTORS = pd.DataFrame(
    {"depth": [20, 56, 20, 56], "shortcut": [True, True, False, False], "width": [None, None, None, 2.0]}
)


def test_pairs_of_one_factor() -> None:
    assert comparisons.single_factor_pairs(FACTORS) == [(0, 1, "depth"), (0, 2, "shortcut")]


def test_granulated_counts_by_factor() -> None:
    factors = FACTORS.drop(columns="width")
    x, y = np.array([1.0, 2, 3, 4]), np.array([2.0, 1, 3, 4])
    assert comparisons.granulated(factors, x, y) == {"depth": (1, 2), "shortcut": (2, 2)}
    counted = np.ones((4, 4), bool)
    counted[[0, 1, 2, 3], [1, 0, 3, 2]] = False
    assert comparisons.granulated(factors, x, y, counted) == {"shortcut": (2, 2)}


def networks(values: Any, wrong: Any, images: int = 10_000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Networks of two runs seen along three directions, spread evenly around the value and the number of errors."""
    numbers = [
        {"network": f"n{k}", "run": f"n{k}-{seed}", "direction": d, "value": value + 0.1 * seed + 0.01 * (d - 1)}
        for k, value in enumerate(values)
        for seed in (-1, 1)
        for d in range(3)
    ]
    errors = [
        {"network": f"n{k}", "run": f"n{k}-{seed}", "wrong": count + 3 * seed, "images": images}
        for k, count in enumerate(wrong)
        for seed in (-1, 1)
    ]
    return pd.DataFrame(numbers), pd.DataFrame(errors)


def test_few_networks_are_counted_in_pairs() -> None:
    found = comparisons.compare(*networks([1, 2, 3, 4], [500, 1000, 900, 905]))
    assert (found.agree, found.pairs) == (3, 3)  # 900, 905 and 1000 of 10,000 do not differ
    assert found.kendall is None and found.interval is None
    assert str(found) == "order agrees in 3 of 3 pairs"


def test_five_networks_have_a_tau_and_ten_an_interval() -> None:
    five = comparisons.compare(*networks(range(5), [500, 700, 900, 1300, 1100]))
    assert five.kendall == comparisons.kendall(range(5), [500, 700, 900, 1300, 1100]) and five.interval is None
    assert str(five) == "tau 0.80, p = 0.083, 5 networks; order agrees in 9 of 10 pairs"

    wrong = np.arange(10) * 200 + 500
    ten = comparisons.compare(*networks(range(10), wrong), resamples=200)
    assert ten.interval is not None and ten.interval[1] == 1.0
    assert ten == comparisons.compare(*networks(range(10), wrong), resamples=200)


def test_the_value_of_a_network_is_the_mean_over_runs_of_means_over_directions() -> None:
    numbers, errors = networks([0, 5], [500, 2000])
    unequal = numbers.drop(index=[0, 1])  # of one run one direction is left
    unequal.loc[2, "value"] = 8.0  # (8 + 0.1) / 2 < 5; a mean over all four would be below it too
    assert comparisons.compare(unequal, errors).agree == 1
    unequal.loc[2, "value"] = 11.0  # (11 + 0.1) / 2 > 5, and the mean over all four, 2.8, is not
    assert comparisons.compare(unequal, errors).agree == 0


def test_the_bootstrap_covers_the_truth() -> None:
    generator = np.random.default_rng(0)
    ends = []
    for k in range(12):
        x = generator.normal(size=14)
        numbers, errors = networks(x, np.round(3000 + 500 * (x + generator.normal(size=14))))
        ends.append(comparisons.compare(numbers, errors, resamples=150, seed=k).interval)
    low, high = np.array(ends).T
    truth = 0.5  # tau of two normals that correlate by r = sqrt(1/2) is 2 arcsin(r) / pi
    assert ((low <= truth) & (truth <= high)).sum() >= 10
    assert 0.3 < (high - low).mean() < 0.9


def test_what_is_not_tested() -> None:
    assert str(comparisons.compare(*networks(range(6), range(50, 110, 10), images=297))) == (
        "not tested: 297 test examples are too few to order networks by"
    )
    numbers, errors = networks(range(3), [500, 700, 900])
    assert comparisons.compare(numbers.assign(value=math.nan), errors).untested.startswith("no network has both")
    assert comparisons.compare(numbers[:6], errors).untested == "there is only one network"
