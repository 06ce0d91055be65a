"""Tell trainings apart: the factors in which they differ, and their test errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from landscape.config.fields import INCIDENTAL, INERT, with_trait
from landscape.geometry.error_rates import Errors
from landscape.lazy import np, xr
from landscape.networks import code
from landscape.objective import meanings
from landscape.training.run_section import Run


def factors(history: xr.Dataset) -> dict[str, Any]:
    """Return the factors of a training: the keys of its specification, and all arguments of its network as `args.NAME`."""
    spec: Mapping[str, Any] = json.loads(history.attrs["spec"])
    network, args = code.plain(spec["network"], spec.get("args", {}))
    aside = {"network", "args", *with_trait(Run, INERT, INCIDENTAL)}
    told = {key: value for key, value in spec.items() if key not in aside}
    return {"network": network, **{f"args.{key}": value for key, value in args.items()}, **told}


def depth(factors: Mapping[str, Any]) -> float:
    """Return the argument `depth` of a network; 0 without one, or if it is no number."""
    found = factors.get("args.depth")
    return found if isinstance(found, int | float) else 0


def epochs(spec: Mapping[str, Any]) -> int | str:
    """Return the epochs of a training, or `adopted` or `rescaled` for a run that is not trained."""
    if isinstance(spec.get("epochs"), int):
        return int(spec["epochs"])
    return "rescaled" if spec.get("rescaled") else "adopted"


def errors(history: xr.Dataset, row: xr.Dataset | None = None) -> Errors | None:
    """Return the test errors at a row of a history, by default its last.

    None without a test split, without an accuracy, and for an accuracy over pixels or tokens, which are no independent examples.
    """
    if "test_accuracy" not in history or not meanings.counts_examples(history.attrs):
        return None
    accuracy = float((history.isel(epoch=-1) if row is None else row).test_accuracy)
    examples = int(history.attrs["test_examples"])
    kept = row is None and "test_correct" in history
    correct = np.asarray(history.test_correct.values, bool) if kept else None
    return Errors(round((1 - accuracy) * examples), examples, correct)
