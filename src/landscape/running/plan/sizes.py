"""Sizes of data sets and networks."""

import math
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from landscape.data.builtin_datasets import FETCHED
from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.experiment import specs
from landscape.networks import building
from landscape.store import checkpoint
from landscape.training.run_section import Run

_LABEL = 8  # bytes


@dataclass(frozen=True)
class Images:
    """Number of images in each split of a data set, and their bytes on disk, with labels."""

    train: int
    test: int | None
    disk: int

    def both(self, subset: int | None = None) -> int:
        """Count the images of both splits, or of a subset of each."""
        return sum(min(subset or split, split) for split in (self.train, self.test or 0))


@dataclass(frozen=True)
class NetworkSize:
    """Size of a network.

    Attributes:
        flops: operations of one forward pass on one image.
        parameters, moving, state: bytes of the parameters, with all floating-point buffers, of the state dict.
    """

    flops: int
    parameters: int
    moving: int
    state: int


def images(spec: Data, shape: tuple[int, int, int], made: str) -> Images | None:
    """Count the images of a data set by its name or its source file; else by the file `made`. None if that is missing.

    Args:
        shape: (channels, height, width) of an image.
        made: the data set's file among the results.
    """
    if spec.kind == "fetched":
        known = FETCHED[spec.source]
        return _used(spec, known.train, known.test, math.prod(shape))
    if spec.kind != "npz":
        return _in_file(made, spec)
    with np.load(spec.source, allow_pickle=False) as file:
        train = len(file["train_labels"])
        test = len(file["test_labels"]) if "test_labels" in file else None
    with zipfile.ZipFile(spec.source) as archive:
        size = archive.getinfo("train_images.npy").file_size
    is_uint8 = size < 2 * train * math.prod(shape)  # floats of any type are stored in four bytes
    return _used(spec, train, test, math.prod(shape) * (1 if is_uint8 else 4))


def network(run: Run, shape: tuple[int, int, int], classes: int) -> NetworkSize:
    """Measure a run's network, with a forward pass in eval mode on an image of shape (channels, height, width).

    It runs on the meta device, which has shapes but no values, or on the CPU if the network's code needs values.

    Raises:
        InputError: if it cannot be built.
        Exception: if the network's own code raises one.
    """

    def built(device: str) -> nn.Module:
        made = building.build(run.network, run.args, seed=run.seed, images=shape, classes=classes, device=device)
        return made.eval()

    found = built("meta")
    try:
        flops = _flops(found, torch.empty(1, *shape, device="meta"))
    except Exception:
        flops = _flops(built("cpu"), torch.zeros(1, *shape))
    parameters = _bytes(found.parameters())
    buffers = _bytes(buffer for buffer in found.buffers() if buffer.is_floating_point())
    return NetworkSize(flops, parameters, parameters + buffers, _bytes(found.state_dict().values()))


def _in_file(path: str, spec: Data) -> Images | None:
    """Read the number of images from the data set's file at `path`, if it exists and has this specification."""
    try:
        header = checkpoint.read_header(path)
    except InputError:
        return None
    if header.get("spec_hash") != specs.digest(specs.of("dataset", spec)):
        return None
    return Images(header["counts"]["train_labels"], header["counts"].get("test_labels"), Path(path).stat().st_size)


def _used(spec: Data, train: int, test: int | None, bytes_each: int) -> Images:
    train = min(spec.images or train, train)
    return Images(train, test, (train + (test or 0)) * (bytes_each + _LABEL))


def _flops(network: nn.Module, image: Tensor) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    return int(counter.get_total_flops())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
