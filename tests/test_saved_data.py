"""Data sets that Hugging Face `datasets` saved, and torchvision's by the name of their class; nothing is downloaded.

Those of `datasets` are skipped where the extra `datasets` is not installed, unless LANDSCAPE_MODELS is `required`, as in CI.
"""

import gzip
import importlib.util
import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from landscape.data.data_section import Data
from landscape.errors import InputError

from data_sets import assert_normalised, described, made, problems

there = os.environ.get("LANDSCAPE_MODELS") == "required" or importlib.util.find_spec("datasets") is not None
needs_datasets = pytest.mark.skipif(not there, reason="the extra `datasets` is not installed")


def pixels(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, *shape), dtype=np.uint8)


def written(path: Path, *, several: bool = True, test: str = "test", **columns: Any) -> Data:
    """Save the columns as the training split and, if `several`, their first rows as another."""
    import datasets

    train = datasets.Dataset.from_dict(columns)
    whole: Any = datasets.DatasetDict({"train": train, test: train.select(range(2))}) if several else train
    whole.save_to_disk(str(path))
    return Data(source=str(path))


@needs_datasets
@pytest.mark.parametrize("test", ["test", "validation"])
def test_several_columns_are_inputs_by_name(tmp_path: Path, test: str) -> None:
    ids, mask = [[1, 2, 3], [4, 5, 6], [7, 8, 0]], [[1, 1, 1], [1, 1, 1], [1, 1, 0]]
    spec = written(tmp_path / "words", test=test, input_ids=ids, attention_mask=mask, label=[0, 2, 1])
    found = made(spec, tmp_path)
    assert {name: of.tolist() for name, of in found.train.inputs.items()} == {"input_ids": ids, "attention_mask": mask}
    assert found.train.targets.tolist() == [0, 2, 1] and found.train.targets.dtype == torch.int64
    assert found.test is not None and found.test.inputs["input_ids"].tolist() == ids[:2]
    assert found.classes == 3 and described(spec) == (None, 3)


@needs_datasets
def test_one_column_is_the_input_and_there_may_be_no_targets(tmp_path: Path) -> None:
    found = made(written(tmp_path / "rows", several=False, x=[[0.5, 1.5], [2.5, 3.5]], labels=[0.25, -1.0]), tmp_path)
    assert found.train.inputs.tolist() == [[0.5, 1.5], [2.5, 3.5]] and found.test is None
    assert found.train.targets.tolist() == [0.25, -1.0] and found.train.targets.dtype == torch.float32
    alone = made(written(tmp_path / "alone", several=False, input_ids=[[1, 2], [3, 4]]), tmp_path)
    assert alone.train.inputs.tolist() == [[1, 2], [3, 4]] and alone.train.targets is None


