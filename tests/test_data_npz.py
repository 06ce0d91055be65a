"""Data sets in .npz files, and the errors of malformed or damaged files."""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.store import checkpoint

from data_sets import Arrays, arrays, assert_normalised, described, made, problems, saved


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3), (6, 5, 2), (1, 1)])
@pytest.mark.parametrize("stated", [True, False])
def test_npz_of_bytes(tmp_path: Path, shape: tuple[int, ...], stated: bool) -> None:
    content = arrays(shape=shape)
    channels = shape[2] if len(shape) == 3 else 1
    images = {
        split: content[f"{split}_images"].reshape(-1, *shape[:2], channels).transpose(0, 3, 1, 2) / 255
        for split in ("train", "test")
    }
    mean, std = images["train"].mean((0, 2, 3)), images["train"].std((0, 2, 3))
    if stated:
        mean, std = np.linspace(0.1, 0.5, channels), np.linspace(0.7, 0.2, channels)
    spec = saved(tmp_path, content, **({"mean": mean.tolist(), "std": std.tolist()} if stated else {}))
    found = made(spec, tmp_path)
    np.testing.assert_allclose(found.header["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(found.header["std"], std, rtol=1e-12)
    assert_normalised(found.train, images["train"], content["train_labels"], mean, std)
    assert_normalised(found.test, images["test"], content["test_labels"], mean, std)
    assert found.image_shape == (channels, *shape[:2]) and found.classes == 4
    assert described(spec) == (found.image_shape, found.classes)
    assert found.header["examples"] == {"train": 12, "test": 5}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ">f4"])
def test_npz_of_floats_is_taken_in_its_own_units(tmp_path: Path, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    content = arrays()
    for split, n in (("train", 12), ("test", 5)):
        content[f"{split}_images"] = (rng.normal(size=(n, 2, 6, 5)) * 40 - 7).astype(dtype)
    images = {split: content[f"{split}_images"].astype(np.float32).astype(np.float64) for split in ("train", "test")}
    spec = saved(tmp_path, content)
    found = made(spec, tmp_path)
    assert "mean" not in found.header and "std" not in found.header
    for split, of in (("train", found.train), ("test", found.test)):
        assert_normalised(of, images[split], content[f"{split}_labels"], [0, 0], [1, 1])
        assert of is not None and np.array_equal(of.inputs.numpy(), images[split]), "not a bit is altered"
    assert described(spec) == ((2, 6, 5), 4) == (found.image_shape, found.classes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ">f4"])
