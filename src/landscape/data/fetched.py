"""Built-in data sets: scikit-learn's digits, and torchvision's download of CIFAR."""

import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from landscape.data.arrays import Source, Splits, image_sample
from landscape.data.builtin_datasets import FETCHED
from landscape.data.examples import Examples
from landscape.errors import InputError
from landscape.networks.torchvision_shim import with_torchvision


def find(name: str) -> Source:
    """Find a built-in data set, by its name in `FETCHED`.

    Raises:
        InputError: on reading, if the download fails.
    """
    known = FETCHED[name]
    return Source(image_sample(known.shape), known.classes, READERS[name])


def _digits(downloads: Path) -> Splits:
    """Read scikit-learn's 1,797 real digits of 8 x 8 pixels, 0 to 16, in a fixed random order."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(digits.images * 15).to(torch.uint8)[order].unsqueeze(1)
    labels = torch.from_numpy(digits.target).long()[order]
    first = FETCHED["digits"].train
    return {"train": Examples(images[:first], labels[:first]), "test": Examples(images[first:], labels[first:])}


def _cifar(name: str, downloads: Path) -> Splits:
    """Download by torchvision, which checks the MD5 sum, in one process at a time."""
    from filelock import FileLock

    kind = getattr(with_torchvision(lambda: importlib.import_module("torchvision.datasets")), name.upper())
    splits = {}
    downloads.mkdir(parents=True, exist_ok=True)
    with FileLock(downloads / f".{name}.lock"):
        for split in ("train", "test"):
            try:
                found = kind(downloads, train=split == "train", download=True)
            except (OSError, RuntimeError) as error:
                raise InputError(
                    f"the download failed: {error}; on a machine without a network, put {kind.url} into {downloads}"
                ) from None
            images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()
            splits[split] = Examples(images, torch.tensor(found.targets, dtype=torch.int64))
    return splits


READERS: Mapping[str, Callable[[Path], Splits]] = {
    "digits": _digits,
    "cifar10": functools.partial(_cifar, "cifar10"),
    "cifar100": functools.partial(_cifar, "cifar100"),
}
"""Readers of the data sets in `FETCHED`; each takes the folder for downloads."""
