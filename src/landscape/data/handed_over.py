"""Data sets from Python objects: pairs of arrays, torch data sets, loaders."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from landscape.data.datasets import DataSet, Split, memory_format
from landscape.errors import InputError

_KINDS = "a pair (images, labels), a torch Dataset of such pairs, a DataLoader, or what landscape.dataset makes"


def data_set(given: Any, device: torch.device, test: Any = None) -> DataSet:
    """Turn a user's data into a `DataSet` on `device`.

    A `Dataset` or `DataLoader` is read once, with torch's random numbers seeded by 0, so that one that shuffles or augments
    gives the same images in the same order whenever it is handed over.

    Args:
        given: the training split: a pair of images, float (n, channels, height, width), already normalised, and labels,
            integers (n,); a torch `Dataset` of such pairs; a `DataLoader`; or a `DataSet`, which has its own test split.
        test: the test split, in the same forms; None for none.

    Raises:
        InputError: if it is none of these, or images and labels do not fit each other.
    """
    if isinstance(given, DataSet):
        if test is not None:
            raise InputError("data is what landscape.dataset makes and has its own test split; leave test out")
        train, other = _moved(given.train, device), given.test and _moved(given.test, device)
        return replace(given, train=train, test=other, black=given.black.to(device))
    train, other = _split(given, "data", device), None if test is None else _split(test, "test", device)
    if other is not None and other.images.shape[1:] != train.images.shape[1:]:
        shapes = f"{tuple(other.images.shape[1:])}, and those of data have {tuple(train.images.shape[1:])}"
        raise InputError(f"test has images of the shape {shapes}")
    classes = 1 + max(int(split.labels.max()) for split in (train, other) if split is not None)
    black = torch.zeros(train.images.shape[1], device=device)
    return DataSet(train, other, classes, black, {"name": "data"})


def _split(given: Any, name: str, device: torch.device) -> Split:
    if isinstance(given, DataLoader):
        with _seeded(given):
            images, labels = _stacked(given, torch.cat, name)
    elif isinstance(given, TorchDataset):
        with _seeded(given):
            images, labels = _stacked((given[k] for k in range(len(given))), torch.stack, name)  # type: ignore[arg-type]
    elif isinstance(given, tuple | list) and len(given) == 2:
        images, labels = _tensor(given[0], f"{name}[0]"), _tensor(given[1], f"{name}[1]")
    else:
        raise InputError(f"{name} is a {type(given).__name__}; allowed are {_KINDS}")
    if images.ndim != 4 or not images.is_floating_point():
        shape = f"the shape {tuple(images.shape)} and the type {images.dtype}"
        raise InputError(f"{name} has images of {shape}; allowed are floats (n, channels, height, width)")
    if 0 in images.shape:
        raise InputError(f"{name} has images of the shape {tuple(images.shape)}, and so no pixels")
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        shape = f"the shape {tuple(labels.shape)} and the type {labels.dtype}"
        raise InputError(f"{name} has labels of {shape}; allowed are integers ({len(images)},), one per image")
    if int(labels.min()) < 0:
        raise InputError(f"{name} has the label {int(labels.min())} at {int(labels.argmin())}; labels count from 0")
    _, channels, height, width = images.shape
    layout = memory_format((channels, height, width))
    images = images.float().contiguous(memory_format=layout)
    if not_finite := images.numel() - int(images.isfinite().count_nonzero()):
        raise InputError(f"{name} has images with {not_finite} values that are not finite")
    return Split(images.to(device), labels.long().to(device))


def _tensor(given: Any, name: str) -> Tensor:
    try:
        return torch.as_tensor(given).detach()
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} is a {type(given).__name__} that makes no tensor: {error}") from None


def _stacked(pairs: Iterable[Any], together: Any, name: str) -> tuple[Tensor, Tensor]:
    try:
        images, labels = zip(*pairs, strict=True)
        return together([torch.as_tensor(x).detach() for x in images]), together([torch.as_tensor(y) for y in labels])
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} gives no pairs (image, label) that can be stacked: {error}") from None


@contextlib.contextmanager
def _seeded(given: Any) -> Iterator[None]:
    """Draw torch's random numbers (those of the CPU) from the seed 0 meanwhile, and put every generator back at the end."""
    own = {
        generator for of in (given, getattr(given, "sampler", None)) if (generator := getattr(of, "generator", None))
    }
    before = {generator: generator.get_state() for generator in own}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        try:
            for generator in own:
                generator.manual_seed(0)
            yield
        finally:
            for generator, state in before.items():
                generator.set_state(state)


def _moved(split: Split, device: torch.device) -> Split:
    return Split(split.images.to(device), split.labels.to(device))
