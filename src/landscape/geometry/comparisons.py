"""Compare the order of networks by a number of their surfaces with their order by test error.

Runs that differ in the training seed alone are one network. Its value is the mean over directions, then over seeds.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from landscape.geometry import wilson
from landscape.lazy import np, pd, scipy

FEW = 5
"""Least number of networks for a rank correlation; with fewer, only pairs are counted."""

MANY = 10
"""Least number of networks for an interval of the rank correlation."""

TEST_IMAGES = 1000
"""Least number of test examples for a comparison by test errors: one of digits' 297 images is a third of a percent."""

ORDERS = 40_320
"""Orders tried if some values are equal: all orders of up to 8 values (8! = 40,320), else random ones."""

_BLOCK = 5_000  # orders tried at a time


@dataclass(frozen=True)
class Kendall:
    """Kendall's tau-b of two series, with its two-sided permutation p.

    Attributes:
        tau: NaN if one of the series is constant.
        p: share of all orders of the second series whose tau is at least as far from 0.
        exact: p counts all orders; otherwise `ORDERS` random ones.
    """

    tau: float
    p: float
    exact: bool


@dataclass(frozen=True)
class Comparison:
    """Agreement of the order of networks by a number with their order by test error.

    Attributes:
        networks: number of networks with both.
        agree, pairs: `pairs` counts the pairs of networks whose test errors' intervals do not overlap; in `agree` of
            them the network with the larger error has the larger number.
        kendall: None below `FEW` networks.
        interval: 95 % interval of tau by hierarchical bootstrap; None below `MANY` networks, and without tau.
        by_factor: by factor, `agree` and `pairs` among the pairs of networks that differ in this factor alone.
        untested: the reason why there is no comparison; empty if there is one.
    """

    networks: int
    agree: int = 0
    pairs: int = 0
    kendall: Kendall | None = None
    interval: tuple[float, float] | None = None
    by_factor: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    untested: str = ""

    def __str__(self) -> str:
        if self.untested:
            return f"not tested: {self.untested}"
        agreement = f"order agrees in {self.agree} of {self.pairs} pairs"
        if self.by_factor:
            agreement += f"; if they differ in one factor alone, in {self.alone}"
        if self.kendall is None:
            return agreement
        between = "" if self.interval is None else f" ({self.interval[0]:.2f} to {self.interval[1]:.2f})"
        p = f"p {'=' if self.kendall.exact else 'about'} {self.kendall.p:.2g}"
        return f"tau {self.kendall.tau:.2f}{between}, {p}, {self.networks} networks; {agreement}"

    @property
    def alone(self) -> str:
        """`by_factor` in words: `2 of 3 (depth), 1 of 1 (shortcut)`."""
        return ", ".join(
            f"{agree} of {pairs} ({factor.removeprefix('args.')})" for factor, (agree, pairs) in self.by_factor.items()
        )


