"""Data sets from Python objects: pairs of arrays, torch data sets, loaders."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from landscape.data.datasets import DataSet, Split, memory_format
from landscape.errors import InputError

_KINDS = "a pair (images, labels), a torch Dataset of such pairs, a DataLoader, or what landscape.dataset makes"


def data_set(given: Any, device: torch.device, test: Any = None, classes: int | None = None) -> DataSet:
    """Turn a user's data into a `DataSet` on `device`.

    Args:
        given: the training split: a pair of images, float (n, channels, height, width), already normalised, and labels,
            integers (n,); a torch `Dataset` of such pairs; a `DataLoader`; or a `DataSet`, which has its own test split.
        test: the test split, in the same forms; None for none.
        classes: number of classes; by default the largest label plus 1.

    Raises:
        InputError: if it is none of these, or images and labels do not fit each other.
    """
    if isinstance(given, DataSet):
        return replace(given, train=_moved(given.train, device), test=given.test and _moved(given.test, device))
    train, other = _split(given, "data", device), None if test is None else _split(test, "test", device)
    largest = max(int(split.labels.max()) for split in (train, other) if split is not None)
    if classes is not None and largest >= classes:
        raise InputError(f"data has the label {largest}; the network has {classes} classes, counted from 0")
    black = torch.zeros(train.images.shape[1], device=device)
    return DataSet(train, other, classes or largest + 1, black, {"name": "data"})


def _split(given: Any, name: str, device: torch.device) -> Split:
    if isinstance(given, DataLoader):
        images, labels = _stacked(iter(given), torch.cat, name)
    elif isinstance(given, TorchDataset):
        images, labels = _stacked((given[k] for k in range(len(given))), torch.stack, name)  # type: ignore[arg-type]
    elif isinstance(given, tuple | list) and len(given) == 2:
        images, labels = map(torch.as_tensor, given)
    else:
        raise InputError(f"{name} is a {type(given).__name__}; allowed are {_KINDS}")
    if images.ndim != 4 or not images.is_floating_point():
        shape = f"the shape {tuple(images.shape)} and the type {images.dtype}"
        raise InputError(f"{name} has images of {shape}; allowed are floats (n, channels, height, width)")
    if labels.shape != images.shape[:1] or labels.is_floating_point() or not len(labels):
        shape = f"the shape {tuple(labels.shape)} and the type {labels.dtype}"
        raise InputError(f"{name} has labels of {shape}; allowed are integers ({len(images)},), one per image")
    if int(labels.min()) < 0:
        raise InputError(f"{name} has the label {int(labels.min())} at {int(labels.argmin())}; labels count from 0")
    _, channels, height, width = images.shape
    layout = memory_format((channels, height, width))
    return Split(images.float().contiguous(memory_format=layout).to(device), labels.long().to(device))


def _stacked(pairs: Iterable[Any], together: Any, name: str) -> tuple[Tensor, Tensor]:
    try:
        images, labels = zip(*pairs, strict=True)
        return together([torch.as_tensor(x) for x in images]), together([torch.as_tensor(y) for y in labels])
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} gives no pairs (image, label) that can be stacked: {error}") from None


def _moved(split: Split, device: torch.device) -> Split:
    return Split(split.images.to(device), split.labels.to(device))
