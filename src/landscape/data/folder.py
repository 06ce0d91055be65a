"""A data set in a folder of images, with one folder for each class."""

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

from landscape.data.arrays import Source
from landscape.errors import InputError, one_of
from landscape.networks.torchvision_shim import with_torchvision
from landscape.progress import progress

Samples = list[tuple[Path, int]]
"""Every image of a split with its label."""

_TEST = ("test", "val", "valid")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY = {"1", "L", "LA"}
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises of a damaged image."""


def find(root: Path, size: int | None) -> Source:
    """The data set in a folder: in `train` one folder for each class, and in `test` again; their names are the classes.

    Instead of `test` it may be `val` or `valid` (the first there is, in this order). Without `train` the classes stand in
    the folder itself, and there is no test split. Classes count in the order of their names as text. As in torchvision's
    ImageFolder an image may lie deeper, and only what has an image's suffix is one; what is hidden is passed over.

    All images become RGB, or greyscale if every one is; transparency is dropped. They have one size, unless `size` is
    stated: then the short side is brought to it (bilinear, antialiased), and the middle `size` x `size` is kept.

    No image is unpacked before the data set is read, but headers are looked at: the first one's for the size, and as many
    as are greyscale up to the first in colour.

    Raises:
        InputError: if the folders are not so, or, when it is read, an image is damaged or of another size.
    """
    splits = _splits(root)
    first = splits["train"][0][0]
    with _opened(first) as image:
        width, height = (size, size) if size else image.size
    grey = all(_is_grey(path) for samples in splits.values() for path, _ in samples)
    shape = (1 if grey else 3, height, width)

    def read(downloads: Path) -> dict[str, Tensor]:
        arrays = {}
        for split, samples in splits.items():
            images = torch.empty((len(samples), *shape), dtype=torch.uint8)
            for place, (path, _) in zip(images, progress(samples, len(samples), f"images of {split}"), strict=True):
                place.copy_(_pixels(path, shape, first, size))
            arrays[f"{split}_images"] = images
            arrays[f"{split}_labels"] = torch.tensor([label for _, label in samples])
        return arrays

    return Source(shape, 1 + splits["train"][-1][1], read)


def _splits(root: Path) -> dict[str, Samples]:
    """The images of every split there is."""
    names = _folders(root)
    test = next((name for name in _TEST if name in names), None)
    if test and "train" not in names:
        raise InputError(f"which holds the folder {test} and no folder train")
    train = root / "train" if "train" in names else root
    classes = _folders(train)
    if len(classes) < 2:
        raise InputError(
            f"in which {train} holds {len(classes)} folders ({one_of(classes)}); there must be one for each class, of two at least"
        )
    splits = {"train": _samples(train, classes)}
    counts = Counter(label for _, label in splits["train"])
    if empty := [name for label, name in enumerate(classes) if not counts[label]]:
        raise InputError(
            f"in which {train / empty[0]} holds no image ({one_of(_torchvision('datasets.folder').IMG_EXTENSIONS)})"
        )
    if test:
        if unknown := [name for name in _folders(root / test) if name not in classes]:
            raise InputError(f"in which {root / test} has the class {unknown[0]}; {train} has {one_of(classes)}")
        splits["test"] = _samples(root / test, classes)
        if not splits["test"]:
            raise InputError(f"in which {root / test} holds no image in the folder of a class")
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
        return image.mode in _GREY


def _pixels(path: Path, shape: tuple[int, int, int], first: Path, size: int | None) -> Tensor:
    """One image, uint8 of the shape (channels, height, width)."""
    channels, height, width = shape
    with _opened(path) as image:
        if size is None and image.size != (width, height):
            raise InputError(
                f"in which {path} has {image.height} x {image.width} pixels and {first} {height} x {width}; "
                "state image_size to bring all images to one size"
            )
        image = image.convert("L" if channels == 1 else "RGB")
        if size is not None:
            functional = _torchvision("transforms.functional")
            image = functional.center_crop(functional.resize(image, size), size)
        return torch.from_numpy(np.array(image)).view(height, width, channels).permute(2, 0, 1)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A Pillow image of which nothing but the header is read yet."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.mode.startswith(("I", "F")):
                raise InputError(f"in which {path} has pixels of more than 8 bits (mode {image.mode}); convert it")
            yield image
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"in which {path} is no whole image: {error}") from None


def _torchvision(module: str) -> Any:
    return with_torchvision(lambda: importlib.import_module(f"torchvision.{module}"))