def test_npz_of_floats_with_stated_moments(tmp_path: Path, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    content = arrays()
    for split, n in (("train", 12), ("test", 5)):
        content[f"{split}_images"] = (rng.normal(size=(n, 2, 6, 5)) * 40 - 7).astype(dtype)
    images = {split: content[f"{split}_images"].astype(np.float32).astype(np.float64) for split in ("train", "test")}
    mean, std = images["train"].mean((0, 2, 3)), images["train"].std((0, 2, 3))
    found = made(saved(tmp_path, content, mean=mean.tolist(), std=std.tolist()), tmp_path)
    np.testing.assert_allclose(found.header["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(found.header["std"], std, rtol=1e-12)
    assert_normalised(found.train, images["train"], content["train_labels"], mean, std)
    assert_normalised(found.test, images["test"], content["test_labels"], mean, std)
    assert found.black is not None
    np.testing.assert_allclose(found.black.numpy(), -mean / std, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, ">i8"])
def test_any_whole_numbers_are_labels(tmp_path: Path, dtype: Any) -> None:
    content = arrays()
    content |= {name: content[name].astype(dtype) for name in ("train_labels", "test_labels")}
    assert made(saved(tmp_path, content), tmp_path).train.targets.tolist() == [0, 1, 2, 3] * 3


def test_without_a_test_split(tmp_path: Path) -> None:
    content = {name: array for name, array in arrays().items() if name.startswith("train")}
    spec = saved(tmp_path, content)
    found = made(spec, tmp_path)
    assert found.test is None
    assert described(spec) == ((3, 6, 5), 4) == (found.image_shape, found.classes)


def test_classes_are_counted_over_both_splits_and_are_two_at_least(tmp_path: Path) -> None:
    content = arrays()
    content["test_labels"][2] = 8
    for labels, classes in (
        (content, 9),
        ({**content, **{f"{s}_labels": 0 * content[f"{s}_labels"] for s in ("train", "test")}}, 2),
    ):
        spec = saved(tmp_path, labels)
        assert made(spec, tmp_path).classes == classes == described(spec)[1]


def test_what_else_is_in_the_file_does_not_matter(tmp_path: Path) -> None:
    """Not even objects, which are never unpickled."""
    more = {
        "class_names": np.array(["a", {}], dtype=object),
        "more_labels": np.array([99]),
        "valid_images": np.zeros((3, 3)),
    }
    spec = saved(tmp_path, {**arrays(), **more})
    with zipfile.ZipFile(spec.source, "a") as archive:
        archive.writestr("notes.txt", "made on Monday")
        archive.writestr("folder/", "")
    found = made(spec, tmp_path)
    assert described(spec) == ((3, 6, 5), 4) == (found.image_shape, found.classes)
    stored = checkpoint.read(tmp_path / "made.safetensors")[0]
    assert set(stored) == {"train_inputs", "train_targets", "test_inputs", "test_targets"}


def test_compressed_files_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "ours.npz", **arrays())  # type: ignore[arg-type]
    assert made(Data(source=str(tmp_path / "ours.npz")), tmp_path).image_shape == (3, 6, 5)


def replaced(**new: Any) -> Arrays:
    return {**arrays(), **new}


def without(*names: str) -> Arrays:
    return {name: array for name, array in arrays().items() if name not in names}


OBJECTS = np.array([{}] * 12, dtype=object)
MALFORMED: dict[str, tuple[Arrays, str]] = {
    "no training examples": (without("train_images"), "lacks train_images; it holds train_labels, test_images, test_labels"),
    "nothing": ({}, "lacks train_inputs; it holds nothing"),
    "test examples without labels": (without("test_labels"), "lacks test_labels"),
    "test labels without images": (without("test_images"), "lacks test_images"),
    "lengths differ": (replaced(train_labels=np.zeros(11, int)), "has 12 train_images and 11 train_labels"),
    "lengths of the test split differ": (replaced(test_labels=np.zeros(6, int)), "has 5 test_images and 6 test_labels"),
    "labels of floats": (replaced(train_labels=np.zeros(12)), r"train_labels are float64 \(12,\); they must be whole numbers"),
    "test labels of floats": (replaced(test_labels=np.zeros(5, np.float32)), r"test_labels are float32 \(5,\)"),
    "labels of truth values": (replaced(train_labels=np.zeros(12, bool)), "train_labels are bool"),
    "labels of text": (replaced(train_labels=np.array(["cat"] * 12)), "train_labels are <U3"),
    "one-hot labels": (replaced(train_labels=np.eye(12, dtype=int)), r"train_labels are int64 \(12, 12\)"),
    "one label": (replaced(test_labels=np.array(1)), r"test_labels are int64 \(\)"),
    "labels of objects": (replaced(train_labels=OBJECTS), "train_labels are object"),
    "images of objects": (replaced(train_images=OBJECTS), "train_images are object"),
    "images of int64": (replaced(train_images=np.zeros((12, 6, 5, 3), int)), "train_images are int64"),
    "images of truth values": (replaced(train_images=np.zeros((12, 6, 5), bool)), "train_images are bool"),
    "complex images": (replaced(train_images=np.zeros((12, 3, 6, 5), complex)), "train_images are complex128"),
    "flat images": (replaced(train_images=np.zeros((12, 30), np.uint8)), r"train_images are uint8 \(12, 30\); they must be"),
    "flat float images": (replaced(train_images=np.zeros((12, 6, 5))), r"train_images are float64 \(12, 6, 5\)"),
    "videos": (replaced(test_images=np.zeros((5, 2, 6, 5, 3), np.uint8)), r"test_images are uint8 \(5, 2, 6, 5, 3\)"),
    "one image": (replaced(train_images=np.zeros((), np.uint8)), r"train_images are uint8 \(\)"),
    "no images": (arrays(train=0), r"train_images are empty: \(0, 6, 5, 3\)"),
    "no test examples": (arrays(test=0), r"test_images are empty: \(0, 6, 5, 3\)"),
    "images without pixels": (arrays(shape=(0, 5, 3)), r"train_images are empty: \(12, 0, 5, 3\)"),
    "bytes with channels first": (arrays(shape=(3, 32, 32)), "uint8 has the channels last"),
    "floats with channels last": (replaced(train_images=np.zeros((12, 32, 32, 3))), "float has them first"),
    "other test examples": (replaced(test_images=np.zeros((5, 6, 6, 3), np.uint8)), r"test_images are uint8 \(5, 6, 6, 3\); those of"),
    "float test examples": (replaced(test_images=np.zeros((5, 3, 6, 5))), r"train_images are uint8 \(12, 6, 5, 3\); those of"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_npz(tmp_path: Path, name: str) -> None:
    content, message = MALFORMED[name]
    spec = saved(tmp_path, content)
    for function, begin in ((datasets.describe, ""), (lambda spec: made(spec, tmp_path), "the source ")):
        with pytest.raises(InputError, match=message) as caught:
            function(spec)
        assert all(problem.startswith(f"{begin}is {spec.source!r}: ") for problem in caught.value.problems)
    assert not (tmp_path / "made.safetensors").exists()


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    spec = saved(
        tmp_path,
        replaced(train_images=np.zeros((12, 6, 5), int), train_labels=np.zeros(11), test_labels=np.full(5, "a")),
    )
    found = problems(spec)
    assert len(found) == 4
    assert "train_images" in found[0] and "train_labels" in found[1] and "test_labels" in found[2]
    assert "12 train_images and 11 train_labels" in found[3]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("split", ["train", "test"])
def test_values_that_are_not_finite(tmp_path: Path, value: float, split: str) -> None:
    content = arrays()
    content |= {f"{s}_images": np.zeros((len(content[f"{s}_labels"]), 1, 2, 2)) for s in ("train", "test")}
    content[f"{split}_images"][1, 0, 0, 1] = value
    with pytest.raises(InputError, match=f"ours.npz': {split}_images hold 1 values that are not finite"):
        made(saved(tmp_path, content), tmp_path)


class Creates:
    """Unpickled, this creates a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_labels", "else"])
def test_objects_are_never_unpickled(tmp_path: Path, name: str) -> None:
    trap = tmp_path / "trap"
    spec = saved(tmp_path, replaced(**{name: np.array([Creates(trap)] * 12, dtype=object)}))
    if name == "else":
        made(spec, tmp_path)
    else:
        with pytest.raises(InputError):
            made(spec, tmp_path)
    assert not trap.exists()
    with np.load(spec.source, allow_pickle=True) as file:
        assert file[name] is not None  # the trap works
    assert trap.exists()


def assert_refused(path: Path, *messages: str) -> None:
    spec = Data(source=str(path))
    for function in (datasets.describe, lambda spec: datasets.make(spec, path.parent / "made.safetensors", {})):
        with pytest.raises(InputError) as caught:
            function(spec)
        assert str(path) in str(caught.value) and all(message in str(caught.value) for message in messages)
        assert len(caught.value.problems) == 1


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npz.npy", np.zeros(3))
    (tmp_path / "one.npz.npy").rename(tmp_path / "npy.npz")
    (tmp_path / "text.npz").write_text("0, 1, 2\n" * 100)
    (tmp_path / "empty.npz").touch()
    (tmp_path / "folder.npz").mkdir()
    for name in ("npy", "text", "empty", "folder", "absent"):
        assert_refused(tmp_path / f"{name}.npz", "it is not a whole .npz file")
    with zipfile.ZipFile(tmp_path / "photos.npz", "w") as archive:
        archive.writestr("train_images", b"no array")
        archive.writestr("photos/1.png", b"\x89PNG")
    assert_refused(tmp_path / "photos.npz", "lacks train_inputs; it holds nothing")
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("train_images.npy", b"no array")
    assert_refused(tmp_path / "liar.npz", "it is not a whole .npz file")


def test_truncated_files(tmp_path: Path) -> None:
    saved(tmp_path, arrays())
    content = (tmp_path / "ours.npz").read_bytes()
    for share in (0.01, 0.2, 0.5, 0.9, 0.999):
        (tmp_path / "cut.npz").write_bytes(content[: int(share * len(content))])
        assert_refused(tmp_path / "cut.npz", "it is not a whole .npz file")


def test_arrays_cut_short_in_a_whole_archive(tmp_path: Path) -> None:
    saved(tmp_path, arrays())
    for cut in arrays():
        with zipfile.ZipFile(tmp_path / "ours.npz") as whole, zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
            for name in whole.namelist():
                content = whole.read(name)
                archive.writestr(name, content[:-3] if name == f"{cut}.npy" else content)
        assert_refused(tmp_path / "cut.npz", "it is not a whole .npz file", f"{cut}.npy has")


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_bytes_never_give_another_error(tmp_path: Path, compressed: bool) -> None:
    """Every damage gives an InputError, wherever it lies."""
    (np.savez_compressed if compressed else np.savez)(tmp_path / "ours.npz", **arrays(train=2, test=1, shape=(2, 2)))  # type: ignore[arg-type]
    whole = (tmp_path / "ours.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    spec = Data(source=str(path))
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.permutation(len(whole))[:200]:
        content = bytearray(whole)
        content[position] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            datasets.make(spec, tmp_path / "made.safetensors", {})
        except InputError:
            refused += 1
    assert refused > 50
