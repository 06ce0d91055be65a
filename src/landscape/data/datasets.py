"""Make and read data sets: a training and a test split, each two normalised tensors on the device."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landscape.data import fetched, folder, function, npz
from landscape.data.arrays import Source
from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.store import checkpoint

_PADDING = 4


@dataclass(frozen=True)
class Split:
    """Normalised images, float32 (n, channels, height, width), laid out by `memory_format`, and labels, int64 (n,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class DataSet:
    """A normalised data set. `black` holds the value of a black pixel per channel."""

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
    """Return the memory layout of images, and so of convolutions: for small images the plain one is as fast (measured).

    The layout alters bits, so it depends on the shape (channels, height, width) alone.
    """
    return torch.channels_last if shape[1] * shape[2] >= 32 * 32 else torch.contiguous_format


def make(spec: Data, path: Path, header: Mapping[str, Any]) -> None:
    """Download or read a data set, and write the part in use, uint8 or float32, with its normalisation in the header.

    `images` takes a subset of the training split, and `label_noise` replaces some of its labels; the test split stays
    whole. Mean and standard deviation are by default those of the training images in use.

    Raises:
        InputError: if the source is missing or malformed.
    """
    with _naming_source(f"the source is {spec.source!r}"):
        source = _find(spec)
        arrays = source.read(path.parent / "downloads")
        images, labels = arrays["train_images"], arrays["train_labels"]
        if spec.images is not None:
            if spec.images > len(labels):
                raise InputError(f"it has {len(labels)} training images; images asks for {spec.images}")
            index = _stratified(labels, spec.images, spec.seed)
            images, labels = images[index], labels[index]
    facts: dict[str, Any] = {}
    if spec.label_noise:
        labels, relabelled = mislabelled(labels, source.classes, spec.label_noise, spec.seed)
        facts = {"label_noise": spec.label_noise, "relabelled": relabelled, "seed": spec.seed}
    arrays |= {"train_images": images, "train_labels": labels}
    mean, std = (spec.mean, spec.std) if spec.mean is not None else moments(images)
    facts |= {
        "mean": mean,
        "std": std,
        "classes": source.classes,
        "counts": {name: len(t) for name, t in arrays.items()},
    }
    checkpoint.write(path, arrays, {**header, **facts})


def read(path: str | Path, device: str | torch.device = "cpu") -> DataSet:
    """Read a data set that `make` wrote, and normalise it: (pixel - mean) / std, pixels of uint8 in [0, 1]."""
    arrays, header = checkpoint.read(path)
    missing = [key for key in ("mean", "std", "classes") if key not in header]
    if missing or "train_images" not in arrays:
        raise InputError(f"{path} is no data set made by `landscape dataset`")
    if problem := _damage(arrays, header):
        raise InputError(f"{path} is damaged: {problem}")
    mean, std = (torch.tensor(header[key], dtype=torch.float32).view(-1, 1, 1) for key in ("mean", "std"))

    def split(name: str) -> Split:
        images = _normalised(arrays[f"{name}_images"], mean, std)
        return Split(images.to(device), arrays[f"{name}_labels"].to(device))

    test = split("test") if "test_images" in arrays else None
    return DataSet(split("train"), test, header["classes"], (-mean / std).flatten().to(device), header)


def _damage(arrays: Mapping[str, Tensor], header: Mapping[str, Any]) -> str | None:
    """Describe the first contradiction between a file's header and its tensors; None if there is none."""
    channels = arrays["train_images"].shape[1:2]
    for key in ("mean", "std"):
        of = header[key]
        if not isinstance(of, list) or [len(of)] != list(channels) or not all(isinstance(x, float) for x in of):
            return f"{key} is {of!r}, and train_images have the shape {tuple(arrays['train_images'].shape)}"
    for split in ("train", "test") if "test_images" in arrays else ("train",):
        images, labels = arrays[f"{split}_images"], arrays.get(f"{split}_labels", torch.empty(0))
        if images.ndim != 4 or images.shape[1:2] != channels or images.dtype not in (torch.uint8, torch.float32):
            return f"{split}_images has the shape {tuple(images.shape)} and the type {images.dtype}"
        if labels.shape != images.shape[:1] or labels.dtype != torch.int64 or not len(labels):
            return f"{split}_labels has the shape {tuple(labels.shape)} and the type {labels.dtype}"
        if not 0 <= int(labels.min()) <= int(labels.max()) < header["classes"]:
            return (
                f"{split}_labels are from {labels.min()} to {labels.max()}, and there are {header['classes']} classes"
            )
    return None


def _normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Normalise images, and lay them out by `memory_format`; float32 images are overwritten.

    Works on a hundred images at a time, to need no memory beyond the images and the result.
    """
    n, channels, height, width = images.shape
    result = images if images.dtype == torch.float32 else torch.empty(images.shape)
    last = memory_format((channels, height, width)) is torch.channels_last
    for part, target in zip(images.split(100), result.split(100), strict=True):
        pixels = part.float().div_(255) if part.dtype == torch.uint8 else part.clone()
        pixels.sub_(mean).div_(std)
        if last:
            target.view(len(part), height, width, channels).copy_(pixels.permute(0, 2, 3, 1))
        else:
            target.copy_(pixels)
    return result.view(n, height, width, channels).permute(0, 3, 1, 2) if last else result


def describe(spec: Data) -> tuple[tuple[int, int, int], int]:
    """Return ((channels, height, width), classes) of a data set, without reading the images of a file or folder.

    Raises:
        InputError: if the source is missing or malformed; the message continues the key, as in `data.NAME.source`.
    """
    with _naming_source(f"is {spec.source!r}"):
        source = _find(spec)
    return source.shape, source.classes


def _find(spec: Data) -> Source:
    match spec.kind:
        case "fetched":
            source = fetched.find(spec.source)
        case "npz":
            source = npz.find(Path(spec.source))
        case "folder":
            source = folder.find(Path(spec.source), spec.image_size)
        case "function":
            source = function.find(spec.source, spec.args)
    channels = source.shape[0]
    if spec.mean is not None and len(spec.mean) != channels:
        raise InputError(f"its images have {channels} channels; mean and std have {len(spec.mean)}")
    return source


@contextlib.contextmanager
def _naming_source(source: str) -> Iterator[None]:
    """Put `source` before the problems raised in the block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {problem}" for problem in error.problems) from error


def moments(images: Tensor) -> tuple[list[float], list[float]]:
    """Compute mean and standard deviation per channel, for uint8 in units of 255; a constant channel gets deviation 1.

    Sums in float64 over a thousand images at a time: all images in float64 would take eight times the data set's memory.
    """
    scale = 255.0 if images.dtype == torch.uint8 else 1.0
    chunks = images.split(1000)
    pixels = images.numel() // images.shape[1]
    mean = sum(chunk.double().sum((0, 2, 3)) for chunk in chunks) / pixels
    variance = sum((chunk.double() - mean.view(-1, 1, 1)).square().sum((0, 2, 3)) for chunk in chunks) / pixels
    constant = images.amax((0, 2, 3)) == images.amin((0, 2, 3))
    return (mean / scale).tolist(), torch.where(constant, 1.0, variance.sqrt() / scale).tolist()


def subset(split: Split, images: int | None, seed: int = 0) -> Split:
    """Draw a stratified subset from `seed`: every class in its proportion (largest remainders first), in the split's order.

    None, or at least as many images as the split has, gives the split itself.
    """
    n = len(split.labels)
    if images is None or images >= n:
        return split
    index = _stratified(split.labels.cpu(), images, seed).to(split.images.device)
    return Split(split.images[index], split.labels[index])


def _stratified(labels: Tensor, images: int, seed: int) -> Tensor:
    """Indices of the images in a stratified subset, ascending."""
    values, counts = labels.unique(return_counts=True)
    quotas = counts.double() * images / len(labels)
    shares = quotas.floor().long()
    order = torch.argsort(quotas - shares, descending=True, stable=True)
    shares[order[: images - int(shares.sum())]] += 1
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for value, share in zip(values, shares, strict=True):
        members = torch.nonzero(labels == value).flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[: int(share)]])
    return torch.cat(chosen).sort().values


