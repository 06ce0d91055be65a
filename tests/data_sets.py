"""Small data sets for tests, written and read as the workflow does."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.data.examples import Examples
from landscape.errors import InputError

Arrays = dict[str, np.ndarray]


def arrays(*, train: int = 12, test: int = 5, shape: tuple[int, ...] = (6, 5, 3), seed: int = 0) -> Arrays:
    """The arrays of an .npz: uint8 images of `shape`, labels 0 to 3."""
    rng = np.random.default_rng(seed)
    return {
        "train_images": rng.integers(0, 256, (train, *shape), dtype=np.uint8),
        "train_labels": np.arange(train) % 4,
        "test_images": rng.integers(0, 256, (test, *shape), dtype=np.uint8),
        "test_labels": np.arange(test) % 4,
    }


def saved(folder: Path, content: Arrays, name: str = "ours.npz", **spec: Any) -> Data:
    np.savez(folder / name, **content)  # type: ignore[arg-type]  # numpy's stubs take the names for options
    return Data(source=str(folder / name), **spec)


def problems(spec: Data) -> list[str]:
    """Problems reported for a data set."""
    try:
        datasets.describe(spec)
    except InputError as error:
        return error.problems
    return []


def described(spec: Data) -> tuple[tuple[int, int, int] | None, int | None]:
    """Shape of an image and number of classes, before anything is read."""
    found = datasets.describe(spec)
    return found.image_shape, found.classes


def made(spec: Data, folder: Path, device: str = "cpu") -> datasets.DataSet:
    datasets.make(spec, folder / "made.safetensors", {"name": "ours"})
    return datasets.read(folder / "made.safetensors", device)


def assert_normalised(split: Examples | None, pixels: np.ndarray, labels: np.ndarray, mean: Any, std: Any) -> None:
    """`pixels` (n, channels, height, width), in [0, 1] or in the units of a float source."""
    assert split is not None
    assert split.inputs.dtype == torch.float32 and split.inputs.is_contiguous()
    assert split.targets.dtype == torch.int64
    expected = (pixels.astype(np.float64) - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    np.testing.assert_allclose(split.inputs.numpy(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(split.targets.numpy(), labels)
