"""Data sets: a training and a test split, each two tensors on the device, normalised once."""

import contextlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from landscape import checkpoint
from landscape.config import Data
from landscape.errors import InputError

DIGITS_TRAIN = 1500
_KNOWN = {"digits": ((1, 8, 8), 10), "cifar10": ((3, 32, 32), 10), "cifar100": ((3, 32, 32), 100)}
_PADDING = 4


@dataclass(frozen=True)
class Split:
    """Images, float32 (n, channels, height, width), normalised; labels, int64 (n,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class DataSet:
    """A data set as networks see it. `black` is the value of a black pixel per channel, after normalisation."""

    train: Split
    test: Split | None
    classes: int
    black: Tensor
    header: Mapping[str, Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width


def memory_format(shape: tuple[int, int, int]) -> torch.memory_format:
    """Layout of images (and so of convolutions) of the shape (channels, height, width): of small ones the plain layout
    is as fast (measured). It alters bits, so it depends on nothing else.
    """
    return torch.channels_last if shape[1] * shape[2] >= 32 * 32 else torch.contiguous_format


def make(spec: Data, path: Path, header: Mapping[str, Any]) -> None:
    """Fetch or read a data set and write it as it came, uint8 or float32, with its normalisation in the header.

    Raises:
        InputError: if the source is not what it should be.
    """
    if spec.source == "digits":
        arrays = _digits()
    elif spec.source in ("cifar10", "cifar100"):
        arrays = _cifar(spec.source, path.parent / "downloads")
    else:
        arrays = _npz(Path(spec.source))
    images = arrays["train_images"]
    scale = 255.0 if images.dtype == torch.uint8 else 1.0
    channels = images.shape[1]
    if spec.mean is not None and spec.std is not None:
        if len(spec.mean) != channels:
            raise InputError(f"mean and std have {len(spec.mean)} channels, and the images of {spec.source} have {channels}")
        mean, std = list(spec.mean), list(spec.std)
    else:
        pixels = images.double().transpose(0, 1).reshape(channels, -1) / scale
        mean, std = pixels.mean(1).tolist(), [max(s, 1e-8) for s in pixels.std(1, correction=0).tolist()]
    classes = int(max(labels.max() for name, labels in arrays.items() if name.endswith("labels"))) + 1
    classes = max(classes, _KNOWN[spec.source][1] if spec.source in _KNOWN else 2)
    facts = {"mean": mean, "std": std, "classes": classes, "counts": {name: len(t) for name, t in arrays.items()}}
    checkpoint.write(path, arrays, {**header, **facts})


def read(path: str | Path, device: str | torch.device = "cpu") -> DataSet:
    """Read a data set that `make` wrote, and normalise it: (pixel - mean) / std, pixels of uint8 in [0, 1]."""
    arrays, header = checkpoint.read(path)
    missing = [key for key in ("mean", "std", "classes") if key not in header]
    if missing or "train_images" not in arrays:
        raise InputError(f"{path} is no data set made by `landscape dataset`")
    mean, std = (torch.tensor(header[key], dtype=torch.float32).view(-1, 1, 1) for key in ("mean", "std"))

    def split(name: str) -> Split:
        images = arrays[f"{name}_images"]
        pixels = images.float().div_(255) if images.dtype == torch.uint8 else images
        return Split(pixels.sub(mean).div_(std).to(device), arrays[f"{name}_labels"].to(device))

    test = split("test") if "test_images" in arrays else None
    return DataSet(split("train"), test, header["classes"], (-mean / std).flatten().to(device), header)


def describe(spec: Data) -> tuple[tuple[int, int, int], int]:
    """((channels, height, width), classes) of a data set, without reading its images.

    Raises:
        InputError: if a file is not what it should be.
    """
    if spec.source in _KNOWN:
        return _KNOWN[spec.source]
    path = Path(spec.source)
    if problems := check(spec):
        raise InputError(f"{path} {problem}" for problem in problems)
    with np.load(path, allow_pickle=False) as file:
        classes = max(int(file[name].max()) for name in file.files if name.endswith("labels")) + 1
    shape, dtype = _headers(path)["train_images"]
    return (shape[1], shape[2], shape[3]) if dtype.kind == "f" else (*(shape[3:] or (1,)), *shape[1:3]), max(classes, 2)


def check(spec: Data) -> list[str]:
    """What is wrong with a data set's file, as far as its headers and labels tell; nothing of its images is read."""
    if spec.source in _KNOWN:
        return []
    path = Path(spec.source)
    try:
        headers = _headers(path)
    except InputError as error:
        return error.problems
    missing = [name for name in ("train_images", "train_labels") if name not in headers]
    if "test_images" in headers or "test_labels" in headers:
        missing += [name for name in ("test_images", "test_labels") if name not in headers]
    if missing:
        return [f"is {spec.source!r}, which lacks {', '.join(missing)}; it holds {', '.join(headers) or 'nothing'}"]
    problems = []
    for split in ("train", "test") if "test_images" in headers else ("train",):
        (images, dtype), (labels, label_dtype) = headers[f"{split}_images"], headers[f"{split}_labels"]
        if not (dtype == np.uint8 and len(images) in (3, 4) or dtype.kind == "f" and len(images) == 4):
            problems.append(
                f"is {spec.source!r}, whose {split}_images are {dtype} {images}; they must be uint8 (n, height, width[, channel]) "
                "or float (n, channel, height, width)"
            )
        if label_dtype.kind not in "iu" or len(labels) != 1:
            problems.append(f"is {spec.source!r}, whose {split}_labels are {label_dtype} {labels}; they must be whole numbers (n,)")
        elif len(images) and images[0] != labels[0]:
            problems.append(f"is {spec.source!r}, which has {images[0]} {split}_images and {labels[0]} {split}_labels")
        elif 0 in images:
            problems.append(f"is {spec.source!r}, whose {split}_images are empty: {images}")
        else:
            problems += _label_problems(path, split)
    if not problems and "test_images" in headers and headers["train_images"][0][1:] != headers["test_images"][0][1:]:
        problems.append(f"is {spec.source!r}, whose training and test images differ in shape")
    return problems