def mislabelled(labels: Tensor, classes: int, share: float, seed: int) -> tuple[Tensor, int]:
    """Replace round(share * n) labels, drawn from `seed`, each by a random other class; return labels and number."""
    count = round(share * len(labels))
    key = hashlib.sha256(f"{seed}/label_noise".encode()).digest()  # so that the draws differ from those of a subset
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)
    chosen = torch.randperm(len(labels), generator=generator)[:count]
    steps = torch.randint(1, classes, (count,), generator=generator)
    return labels.index_copy(0, chosen, (labels[chosen] + steps) % classes), count


def augment(images: Tensor, black: Tensor, generator: torch.Generator, *, crop: bool, flip: bool) -> Tensor:
    """Crop each image at random after padding by 4 black pixels, and mirror it with probability 1/2.

    Args:
        images: (n, channels, height, width).
        generator: on the CPU, so that the draws are the same for every device.
    """
    n, channels, height, width = images.shape
    if crop:
        padded = black.view(1, channels, 1, 1).expand(n, channels, height + 2 * _PADDING, width + 2 * _PADDING).clone()
        padded[:, :, _PADDING : _PADDING + height, _PADDING : _PADDING + width] = images
        top, left = (
            torch.randint(0, 2 * _PADDING + 1, (n, 1), generator=generator).to(images.device) for _ in range(2)
        )
        rows = (top + torch.arange(height, device=images.device)).view(n, 1, height, 1)
        columns = (left + torch.arange(width, device=images.device)).view(n, 1, 1, width)
        index = torch.arange(n, device=images.device).view(n, 1, 1, 1)
        images = padded[index, torch.arange(channels, device=images.device).view(1, channels, 1, 1), rows, columns]
    if flip:
        mirrored = torch.rand(n, generator=generator).to(images.device) < 0.5
        images = torch.where(mirrored.view(n, 1, 1, 1), images.flip(3), images)
    return images
