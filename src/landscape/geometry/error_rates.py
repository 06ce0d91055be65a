"""Test errors: their intervals, and whether two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from landscape.lazy import np, scipy

SURE = 0.05
"""Largest p of a difference or a correlation that counts."""


def wilson(errors: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of an error rate of `errors` in `n` (Wilson 1927).

    Raises:
        ValueError: unless 0 <= errors <= n and n >= 1.
    """
    if n < 1 or not 0 <= errors <= n:
        raise ValueError(f"{errors} errors of {n}: it must be 0 <= errors <= n, with n at least 1")
    low, high = scipy.stats.binomtest(errors, n).proportion_ci(method="wilson")
    return float(low), float(high)


@dataclass(frozen=True)
class Errors:
    """The test errors of a run.

    Attributes:
        wrong: number of misclassified test examples.
        examples: number of all test examples.
        correct: whether each test example is classified rightly, (examples,); None if that was not kept.
    """

    wrong: int
    examples: int
    correct: np.ndarray | None = field(default=None, compare=False)

    @property
    def share(self) -> float:
        return self.wrong / self.examples

    @property
    def percent(self) -> float:
        return 100 * self.share

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the error, in percent."""
        low, high = wilson(self.wrong, self.examples)
        return 100 * low, 100 * high


def differ(these: Sequence[Errors], those: Sequence[Errors]) -> bool:
    """Say if two networks, each with its runs, differ in their test errors on the same examples.

    With kept predictions by the exact sign test over the examples on which the networks' mean predictions differ. For one
    run each it is McNemar's exact test. Without kept predictions, if the Wilson intervals of the mean errors, as of one
    run, do not overlap.
    """
    kept = [[run.correct for run in of if run.correct is not None] for of in (these, those)]
    whole = len(kept[0]) == len(these) and len(kept[1]) == len(those)
    if whole and len({correct.size for of in kept for correct in of}) == 1:
        better = np.mean(kept[0], axis=0) - np.mean(kept[1], axis=0)
        n = int(np.count_nonzero(better))
        return n > 0 and bool(scipy.stats.binomtest(int((better > 0).sum()), n).pvalue < SURE)
    (_, first), (second, _) = sorted(map(_interval, (these, those)))
    return first < second


def _interval(runs: Sequence[Errors]) -> tuple[float, float]:
    examples = runs[0].examples
    return wilson(round(sum(run.share for run in runs) / len(runs) * examples), examples)
