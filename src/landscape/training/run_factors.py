"""Compare trainings: the factors in which they differ, reasons against a comparison, and test errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landscape import geometry
from landscape.config.fields import INCIDENTAL, INERT, with_trait
from landscape.lazy import xr
from landscape.networks import code
from landscape.objective import meanings
from landscape.training.run_section import Run

FAR = 10.0
"""Largest ratio of train losses at which networks are compared."""


def factors(history: xr.Dataset) -> dict[str, Any]:
    """Return the factors of a training: the keys of its specification, and all arguments of its network as `args.NAME`."""
    spec: Mapping[str, Any] = json.loads(history.attrs["spec"])
    network, args = code.plain(spec["network"], spec.get("args", {}))
    aside = {"network", "args", *with_trait(Run, INERT, INCIDENTAL)}
    told = {key: value for key, value in spec.items() if key not in aside}
    return {"network": network, **{f"args.{key}": value for key, value in args.items()}, **told}


def epochs(spec: Mapping[str, Any]) -> int | str:
    """Return the epochs of a training, or `adopted` or `rescaled` for a run that is not trained."""
    if isinstance(spec.get("epochs"), int):
        return int(spec["epochs"])
    return "rescaled" if spec.get("rescaled") else "adopted"


def confounded(losses: Mapping[str, float], guessing: float) -> str:
    """Say why networks with these train losses cannot be compared (some did not train, or they are far apart), or ""."""
    if untrained := [name for name, loss in losses.items() if not geometry.is_trained(loss, guessing)]:
        return f"{', '.join(untrained)} did not train"
    low, high = min(losses.values(), default=0.0), max(losses.values(), default=0.0)
    return f"train losses from {low:.2g} to {high:.2g}" if low >= 0 and high > FAR * max(low, 1e-12) else ""


@dataclass(frozen=True)
class Errors:
    """Number of misclassified test examples, and of all test examples."""

    wrong: int
    images: int

    @property
    def percent(self) -> float:
        return 100 * self.wrong / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the error, in percent."""
        low, high = geometry.wilson(self.wrong, self.images)
        return 100 * low, 100 * high


def errors(history: xr.Dataset, row: xr.Dataset | None = None) -> Errors | None:
    """Return the test errors at a row of a history, by default its last.

    None without a test split, without an accuracy, and for an accuracy over pixels or tokens, which are no independent examples.
    """
    if "test_accuracy" not in history or not meanings.counts_examples(history.attrs):
        return None
    accuracy = float((history.isel(epoch=-1) if row is None else row).test_accuracy)
    images = int(history.attrs["test_examples"])
    return Errors(round((1 - accuracy) * images), images)
