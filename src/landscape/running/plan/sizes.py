"""Sizes of data sets and networks."""

import math
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from landscape.data.arrays import Source
from landscape.data.builtin_datasets import FETCHED
from landscape.data.data_section import Data
from landscape.data.examples import Examples, Rows, call, leaves, mapped
from landscape.errors import InputError
from landscape.experiment import specs
from landscape.networks import building
from landscape.store import checkpoint
from landscape.store.weights import tensors_of
from landscape.training.run_section import Run

_LABEL = 8  # bytes


@dataclass(frozen=True)
class Counts:
    """Number of examples in each split of a data set, and their bytes on disk, with targets."""

    train: int
    test: int | None
    disk: int

    def both(self, subset: int | None = None) -> int:
        """Count the examples of both splits, or of a subset of each."""
        return sum(min(subset or split, split) for split in (self.train, self.test or 0))


@dataclass(frozen=True)
class NetworkSize:
    """Size of a network.

    Attributes:
        flops: operations of one forward pass on one example.
        parameters, moving, state: bytes of the parameters, with all floating-point buffers, of the state dict.
    """

    flops: int
    parameters: int
    moving: int
    state: int


def counts(spec: Data, sample: Examples, made: str) -> Counts | None:
    """Count the examples of a data set by its name or its source file; else by the file `made`. None if that is missing.

    Args:
        sample: two of its examples.
        made: the data set's file among the results.
    """
    if spec.kind == "fetched":
        known = FETCHED[spec.source]
        return _used(spec, known.train, known.test, math.prod(sample.image_shape or ()))
    if spec.kind != "npz":
        return _in_file(made, spec)
    with np.load(spec.source, allow_pickle=False) as file:
        counts = {split: _rows(file, split) for split in ("train", "test")}
    with zipfile.ZipFile(spec.source) as archive:
        stored = sum(one.file_size for one in archive.infolist() if one.filename.startswith(("train_", "test_")))
    train, test = counts["train"] or 0, counts["test"]
    numbers = sum(tensor[0].numel() for tensor in leaves(sample.inputs))
    is_uint8 = stored < 2 * (train + (test or 0)) * numbers  # floats of any type are stored in four bytes
    return _used(spec, train, test, numbers * (1 if is_uint8 else 4))


def _rows(file: Mapping[str, np.ndarray], split: str) -> int | None:
    """Count the examples of a split by its smallest array; None if there is none."""
    names = sorted(
        (name for name in file if name.startswith(f"{split}_")), key=lambda name: "inputs" in name or "images" in name
    )
    return len(file[names[0]]) if names else None


def network(run: Run, known: Source) -> NetworkSize:
    """Measure a run's network, with a forward pass in eval mode on one example of its data.

    It runs on the meta device, which has shapes but no values, or on the CPU if the network's code needs values.

    Raises:
        InputError: if it cannot be built.
        Exception: if the network's own code raises one.
    """

    def built(device: str) -> nn.Module:
        made = building.build(
            run.network, run.args, seed=run.seed, images=known.image_shape, classes=known.classes, device=device
        )
        return made.eval()

    found = built("meta")
    try:
        flops = _flops(found, mapped(known.sample.inputs, lambda tensor: tensor[:1].to("meta")))
    except Exception:
        flops = _flops(built("cpu"), mapped(known.sample.inputs, lambda tensor: tensor[:1]))
    parameters = _bytes(found.parameters())
    buffers = _bytes(buffer for buffer in found.buffers() if buffer.is_floating_point())
    return NetworkSize(flops, parameters, parameters + buffers, _bytes(tensors_of(found).values()))


def _in_file(path: str, spec: Data) -> Counts | None:
    """Read the number of examples from the data set's file at `path`, if it exists and has this specification."""
    try:
        header = checkpoint.read_header(path)
    except InputError:
        return None
    if header.get("spec_hash") != specs.digest(specs.of("dataset", spec)):
        return None
    return Counts(header["examples"]["train"], header["examples"].get("test"), Path(path).stat().st_size)


def _used(spec: Data, train: int, test: int | None, bytes_each: int) -> Counts:
    train = min(spec.examples or train, train)
    return Counts(train, test, (train + (test or 0)) * (bytes_each + _LABEL))


def _flops(network: nn.Module, inputs: Rows) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call(network, inputs)
    return int(counter.get_total_flops())


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
