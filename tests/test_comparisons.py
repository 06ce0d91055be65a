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
from landscape.geometry.comparisons import Comparison, Network, Orders
from landscape.geometry.error_rates import Errors, differ
from landscape.geometry.grid import Number
from landscape.geometry.means import Mean, Sample, mean_of, order, sample

ranks = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=7)


def signs(x: Any) -> np.ndarray:
    x = np.asarray(x, float)
    return np.asarray(np.sign(x[:, None] - x[None]))


def tau_of(x: Any, y: Any, compared: np.ndarray | None = None) -> tuple[float, float, bool]:
    return comparisons.kendall(signs(x), np.asarray(y, float), compared)


@settings(deadline=None)  # it tries up to 5,040 orders too
@given(ranks)
def test_tau_b_is_scipys(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, np.float64).T
    assert tau_of(x, y)[0] == pytest.approx(stats.kendalltau(x, y).statistic, nan_ok=True)


@pytest.mark.parametrize("y", [(1, 2, 3, 4, 5), (2, 1, 3, 5, 4), (3, 3, 1, 4, 4), (1, 1, 1, 1, 2)])
def test_p_is_the_share_of_all_orders_that_are_as_extreme(y: tuple[int, ...]) -> None:
    x = (1.0, 2.0, 3.0, 4.0, 5.0)
    taus = [stats.kendalltau(x, order).statistic for order in itertools.permutations(y)]
    observed = stats.kendalltau(x, y).statistic
    tau, p, exact = tau_of(x, y)
    assert tau == pytest.approx(observed) and exact
    assert p == pytest.approx(np.mean(np.abs(taus) > abs(observed) - 1e-9))


def test_p_of_many_values_is_sampled_and_near_the_normal_one() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=25)
    y = np.round(x + generator.normal(scale=3, size=25))
    found = tau_of(x, y)
    assert not found[2]
    assert found[1] == pytest.approx(stats.kendalltau(x, y, method="asymptotic").pvalue, abs=0.02)
    assert tau_of(x, y) == found
    perfect = tau_of(range(12), range(12))
    assert perfect[0] == 1.0 and 0 < perfect[1] < 1e-4  # never 0: the observed order is one of those tried


def test_a_pair_that_is_not_compared_counts_neither_way() -> None:
    compared = np.triu(np.ones((4, 4), bool), 1)
    compared[0, 3] = False  # the only pair that disagrees
    x, y = np.array([1.0, 2, 3, 0]), [1, 2, 3, 4]
    compared[1:3, 3] = False
    assert tau_of(x, y, compared)[0] == 1.0 and tau_of(x, y)[0] == 0.0


def test_a_constant_series_has_no_tau() -> None:
    assert math.isnan(tau_of([1, 2, 3], [4, 4, 4])[0])


FACTORS = pd.DataFrame(
    {"depth": [20, 56, 20, 56], "shortcut": [True, True, False, False], "width": [None, None, None, 2.0]}
)


def test_pairs_of_one_factor() -> None:
    assert comparisons.single_factor_pairs(FACTORS) == [(0, 1, "depth"), (0, 2, "shortcut")]


# Values with errors, and bounds


def test_an_estimate_averages_directions_then_runs() -> None:
    values = {("a", "p"): 1.0, ("a", "q"): 3.0, ("b", "p"): 8.0}
    found = mean_of([Sample(run, plane, value) for (run, plane), value in values.items()])
    assert found.value == (2.0 + 8.0) / 2
    runs, directions = np.var([2.0, 8.0], ddof=1) / 2, np.var([4.5, 3.0], ddof=1) / 2
    assert found.error == pytest.approx(math.sqrt(runs + directions))


def test_the_error_of_an_estimate_covers_the_truth() -> None:
    """Runs and directions each with an effect of their own: the mean lies within two errors in about 95 of 100 cases."""
    generator = np.random.default_rng(0)
    covered, trials = 0, 400
    for _ in range(trials):
        runs, directions = generator.normal(size=8), generator.normal(size=8)
        values = runs[:, None] + directions + 0.5 * generator.normal(size=(8, 8))
        found = mean_of([Sample(str(i), str(j), float(values[i, j])) for i, j in np.ndindex(8, 8)])
        covered += abs(found.value) < 2 * found.error
    assert 0.9 < covered / trials < 0.99


@pytest.mark.parametrize("samples", [[("a", "p")], [("a", "p"), ("a", "q")], [("a", "p"), ("b", "p")]])
def test_one_run_or_one_direction_has_no_error(samples: list[tuple[str, str]]) -> None:
    assert math.isnan(mean_of([Sample(*of, 1.0) for of in samples]).error)


def test_of_numbers_of_runs_the_seeds_alone_give_the_error() -> None:
    found = mean_of([Sample("a", "", 1.0), Sample("b", "", 3.0)], directions=False)
    assert (found.value, found.error) == (2.0, 1.0)


