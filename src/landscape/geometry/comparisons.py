"""Compare the order of networks by a number of their surfaces with their order by test error.

Runs that differ in the training seed alone are one network. Its value is the mean over directions, then over seeds. A pair
of networks is left out if it cannot be compared; the others stay.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from landscape.geometry.error_rates import SURE, Errors, differ
from landscape.geometry.findings import is_trained
from landscape.geometry.means import Mean, direction, order
from landscape.lazy import np, pd

FEW = 5
"""Least number of networks for a rank correlation; with fewer, only pairs are counted."""

MANY = 10
"""Least number of networks for an interval of the rank correlation."""

STRONG = 0.5
"""Least tau of an order that is reproduced."""

FAMILY = 3
"""Least number of pairs of a family of which the sign of tau counts."""

TEST_EXAMPLES = 1000
"""Least number of test examples for a comparison by test errors: one of digits' 297 images is a third of a percent."""

ORDERS = 40_320
"""Orders tried: all orders of up to 8 networks (8! = 40,320), else random ones."""

FAR = 10.0
"""Largest ratio of train losses at which two networks are compared."""

CENSORED = "cut by the border or the grid's resolution"


@dataclass(frozen=True)
class Network:
    """A network in a comparison.

    Attributes:
        label: its name in words.
        family: its architecture.
        value: the number that orders networks, larger where a larger test error is expected.
        errors: of its runs on the test split; empty if there are none.
        losses: final train loss by run.
        guessing: loss of guessing, above a share of which a run did not train; NaN if unknown.
        factors: what tells it from other networks.
    """

    label: str
    family: str
    value: Mean
    errors: tuple[Errors, ...]
    losses: Mapping[str, float]
    guessing: float = math.nan
    factors: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """The mean test error over its runs, as a share."""
        return sum(run.share for run in self.errors) / len(self.errors)


@dataclass(frozen=True)
class Comparison:
    """Agreement of the order of networks by a number with their order by test error.

    Attributes:
        networks: number of networks with both.
        left_out: pairs that cannot be compared, by the reason.
        pairs: number of pairs that can.
        tau: Kendall's tau-b over these pairs; NaN below `FEW` networks, or if one of the two orders is constant.
        p: two-sided, by permutation of the networks' test errors; NaN without tau.
        exact: whether p counts all permutations; otherwise `ORDERS` random ones.
        interval: 95 % interval of tau by bootstrap over networks; None below `MANY`.
        families: tau and number of pairs within each family with `FAMILY` pairs or more.
        agree, decided: pairs whose two test errors differ and whose values are in a decided order; in `agree` of them the
            network with the larger error has the larger value.
        by_factor: by factor, `agree` and `decided` among the pairs of networks that differ in this factor alone.
        untested: the reason why there is no comparison; empty if there is one.
    """

    networks: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    pairs: int = 0
    tau: float = math.nan
    p: float = math.nan
    exact: bool = True
    interval: tuple[float, float] | None = None
    families: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    agree: int = 0
    decided: int = 0
    by_factor: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    untested: str = ""

    @property
    def holds(self) -> bool:
        """True if tau is strong, sure, and of one sign in every family."""
        same = all(tau > 0 for tau, _ in self.families.values())
        return self.tau >= STRONG and self.p < SURE and same

    def __str__(self) -> str:
        if self.untested:
            return f"not tested: {self.untested}"
        parts = [self.short]
        if not math.isnan(self.tau):
            parts.append(f"order agrees in {self.agree} of {self.decided} pairs")
        if self.by_factor:
            parts.append(f"if they differ in one factor alone, in {self.alone}")
        if self.left_out:
            parts.append(f"left out: {self.reasons}")
        return "; ".join(parts)

    @property
    def short(self) -> str:
        """The comparison in a line, for a heading."""
        if self.untested:
            return f"not tested: {self.untested}"
        if math.isnan(self.tau):
            return f"order agrees in {self.agree} of {self.decided} pairs"
        return f"{self.correlation}, {self.networks} networks"

    @property
    def correlation(self) -> str:
        """Tau, its interval and its p in words."""
        between = "" if self.interval is None else f" ({self.interval[0]:.2f} to {self.interval[1]:.2f})"
        return f"tau {self.tau:.2f}{between}, p {'=' if self.exact else 'about'} {self.p:.2g}"

    @property
    def alone(self) -> str:
        """`by_factor` in words: `2 of 3 (depth), 1 of 1 (shortcut)`."""
        return ", ".join(
            f"{agree} of {pairs} ({factor.removeprefix('args.')})" for factor, (agree, pairs) in self.by_factor.items()
        )

    @property
    def reasons(self) -> str:
        """`left_out` in words."""
        return ", ".join(f"{n} {'pair' if n == 1 else 'pairs'} ({reason})" for reason, n in self.left_out.items())


