"""Numbers of a network with their errors: the mean over directions, then over training seeds; and which of two is larger."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from landscape.geometry.grid import Number
from landscape.lazy import np

ERRORS = 2.0
"""Standard errors by which two values differ at least if one counts as larger."""


@dataclass(frozen=True)
class Sample:
    """A number of one surface.

    Attributes:
        run: the training, of one seed.
        direction: the plane.
        value: NaN if undefined.
        bound: 1 if the true value is at least `value`, -1 if it is at most that, 0 if it is the value.
    """

    run: str
    direction: str
    value: float
    bound: int = 0


@dataclass(frozen=True)
class Mean:
    """A number of a network.

    Attributes:
        value: the mean over directions, then over runs; NaN without a sample that has a value.
        error: its standard error, from the spread over runs and over directions; NaN with one of either.
        bound: as in `Sample`: a mean with a bound in it is one too. NaN is the value if bounds lie on both sides.
    """

    value: float
    error: float = math.nan
    bound: int = 0

    @property
    def known(self) -> bool:
        return not math.isnan(self.value)

    def __str__(self) -> str:
        if not self.known:
            return "undefined"
        sign = {1: "at least ", 0: "", -1: "at most "}[self.bound]
        return f"{sign}{self.value:.3g}" + ("" if math.isnan(self.error) else f" (se {self.error:.2g})")


def sample(run: str, direction: str, number: Number) -> Sample:
    """Take a number of a surface for a comparison: one cut by the border, or by the grid's resolution, is a bound."""
    if math.isnan(number.most):
        return Sample(run, direction, number.value, number.bound)
    return Sample(run, direction, number.most, -1)


def mean_of(samples: Sequence[Sample], *, directions: bool = True) -> Mean:
    """Average over directions, then over runs.

    The squared standard error is var(means of runs) / runs + var(means of directions) / directions: each variance also
    holds what is peculiar to a run and direction, so the error is slightly too large rather than too small. It is NaN
    with one run, or with one direction.

    Args:
        directions: False for numbers that depend on the run alone, such as a weight norm.
    """
    known = [each for each in samples if not math.isnan(each.value)]
    bounds = {each.bound for each in known} - {0}
    if not known or len(bounds) > 1:
        return Mean(math.nan)
    by_run = _means(known, lambda each: each.run)
    squared = _of_mean(by_run)
    if directions:
        squared += _of_mean(_means(known, lambda each: each.direction))
    return Mean(float(np.mean(by_run)), math.sqrt(squared), bounds.pop() if bounds else 0)


def order(one: Mean, other: Mean, margin: float = 0.0) -> int | None:
    """Return 1 if `one` is larger, -1 if `other` is, 0 if that is undecided; None if they cannot be compared.

    They differ if the difference is more than two of its standard errors, where these are known, and more than `margin`
    times the larger of the two. A bound is larger, or smaller, than a value on its far side; two bounds, and a bound and a
    value beyond it, cannot be compared.
    """
    sign = direction(one, other)
    if not sign:
        return sign
    gap = abs(one.value - other.value)
    error = ERRORS * math.hypot(*(0.0 if math.isnan(each.error) else each.error for each in (one, other)))
    return sign if gap > max(error, margin * max(abs(one.value), abs(other.value))) else 0


def direction(one: Mean, other: Mean) -> int | None:
    """Return the sign of the difference, whatever its error; None if the two cannot be compared."""
    if not (one.known and other.known) or (one.bound and other.bound):
        return None
    sign = int(np.sign(one.value - other.value))
    for each, outward in ((one, sign), (other, -sign)):
        if each.bound and each.bound != outward:
            return None
    return sign


def _means(samples: Sequence[Sample], key: Callable[[Sample], str]) -> list[float]:
    groups: dict[str, list[float]] = {}
    for each in samples:
        groups.setdefault(key(each), []).append(each.value)
    return [float(np.mean(values)) for values in groups.values()]


def _of_mean(values: Sequence[float]) -> float:
    """Return the squared standard error of the mean of values; NaN for one."""
    return float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else math.nan
