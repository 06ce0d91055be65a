"""Make and read data sets: a training and a test split, normalised, on the device."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landscape.data import fetched, folder, function, npz, saved, tensor_file
from landscape.data.arrays import Source, together
from landscape.data.data_section import Data
from landscape.data.examples import Examples, laid_out, leaves, memory_format, shapes
from landscape.errors import InputError
from landscape.store import checkpoint

_PADDING = 4
DOWNLOADS = "downloads"
"""Folder for downloads, beside the data sets."""


@dataclass(frozen=True)
class DataSet:
    """A data set as networks see it.

    Attributes:
        test: None if there is no test split.
        classes: None if the targets are not whole numbers.
        black: value of a black pixel per channel, (channels,); None if the inputs are no images.
    """

    train: Examples
    test: Examples | None
    classes: int | None
    black: Tensor | None
    header: Mapping[str, Any]

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(channels, height, width) of one image; None if the inputs are no images."""
        return self.train.image_shape


def make(spec: Data, path: Path, header: Mapping[str, Any]) -> None:
    """Download or read a data set, and write the part in use, with the normalisation of images in the header.

    `examples` takes a subset of the training split, and `label_noise` replaces some of its labels; the test split stays
    whole. Images of uint8 are normalised, by default by mean and standard deviation of the training images in use. Float
    arrays are taken as they are, unless `mean` and `std` are stated.

    Raises:
        InputError: if the source is missing or malformed.
    """
    with _naming_source(f"the source is {spec.source!r}"):
        downloads = path.parent / DOWNLOADS
        source = _find(spec, downloads)
        splits = source.read(downloads)
        train = splits["train"]
        if spec.examples is not None:
            if spec.examples > len(train):
                raise InputError(f"it has {len(train)} training examples; examples asks for {spec.examples}")
            train = subset(train, spec.examples, spec.seed)
        facts: dict[str, Any] = {}
        if spec.label_noise:
            if not _has_labels(train) or source.classes is None or int(train.targets.min()) < 0:
                raise InputError(
                    f"its targets are {shapes(train.targets)}, and label_noise needs labels, whole numbers (n,) from 0"
                )
            labels, relabelled = mislabelled(train.targets, source.classes, spec.label_noise, spec.seed)
            train = Examples(train.inputs, labels)
            facts = {"label_noise": spec.label_noise, "relabelled": relabelled, "seed": spec.seed}
    splits = {**splits, "train": train}
    if spec.mean is not None:
        facts |= {"mean": spec.mean, "std": spec.std}
    elif isinstance(train.inputs, Tensor) and train.inputs.dtype == torch.uint8:
        facts |= dict(zip(("mean", "std"), moments(train.inputs), strict=True))
    if source.labels is not None:
        facts["labels"] = source.labels
    counts = {name: len(examples) for name, examples in splits.items()}
    checkpoint.write(path, _flat(splits), {**header, **facts, "classes": source.classes, "examples": counts})


def read(path: str | Path, device: str | torch.device = "cpu") -> DataSet:
    """Read a data set that `make` wrote, and normalise it: (pixel - mean) / std, pixels of uint8 in [0, 1]."""
    arrays, header = checkpoint.read(path)
    if "classes" not in header or "examples" not in header:
        raise InputError(f"{path} is no data set made by `landscape dataset`")
    if not isinstance(header["examples"], Mapping):
        raise InputError(f"{path} is damaged: its header has {header['examples']!r} for examples")
    try:
        splits = _unflat(arrays)
        problem = _damage(splits, header)
    except (KeyError, IndexError) as error:
        problem = f"it lacks {error}"
    if problem:
        raise InputError(f"{path} is damaged: {problem}")
    train = splits["train"].inputs
    black = None
    if isinstance(train, Tensor) and (train.dtype == torch.uint8 or train.ndim == 4 and train.is_floating_point()):
        black = torch.zeros(train.shape[1], device=device)
    if "mean" in header:
        mean, std = (torch.tensor(header[key], dtype=torch.float32).view(-1, 1, 1) for key in ("mean", "std"))
        black = (-mean / std).flatten().to(device)
        for name, split in splits.items():
            assert isinstance(split.inputs, Tensor)
            splits[name] = Examples(_normalised(split.inputs, mean, std), split.targets)
    elif black is not None:
        splits = {
            name: Examples(laid_out(of.inputs, memory_format(of.inputs)), of.targets) for name, of in splits.items()
        }
    test = splits["test"].to(device) if "test" in splits else None
    return DataSet(splits["train"].to(device), test, header["classes"], black, header)


def _flat(splits: Mapping[str, Examples]) -> dict[str, Tensor]:
    """Name every tensor: `train_inputs`, or `train_inputs/NAME` where there are several."""
    found: dict[str, Tensor] = {}
    for split, examples in splits.items():
        for kind, rows in (("inputs", examples.inputs), ("targets", examples.targets)):
            name = f"{split}_{kind}"
            if isinstance(rows, Tensor):
                found[name] = rows
            elif rows is not None:
                parts = rows.items() if isinstance(rows, dict) else enumerate(rows)
                found |= {f"{name}/{part}": tensor for part, tensor in parts}
    return found


