"""The evidence for claims: networks (runs that differ in their seed alone) and pairs that differ in one factor."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from landscape import geometry
from landscape.experiment.analysis_sections import Claims, Published
from landscape.geometry import comparisons
from landscape.training import run_factors

Verdict = Literal["reproduced", "not reproduced", "confounded", "not tested"]


@dataclass(frozen=True)
class Judgement:
    """A claim, the verdict, and the numbers behind it."""

    claim: str
    verdict: Verdict
    because: str


@dataclass(frozen=True)
class JudgedRun:
    """One run with its surfaces and trajectories, both by plane."""

    history: xr.Dataset
    surfaces: Mapping[str, xr.Dataset] = field(default_factory=dict)
    trajectories: Mapping[str, xr.Dataset] = field(default_factory=dict)
    _numbers: dict[str, dict[str, float]] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        return str(self.history.attrs["name"])

    @cached_property
    def factors(self) -> dict[str, Any]:
        return run_factors.factors(self.history)

    @property
    def last(self) -> xr.Dataset:
        return self.history.isel(epoch=-1)

    @property
    def train_loss(self) -> float:
        return float(self.last.train_loss)

    @property
    def guessing(self) -> float:
        return geometry.guessing(self.history)

    @property
    def trained(self) -> bool:
        return geometry.is_trained(self.train_loss, self.guessing)

    @cached_property
    def errors(self) -> run_factors.Errors | None:
        return run_factors.errors(self.history)

    def number(self, name: str, planes: Sequence[str]) -> float:
        """Average a number of the surfaces over the planes where it is defined; NaN if there is none."""
        seen = [plane for plane in planes if plane in self.surfaces]
        for plane in seen:
            if plane not in self._numbers:
                self._numbers[plane] = geometry.numbers(self.surfaces[plane])
        return mean_of_known(self._numbers[plane][name] for plane in seen)


@dataclass(frozen=True)
class Evidence:
    """The criteria, the published errors, and all runs."""

    spec: Claims
    published: Mapping[str, Published]
    runs: tuple[JudgedRun, ...]

    @cached_property
    def networks(self) -> list["SeedGroup"]:
        return networks(self.runs)

    @property
    def planes(self) -> tuple[str, ...]:
        return self.spec.planes or ()


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ in nothing but their seed."""

    runs: tuple[JudgedRun, ...]

    @property
    def factors(self) -> dict[str, Any]:
        return {key: value for key, value in self.runs[0].factors.items() if key != "seed"}

    @property
    def key(self) -> str:
        return json.dumps(self.factors, sort_keys=True)

    @property
    def label(self) -> str:
        first = self.runs[0].name
        return first if len(self.runs) == 1 else f"{first} ({len(self.runs)} seeds)"

    def number(self, name: str, planes: Sequence[str]) -> float:
        """Average over seeds the means over directions."""
        return mean_of_known(run.number(name, planes) for run in self.runs)


def mean_of_known(values: Iterable[float]) -> float:
    """Average the values that are not NaN; NaN if there is none."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def networks(runs: Sequence[JudgedRun]) -> list[SeedGroup]:
    """Group the runs that differ in their seed alone, in the order of the first of each group."""
    groups: dict[str, list[JudgedRun]] = {}
    for run in runs:
        groups.setdefault(SeedGroup((run,)).key, []).append(run)
    return [SeedGroup(tuple(group)) for group in groups.values()]


def pairs(of: Sequence[SeedGroup], factor: str) -> Iterator[tuple[SeedGroup, SeedGroup]]:
    """Yield the pairs of networks that differ in `factor` alone, the lower value first (false before true)."""
    factors = pd.DataFrame([network.factors for network in of])
    for i, j, name in comparisons.single_factor_pairs(factors):
        if name == factor:
            first, second = sorted((of[i], of[j]), key=lambda network: _value(network, factor))
            yield first, second


def compared(
    of: Sequence[SeedGroup],
    planes: Sequence[str],
    sharpness: Callable[[JudgedRun, str], float],
    name: Callable[[SeedGroup], str],
) -> comparisons.Comparison:
    """Compare the order of networks by the sharpness of their runs on some planes with their order by test error."""
    runs = [(name(network), run, run.errors) for network in of for run in network.runs if run.errors]
    values = [(network, run.name, plane, sharpness(run, plane)) for network, run, _ in runs for plane in planes]
    errors = [(network, run.name, found.wrong, found.images) for network, run, found in runs]
    return comparisons.compare(
        pd.DataFrame(values, columns=["network", "run", "direction", "value"]).astype({"value": float}),
        pd.DataFrame(errors, columns=["network", "run", "wrong", "images"]),
        {name(network): network.factors for network in of},
    )


def confounded(*of: SeedGroup | JudgedRun) -> str:
    """Say why networks cannot be compared: one did not train, or train losses are far apart. Empty if they can."""
    runs = [run for each in of for run in (each.runs if isinstance(each, SeedGroup) else (each,))]
    return run_factors.confounded({run.name: run.train_loss for run in runs}, runs[0].guessing)


def verdict(claim: str, held: Sequence[bool], reasons: Sequence[str], told: Sequence[str]) -> Judgement:
    """Call a claim reproduced if it held in every case that can be judged; confounded if no case can be judged.

    Args:
        held: whether the claim held, for each case that can be judged.
        reasons: why not, for each case that cannot be judged.
        told: the numbers of every case.
    """
    text = "; ".join([*told, *reasons])
    if held:
        share = f"{sum(held)} of {len(held)} cases: "
        return Judgement(claim, "reproduced" if all(held) else "not reproduced", share + text)
    if reasons:
        return Judgement(claim, "confounded", text)
    return Judgement(claim, "not tested", text or "no runs here can tell")


def _value(network: SeedGroup, factor: str) -> tuple[bool, Any]:
    """Return a key that sorts numbers before words."""
    value = network.factors.get(factor)
    return (False, value) if isinstance(value, bool | int | float) else (True, str(value))