def compare(
    numbers: pd.DataFrame,
    errors: pd.DataFrame,
    factors: Mapping[Any, Mapping[str, Any]] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare the order of networks by a number with their order by test error.

    Negate a number that is expected to fall with the error, such as a width. Tau is over all pairs of networks; only the
    counted pairs leave out those whose errors' intervals overlap.

    Args:
        numbers: a row per surface, columns `network`, `run` (one training with one seed), `direction`, `value`; rows with
            a NaN are left out.
        errors: a row per run, columns `network`, `run`, `wrong` and `images` (of the test split); runs without a number
            are left out.
        factors: by network, the factors that tell it from others.
    """
    known = numbers[np.isfinite(numbers["value"])].merge(errors, on=["network", "run"], validate="many_to_one")
    found = _per_network(known)
    if not len(found):
        return Comparison(0, untested="no network has both a number and a test error")
    if (fewest := int(found["images"].min())) < TEST_IMAGES:
        return Comparison(len(found), untested=f"{fewest:,} test examples are too few to order networks by")
    if len(found) < 2:
        return Comparison(1, untested="there is only one network")
    apart = separated(*np.transpose([_interval(row.error, row.images) for row in found.itertuples()]))
    x, y = found["value"].to_numpy(), found["error"].to_numpy()
    agree, pairs = agreement(x, y, apart)
    told = None if factors is None else pd.DataFrame([factors[network] for network in found.index])
    tau = kendall(x, y) if len(found) >= FEW else None
    return Comparison(
        len(found),
        agree,
        pairs,
        tau,
        bootstrap(known, resamples, seed) if len(found) >= MANY and tau and math.isfinite(tau.tau) else None,
        {} if told is None else granulated(told, x, y, apart),
    )


def kendall(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> Kendall:
    """Return Kendall's tau-b with its permutation p.

    p is exact if no two values are equal (scipy's recursion), or if there are at most `ORDERS` orders.

    Raises:
        ValueError: if the two differ in length or a value is not finite.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a rank correlation needs two series of finite values of the same length")
    if len(np.unique(x)) == len(np.unique(y)) == x.size:
        tau, p = scipy.stats.kendalltau(x, y, method="exact")
        return Kendall(float(tau), float(p), True)
    tau = float(scipy.stats.kendalltau(x, y, method="asymptotic").statistic)
    if math.isnan(tau):
        return Kendall(math.nan, math.nan, True)
    i, j = np.triu_indices(x.size, 1)
    signs = np.sign(x[i] - x[j])

    def distance(y: np.ndarray, axis: int) -> np.ndarray:
        # Not the signed sum: scipy's two-sided p doubles the smaller tail, and ties make the tails unequal.
        return np.abs(np.sign(y[..., i] - y[..., j]) @ signs)

    test = scipy.stats.permutation_test(
        (y,),
        distance,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=ORDERS,
        vectorized=True,
        batch=_BLOCK,
        rng=0,
    )
    return Kendall(tau, float(test.pvalue), math.factorial(x.size) <= ORDERS)


def agreement(x: np.ndarray, y: np.ndarray, counted: np.ndarray | None = None) -> tuple[int, int]:
    """Count the pairs that x and y put in the same order, and all pairs.

    Pairs equal in y are not counted. Pairs equal in x alone count as not agreeing.

    Args:
        counted: shape (n, n), of which the part above the diagonal marks the pairs that may be counted; default all.
    """
    upper = np.triu(_signs(y) != 0, 1)
    if counted is not None:
        upper &= counted
    return int((_signs(x) == _signs(y))[upper].sum()), int(upper.sum())


def separated(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Mark the pairs of intervals that do not overlap, shape (n, n). Intervals that touch overlap."""
    below = high[:, None] < low[None]
    return np.asarray(below | below.T)


def single_factor_pairs(factors: pd.DataFrame) -> list[tuple[int, int, str]]:
    """Find the pairs of rows that differ in exactly one column, as (row, row, column).

    Missing values are equal to each other. Values may be lists.
    """
    columns = {name: pd.factorize(factors[name].map(_hashable), use_na_sentinel=True)[0] for name in factors}
    found = []
    for i, j in itertools.combinations(range(len(factors)), 2):
        differing = [name for name, codes in columns.items() if codes[i] != codes[j]]
        if len(differing) == 1:
            found.append((i, j, str(differing[0])))
    return found


def granulated(
    factors: pd.DataFrame, x: np.ndarray, y: np.ndarray, counted: np.ndarray | None = None
) -> dict[str, tuple[int, int]]:
    """Return `agreement` by factor, among the pairs of networks that differ in that factor alone.

    Args:
        factors: a row per network.
        counted: as in `agreement`.
    """
    alone = {str(factor): np.zeros((len(factors), len(factors)), bool) for factor in factors.columns}
    for i, j, factor in single_factor_pairs(factors):
        alone[factor][i, j] = True
    found = {factor: agreement(x, y, of if counted is None else of & counted) for factor, of in alone.items()}
    return {factor: (agree, pairs) for factor, (agree, pairs) in found.items() if pairs}


def bootstrap(known: pd.DataFrame, resamples: int, seed: int) -> tuple[float, float]:
    """Estimate the 95 % interval of tau by hierarchical bootstrap over networks, their runs, and the runs' directions.

    Args:
        known: columns `network`, `run`, `value`, `wrong`, `images`.
    """
    generator = np.random.default_rng(seed)
    networks = [
        [(run["value"].to_numpy(), float(run["wrong"].iloc[0] / run["images"].iloc[0])) for _, run in of.groupby("run")]
        for _, of in known.groupby("network")
    ]
    taus = []
    for _ in range(resamples):
        drawn = [_redrawn(networks[k], generator) for k in generator.integers(len(networks), size=len(networks))]
        taus.append(scipy.stats.kendalltau(*np.array(drawn).T, method="asymptotic").statistic)
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return float(low), float(high)


def _redrawn(runs: list[tuple[np.ndarray, float]], generator: np.random.Generator) -> tuple[float, float]:
    """Resample the runs of a network and the directions of each run; return the mean number and error."""
    drawn = [runs[k] for k in generator.integers(len(runs), size=len(runs))]
    values = [generator.choice(values, values.size).mean() for values, _ in drawn]
    return float(np.mean(values)), float(np.mean([error for _, error in drawn]))


def _per_network(known: pd.DataFrame) -> pd.DataFrame:
    """Average `value`, `error` and `images` over directions, then over runs: a row per network."""
    runs = known.assign(error=known["wrong"] / known["images"]).groupby(["network", "run"], sort=False)
    return runs[["value", "error", "images"]].mean().groupby("network", sort=False).mean()


def _interval(error: float, images: float) -> tuple[float, float]:
    """Return Wilson's interval of a mean error over runs, as of one run, since all have the same test examples."""
    return wilson(round(error * images), round(images))


def _hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _signs(x: np.ndarray) -> np.ndarray:
    """sign(x_i - x_j), shape (n, n)."""
    return np.sign(x[:, None] - x[None]).astype(np.int64)
