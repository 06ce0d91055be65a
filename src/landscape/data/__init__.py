"""Data sets: a training and a test split, each two tensors on the device, normalised once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landscape import checkpoint
from landscape.config import Data
from landscape.data import fetched, npz
from landscape.errors import InputError

_PADDING = 4


@dataclass(frozen=True)
class Split:
    """Images, float32 (n, channels, height, width), normalised, in the layout that kernels like; labels, int64 (n,)."""

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
    if problems := check(spec):
        raise InputError(f"the source {problem}" for problem in problems)
    _, classes = describe(spec)
    arrays = (
        fetched.load(spec.source, path.parent / "downloads")
        if spec.source in fetched.KNOWN
        else npz.load(Path(spec.source))
    )
    mean, std = (spec.mean, spec.std) if spec.mean is not None else moments(arrays["train_images"])
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
        images = _normalised(arrays[f"{name}_images"], mean, std)
        return Split(images.to(device), arrays[f"{name}_labels"].to(device))

    test = split("test") if "test_images" in arrays else None
    return DataSet(split("train"), test, header["classes"], (-mean / std).flatten().to(device), header)


def _normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Images as networks see them, laid out as `memory_format` says; float32 images are replaced in place.

    A hundred at a time, so that nothing is held beside the result and, of uint8, what is stored.
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
    """((channels, height, width), classes) of a data set, without reading its images.

    Raises:
        InputError: if a file is not what it should be.
    """
    return fetched.KNOWN[spec.source] if spec.source in fetched.KNOWN else npz.describe(Path(spec.source))


def check(spec: Data) -> list[str]:
    """What is wrong with a data set, as far as its file's headers and labels tell; nothing of its images is read."""
    if spec.source not in fetched.KNOWN and (problems := npz.problems(Path(spec.source))):
        return [f"is {spec.source!r}, {problem}" for problem in problems]
    (channels, _, _), _ = describe(spec)
    if spec.mean is not None and len(spec.mean) != channels:
        return [f"is {spec.source!r}, whose images have {channels} channels; mean and std have {len(spec.mean)}"]
    return []


def moments(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, of uint8 in units of 255; of a constant channel the deviation is 1.

    In float64, over a thousand images at a time: a copy of all in float64 would be eight times the size of the data set.
    """
    scale = 255.0 if images.dtype == torch.uint8 else 1.0
    chunks = images.split(1000)
    pixels = images.numel() // images.shape[1]
    mean = sum(chunk.double().sum((0, 2, 3)) for chunk in chunks) / pixels
    variance = sum((chunk.double() - mean.view(-1, 1, 1)).square().sum((0, 2, 3)) for chunk in chunks) / pixels
    constant = images.amax((0, 2, 3)) == images.amin((0, 2, 3))
    return (mean / scale).tolist(), torch.where(constant, 1.0, variance.sqrt() / scale).tolist()


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
