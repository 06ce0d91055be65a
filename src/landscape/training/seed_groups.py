"""Networks of an experiment, each the runs that differ in their seed alone, with the numbers of their surfaces."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from landscape import geometry
from landscape.geometry import comparisons
from landscape.geometry.error_rates import Errors
from landscape.geometry.means import Mean, Sample, mean_of, sample
from landscape.lazy import pd, xr
from landscape.training import run_factors

FLATTER = ("width_", "area_", "convex_", "basin_share", "solidity_")
"""Beginnings of the names of numbers that grow with flatness; the others grow with sharpness."""


@dataclass(frozen=True)
class JudgedRun:
    """One run with its surfaces and trajectories, both by plane.

    Attributes:
        row: the epoch that is judged; default the last.
    """

    history: xr.Dataset
    surfaces: Mapping[str, xr.Dataset] = field(default_factory=dict)
    trajectories: Mapping[str, xr.Dataset] = field(default_factory=dict)
    row: xr.Dataset | None = None
    _numbers: dict[str, dict[str, geometry.Number]] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        return str(self.history.attrs["name"])

    @cached_property
    def factors(self) -> dict[str, Any]:
        epoch = {} if self.row is None else {"epoch": int(self.row.epoch)}
        return run_factors.factors(self.history) | epoch

    @property
    def last(self) -> xr.Dataset:
        return self.history.isel(epoch=-1) if self.row is None else self.row

    @property
    def train_loss(self) -> float:
        return float(self.last.train_loss)

    @property
    def guessing(self) -> float:
        """The loss of guessing, as the history has it, or else a surface."""
        known = (geometry.guessing(of) for of in (self.history, *self.surfaces.values()))
        return next((loss for loss in known if not math.isnan(loss)), math.nan)

    @property
    def trained(self) -> bool:
        return geometry.is_trained(self.train_loss, self.guessing)

    @cached_property
    def errors(self) -> Errors | None:
        return run_factors.errors(self.history, self.row)

    def samples(self, number: str, planes: Sequence[str]) -> list[Sample]:
        """Return a number of each surface on these planes."""
        return [sample(self.name, plane, self._of(plane)[number]) for plane in planes if plane in self.surfaces]

    def estimate(self, number: str, planes: Sequence[str]) -> Mean:
        """Average a number over directions."""
        return mean_of(self.samples(number, planes))

    def _of(self, plane: str) -> dict[str, geometry.Number]:
        if plane not in self._numbers:
            self._numbers[plane] = geometry.measured(self.surfaces[plane])
        return self._numbers[plane]


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

    def estimate(self, number: str, planes: Sequence[str]) -> Mean:
        """Average a number over directions, then over seeds."""
        return mean_of([each for run in self.runs for each in run.samples(number, planes)])

    def surfaces(self, planes: Sequence[str] | None) -> list[tuple[JudgedRun, str, xr.Dataset]]:
        """List the runs' surfaces on these planes, as (run, plane, surface)."""
        return [(run, at, run.surfaces[at]) for run in self.runs for at in planes or () if at in run.surfaces]

    def mean(self, number: Callable[[xr.Dataset], float], planes: Sequence[str] | None) -> Mean:
        """Average what a function says of a surface over directions, then over seeds."""
        return mean_of([Sample(run.name, at, number(surface)) for run, at, surface in self.surfaces(planes)])

    def of_runs(self, number: Callable[[JudgedRun], float]) -> Mean:
        """Average over seeds what a function says of a run."""
        return mean_of([Sample(run.name, "", number(run)) for run in self.runs], directions=False)

    def compared(self, value: Mean | None = None) -> comparisons.Network:
        """Return the network as a comparison takes it."""
        return comparisons.Network(
            label=self.label,
            family=str(self.factors["network"]),
            value=value or Mean(math.nan),
            errors=tuple(run.errors for run in self.runs if run.errors),
            losses={run.name: run.train_loss for run in self.runs},
            guessing=self.runs[0].guessing,
            factors=self.factors,
        )


def networks(runs: Sequence[JudgedRun]) -> list[SeedGroup]:
    """Group the runs that differ in their seed alone, in the order of the first of each group."""
    groups: dict[str, list[JudgedRun]] = {}
    for run in runs:
        groups.setdefault(SeedGroup((run,)).key, []).append(run)
    return [SeedGroup(tuple(group)) for group in groups.values()]


def valued(of: Sequence[SeedGroup], number: str, planes: Sequence[str]) -> list[comparisons.Network]:
    """Give each network its number as a comparison takes it: larger where it is sharper."""
    flat = number.startswith(FLATTER)
    values = [network.estimate(number, planes) for network in of]
    turned = [Mean(-each.value, each.error, -each.bound) if flat else each for each in values]
    return [network.compared(value) for network, value in zip(of, turned, strict=True)]


def compare(of: Sequence[SeedGroup], number: str, planes: Sequence[str], margin: float = 0.0) -> comparisons.Comparison:
    """Compare the order of networks by a number of their surfaces with their order by test error.

    The sharper network is expected to have the larger error.
    """
    return comparisons.compare(valued(of, number, planes), margin)


def compare_runs(runs: Sequence[JudgedRun], number: str) -> comparisons.Comparison:
    """Compare the networks of these runs as `compare` does, on all planes that the runs are seen on."""
    if any(run.errors is None for run in runs):
        return comparisons.Comparison(len(runs), untested="no test errors")
    return compare(networks(runs), number, list(dict.fromkeys(plane for run in runs for plane in run.surfaces)))


def confounded(*of: SeedGroup) -> str:
    """Say why networks cannot be compared (`comparisons.confounded`), with their train losses. Empty if they can."""
    if untrained := [run.name for network in of for run in network.runs if not run.trained]:
        return f"{', '.join(untrained)} did not train"
    reason = comparisons.confounded(*(network.compared() for network in of))
    losses = ", ".join(f"{run.train_loss:.2g}" for network in of for run in network.runs)
    return f"{reason} (train losses {losses})" if reason else ""


def pairs(
    of: Sequence[SeedGroup], factor: str, beside: Sequence[str] = ()
) -> Iterator[tuple[SeedGroup, SeedGroup, str]]:
    """Yield the pairs of networks that differ in `factor` alone, the lower value first (false before true).

    Args:
        beside: factors in which they may differ too; the third entry then says so, and is empty otherwise.
    """
    for i, j, names in comparisons.differences(pd.DataFrame([network.factors for network in of])):
        if factor in names and set(names) <= {factor, *beside}:
            first, second = sorted((of[i], of[j]), key=lambda network: _value(network, factor))
            told = [
                f"{name} {first.factors.get(name)} and {second.factors.get(name)}" for name in names if name != factor
            ]
            yield first, second, ", ".join(told)


def _value(network: SeedGroup, factor: str) -> tuple[bool, Any]:
    """Return a key that sorts numbers before words."""
    value = network.factors.get(factor)
    return (False, value) if isinstance(value, bool | int | float) else (True, str(value))
