"""Losses and scores of an adopted network in words, and against those that are expected of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

from landscape.errors import InputError, one_of
from landscape.lazy import xr
from landscape.objective import meanings

SPLITS = ("train", "test")
_NAME = re.compile(r"(train|test)_\w+")
_CAUSES = (
    "the normalisation of the data (mean and std), another split of it, the order of its channels, or another entry of the "
    "checkpoint"
)


def checked(value: Any) -> Any:
    """Return expected numbers by name.

    Raises:
        InputError: if they are not that.
    """
    if not isinstance(value, Mapping) or not value:
        raise InputError("must say one number or more, e.g. {test_error: 8.2}")
    for name, number in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} must be train_ or test_ and loss, error (in percent), or a score, as test_error"
            )
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < math.inf:
            raise InputError(f"{name} is {number!r}; it must be a number")
    return dict(value)


Expected = Annotated[dict[str, int | float], BeforeValidator(checked)]
"""Numbers by name: `test_error` (in percent), `train_loss`, `test_accuracy`, ..."""


def numbers_of(history: xr.Dataset) -> dict[str, float]:
    """Return the losses and scores at the end of a history, by the names that may be expected."""
    last = history.isel(epoch=-1)
    score = meanings.score_in(history.attrs)
    found = {}
    for split in SPLITS:
        for name in ("loss", score):
            if f"{split}_{name}" in last:
                found[f"{split}_{name}"] = float(last[f"{split}_{name}"])
        if f"{split}_accuracy" in found:
            found[f"{split}_error"] = 100 * (1 - found[f"{split}_accuracy"])
    return found


def compare(history: xr.Dataset, expected: Mapping[str, int | float]) -> None:
    """Compare the end of a history with expected numbers, to the digits in which these are stated.

    A number agrees if it differs by at most half a unit of the last digit: 8.2 stands for 8.15 to 8.25, and 8 for 7.5 to
    8.5. An accuracy above 1 is in percent.

    Raises:
        InputError: if a number differs, or was not measured; with both numbers, and the likely causes.
    """
    if problems := list(_differing(numbers_of(history), expected)):
        raise InputError(problems)


def sentence(history: xr.Dataset) -> str:
    """State loss and score on both splits: `train loss 0.0123, error 0.50 %; test loss 0.31, error 8.20 %`."""
    found = numbers_of(history)
    score = meanings.score_in(history.attrs)
    said = []
    for split in SPLITS:
        if f"{split}_loss" in found:
            text = f"{split} loss {found[f'{split}_loss']:.4g}"
            if f"{split}_error" in found:
                text += f", error {found[f'{split}_error']:.2f} %"
            elif f"{split}_{score}" in found:
                text += f", {meanings.score_word(str(score))} {found[f'{split}_{score}']:.4g}"
            said.append(text)
    return "; ".join(said)


def told(attrs: Mapping[str, Any]) -> Mapping[str, int | float]:
    """Return what was expected of a run, from the attributes of its history."""
    stated: Mapping[str, int | float] = json.loads(attrs.get("expected", "{}"))
    return stated


def _differing(found: Mapping[str, float], expected: Mapping[str, int | float]) -> Iterator[str]:
    for name, wanted in expected.items():
        if name not in found:
            yield f"expected: {name} is not measured; allowed are {one_of(found)}"
            continue
        value = found[name]
        if name.endswith("_accuracy") and wanted > 1:
            value *= 100
        exponent = Decimal(str(wanted)).as_tuple().exponent
        digits = -exponent if isinstance(exponent, int) else 0
        half = 0.5 * 10.0**-digits
        if not abs(value - wanted) <= half * (1 + 1e-9) + 1e-12 * abs(wanted):
            shown = f"{value:.{max(digits, 0) + 2}f}"
            yield f"{name} is {shown}, and {wanted} is expected, up to {half:g}; likely causes: {_CAUSES}"