def test_a_cut_number_is_a_bound_and_so_is_a_mean_with_one() -> None:
    cut = sample("a", "p", Number(2.0, 0.1, bound=1))
    small = sample("a", "q", Number(math.nan, 0.1, "not resolved", most=0.6))
    assert (cut.bound, small.bound, small.value) == (1, -1, 0.6)
    assert math.isnan(sample("a", "p", Number(math.nan, 0.1, "not resolved")).value)
    whole = Sample("a", "r", 1.0)
    assert mean_of([cut, whole]).bound == 1 and mean_of([small, whole]).bound == -1
    assert not mean_of([cut, small]).known
    assert str(Mean(2.0, 0.1, 1)) == "at least 2 (se 0.1)"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Mean(2.0, 0.1), Mean(1.0, 0.1), 1),
        (Mean(1.0, 0.1), Mean(2.0, 0.1), -1),
        (Mean(1.2, 0.1), Mean(1.0, 0.1), 0),  # 0.2 is less than two errors of the difference, 0.28
        (Mean(1.2), Mean(1.0), 1),  # without errors only the margin counts
        (Mean(1.04), Mean(1.0), 0),
        (Mean(2.0, bound=1), Mean(1.0), 1),
        (Mean(1.0), Mean(2.0, bound=1), -1),
        (Mean(1.0, bound=1), Mean(2.0), None),  # it may be larger or smaller than 2
        (Mean(1.0, bound=-1), Mean(2.0), -1),
        (Mean(2.0, bound=-1), Mean(1.0), None),
        (Mean(2.0, bound=1), Mean(1.0, bound=1), None),
        (Mean(2.0, bound=1), Mean(1.0, bound=-1), None),
        (Mean(math.nan), Mean(1.0), None),
        (Mean(0.0, 0.0), Mean(0.0, 0.0), 0),
    ],
)
def test_the_order_of_two_estimates(one: Mean, other: Mean, expected: int | None) -> None:
    assert order(one, other, 0.05) == expected
    assert order(other, one, 0.05) == (expected if not expected else -expected)


# Test errors


def test_two_errors_differ_by_mcnemar_where_predictions_are_kept() -> None:
    correct = np.ones(10_000, bool)
    first, second = correct.copy(), correct.copy()
    first[:600], second[:660] = False, False  # 60 examples are wrong for the second alone: p = 2^-59
    kept = Errors(600, 10_000, first), Errors(660, 10_000, second)
    assert differ([kept[0]], [kept[1]])
    assert not differ([Errors(600, 10_000)], [Errors(660, 10_000)])  # their Wilson intervals overlap
    elsewhere = correct.copy()
    elsewhere[5000:5620] = False  # the same shares, but 600 examples are wrong for one alone and 620 for the other
    assert not differ([kept[0]], [Errors(620, 10_000, elsewhere)]) and stats.binomtest(600, 1220).pvalue > 0.5
    assert not differ([kept[0]], [kept[0]])


def test_errors_of_several_seeds_are_compared_in_their_mean() -> None:
    generator = np.random.default_rng(0)
    hard = generator.random(10_000)

    def runs(rate: float) -> list[Errors]:
        found = [hard + 0.05 * generator.normal(size=10_000) > rate for _ in range(3)]
        return [Errors(int((~correct).sum()), 10_000, correct) for correct in found]

    assert differ(runs(0.10), runs(0.12))
    assert differ([Errors(500, 10_000)] * 2, [Errors(700, 10_000)])
    assert not differ([Errors(600, 10_000), Errors(620, 10_000)], [Errors(615, 10_000)])


# Comparisons


def networks(values: Any, wrong: Any, images: int = 10_000, losses: Any = 0.01, **more: Any) -> list[Network]:
    losses = [losses] * len(values) if isinstance(losses, float) else losses
    return [
        Network(f"n{k}", "net", Mean(value, 0.01), (Errors(count, images),), {f"n{k}": loss}, math.log(10), **more)
        for k, (value, count, loss) in enumerate(zip(values, wrong, losses, strict=True))
    ]


def test_few_networks_are_counted_in_pairs() -> None:
    found = comparisons.compare(networks([1, 2, 3, 4], [500, 1000, 900, 905]))
    assert (found.agree, found.decided, found.pairs) == (3, 3, 6)  # 900, 905 and 1000 of 10,000 do not differ
    assert math.isnan(found.tau) and found.interval is None and not found.holds
    assert str(found) == "order agrees in 3 of 3 pairs"


def test_five_networks_have_a_tau_and_ten_an_interval() -> None:
    five = comparisons.compare(networks(range(5), [500, 700, 900, 1300, 1100]))
    assert [five.tau, five.p] == pytest.approx([0.8, stats.kendalltau(range(5), [5, 7, 9, 13, 11]).pvalue])
    assert five.interval is None
    assert str(five) == "tau 0.80, p = 0.083, 5 networks; order agrees in 9 of 10 pairs"
    ten = comparisons.compare(networks(range(10), [500 + 200 * k for k in range(10)]), resamples=200)
    assert ten.interval == (1.0, 1.0) and ten.holds
    assert ten == comparisons.compare(networks(range(10), [500 + 200 * k for k in range(10)]), resamples=200)


