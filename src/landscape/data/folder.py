"""Data sets in a folder of images, with one folder for each class."""

import contextlib
import importlib
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from landscape.data.arrays import Source, image_sample
from landscape.data.examples import Examples
from landscape.data.pixels import GREY
from landscape.errors import InputError, one_of
from landscape.networks.torchvision_shim import with_torchvision
from landscape.progress import progress

Samples = list[tuple[Path, int]]
"""Images of a split with their labels."""

_TEST = ("test", "val", "valid")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, Image.DecompressionBombError)
"""Errors that Pillow raises on a damaged image."""


def find(root: Path, size: int | None) -> Source:
    """Find the data set in a folder that holds `train` and `test`, each with one folder per class.

    The test split may also be called `val` or `valid`; the first of the three names counts. Without `train`, the folder
    itself holds the classes, and there is no test split. Classes are numbered in the order of their names as text. As in
    torchvision's ImageFolder, images may lie in deeper folders, and files without an image's suffix are ignored. Hidden
    files are ignored too.

    Images become RGB, or greyscale if all are grey; transparency is dropped. All must have one size, unless `size` is
    given: then the short side is scaled to it (bilinear, antialiased), and the middle `size` x `size` is kept.

    Only headers are read here: the first image's for the size, and those of all images up to the first in colour.

    Raises:
        InputError: if the folders are malformed or, on reading, an image is damaged or has another size.
    """
    splits = _splits(root)
    first = splits["train"][0][0]
    with _opened(first) as image:
        width, height = (size, size) if size else image.size
    grey = all(_is_grey(path) for samples in splits.values() for path, _ in samples)
    shape = (1 if grey else 3, height, width)

    def read(downloads: Path) -> dict[str, Examples]:
        found = {}
        for split, samples in splits.items():
            images = torch.empty((len(samples), *shape), dtype=torch.uint8)
            for place, (path, _) in zip(images, progress(samples, len(samples), f"images of {split}"), strict=True):
                place.copy_(_pixels(path, shape, first, size))
            found[split] = Examples(images, torch.tensor([label for _, label in samples]))
        return found

    return Source(image_sample(shape), 1 + splits["train"][-1][1], read)


def _splits(root: Path) -> dict[str, Samples]:
    names = _folders(root)
    test = next((name for name in _TEST if name in names), None)
    if test and "train" not in names:
        raise InputError(f"it holds the folder {test} and no folder train")
    train = root / "train" if "train" in names else root
    classes = _folders(train)
    if len(classes) < 2:
        raise InputError(
            f"{train} holds {len(classes)} folders ({one_of(classes)}); there must be one for each class, and at least two"
        )
    splits = {"train": _samples(train, classes)}
    counts = Counter(label for _, label in splits["train"])
    if empty := [name for label, name in enumerate(classes) if not counts[label]]:
        raise InputError(
            f"{train / empty[0]} holds no image ({one_of(_torchvision('datasets.folder').IMG_EXTENSIONS)})"
        )
    if test:
        if unknown := [name for name in _folders(root / test) if name not in classes]:
            raise InputError(f"{root / test} has the class {unknown[0]}; {train} has {one_of(classes)}")
        splits["test"] = _samples(root / test, classes)
        if not splits["test"]:
            raise InputError(f"{root / test} holds no image in the folder of a class")
    return splits


def _folders(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _samples(folder: Path, classes: list[str]) -> Samples:
    listing = _torchvision("datasets.folder")
    labels = {name: label for label, name in enumerate(classes)}
    found = listing.make_dataset(folder, labels, listing.IMG_EXTENSIONS, allow_empty=True)
    paths = [(Path(path), label) for path, label in found]
    return [(path, label) for path, label in paths if not _hidden(path.relative_to(folder))]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_grey(path: Path) -> bool:
    with _opened(path) as image:
        return image.mode in GREY


def _pixels(path: Path, shape: tuple[int, int, int], first: Path, size: int | None) -> Tensor:
    """Read one image, uint8 (channels, height, width)."""
    channels, height, width = shape
    with _opened(path) as image:
        if size is None and image.size != (width, height):
            raise InputError(
                f"{path} has {image.height} x {image.width} pixels and {first} {height} x {width}; "
                "state image_size to bring all images to one size"
            )
        image = image.convert("L" if channels == 1 else "RGB")
        if size is not None:
            functional = _torchvision("transforms.functional")
            image = functional.center_crop(functional.resize(image, size), size)
        return torch.from_numpy(np.array(image)).view(height, width, channels).permute(2, 0, 1)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an image with Pillow, which reads only its header."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.mode.startswith(("I", "F")):
                raise InputError(f"{path} has pixels of more than 8 bits (mode {image.mode}); convert it")
            yield image
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{path} is no whole image: {error}") from None


def _torchvision(module: str) -> Any:
    return with_torchvision(lambda: importlib.import_module(f"torchvision.{module}"))
