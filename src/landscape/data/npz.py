"""A data set in an .npz file: its headers, what is wrong with it, its arrays.

It holds `train_images`, `train_labels` and, unless there is no test split, `test_images`, `test_labels`. Images are uint8
(n, height, width[, channel]) or float (n, channel, height, width), labels whole numbers (n,). Nothing is unpickled.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscape.errors import InputError

Header = tuple[tuple[int, ...], np.dtype]

_DAMAGE = (ValueError, OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged .npz can raise."""


def problems(path: Path) -> list[str]:
    """What is wrong with the file, as far as headers and labels tell, each to be read after its name."""
    try:
        headers = _headers(path)
    except _DAMAGE as error:
        return [f"which is not a whole .npz file: {error}"]
    splits = ("train", "test") if "test_images" in headers or "test_labels" in headers else ("train",)
    wanted = [f"{split}_{kind}" for split in splits for kind in ("images", "labels")]
    missing = [name for name in wanted if name not in headers]
    if missing:
        return [f"which lacks {', '.join(missing)}; it holds {', '.join(headers) or 'nothing'}"]
    found = [problem for split in splits for problem in _split_problems(path, split, headers)]
    if not found and "test" in splits and _kind(headers["train_images"]) != _kind(headers["test_images"]):
        found = [
            f"whose {split}_images are {dtype} {shape}; those of the two splits must have one type and size"
            for split in splits
            for shape, dtype in [headers[f"{split}_images"]]
        ]
    return found


def describe(path: Path) -> tuple[tuple[int, int, int], int]:
    """((channels, height, width), classes), without reading the images.

    Raises:
        InputError: if the file is not what it should be.
    """
    if found := problems(path):
        raise InputError(f"{path}, {problem}" for problem in found)
    with np.load(path, allow_pickle=False) as file:
        classes = 1 + max(int(file[name].max()) for name in ("train_labels", "test_labels") if name in file)
    return _image_shape(_headers(path)["train_images"]), max(classes, 2)


def load(path: Path) -> dict[str, Tensor]:
    """Images, uint8 or float32 (n, channels, height, width), and labels, int64 (n,), of the splits there are.

    Raises:
        InputError: if the file is damaged, or an image is not finite.
    """
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for split in ("train", "test") if "test_images" in file else ("train",):
                arrays[f"{split}_images"] = _images(file[f"{split}_images"])
                arrays[f"{split}_labels"] = torch.from_numpy(file[f"{split}_labels"].astype(np.int64))
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged: {error}") from None
    for name, tensor in arrays.items():
        if tensor.is_floating_point() and (not_finite := tensor.numel() - int(tensor.isfinite().count_nonzero())):
            raise InputError(f"{path}: {not_finite} values of {name} are not finite")
    return arrays


def _images(array: np.ndarray) -> Tensor:
    if array.dtype == np.uint8:
        array = array[..., None] if array.ndim == 3 else array
        return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
    with np.errstate(over="ignore"):  # what float32 cannot hold is not finite, and refused
        return torch.from_numpy(array.astype(np.float32))


def _headers(path: Path) -> dict[str, Header]:
    """Shape and type of every array, without reading it."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        return {name.removesuffix(".npy"): _npy_header(archive, name) for name in names}


def _npy_header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        size = archive.getinfo(name).file_size - file.tell()
    if not dtype.hasobject and size != math.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"{name} has {size} bytes of values, and {shape} of {dtype} are {math.prod(shape) * dtype.itemsize}"
        )
    return shape, dtype


def _split_problems(path: Path, split: str, headers: Mapping[str, Header]) -> Iterator[str]:
    (images, dtype), (labels, label_dtype) = headers[f"{split}_images"], headers[f"{split}_labels"]
    if not (dtype == np.uint8 and len(images) in (3, 4) or dtype.kind == "f" and len(images) == 4):
        yield (
            f"whose {split}_images are {dtype} {images}; they must be uint8 (n, height, width[, channel]) "
            "or float (n, channel, height, width)"
        )
    elif 0 in images:
        yield f"whose {split}_images are empty: {images}"
    elif _swapped(images, dtype):
        yield f"whose {split}_images are {dtype} {images}; uint8 has the channels last, float has them first"
    if label_dtype.kind not in "iu" or len(labels) != 1:
        yield f"whose {split}_labels are {label_dtype} {labels}; they must be whole numbers (n,)"
    elif images and images[0] != labels[0]:
        yield f"which has {images[0]} {split}_images and {labels[0]} {split}_labels"
    elif labels[0]:
        yield from _label_problems(path, split)


def _label_problems(path: Path, split: str) -> Iterator[str]:
    try:
        with np.load(path, allow_pickle=False) as file:
            labels = file[f"{split}_labels"]
    except _DAMAGE as error:
        yield f"whose {split}_labels cannot be read: {error}"
        return
    if labels.min() < 0:
        yield f"whose {split}_labels go down to {labels.min()}; classes are counted from 0"


def _swapped(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether the channels stand where they should not: images are square, and 1, 3 or 4 channels at the wrong end."""
    if dtype == np.uint8:
        return len(shape) == 4 and shape[1] in (1, 3, 4) and shape[2] == shape[3] > 4
    return shape[3] in (1, 3, 4) and shape[1] == shape[2] > 4


def _kind(header: Header) -> tuple[bool, tuple[int, int, int]]:
    return header[1] == np.uint8, _image_shape(header)


def _image_shape(header: Header) -> tuple[int, int, int]:
    """(channels, height, width) of one image."""
    shape, dtype = header
    if dtype != np.uint8:
        return shape[1], shape[2], shape[3]
    return (shape[3] if len(shape) == 4 else 1), shape[1], shape[2]