@dataclass(frozen=True)
class Orders:
    """Two orders of networks, by value and by test error, pair by pair.

    Attributes:
        networks: those with a value and a test error.
        by_value: sign of the difference of the values, (n, n), above the diagonal; 0 where the pair is not compared.
        decided: the same where the test errors differ and the order of the values is decided, else 0.
        compared: the pairs that can be compared.
        left_out: those that cannot, by the reason.
    """

    networks: tuple[Network, ...]
    by_value: np.ndarray
    decided: np.ndarray
    compared: np.ndarray
    left_out: Mapping[str, int]

    @classmethod
    def of(cls, networks: Sequence[Network], margin: float) -> Orders:
        known = tuple(network for network in networks if network.value.known and network.errors)
        n = len(known)
        by_value, decided, compared = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n), bool)
        left_out: Counter[str] = Counter()
        for i, j in itertools.combinations(range(n), 2):
            one, other = known[i], known[j]
            sign = direction(one.value, other.value)
            if reason := confounded(one, other) or ("" if sign is not None else CENSORED):
                left_out[reason] += 1
                continue
            compared[i, j], by_value[i, j] = True, sign
            if differ(one.errors, other.errors):
                decided[i, j] = order(one.value, other.value, margin) or 0
        return cls(known, by_value, decided, compared, dict(left_out))

    @property
    def errors(self) -> np.ndarray:
        return np.array([network.error for network in self.networks])

    def counted(self, pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Count the pairs whose two orders are the same, and those in which both are decided."""
        errors = self.errors
        told = [self.decided[i, j] == np.sign(errors[i] - errors[j]) for i, j in pairs if self.decided[i, j]]
        return int(sum(told)), len(told)

    def tau(self, drawn: np.ndarray | None = None) -> float:
        """Return Kendall's tau-b over the compared pairs, of all networks or of those drawn with repetition."""
        at = np.arange(len(self.networks)) if drawn is None else drawn
        signs, both = self.by_value - self.by_value.T, self.compared | self.compared.T
        i, j = np.nonzero(np.triu(both[np.ix_(at, at)], 1))
        return _tau(signs[at[i], at[j]], np.sign(self.errors[at[i]] - self.errors[at[j]]))


def compare(networks: Sequence[Network], margin: float = 0.0, *, resamples: int = 1000, seed: int = 0) -> Comparison:
    """Compare the order of networks by their values with their order by test error.

    Tau is over the pairs that can be compared, by the values as they are. The counted pairs are those of them whose test
    errors differ (`error_rates.differ`) and whose values are in a decided order (`means.order`).

    Args:
        margin: share of the larger value by which two values must differ to be in an order.
    """
    orders = Orders.of(networks, margin)
    known, n = orders.networks, len(orders.networks)
    if not n:
        return Comparison(0, untested="no network has both a number and a test error")
    if (fewest := min(run.examples for network in known for run in network.errors)) < TEST_EXAMPLES:
        return Comparison(n, untested=f"{fewest:,} test examples are too few to order networks by")
    if n < 2:
        return Comparison(1, untested="there is only one network")
    if not orders.compared.any():
        none = Comparison(n, orders.left_out)
        return replace(none, untested=f"no two networks can be compared: {none.reasons}")
    tau, p, exact = kendall(orders.by_value, orders.errors, orders.compared) if n >= FEW else (math.nan, math.nan, True)
    alone: dict[str, list[tuple[int, int]]] = {}
    for i, j, factor in single_factor_pairs(pd.DataFrame([dict(network.factors) for network in known])):
        alone.setdefault(factor, []).append((i, j))
    pairs = list(zip(*np.nonzero(orders.compared), strict=True))
    agree, decided = orders.counted(pairs)
    by_factor = {factor: orders.counted(of) for factor, of in alone.items()}
    return Comparison(
        n,
        orders.left_out,
        len(pairs),
        tau,
        p,
        exact,
        bootstrap(orders, resamples, seed) if n >= MANY and math.isfinite(tau) else None,
        dict(_families(orders)),
        agree,
        decided,
        {factor: counts for factor, counts in by_factor.items() if counts[1]},
    )


def gain(one: Orders, other: Orders, *, resamples: int = 1000, seed: int = 0) -> Mean:
    """Return how much larger the tau of one order is, with its standard error by bootstrap over the shared networks.

    NaN if the two hold different networks.
    """
    if [network.label for network in one.networks] != [network.label for network in other.networks]:
        return Mean(math.nan)
    drawn = _draws(len(one.networks), resamples, seed)
    return Mean(one.tau() - other.tau(), float(np.nanstd([one.tau(at) - other.tau(at) for at in drawn])))


def confounded(*networks: Network) -> str:
    """Say why networks cannot be compared: a run did not train, or train losses are far apart. Empty if they can."""
    losses = [loss for network in networks for loss in network.losses.values()]
    if any(not is_trained(loss, network.guessing) for network in networks for loss in network.losses.values()):
        return "one did not train"
    low, high = min(losses, default=0.0), max(losses, default=0.0)
    return f"train losses more than {FAR:g} times apart" if low >= 0 and high > FAR * max(low, 1e-12) else ""


def kendall(x: np.ndarray, y: np.ndarray, compared: np.ndarray | None = None) -> tuple[float, float, bool]:
    """Return Kendall's tau-b of two orders over some pairs, its two-sided permutation p, and whether p is exact.

    Args:
        x: signs of the first order, (n, n), of which the part above the diagonal counts.
        y: values of the second, (n,). Its permutations give p: the share whose tau is at least as far from 0.
        compared: the pairs that count, (n, n), a part of those above the diagonal; default all.
    """
    i, j = np.nonzero(np.triu(np.ones_like(x), 1) if compared is None else compared)
    signs = x[i, j]
    tau = _tau(signs, np.sign(y[i] - y[j]))
    if math.isnan(tau):
        return math.nan, math.nan, True
    exact = math.factorial(y.size) <= ORDERS
    extreme = [np.abs(np.sign(of[:, i] - of[:, j]) @ signs) for of in _permutations(y, exact)]
    at_least = np.concatenate(extreme) >= abs(np.sign(y[i] - y[j]) @ signs) - 0.5  # they are whole numbers
    return tau, float(at_least.mean() if exact else (1 + at_least.sum()) / (1 + at_least.size)), exact


def bootstrap(orders: Orders, resamples: int, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of tau by bootstrap over networks."""
    taus = [orders.tau(drawn) for drawn in _draws(len(orders.networks), resamples, seed)]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return float(low), float(high)


def single_factor_pairs(factors: pd.DataFrame) -> list[tuple[int, int, str]]:
    """Find the pairs of rows that differ in exactly one column, as (row, row, column).

    Missing values are equal to each other. Values may be lists.
    """
    return [(i, j, names[0]) for i, j, names in differences(factors) if len(names) == 1]


def differences(factors: pd.DataFrame) -> Iterator[tuple[int, int, list[str]]]:
    """Yield every pair of rows with the columns in which they differ."""
    columns = {name: pd.factorize(factors[name].map(_hashable), use_na_sentinel=True)[0] for name in factors}
    for i, j in itertools.combinations(range(len(factors)), 2):
        yield i, j, [str(name) for name, codes in columns.items() if codes[i] != codes[j]]


def _draws(n: int, resamples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(n, size=(resamples, n))


def _families(orders: Orders) -> Iterator[tuple[str, tuple[float, int]]]:
    of = np.array([network.family for network in orders.networks])
    for family in dict.fromkeys(of.tolist()):
        within = np.flatnonzero(of == family)
        tau, pairs = orders.tau(within), int(orders.compared[np.ix_(within, within)].sum())
        if pairs >= FAMILY and not math.isnan(tau):
            yield family, (tau, pairs)


def _tau(x: np.ndarray, y: np.ndarray) -> float:
    """Return tau-b of the signs of pairs; NaN if one of the orders is constant."""
    scale = math.sqrt(np.count_nonzero(x) * np.count_nonzero(y))
    return float(x @ y) / scale if scale else math.nan


def _permutations(y: np.ndarray, exact: bool) -> Iterator[np.ndarray]:
    """Yield the permutations of y in blocks, (block, n)."""
    if exact:
        orders = itertools.permutations(y.tolist())
        while block := list(itertools.islice(orders, 5_000)):
            yield np.array(block)
        return
    generator = np.random.default_rng(0)
    for _ in range(ORDERS // 5_040):
        yield generator.permuted(np.tile(y, (5_040, 1)), axis=1)


def _hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
