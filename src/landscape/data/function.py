"""Data sets that a user's function returns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from landscape.data import class_labels, torchvision_sets
from landscape.data.arrays import Channels, Source, source_of
from landscape.data.examples import Examples, mapped
from landscape.data.objects import check_alike, examples_of
from landscape.errors import InputError
from landscape.networks.import_function import function_named

_KINDS = ("inputs", "targets")
_RETURNS = (
    "it must return a mapping with train_inputs, train_targets and, for a test split, test_inputs, test_targets; or a pair "
    "(inputs, targets) or a torch data set, or those of training and test as a pair, or data sets as a mapping with train and test"
)


def find(name: str, args: Mapping[str, Any], downloads: Path, channels: Channels | None = None) -> Source:
    """Call `package.module:function` or `path/file.py:function` once, and check the data set that it returns.

    A class of torchvision's data sets is read with both its splits, from the folder for downloads.

    The function returns a mapping with the arrays of `landscape.data.arrays`, as NumPy arrays, tensors or lists; or a pair of
    inputs and targets, as the public functions take it; or a torch `Dataset` or `DataLoader`; or two of these for the splits. The check of a configuration calls it too, since only a call tells
    shape and classes. A function that draws at random must use a fixed seed, or its calls disagree.

    Raises:
        InputError: if the call fails or returns something else.
    """
    with function_named(name, prefix="") as function:
        try:
            is_class = torchvision_sets.is_one(function)
            returned = torchvision_sets.read(function, args, downloads) if is_class else function(**args)
        except (MemoryError, InputError):
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"the call failed: {type(error).__name__}: {error}") from error
        if (sets := _data_sets(returned)) is not None:
            if channels is not None:
                raise InputError(f"it returned torch data sets, and channels: {channels} is of arrays")
            return _of_data_sets(sets)
        returned = _by_name(returned)
        if not isinstance(returned, Mapping):
            raise InputError(f"it returned {type(returned).__name__}; {_RETURNS}")
        found = {str(key): _array(key, value) for key, value in returned.items()}
    return source_of(found, channels)


def _data_sets(returned: Any) -> dict[str, Any] | None:
    """Return the torch data sets by split; None if there are none."""
    if isinstance(returned, Dataset | DataLoader):
        returned = {"train": returned}
    if isinstance(returned, tuple | list) and len(returned) == 2:
        returned = dict(zip(("train", "test"), returned, strict=True))
    if not isinstance(returned, Mapping) or set(returned) not in ({"train"}, {"train", "test"}):
        return None
    return dict(returned) if all(isinstance(of, Dataset | DataLoader) for of in returned.values()) else None


def _by_name(returned: Any) -> Any:
    """Name the arrays of a pair of inputs and targets, or of two for the splits, and those in dictionaries."""
    if isinstance(returned, Tensor | np.ndarray):
        returned = (returned, None)
    if isinstance(returned, tuple) and len(returned) == 2:
        of_splits = all(isinstance(pair, tuple) and len(pair) == 2 for pair in returned)
        splits = zip(("train", "test"), returned if of_splits else (returned,), strict=False)
        pairs = {f"{split}_{kind}": of for split, pair in splits for kind, of in zip(_KINDS, pair, strict=True)}
        returned = {
            key: dict(enumerate(of)) if isinstance(of, tuple) else of for key, of in pairs.items() if of is not None
        }
    if not isinstance(returned, Mapping):
        return returned
    found: dict[Any, Any] = {}
    for key, of in returned.items():
        found |= {f"{key}_{part}": array for part, array in of.items()} if isinstance(of, Mapping) else {key: of}
    return found


def _of_data_sets(sets: Mapping[str, Any]) -> Source:
    splits = {split: _tokens(examples_of(of, f"its {split} split")) for split, of in sets.items()}
    if "test" in splits:
        check_alike(splits["train"], splits["test"], ("its train split", "its test split"))
    classes = [examples.classes for examples in splits.values()]
    known = None if None in classes else max(2, *(of for of in classes if of is not None))
    sample = splits["train"][:2].map(torch.zeros_like)
    if isinstance(sample.inputs, Tensor) and sample.inputs.dtype == torch.uint8:
        sample = Examples(sample.inputs.float(), sample.targets)  # images, which are normalised
    return Source(sample, known, lambda downloads: splits, class_labels.of_splits(splits))


def _tokens(examples: Examples) -> Examples:
    """Make bytes that are no images whole numbers, as those of a file are."""
    inputs = mapped(examples.inputs, lambda of: of.long() if of.dtype == torch.uint8 and of.ndim != 4 else of)
    return Examples(inputs, examples.targets)


def _array(key: Any, value: Any) -> np.ndarray:
    try:
        return np.asarray(value.cpu() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"it returned {key!r} that is no array: {error}") from None
