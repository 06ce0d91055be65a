"""Data sets that Hugging Face `datasets` saved on disk with `save_to_disk`."""

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from landscape.data.arrays import Source, source_of
from landscape.data.objects import TARGETS
from landscape.data.pixels import stacked
from landscape.errors import InputError, one_of

_TEST = ("test", "validation", "valid", "val")


def is_saved(folder: Path) -> bool:
    """Return whether a folder is one that `save_to_disk` wrote."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def find(folder: Path) -> Source:
    """Read the data set in a folder: one `Dataset`, or several with `train` and, for a test split, `test` or `validation`.

    The column `label`, `labels`, `target` or `targets` holds the targets. One other column is the inputs; of several each is
    an input of its name. Columns hold numbers, in lists of one length, or images, which become uint8: grey if the first is.

    Raises:
        InputError: if `datasets` is not installed, or a column holds text or lists of several lengths.
    """
    splits = {split: _columns(of, split) for split, of in _splits(folder).items()}
    found = {f"{split}_{name}": array for split, columns in splits.items() for name, array in columns.items()}
    return source_of(found)


def _splits(folder: Path) -> dict[str, Any]:
    if importlib.util.find_spec("datasets") is None:
        raise InputError(
            "Hugging Face datasets saved it, and that library, which reads it, is not installed: "
            "pip install 'landscape[datasets]'"
        )
    import datasets

    try:
        found = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"datasets cannot read it: {type(error).__name__}: {error}") from error
    if not isinstance(found, Mapping):
        return {"train": found}
    if "train" not in found:
        raise InputError(f"it holds {one_of(list(found))} and no train")
    test = next((name for name in _TEST if name in found), None)
    return {"train": found["train"]} | ({"test": found[test]} if test else {})


def _columns(split: Any, name: str) -> dict[str, np.ndarray]:
    """The arrays of a split by `inputs`, `inputs_NAME` and `targets`."""
    wanted = next((key for key in TARGETS if key in split.features), None)
    inputs = [key for key in split.features if key != wanted]
    if not inputs or not len(split):
        raise InputError(
            f"{name} has {len(split)} rows and the columns {one_of(list(split.features))}; it has no inputs"
        )
    if odd := [key for key in inputs if not re.fullmatch(r"\w+", key)]:
        raise InputError(f"{name} has the column {odd[0]!r}; names are letters, digits and _: rename_column renames it")
    found = {}
    for key in inputs:
        found["inputs" if len(inputs) == 1 else f"inputs_{key}"] = _column(split, key, f"{name}: the column {key}")
    return found | ({"targets": _column(split, wanted, f"{name}: the column {wanted}")} if wanted else {})


def _column(split: Any, key: str, what: str) -> np.ndarray:
    import datasets

    feature = split.features[key]
    if isinstance(feature, datasets.Image):
        return stacked((row[key] for row in split.select_columns([key]).with_format(None)), len(split), what)
    column = split.select_columns([key]).with_format("numpy")[:][key]
    array = np.asarray(column)
    if array.dtype.kind in "US" or (array.dtype == object and isinstance(array.flat[0], str)):
        raise InputError(
            f"{what} holds text; tokenise it first, with padding to one length, and save the data set without it "
            "(map, remove_columns, save_to_disk)"
        )
    if array.dtype == object:
        raise InputError(f"{what} holds {feature}, in lists of several lengths or no numbers; pad or remove it first")
    return array
