"""Labels by their values, and those that are likely meant otherwise."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from landscape.data.examples import Examples

Labels = Mapping[str, Sequence[int]]
"""By split the different values of its labels, in order."""

_MOST = 2**16  # values that are kept
_CHUNK = 2**24  # labels that are looked at at once
_LEFT_OUT = -100
"""The value that torch's losses leave out unless they are told another; masks hold it without a word."""


def values(targets: Any) -> list[int] | None:
    """List the different values of labels (n,), or of masks (n, height, ...); None for other targets.

    Whole numbers (n, length) are tokens, of which most vocabularies have more than any data set uses.
    """
    array = targets.cpu().numpy() if isinstance(targets, Tensor) else targets
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu" or array.ndim in (0, 2):
        return None
    found: set[int] = set()
    rows = max(1, _CHUNK * len(array) // max(1, array.size))
    for start in range(0, len(array), rows):
        found |= set(np.unique(array[start : start + rows]).tolist())
        if len(found) > _MOST:
            return None
    return sorted(found - ({_LEFT_OUT} if array.ndim > 1 else set()))


def of_splits(splits: Mapping[str, Examples]) -> Labels | None:
    """List the values of the labels of each split; None if its targets are no labels."""
    found = {split: values(of.targets) for split, of in splits.items()}
    known = {split: of for split, of in found.items() if of is not None}
    return known if "train" in known else None


def problem(labels: Labels, ignored: int | None) -> str | None:
    """Say why labels are likely meant otherwise than as classes 0, 1, 2, ...; None if they are not.

    Args:
        ignored: the value that the loss is told to leave out; with one, all others are meant, even a few of many classes.
    """
    train, every = (sorted({*of} - {ignored}) for of in (labels["train"], [v for of in labels.values() for v in of]))
    if not train:
        return None
    low, high = every[0], every[-1]
    leave_out = "loss: {name: cross_entropy, args: {ignore_index: %d}}"
    if low < 0:
        is_mark = all(value >= 0 for value in every[1:])
        advice = f"; if {low} marks what is not to count, state {leave_out % low}" if is_mark else ""
        return f"labels go down to {low}; classes are counted from 0{advice}"
    if ignored != 0 and len(every) > 1 and every == list(range(1, high + 1)):
        return f"labels are counted from 1 to {high}; subtract 1, classes are counted from 0"
    empty = high + 1 - len(train)
    if empty <= len(train) or ignored is not None:
        return None
    rest = [value for value in train if value != high]
    said = f"labels go up to {high}, and {empty} of these {high + 1} classes have no training example"
    advice = f"number the classes 0, 1, 2, ..., or, if they are a few of many classes, state {leave_out % _LEFT_OUT}"
    if rest and rest[-1] < 2 * len(rest):
        return f"{said}; if {high} marks what is not to count, state {leave_out % high}; else {advice}"
    return f"{said}; {advice}; or state a loss that is not of classes, as mse"
