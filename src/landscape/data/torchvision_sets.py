"""Data sets of torchvision by the name of their class, such as `torchvision.datasets:FashionMNIST`."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from torch import Tensor

from landscape.data.pixels import stacked
from landscape.errors import InputError

_SPLITS: dict[str, dict[str, tuple[Any, ...]]] = {
    "train": {"train": (True,), "test": (False,)},
    "split": {"train": ("train",), "test": ("test", "val")},
}
"""Parameters that choose a split, and their values for training and test, of which the first that exists counts."""


def is_one(function: Any) -> bool:
    """Return whether a function is the class of a data set of torchvision's kind."""
    return inspect.isclass(function) and any(base.__name__ == "VisionDataset" for base in function.__mro__)


def read(kind: Any, args: Mapping[str, Any], downloads: Path) -> dict[str, np.ndarray]:
    """Make both splits of a data set, downloaded if it has a download, as the arrays of `landscape.data.arrays`.

    Args:
        kind: its class.
        args: its arguments. `root`, by default the folder for downloads, `download` and the split are added.

    Raises:
        InputError: if it cannot be made, or its examples are no images with labels.
    """
    known = inspect.signature(kind).parameters
    given = dict(args)
    if "root" in known:
        given.setdefault("root", str(downloads))
    if "download" in known:
        given.setdefault("download", True)
    key = next((key for key in _SPLITS if key in known and key not in given), None)
    if key is None:
        return _arrays(_made(kind, given), "train")
    found: dict[str, np.ndarray] = {}
    downloads.mkdir(parents=True, exist_ok=True)
    with FileLock(downloads / f".{kind.__name__}.lock"):
        for split, values in _SPLITS[key].items():
            made = _first(kind, given, key, values)
            if made is None and split == "train":
                raise InputError(f"it has no split {key}: {values[0]}")
            found |= {} if made is None else _arrays(made, split)
    return found


def _first(kind: Any, given: Mapping[str, Any], key: str, values: Sequence[Any]) -> Any:
    """Make the first of several splits that exists; None if none does."""
    for value in values:
        try:
            return _made(kind, {**given, key: value})
        except InputError:
            raise
        except ValueError:  # torchvision's word for a split that does not exist
            continue
    return None


def _made(kind: Any, given: Mapping[str, Any]) -> Any:
    try:
        return kind(**given)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"it cannot be read or downloaded: {error}; on a machine without a network, put its files into "
            f"{given.get('root', 'its root')}"
        ) from None
    except TypeError as error:
        raise InputError(f"{kind.__name__} cannot be made: {error}") from None


def _arrays(made: Any, split: str) -> dict[str, np.ndarray]:
    labels: list[Any] = []

    def images() -> Any:
        for k in range(len(made)):
            image, label = made[k]
            labels.append(label.item() if isinstance(label, Tensor) and label.ndim == 0 else label)
            yield image

    pixels = stacked(images(), len(made), f"its {split} split")
    if not all(isinstance(label, int) for label in labels):
        odd = next(label for label in labels if not isinstance(label, int))
        raise InputError(f"its {split} split has a target {odd!r}; allowed are classes, whole numbers")
    return {f"{split}_inputs": pixels, f"{split}_targets": np.array(labels, np.int64)}