@needs_datasets
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_images_are_normalised(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = pixels(6, *shape)
    labels = [0, 1, 2, 0, 1, 2]
    spec = written(tmp_path / "images", image=[Image.fromarray(of) for of in values], label=labels)
    found = made(spec, tmp_path)
    plain = values.reshape(6, 5, 4, -1).transpose(0, 3, 1, 2) / 255
    mean, std = plain.mean((0, 2, 3)), plain.std((0, 2, 3))
    assert_normalised(found.train, plain, np.array(labels), mean, std)
    assert_normalised(found.test, plain[:2], np.array(labels[:2]), mean, std)
    assert described(spec) == ((len(plain[0]), 5, 4), 3)


@needs_datasets
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["good", "bad"], "label": [1, 0]}, "the column text holds text; tokenise it first"),
        ({"input_ids": [[1, 2], [3]], "label": [1, 0]}, "the column input_ids holds .* lists of several lengths"),
        ({"label": [1, 0]}, "it has no inputs"),
        ({"input-ids": [[1], [2]], "label": [1, 0]}, "the column 'input-ids'; names are letters"),
        ({"x": [1.0, None], "label": [1, 0]}, "1 values that are not finite"),
    ],
)
def test_what_makes_no_tensors_is_told(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(written(tmp_path / "odd", **columns), tmp_path)


@needs_datasets
def test_images_of_several_sizes_are_told(tmp_path: Path) -> None:
    images = [Image.fromarray(of) for of in (*pixels(2, 5, 4), *pixels(1, 4, 4))]
    said = problems(written(tmp_path / "sizes", image=images, label=[0, 1, 0]))
    assert len(said) == 1 and "images of several sizes: 5 x 4 at 0, 4 x 4 at 2; resize them first" in said[0]


@needs_datasets
def test_a_size_is_for_folders_of_images(tmp_path: Path) -> None:
    spec = written(tmp_path / "x", x=[[1.0], [2.0]], label=[0, 1])
    assert "image_size is of folders of images" in problems(Data(source=spec.source, image_size=8))[0]


def test_without_the_library_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'landscape[datasets]'" in problems(Data(source=str(tmp_path)))[0]


def mnist(root: Path, kind: str, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Write images in MNIST's own format, as its download has them; return the labels of the training ones."""
    raw = root / kind / "raw"
    raw.mkdir(parents=True)
    for name, images in (("train", train), ("t10k", test)):
        labels = (np.arange(len(images)) % 10).astype(np.uint8)
        head = struct.pack(">4i", 0x803, *images.shape)
        for file, content in (
            (f"{name}-images-idx3-ubyte", head + images.tobytes()),
            (f"{name}-labels-idx1-ubyte", struct.pack(">2i", 0x801, len(labels)) + labels.tobytes()),
        ):
            (raw / file).write_bytes(content)
            (raw / f"{file}.gz").write_bytes(gzip.compress(content))
    return np.arange(len(train)) % 10


@pytest.mark.parametrize("kind", ["FashionMNIST", "MNIST"])
def test_a_data_set_of_torchvision_has_both_splits(tmp_path: Path, kind: str) -> None:
    train, test = pixels(20, 28, 28), pixels(11, 28, 28)
    labels = mnist(tmp_path / "downloads", kind, train, test)
    spec = Data(source=f"torchvision.datasets:{kind}")
    found = made(spec, tmp_path)  # whose downloads are beside it
    plain = train[:, None] / 255
    assert_normalised(found.train, plain, labels, plain.mean(), plain.std())
    assert_normalised(found.test, test[:, None] / 255, np.arange(11) % 10, plain.mean(), plain.std())
    assert found.classes == 10


def test_a_data_set_of_random_colours(tmp_path: Path) -> None:
    """`FakeData` has no root, no download and one split."""
    spec = Data(source="torchvision.datasets:FakeData", args={"size": 9, "image_size": [3, 6, 5], "num_classes": 3})
    found = made(spec, tmp_path)
    assert found.image_shape == (3, 6, 5) and len(found.train) == 9 and found.test is None
    assert described(spec)[0] == (3, 6, 5)


def test_a_split_by_name(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "import numpy as np\nfrom PIL import Image\nfrom torchvision.datasets import VisionDataset\n"
        "class Shapes(VisionDataset):\n"
        "    def __init__(self, root, split='train', several=False):\n"
        "        if split not in ('train', 'val'): raise ValueError(f'no split {split}')\n"
        "        super().__init__(root)\n"
        "        self.n, self.several = {'train': 6, 'val': 3}[split], several\n"
        "    def __len__(self): return self.n\n"
        "    def __getitem__(self, k):\n"
        "        size = (4, 4 + k) if self.several else (4, 4)\n"
        "        return Image.fromarray(np.full(size, 9 * k, np.uint8)), k % 3\n"
    )
    found = made(Data(source=f"{path}:Shapes"), tmp_path)
    assert len(found.train) == 6 and found.test is not None and len(found.test) == 3
    assert "images of several sizes" in problems(Data(source=f"{path}:Shapes", args={"several": True}))[0]
    assert "cannot be made" in problems(Data(source=f"{path}:Shapes", args={"colour": 1}))[0]


def test_a_download_that_fails_says_where_files_go(tmp_path: Path) -> None:
    """An argument `download: false` looks for files alone."""
    spec = Data(source="torchvision.datasets:FashionMNIST", args={"download": False, "root": str(tmp_path)})
    assert f"put its files into {tmp_path}" in problems(spec)[0]