def subset(split: Split, images: int | None, seed: int = 0) -> Split:
    """A stratified subset: every class in its proportion (largest remainders first), images drawn from `seed`.

    None, or as many images as there are, gives the split itself. The order of the images is kept.
    """
    n = len(split.labels)
    if images is None or images >= n:
        return split
    labels = split.labels.cpu()
    values, counts = labels.unique(return_counts=True)
    quotas = counts.double() * images / n
    shares = quotas.floor().long()
    order = torch.argsort(quotas - shares, descending=True, stable=True)
    shares[order[: images - int(shares.sum())]] += 1
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for value, share in zip(values, shares, strict=True):
        members = torch.nonzero(labels == value).flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[: int(share)]])
    index = torch.cat(chosen).sort().values.to(split.images.device)
    return Split(split.images[index], split.labels[index])


def augment(images: Tensor, black: Tensor, generator: torch.Generator, *, crop: bool, flip: bool) -> Tensor:
    """Each image cropped at random after padding by 4 black pixels, and mirrored with probability 1/2.

    Args:
        images: (n, channels, height, width).
        generator: on the CPU; it draws the same on every device.
    """
    n, channels, height, width = images.shape
    if crop:
        padded = black.view(1, channels, 1, 1).expand(n, channels, height + 2 * _PADDING, width + 2 * _PADDING).clone()
        padded[:, :, _PADDING : _PADDING + height, _PADDING : _PADDING + width] = images
        top, left = (torch.randint(0, 2 * _PADDING + 1, (n, 1), generator=generator).to(images.device) for _ in range(2))
        rows = (top + torch.arange(height, device=images.device)).view(n, 1, height, 1)
        columns = (left + torch.arange(width, device=images.device)).view(n, 1, 1, width)
        index = torch.arange(n, device=images.device).view(n, 1, 1, 1)
        images = padded[index, torch.arange(channels, device=images.device).view(1, channels, 1, 1), rows, columns]
    if flip:
        mirrored = torch.rand(n, generator=generator).to(images.device) < 0.5
        images = torch.where(mirrored.view(n, 1, 1, 1), images.flip(3), images)
    return images


def _digits() -> dict[str, Tensor]:
    """scikit-learn's 1,797 real digits of 8 x 8 pixels, 0 to 16, in a fixed random order."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(digits.images * 15).to(torch.uint8)[order].unsqueeze(1)
    labels = torch.from_numpy(digits.target).long()[order]
    return {
        "train_images": images[:DIGITS_TRAIN],
        "train_labels": labels[:DIGITS_TRAIN],
        "test_images": images[DIGITS_TRAIN:],
        "test_labels": labels[DIGITS_TRAIN:],
    }


def _cifar(source: str, downloads: Path) -> dict[str, Tensor]:
    datasets = _torchvision_datasets()
    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[source]
    arrays = {}
    for split in ("train", "test"):
        try:
            found = kind(downloads, train=split == "train", download=True)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{source} could not be fetched into {downloads}: {error}") from None
        arrays[f"{split}_images"] = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()
        arrays[f"{split}_labels"] = torch.tensor(found.targets, dtype=torch.int64)
    return arrays


def _torchvision_datasets() -> Any:
    """torchvision.datasets, also where torchvision was built for CUDA and torch was not.

    Its import then fails because the schemas of two operators are missing; with them declared, all we use works.
    """
    try:
        import torchvision.datasets as datasets
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for schema in (
            "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        ):
            with contextlib.suppress(RuntimeError):  # already declared
                library.define(schema)
        _torchvision_datasets.library = library  # type: ignore[attr-defined]  # declared for as long as it lives
        import torchvision.datasets as datasets
    return datasets


def _npz(path: Path) -> dict[str, Tensor]:
    if problems := check(Data(source=str(path))):
        raise InputError(f"the data {problem}" for problem in problems)
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                if name in ("train_images", "test_images"):
                    arrays[name] = _images(name, file[name], path)
                elif name in ("train_labels", "test_labels"):
                    arrays[name] = torch.from_numpy(file[name].astype(np.int64))
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    return arrays


def _images(name: str, array: np.ndarray, path: Path) -> Tensor:
    if array.dtype == np.uint8:
        array = array[..., None] if array.ndim == 3 else array
        return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {int((~np.isfinite(array)).sum())} values of {name} are not finite")
    return torch.from_numpy(array.astype(np.float32))


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of every array in an .npz, from its headers."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _npy_header(archive.open(name)) for name in archive.namelist() if name.endswith(".npy")
            }
    except (OSError, zipfile.BadZipFile, ValueError, EOFError) as error:
        raise InputError(f"is {str(path)!r}, which is not a whole .npz file: {error}") from None


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    with file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    return shape, dtype


def _label_problems(path: Path, split: str) -> list[str]:
    try:
        with np.load(path, allow_pickle=False) as file:
            labels = file[f"{split}_labels"]
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        return [f"is {str(path)!r}, whose {split}_labels cannot be read: {error}"]
    if labels.min() < 0:
        return [f"is {str(path)!r}, whose {split}_labels go down to {labels.min()}; classes are counted from 0"]
    return []
