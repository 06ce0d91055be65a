"""Check arrays of images and labels, from an .npz file or a function, and turn them into tensors.

The arrays are `train_images`, `train_labels` and, with a test split, `test_images`, `test_labels`. Images are uint8
(n, height, width[, channel]) or float (n, channel, height, width); labels are whole numbers (n,), counted from 0.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscape.errors import InputError

Header = tuple[tuple[int, ...], np.dtype]
"""Shape and type of an array."""


@dataclass(frozen=True)
class Source:
    """A data set whose headers are checked and whose images are not yet read.

    Errors in finding or reading it do not name it; `datasets` puts its name before them.
    """

    shape: tuple[int, int, int]
    """(channels, height, width) of one image."""

    classes: int
    read: Callable[[Path], dict[str, Tensor]]
    """Reads the splits: images, uint8 or float32 (n, channels, height, width), and labels, int64 (n,). Takes a folder for
    downloads."""


def look(headers: Mapping[str, Header], arrays: Mapping[str, np.ndarray]) -> tuple[tuple[int, int, int], int]:
    """Check headers and labels, and return ((channels, height, width), classes), without reading the images.

    Raises:
        InputError: with every problem found.
    """
    if found := _problems(headers, arrays):
        raise InputError(found)
    classes = 1 + max(int(arrays[f"{split}_labels"].max()) for split in _splits(headers))
    return _image_shape(headers["train_images"]), max(classes, 2)


def tensors(headers: Mapping[str, Header], arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Turn arrays that passed `look` into tensors.

    Raises:
        InputError: if a value is not finite.
    """
    found = {}
    for split in _splits(headers):
        found[f"{split}_images"] = _images(arrays[f"{split}_images"])
        found[f"{split}_labels"] = torch.from_numpy(arrays[f"{split}_labels"].astype(np.int64))
    for name, tensor in found.items():
        if tensor.is_floating_point() and (not_finite := tensor.numel() - int(tensor.isfinite().count_nonzero())):
            raise InputError(f"{name} hold {not_finite} values that are not finite")
    return found


def _splits(names: Container[str]) -> tuple[str, ...]:
    return ("train", "test") if "test_images" in names or "test_labels" in names else ("train",)


def _images(array: np.ndarray) -> Tensor:
    if array.dtype == np.uint8:
        array = array[..., None] if array.ndim == 3 else array
        return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
    with np.errstate(over="ignore"):  # an overflow in float32 is refused as not finite
        return torch.from_numpy(array.astype(np.float32))


def _problems(headers: Mapping[str, Header], arrays: Mapping[str, np.ndarray]) -> list[str]:
    splits = _splits(headers)
    wanted = [f"{split}_{kind}" for split in splits for kind in ("images", "labels")]
    missing = [name for name in wanted if name not in headers]
    if missing:
        return [f"it lacks {', '.join(missing)}; it holds {', '.join(headers) or 'nothing'}"]
    found = [problem for split in splits for problem in _split_problems(split, headers, arrays)]
    if found:
        return found
    if "test" in splits and _kind(headers["train_images"]) != _kind(headers["test_images"]):
        return [
            f"{split}_images are {dtype} {shape}; those of the two splits must have one type and size"
            for split in splits
            for shape, dtype in [headers[f"{split}_images"]]
        ]
    values = np.unique(np.concatenate([arrays[f"{split}_labels"] for split in splits]))
    if values[0] == 1 and values[-1] == len(values):
        return [f"labels are counted from 1 to {values[-1]}; subtract 1, classes are counted from 0"]
    return []


def _split_problems(split: str, headers: Mapping[str, Header], arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    (images, dtype), (labels, label_dtype) = headers[f"{split}_images"], headers[f"{split}_labels"]
    if not (dtype == np.uint8 and len(images) in (3, 4) or dtype.kind == "f" and len(images) == 4):
        yield (
            f"{split}_images are {dtype} {images}; they must be uint8 (n, height, width[, channel]) "
            "or float (n, channel, height, width)"
        )
    elif 0 in images:
        yield f"{split}_images are empty: {images}"
    elif _swapped(images, dtype):
        yield f"{split}_images are {dtype} {images}; uint8 has the channels last, float has them first"
    if label_dtype.kind not in "iu" or len(labels) != 1:
        yield f"{split}_labels are {label_dtype} {labels}; they must be whole numbers (n,)"
    elif images and images[0] != labels[0]:
        yield f"it has {images[0]} {split}_images and {labels[0]} {split}_labels"
    elif labels[0] and (lowest := arrays[f"{split}_labels"].min()) < 0:
        yield f"{split}_labels go down to {lowest}; classes are counted from 0"


def _swapped(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Return whether the channels are at the wrong end: images look square, with 1, 3 or 4 channels there."""
    if dtype == np.uint8:
        return len(shape) == 4 and shape[1] in (1, 3, 4) and shape[2] == shape[3] > 4
    return shape[3] in (1, 3, 4) and shape[1] == shape[2] > 4


def _kind(header: Header) -> tuple[bool, tuple[int, int, int]]:
    return header[1] == np.uint8, _image_shape(header)


def _image_shape(header: Header) -> tuple[int, int, int]:
    shape, dtype = header
    if dtype != np.uint8:
        return shape[1], shape[2], shape[3]
    return (shape[3] if len(shape) == 4 else 1), shape[1], shape[2]
