"""Memory that a job may need, in MiB.

The weights of a network that is not built in are not counted: only torch could count them.
"""

import functools
import math
import zipfile
from pathlib import Path

from landscape.data.builtin_datasets import known_of
from landscape.experiment.lookup import figure, plane, probe, run_of
from landscape.experiment.schema import Experiment
from landscape.networks.operations import weights
from landscape.store.contents import in_folder

BASE = 1500
"""A process with torch, and room for activations."""

NUMBERS = 1000
"""A process without torch that reads surfaces and draws."""

IMAGES = 6
"""Times the images, which are bytes in the file and float32 in memory, and for a moment both."""

WEIGHTS = 8
"""Times the network's weights: itself, two directions, a gradient, what an optimiser has, and copies of these."""

EPOCHS = 2
"""Times the kept epochs' weights, where a path is read: as they are, and side by side."""

VECTORS = 100
"""Vectors as long as the weights that a search for eigenvalues holds; it takes a few dozen products, seldom 300."""


def of_job(experiment: Experiment, at: str) -> int:
    """For a job that holds a run's data set and its network."""
    return BASE + _mebibytes(IMAGES * _images(experiment, at) + WEIGHTS * _weights(experiment, at))


def of_training(experiment: Experiment, at: str) -> int:
    """For one that holds all epochs the run keeps as well: its training at the end, and its path."""
    kept = len(run_of(experiment, at).kept)
    return of_job(experiment, at) + _mebibytes(EPOCHS * kept * _weights(experiment, at))


def of_directions(experiment: Experiment, at: str, plane_name: str) -> int:
    """For drawing directions, which may be those of the run's path."""
    along = plane(experiment, plane_name).directions == "pca"
    return of_training(experiment, at) if along else of_job(experiment, at)


def of_tile(experiment: Experiment, at: str, plane_name: str) -> int:
    return _of_search(experiment, at, plane(experiment, plane_name).graph_memory)


def of_probe(experiment: Experiment, at: str, name: str) -> int:
    return _of_search(experiment, at, probe(experiment, name).graph_memory)


def of_merge(experiment: Experiment, at: str, plane_name: str) -> int:
    """For putting a surface's tiles together."""
    return NUMBERS


def of_figure(experiment: Experiment, name: str) -> int:
    """For a figure; with torch, if it draws weights."""
    return BASE if figure(experiment, name).weighed else NUMBERS


def _of_search(experiment: Experiment, at: str, graph: int) -> int:
    """For a job that searches for eigenvalues if the graph of a point may take so many MiB; 0 where it does not."""
    search = graph and graph + _mebibytes(VECTORS * _weights(experiment, at))
    return of_job(experiment, at) + search


def _mebibytes(size: int) -> int:
    return size // 2**20


def _weights(experiment: Experiment, at: str) -> int:
    """Bytes of a run's weights, in float32."""
    run = run_of(experiment, at)
    known = known_of(experiment.data[run.data].source)
    return 4 * weights(run.network, run.args, known.shape, known.classes)


def _images(experiment: Experiment, at: str) -> int:
    """Bytes of a run's data set, as bytes."""
    data = experiment.data[run_of(experiment, at).data]
    size = 0
    if data.kind == "npz":
        size = _unpacked(Path(data.source))
    elif data.kind == "safetensors" and Path(data.source).is_file():
        size = Path(data.source).stat().st_size
    elif data.kind == "folder":
        size = _of_images(Path(data.source), data.image_size)
    known = known_of(data.source)
    return size or known.examples * math.prod(known.shape)


def _unpacked(npz: Path) -> int:
    """Bytes of all arrays of an .npz, compressed or not; 0 if it cannot be read."""
    try:
        with zipfile.ZipFile(npz) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return 0


@functools.cache  # every job that holds the images asks, and there can be very many files
def _of_images(folder: Path, size: int | None) -> int:
    """Bytes of a folder's images in colour, each as large as the first or `size` x `size`; 0 if that cannot be read."""
    from PIL import Image

    found = [path for _, path in in_folder(folder) if path.is_file()]
    try:
        if size is None:
            with Image.open(min(found)) as image:
                return len(found) * 3 * image.width * image.height
    except (OSError, ValueError):
        return 0
    return len(found) * 3 * size**2