def _unflat(tensors: Mapping[str, Tensor]) -> dict[str, Examples]:
    rows: dict[str, dict[str | None, Tensor]] = {}
    for name, tensor in tensors.items():
        of, slash, part = name.partition("/")
        rows.setdefault(of, {})[part if slash else None] = tensor
    return {
        split: Examples(
            together(rows[f"{split}_inputs"]),
            together(rows[f"{split}_targets"]) if f"{split}_targets" in rows else None,
        )
        for split in ("train", "test")
        if split == "train" or "test_inputs" in rows
    }


def _damage(splits: Mapping[str, Examples], header: Mapping[str, Any]) -> str | None:
    """Describe the first contradiction between a file's header and its tensors; None if there is none."""
    train = splits["train"].inputs
    for key in ("mean", "std") if "mean" in header or "std" in header else ():
        of = header.get(key)
        fits = isinstance(of, list) and all(isinstance(x, float) for x in of)
        if not fits or not isinstance(train, Tensor) or train.ndim != 4 or len(of or ()) != train.shape[1]:
            return f"{key} is {of!r}, and train_inputs are {shapes(train)}"
    for name, split in splits.items():
        counts = {len(tensor) for rows in (split.inputs, split.targets) if rows is not None for tensor in leaves(rows)}
        if counts != {header["examples"].get(name)}:
            return f"{name} has {counts} examples; its header says {header['examples'].get(name)}"
        ours, theirs = ([(of.shape[1:], of.dtype) for of in leaves(rows)] for rows in (split.inputs, train))
        if ours != theirs:
            return f"{name}_inputs are {shapes(split.inputs)}, and train_inputs {shapes(train)}"
        if "mean" not in header and isinstance(split.inputs, Tensor) and split.inputs.dtype == torch.uint8:
            return f"{name}_inputs are {shapes(split.inputs)}, and the header has no mean and std"
        if _has_labels(split):
            labels, classes = split.targets, header["classes"]
            assert isinstance(labels, Tensor)
            if classes is None or int(labels.max()) >= classes:
                return f"{name}_targets go up to {labels.max()}, and there are {classes} classes"
    return None


def _has_labels(examples: Examples) -> bool:
    targets = examples.targets
    return isinstance(targets, Tensor) and targets.ndim == 1 and targets.dtype == torch.int64


def _normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Normalise images, and lay them out by `memory_format`; float32 images are overwritten.

    Works on a hundred images at a time, to need no memory beyond the images and the result.
    """
    n, channels, height, width = images.shape
    result = images if images.dtype == torch.float32 else torch.empty(images.shape)
    last = memory_format(result) is torch.channels_last
    for part, target in zip(images.split(100), result.split(100), strict=True):
        pixels = part.float().div_(255) if part.dtype == torch.uint8 else part.clone()
        pixels.sub_(mean).div_(std)
        if last:
            target.view(len(part), height, width, channels).copy_(pixels.permute(0, 2, 3, 1))
        else:
            target.copy_(pixels)
    return result.view(n, height, width, channels).permute(0, 3, 1, 2) if last else result


def describe(spec: Data, downloads: Path = Path(DOWNLOADS)) -> Source:
    """Look at a data set without reading the inputs of a file or folder.

    Args:
        downloads: the folder for what is downloaded: torchvision's data sets by class tell their sizes only when read.

    Raises:
        InputError: if the source is missing or malformed; the message continues the key, as in `data.NAME.source`.
    """
    with _naming_source(f"is {spec.source!r}"):
        return _find(spec, downloads)


def _find(spec: Data, downloads: Path) -> Source:
    match spec.kind:
        case "fetched":
            source = fetched.find(spec.source)
        case "npz":
            source = npz.find(Path(spec.source), spec.channels)
        case "safetensors":
            source = tensor_file.find(Path(spec.source), spec.channels)
        case "folder":
            source = _in_folder(Path(spec.source), spec.image_size)
        case "function":
            source = function.find(spec.source, spec.args, downloads, spec.channels)
    if spec.mean is not None:
        if source.image_shape is None:
            raise InputError("its inputs are no images, and mean and std are of images")
        if len(spec.mean) != source.image_shape[0]:
            raise InputError(f"its images have {source.image_shape[0]} channels; mean and std have {len(spec.mean)}")
    return source


def _in_folder(path: Path, size: int | None) -> Source:
    if not saved.is_saved(path):
        return folder.find(path, size)
    if size is not None:
        raise InputError("Hugging Face datasets saved it, and image_size is of folders of images; resize them first")
    return saved.find(path)


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


def subset(split: Examples, examples: int | None, seed: int = 0) -> Examples:
    """Draw a subset from `seed`, in the split's order.

    With labels it is stratified: every class in its proportion (largest remainders first). None, or at least as many
    examples as the split has, gives the split itself.
    """
    if examples is None or examples >= len(split):
        return split
    labels = split.targets if _has_labels(split) else torch.zeros(len(split), dtype=torch.int64)
    assert isinstance(labels, Tensor)
    index = _stratified(labels.cpu(), examples, seed)
    return split.map(lambda tensor: tensor[index.to(tensor.device)])


def _stratified(labels: Tensor, examples: int, seed: int) -> Tensor:
    """Indices of the examples in a stratified subset, ascending."""
    values, counts = labels.unique(return_counts=True)
    quotas = counts.double() * examples / len(labels)
    shares = quotas.floor().long()
    order = torch.argsort(quotas - shares, descending=True, stable=True)
    shares[order[: examples - int(shares.sum())]] += 1
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
