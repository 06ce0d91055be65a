"""Cases of a claim, and the verdict that follows from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from landscape.experiment.analysis_sections import Claims, Published
from landscape.geometry.means import ERRORS, Mean, order
from landscape.training.seed_groups import JudgedRun, SeedGroup, confounded, networks

Verdict = Literal["reproduced", "not reproduced", "undecided", "one sample", "confounded", "not tested"]

Outcome = Literal["held", "against", "undecided", "one sample", "confounded", "unknown"]


@dataclass(frozen=True)
class Case:
    """One case of a claim: its numbers in words, and what they say.

    Outcomes: `held` and `against` are decided beyond the errors; `undecided` is within them; `one sample` has no error,
    since there is one direction or one seed; `confounded` cannot be compared; `unknown` lacks a number.
    """

    text: str
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.text}: {_WORDS[self.outcome]}"


_WORDS: Mapping[Outcome, str] = {
    "held": "as claimed",
    "against": "against the claim",
    "undecided": "undecided, within the error or the margin",
    "one sample": "one sample, no error",
    "confounded": "not compared",
    "unknown": "not known",
}


@dataclass(frozen=True)
class Judgement:
    """A claim, the verdict, the number it rests on, and the evidence, a line per case."""

    claim: str
    verdict: Verdict
    said: str
    evidence: tuple[str, ...] = ()

    @property
    def because(self) -> str:
        """All of the evidence in one line."""
        return "; ".join([self.said, *self.evidence] if self.said else self.evidence)


@dataclass(frozen=True)
class Evidence:
    """The criteria, the published errors, and all runs."""

    spec: Claims
    published: Mapping[str, Published]
    runs: tuple[JudgedRun, ...]

    @cached_property
    def networks(self) -> list[SeedGroup]:
        return networks(self.runs)

    @property
    def planes(self) -> tuple[str, ...]:
        return self.spec.planes or ()


def verdict(claim: str, cases: Sequence[Case], untested: str = "no runs here can tell") -> Judgement:
    """Call a claim reproduced if every case that is decided holds, and none is undecided.

    Without a decided or undecided case it is `one sample` if there are such, else `confounded`, else `not tested`.
    """
    counts = Counter(case.outcome for case in cases)
    judged = counts["held"] + counts["against"] + counts["undecided"]
    evidence = tuple(map(str, cases))
    if judged:
        word: Verdict = "not reproduced" if counts["against"] else "undecided" if counts["undecided"] else "reproduced"
        return Judgement(claim, word, f"{counts['held']} of {_cases(judged)}{_aside(counts)}", evidence)
    if counts["one sample"]:
        return Judgement(claim, "one sample", f"{_cases(counts['one sample'])}{_aside(counts, 'one sample')}", evidence)
    if counts["confounded"]:
        return Judgement(claim, "confounded", f"{_cases(counts['confounded'])} left out", evidence)
    return Judgement(claim, "not tested", untested if not cases else "no case has the numbers it needs", evidence)


def of_single_runs(claim: str, cases: Sequence[Case]) -> Judgement:
    """Judge a claim about single runs as `verdict` does; a single run is one sample."""
    decided = [case for case in cases if case.outcome in ("held", "against")]
    if len(decided) == 1 and decided[0].outcome == "held":
        said = "as claimed in the only run that tells"
        return Judgement(claim, "one sample", said, tuple(map(str, cases)))
    return verdict(claim, cases)


def ordered(text: str, lower: Mean, higher: Mean, margin: float) -> Case:
    """Judge the claim that the second of two numbers is the larger."""
    found = order(higher, lower, margin)
    if not (lower.known and higher.known) or found is None:
        return Case(text, "unknown")
    if math.isnan(lower.error) or math.isnan(higher.error):
        return Case(text, "one sample")
    return Case(text, "undecided" if found == 0 else "held" if found > 0 else "against")


def alike(text: str, one: Mean, other: Mean, similar: float) -> Case:
    """Judge the claim that two numbers differ by no more than the share `similar`, with two standard errors to spare."""
    if not (one.known and other.known) or one.bound or other.bound or min(one.value, other.value) <= 0:
        return Case(text, "unknown")
    ratio, limit = abs(math.log(one.value / other.value)), math.log(1 + similar)
    return _within(text, ratio - limit, math.hypot(one.error / one.value, other.error / other.value), below=True)


def at_least(text: str, value: Mean, limit: float) -> Case:
    """Judge the claim that a number is at least `limit`, with two standard errors to spare."""
    return _within(text, value.value - limit, value.error) if value.known else Case(text, "unknown")


def together(text: str, cases: Sequence[Case]) -> Case:
    """Judge several signs of one thing: it holds if none is against it and at least two hold."""
    counts = Counter(case.outcome for case in cases)
    if counts["against"]:
        return Case(text, "undecided" if counts["held"] else "against")
    if counts["held"] >= 2:
        return Case(text, "held")
    left: tuple[Outcome, ...] = ("undecided", "held", "one sample")
    return Case(text, next(("undecided" if of == "held" else of for of in left if counts[of]), "unknown"))


def every(text: str, cases: Sequence[Case]) -> Case:
    """Judge a claim with several parts: it holds if all of them hold."""
    found = {case.outcome for case in cases}
    weakest: tuple[Outcome, ...] = ("against", "unknown", "undecided", "one sample", "held")
    return Case(text, next(of for of in weakest if of in found))


def without_confounded(
    pairs: Sequence[tuple[SeedGroup, SeedGroup, str]], judge: Callable[[str, SeedGroup, SeedGroup], Case]
) -> list[Case]:
    """Judge the pairs of networks that can be compared, and list the others with the reason.

    Args:
        pairs: as `networks.pairs` yields them; a pair that differs in a second factor is marked.
        judge: takes the names of the two in words.
    """
    cases = []
    for one, other, beside in pairs:
        named = f"{one.label}, {other.label}" + (f" (differ also in {beside})" if beside else "")
        if reason := confounded(one, other):
            cases.append(Case(f"{named}: {reason}", "confounded"))
        else:
            cases.append(judge(named, one, other))
    return cases


def _within(text: str, beyond: float, error: float, below: bool = False) -> Case:
    if math.isnan(error):
        return Case(text, "one sample")
    sign = -1 if below else 1
    if sign * beyond >= ERRORS * error:
        return Case(text, "held")
    return Case(text, "against" if sign * beyond < -ERRORS * error else "undecided")


def _cases(n: int) -> str:
    return f"{n} case" if n == 1 else f"{n} cases"


def _aside(counts: Counter[Outcome], told: Outcome | None = None) -> str:
    """Count the cases that do not count for the verdict."""
    aside = {
        "undecided": counts["undecided"],
        "one sample": counts["one sample"],
        "left out": counts["confounded"],
        "not known": counts["unknown"],
    }
    said = [f"{n} {word}" for word, n in aside.items() if n and word != told]
    return f" ({', '.join(said)})" if said else ""