def test_one_network_that_cannot_be_compared_voids_its_own_pairs_alone() -> None:
    values, wrong = range(12), [500 + 200 * k for k in range(12)]
    assert comparisons.compare(networks(values, wrong)).holds
    far = comparisons.compare(networks(values, wrong, losses=[0.2, *[0.01] * 11]))
    assert far.holds and far.pairs == 55 and far.left_out == {"train losses more than 10 times apart": 11}
    lost = comparisons.compare(networks(values, wrong, losses=[2.2, *[0.01] * 11]))
    assert lost.holds and lost.reasons == "11 pairs (one did not train)"
    without = comparisons.compare([*networks(values[1:], wrong[1:]), *networks([math.nan], [400])])
    assert without.holds and without.networks == 11
    every = comparisons.compare(networks([1, 2], [500, 900], losses=[0.01, 2.2]))
    assert every.untested == "no two networks can be compared: 1 pair (one did not train)"


def test_an_order_that_is_weak_or_of_two_signs_does_not_hold() -> None:
    wrong = [500 + 200 * k for k in range(12)]
    swapped = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 11]
    assert comparisons.compare(networks(swapped, wrong)).holds
    weak = comparisons.compare(networks([5, 0, 4, 1, 8, 2, 9, 3, 7, 6, 10, 11], wrong))
    assert weak.p < 0.05 or weak.tau < 0.5
    assert weak.holds == (weak.tau >= 0.5 and weak.p < 0.05)
    # One family runs against the order of all.
    of = networks(range(12), wrong)
    turned = [3, 2, 1, 0]
    against = [
        Network(each.label, "odd" if k < 4 else "net", Mean(float(turned[k] if k < 4 else k)), each.errors, each.losses)
        for k, each in enumerate(of)
    ]
    found = comparisons.compare(against)
    assert found.tau > 0.5 and found.p < 0.05 and found.families["odd"] == (-1.0, 6) and not found.holds


def test_undecided_pairs_are_not_counted() -> None:
    of = networks([1.0, 1.01, 2.0], [500, 900, 1300])
    found = comparisons.compare(of, 0.05)
    assert (found.agree, found.decided, found.pairs) == (2, 2, 3)


def test_by_factor() -> None:
    of = [
        Network(each.label, "net", each.value, each.errors, each.losses, factors=row._asdict())
        for each, row in zip(
            networks([1, 2, 3, 4], [700, 500, 900, 1200]),
            FACTORS[["depth", "shortcut"]].itertuples(index=False),
            strict=True,
        )
    ]
    found = comparisons.compare(of)
    assert found.by_factor == {"depth": (1, 2), "shortcut": (2, 2)}
    assert found.alone == "1 of 2 (depth), 2 of 2 (shortcut)"


def test_bounds_tie_at_the_end_towards_which_they_are_cut() -> None:
    values = [Mean(float(k), 0.01) for k in range(4)] + [Mean(4.0, 0.01, 1), Mean(3.9, 0.01, 1)]
    of = [
        Network(f"n{k}", "net", value, (Errors(500 + 300 * k, 10_000),), {"": 0.01}) for k, value in enumerate(values)
    ]
    found = comparisons.compare(of)
    assert found.pairs == 14 and found.left_out == {comparisons.CENSORED: 1}
    assert found.tau == 1.0 and found.agree == found.decided == 14


def test_the_bootstrap_covers_the_truth() -> None:
    generator = np.random.default_rng(0)
    ends = []
    for k in range(12):
        x = generator.normal(size=14)
        wrong = np.round(3000 + 500 * (x + generator.normal(size=14))).astype(int)
        ends.append(comparisons.compare(networks(x, wrong), resamples=150, seed=k).interval)
    low, high = np.array(ends).T
    truth = 0.5  # tau of two normals that correlate by r = sqrt(1/2) is 2 arcsin(r) / pi
    assert ((low <= truth) & (truth <= high)).sum() >= 10
    assert 0.3 < (high - low).mean() < 0.9


def test_the_gain_of_one_order_over_another() -> None:
    wrong = [500 + 200 * k for k in range(12)]
    perfect = Orders.of(networks(range(12), wrong), 0.0)
    none = Orders.of(networks(np.random.default_rng(3).permutation(12).tolist(), wrong), 0.0)
    gain = comparisons.gain(perfect, none)
    assert gain.value == pytest.approx(1.0 - none.tau()) and gain.value > 2 * gain.error > 0
    assert comparisons.gain(perfect, perfect) == Mean(0.0, 0.0)
    assert not comparisons.gain(perfect, Orders.of(networks(range(11), wrong[:11]), 0.0)).known


def test_what_is_not_tested() -> None:
    assert str(comparisons.compare(networks(range(6), range(50, 110, 10), images=297))) == (
        "not tested: 297 test examples are too few to order networks by"
    )
    assert comparisons.compare(networks([math.nan] * 3, [500, 700, 900])).untested.startswith("no network has both")
    assert comparisons.compare(networks([1], [500])).untested == "there is only one network"
    assert comparisons.compare([]) == Comparison(0, untested="no network has both a number and a test error")
