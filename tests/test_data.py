import hashlib
import importlib
import io
import itertools
import os
import pickle
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from landscape import checkpoint, data
from landscape.config import Data
from landscape.data import Split
from landscape.errors import InputError
from landscape.vision import with_torchvision

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


def made(spec: Data, folder: Path, device: str = "cpu") -> data.DataSet:
    data.make(spec, folder / "made.safetensors", {"name": "ours"})
    return data.read(folder / "made.safetensors", device)


def assert_normalised(split: Split | None, pixels: np.ndarray, labels: np.ndarray, mean: Any, std: Any) -> None:
    """`pixels` (n, channels, height, width), in [0, 1] or in the units of a float source."""
    assert split is not None
    assert split.images.dtype == torch.float32 and split.images.is_contiguous()
    assert split.labels.dtype == torch.int64
    expected = (pixels.astype(np.float64) - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    np.testing.assert_allclose(split.images.numpy(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(split.labels.numpy(), labels)


# Digits


def test_digits_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    found = made(Data(source="digits"), tmp_path)
    assert found.shape == (1, 8, 8) and found.classes == 10 and found.test is not None
    assert (len(found.train.images), len(found.test.images)) == (1500, 297)
    stored, header = checkpoint.read(tmp_path / "made.safetensors")
    assert stored["train_images"].dtype == torch.uint8 and header["name"] == "ours"
    digits = load_digits()
    pixels = np.concatenate([stored["train_images"].numpy(), stored["test_images"].numpy()])
    labels = np.concatenate([found.train.labels.numpy(), found.test.labels.numpy()])
    rows = np.column_stack([labels, pixels.reshape(1797, 64)])
    expected = np.column_stack([digits.target, digits.data * 15])
    order, expected_order = np.lexsort(rows.T), np.lexsort(expected.T)
    np.testing.assert_array_equal(rows[order], expected[expected_order])
    assert (order != np.arange(1797)).any() and set(found.test.labels.tolist()) == set(range(10))
    for split, images in ((found.train, pixels[:1500]), (found.test, pixels[1500:])):
        mean, std = pixels[:1500].mean() / 255, pixels[:1500].std() / 255
        assert_normalised(split, images / 255, split.labels.numpy(), mean, std)


def test_digits_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        data.make(Data(source="digits"), tmp_path / name, {})
        torch.rand(3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# .npz


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
    assert found.shape == (channels, *shape[:2]) and found.classes == 4
    assert data.describe(spec) == (found.shape, found.classes) and data.check(spec) == []
    assert found.header["counts"] == {"train_images": 12, "train_labels": 12, "test_images": 5, "test_labels": 5}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ">f4"])
def test_npz_of_floats_is_taken_in_its_own_units(tmp_path: Path, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    content = arrays()
    for split, n in (("train", 12), ("test", 5)):
        content[f"{split}_images"] = (rng.normal(size=(n, 2, 6, 5)) * 40 - 7).astype(dtype)
    images = {split: content[f"{split}_images"].astype(np.float32).astype(np.float64) for split in ("train", "test")}
    spec = saved(tmp_path, content)
    found = made(spec, tmp_path)
    mean, std = images["train"].mean((0, 2, 3)), images["train"].std((0, 2, 3))
    np.testing.assert_allclose(found.header["mean"], mean, rtol=1e-9)
    np.testing.assert_allclose(found.header["std"], std, rtol=1e-9)
    assert_normalised(found.train, images["train"], content["train_labels"], mean, std)
    assert_normalised(found.test, images["test"], content["test_labels"], mean, std)
    assert data.describe(spec) == ((2, 6, 5), 4) == (found.shape, found.classes)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, ">i8"])
def test_any_whole_numbers_are_labels(tmp_path: Path, dtype: Any) -> None:
    content = arrays()
    content |= {name: content[name].astype(dtype) for name in ("train_labels", "test_labels")}
    assert made(saved(tmp_path, content), tmp_path).train.labels.tolist() == [0, 1, 2, 3] * 3


def test_without_a_test_split(tmp_path: Path) -> None:
    content = {name: array for name, array in arrays().items() if name.startswith("train")}
    spec = saved(tmp_path, content)
    found = made(spec, tmp_path)
    assert found.test is None
    assert data.describe(spec) == ((3, 6, 5), 4) == (found.shape, found.classes)


def test_classes_are_counted_over_both_splits_and_are_two_at_least(tmp_path: Path) -> None:
    content = arrays()
    content["test_labels"][2] = 8
    for labels, classes in (
        (content, 9),
        ({**content, **{f"{s}_labels": 0 * content[f"{s}_labels"] for s in ("train", "test")}}, 2),
    ):
        spec = saved(tmp_path, labels)
        assert made(spec, tmp_path).classes == classes == data.describe(spec)[1]


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
    assert data.check(spec) == [] and data.describe(spec) == ((3, 6, 5), 4) == (found.shape, found.classes)
    assert set(checkpoint.read(tmp_path / "made.safetensors")[0]) == set(arrays())


def test_compressed_files_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "ours.npz", **arrays())  # type: ignore[arg-type]
    assert made(Data(source=str(tmp_path / "ours.npz")), tmp_path).shape == (3, 6, 5)


def test_a_constant_channel_becomes_zero(tmp_path: Path) -> None:
    """And black stays within reach: no division by almost nothing."""
    content = arrays()
    for split in ("train", "test"):
        content[f"{split}_images"][..., 1] = 77
    content["test_images"][0, 0, 0, 1] = 78
    found = made(saved(tmp_path, content), tmp_path)
    assert found.test is not None
    assert float(found.train.images[:, 1].abs().max()) < 1e-6
    assert float(found.test.images[:, 1].abs().max()) == pytest.approx(1 / 255, rel=1e-3)
    assert float(found.black[1]) == pytest.approx(-77 / 255)
    assert found.train.images[:, [0, 2]].std(dim=(0, 2, 3), correction=0).tolist() == pytest.approx([1, 1])


def test_black_is_the_value_of_a_black_pixel(tmp_path: Path) -> None:
    content = arrays()
    content["train_images"][3] = 0
    found = made(saved(tmp_path, content), tmp_path)
    assert torch.equal(found.train.images[3], found.black.view(3, 1, 1).expand(3, 6, 5))


def replaced(**new: Any) -> Arrays:
    return {**arrays(), **new}


def without(*names: str) -> Arrays:
    return {name: array for name, array in arrays().items() if name not in names}


OBJECTS = np.array([{}] * 12, dtype=object)
MALFORMED: dict[str, tuple[Arrays, str]] = {
    "no training images": (without("train_images"), "lacks train_images; it holds train_labels, test_images, test_labels"),
    "nothing": ({}, "lacks train_images, train_labels; it holds nothing"),
    "test images without labels": (without("test_labels"), "lacks test_labels"),
    "test labels without images": (without("test_images"), "lacks test_images"),
    "lengths differ": (replaced(train_labels=np.zeros(11, int)), "has 12 train_images and 11 train_labels"),
    "lengths of the test split differ": (replaced(test_labels=np.zeros(6, int)), "has 5 test_images and 6 test_labels"),
    "negative labels": (replaced(train_labels=np.arange(12) - 1), "train_labels go down to -1; classes are counted from 0"),
    "negative test labels": (replaced(test_labels=np.full(5, -3)), "test_labels go down to -3"),
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
    "no test images": (arrays(test=0), r"test_images are empty: \(0, 6, 5, 3\)"),
    "images without pixels": (arrays(shape=(0, 5, 3)), r"train_images are empty: \(12, 0, 5, 3\)"),
    "bytes with channels first": (arrays(shape=(3, 32, 32)), "uint8 has the channels last"),
    "floats with channels last": (replaced(train_images=np.zeros((12, 32, 32, 3))), "float has them first"),
    "other test images": (replaced(test_images=np.zeros((5, 6, 6, 3), np.uint8)), r"test_images are uint8 \(5, 6, 6, 3\); those of"),
    "float test images": (replaced(test_images=np.zeros((5, 3, 6, 5))), r"train_images are uint8 \(12, 6, 5, 3\); those of"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_npz(tmp_path: Path, name: str) -> None:
    content, message = MALFORMED[name]
    spec = saved(tmp_path, content)
    problems = data.check(spec)
    assert all(problem.startswith(f"is {spec.source!r}, wh") for problem in problems)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError("\n".join(problems))
    for function in (data.describe, lambda spec: data.make(spec, tmp_path / "made.safetensors", {})):
        with pytest.raises(InputError, match=message) as caught:
            function(spec)
        assert spec.source in str(caught.value)
    assert not (tmp_path / "made.safetensors").exists()


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    spec = saved(
        tmp_path,
        replaced(train_images=np.zeros((12, 6, 5), int), train_labels=np.zeros(11), test_labels=np.full(5, -1)),
    )
    problems = data.check(spec)
    assert len(problems) == 3
    assert "train_images" in problems[0] and "train_labels" in problems[1] and "test_labels" in problems[2]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("split", ["train", "test"])
def test_values_that_are_not_finite(tmp_path: Path, value: float, split: str) -> None:
    content = arrays()
    content |= {f"{s}_images": np.zeros((len(content[f"{s}_labels"]), 1, 2, 2)) for s in ("train", "test")}
    content[f"{split}_images"][1, 0, 0, 1] = value
    with pytest.raises(InputError, match=f"ours.npz: 1 values of {split}_images are not finite"):
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
    for function in (data.describe, lambda spec: data.make(spec, path.parent / "made.safetensors", {})):
        with pytest.raises(InputError) as caught:
            function(spec)
        assert str(path) in str(caught.value) and all(message in str(caught.value) for message in messages)
    assert len(data.check(spec)) == 1


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npz.npy", np.zeros(3))
    (tmp_path / "one.npz.npy").rename(tmp_path / "npy.npz")
    (tmp_path / "text.npz").write_text("0, 1, 2\n" * 100)
    (tmp_path / "empty.npz").touch()
    (tmp_path / "folder.npz").mkdir()
    for name in ("npy", "text", "empty", "folder", "absent"):
        assert_refused(tmp_path / f"{name}.npz", "which is not a whole .npz file")
    with zipfile.ZipFile(tmp_path / "photos.npz", "w") as archive:
        archive.writestr("train_images", b"no array")
        archive.writestr("photos/1.png", b"\x89PNG")
    assert_refused(tmp_path / "photos.npz", "lacks train_images, train_labels; it holds nothing")
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("train_images.npy", b"no array")
    assert_refused(tmp_path / "liar.npz", "which is not a whole .npz file")


def test_truncated_files(tmp_path: Path) -> None:
    saved(tmp_path, arrays())
    content = (tmp_path / "ours.npz").read_bytes()
    for share in (0.01, 0.2, 0.5, 0.9, 0.999):
        (tmp_path / "cut.npz").write_bytes(content[: int(share * len(content))])
        assert_refused(tmp_path / "cut.npz", "which is not a whole .npz file")


def test_arrays_cut_short_in_a_whole_archive(tmp_path: Path) -> None:
    saved(tmp_path, arrays())
    for cut in arrays():
        with zipfile.ZipFile(tmp_path / "ours.npz") as whole, zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
            for name in whole.namelist():
                content = whole.read(name)
                archive.writestr(name, content[:-3] if name == f"{cut}.npy" else content)
        assert_refused(tmp_path / "cut.npz", "which is not a whole .npz file", f"{cut}.npy has")


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_bytes_never_give_another_error(tmp_path: Path, compressed: bool) -> None:
    """Every mistake of a file is the user's to hear of, wherever it lies."""
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
            data.make(spec, tmp_path / "made.safetensors", {})
        except InputError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("source", ["digits", "cifar10"])
def test_stated_moments_must_have_the_channels_of_the_images(tmp_path: Path, source: str) -> None:
    channels = data.describe(Data(source=source))[0][0]
    spec = Data(source=source, mean=(0.5,) * (channels + 1), std=(0.5,) * (channels + 1))
    message = f"is {source!r}, whose images have {channels} channels; mean and std have {channels + 1}"
    assert data.check(spec) == [message]
    with pytest.raises(InputError, match=message):
        data.make(spec, tmp_path / "made.safetensors", {})


def test_what_is_known_without_a_file() -> None:
    assert data.describe(Data(source="digits")) == ((1, 8, 8), 10)
    assert data.describe(Data(source="cifar10")) == ((3, 32, 32), 10)
    assert data.describe(Data(source="cifar100")) == ((3, 32, 32), 100)
    assert data.check(Data(source="cifar100")) == []


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy that is not there, so that no network is asked."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    for source, archive in (("cifar10", "cifar-10-python.tar.gz"), ("cifar100", "cifar-100-python.tar.gz")):
        with pytest.raises(
            InputError, match=f"{source} could not be fetched: .*put .*{archive} into {tmp_path}/downloads"
        ):
            data.make(Data(source=source), tmp_path / "made.safetensors", {})
    assert not (tmp_path / "made.safetensors").exists()


def test_only_what_make_wrote_is_read(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "weights.safetensors", {"a": torch.zeros(2)}, {"mean": [0.5]})
    with pytest.raises(InputError, match="weights.safetensors is no data set made by `landscape dataset`"):
        data.read(tmp_path / "weights.safetensors")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux")
@pytest.mark.parametrize(("dtype", "sizes"), [(torch.uint8, 1 + 4), (torch.float32, 4)])
def test_reading_holds_what_is_stored_and_one_float32_set(tmp_path: Path, dtype: torch.dtype, sizes: int) -> None:
    """The peak of a process over what it has after its imports, with a fifth to spare."""
    n = 8192
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8).to(dtype)
    header = {"mean": [0.5] * 3, "std": [0.2] * 3, "classes": 10}
    labels = torch.zeros(n, dtype=torch.int64)
    checkpoint.write(tmp_path / "made.safetensors", {"train_images": images, "train_labels": labels}, header)
    code = """
        import re, sys, torch
        from pathlib import Path
        from landscape import data

        def status(key):
            return 1024 * int(re.search(key + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

        torch.set_num_threads(1)
        before = status("VmRSS")
        data.read(sys.argv[1])
        sys.stdout.write(str(status("VmHWM") - before))
        """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "made.safetensors")]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 4 * images.numel() < peak < 1.2 * sizes * images.numel()


# Subsets


def labelled(labels: list[int]) -> Split:
    """Images that are their own number."""
    return Split(torch.arange(float(len(labels))).view(-1, 1, 1, 1), torch.tensor(labels))


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), share=st.floats(0, 1), seed=st.integers(0, 5))
def test_a_subset_has_every_class_in_its_proportion(labels: list[int], share: float, seed: int) -> None:
    split = labelled(labels)
    images = 1 + int(share * (len(labels) - 1))
    found = data.subset(split, images, seed)
    assert len(found.labels) == len(found.images) == images
    numbers = found.images.flatten().long()
    assert (numbers.diff() > 0).all(), "in the order of the split, none twice"
    assert torch.equal(split.labels[numbers], found.labels)
    for value in set(labels):
        quota = labels.count(value) * images / len(labels)
        assert abs(int((found.labels == value).sum()) - quota) < 1
    again = data.subset(split, images, seed)
    assert torch.equal(found.images, again.images)


def test_subsets_by_largest_remainders() -> None:
    split = labelled([0] * 50 + [1] * 31 + [2] * 19)
    for images, counts in ((10, [5, 3, 2]), (11, [6, 3, 2]), (13, [7, 4, 2]), (1, [1, 0, 0]), (99, [49, 31, 19])):
        found = data.subset(split, images)
        # 5.5, 3.41, 2.09 -> 6, 3, 2;  6.5, 4.03, 2.47 -> 7, 4, 2;  49.5, 30.69, 18.81 -> 49, 31, 19
        assert found.labels.bincount(minlength=3).tolist() == counts


def test_whole_subsets_are_the_split_and_seeds_differ() -> None:
    split = labelled([0, 1] * 50)
    for images in (None, 100, 1000):
        assert data.subset(split, images) is split
    state = torch.get_rng_state()
    drawn = [data.subset(split, 20, seed).images.flatten().tolist() for seed in range(3)]
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"
    assert all(x != y for x, y in itertools.combinations(drawn, 2))
    assert drawn[0] == data.subset(split, 20).images.flatten().tolist()


# Augmentation


def augmented(images: Tensor, black: Tensor, seed: int, crop: bool, flip: bool) -> Tensor:
    """Image by image and pixel by pixel, with the same draws."""
    generator = torch.Generator().manual_seed(seed)
    n, channels, height, width = images.shape
    top = torch.randint(0, 9, (n, 1), generator=generator) if crop else torch.full((n, 1), 4)
    left = torch.randint(0, 9, (n, 1), generator=generator) if crop else torch.full((n, 1), 4)
    mirrored = torch.rand(n, generator=generator) < 0.5 if flip else torch.zeros(n, dtype=torch.bool)
    result = torch.empty_like(images)
    for i, c, y, x in itertools.product(range(n), range(channels), range(height), range(width)):
        row = y + int(top[i]) - 4
        column = (width - 1 - x if mirrored[i] else x) + int(left[i]) - 4
        inside = 0 <= row < height and 0 <= column < width
        result[i, c, y, x] = images[i, c, row, column] if inside else black[c]
    return result


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("shape", [(10, 3, 6, 5), (8, 1, 8, 8), (1, 2, 1, 1)])
def test_augmentation_pixel_by_pixel(shape: tuple[int, ...], crop: bool, flip: bool) -> None:
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    black = torch.arange(-1.0, -1 - shape[1], -1)
    before, state = images.clone(), torch.get_rng_state()
    for seed in range(3):
        found = data.augment(images, black, torch.Generator().manual_seed(seed), crop=crop, flip=flip)
        assert torch.equal(found, augmented(images, black, seed, crop, flip))
    assert torch.equal(images, before) and torch.equal(torch.get_rng_state(), state)


def test_crops_and_flips_are_drawn_evenly() -> None:
    """Of one white pixel: every shift of -4 to 4 in both directions, mirrored or not."""
    images = torch.zeros(8000, 1, 12, 12)
    images[:, :, 5, 4] = 1
    found = data.augment(images, torch.zeros(1), torch.Generator().manual_seed(0), crop=True, flip=True)
    places = torch.nonzero(found[:, 0])
    assert len(places) == 8000
    rows, columns = places[:, 1].bincount(minlength=12), places[:, 2].bincount(minlength=12)
    chance = torch.tensor([0, *[1 / 9] * 9, 0, 0]) * 8000
    assert ((rows - chance).abs() <= 5 * chance.sqrt()).all()
    chance = (torch.tensor([*[1 / 9] * 9, 0, 0, 0]) + torch.tensor([0, 0, 0, *[1 / 9] * 9])) / 2 * 8000
    assert ((columns - chance).abs() <= 5 * chance.sqrt()).all()


def test_layout_depends_on_the_size_of_the_images_alone() -> None:
    assert data.memory_format((3, 32, 32)) is torch.channels_last
    assert data.memory_format((1, 8, 8)) is data.memory_format((64, 8, 8)) is torch.contiguous_format


# The real CIFAR-10


@pytest.mark.skipif("LANDSCAPE_CIFAR10" not in os.environ, reason="LANDSCAPE_CIFAR10 names no .npz of CIFAR-10")
def test_the_real_cifar10(tmp_path: Path) -> None:
    """Size, classes, and the mean and standard deviation that Li et al. 2018 normalise by."""
    spec = Data(source=os.environ["LANDSCAPE_CIFAR10"])
    assert data.check(spec) == []
    assert data.describe(spec) == ((3, 32, 32), 10) == data.describe(Data(source="cifar10"))
    found = made(spec, tmp_path)
    assert found.test is not None
    assert found.train.images.shape == (50_000, 3, 32, 32) and found.test.images.shape == (10_000, 3, 32, 32)
    assert found.train.labels.bincount().tolist() == [5000] * 10
    assert found.test.labels.bincount().tolist() == [1000] * 10
    assert found.header["mean"] == pytest.approx([125.3 / 255, 123.0 / 255, 113.9 / 255], abs=2e-3)
    assert found.header["std"] == pytest.approx([63.0 / 255, 62.1 / 255, 66.7 / 255], abs=2e-3)
    assert found.train.images.double().mean((0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-5)
    assert data.subset(found.train, 1000).labels.bincount().tolist() == [100] * 10


def test_cifar_through_torchvisions_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of the form of the real one, with three images in each batch, where the advice says to put it."""
    rng = np.random.default_rng(0)
    batches = {
        name: {"data": rng.integers(0, 256, (3, 3072), np.uint8), "labels": rng.integers(0, 10, 3).tolist()}
        for name in ("data_batch_1", "data_batch_2", "test_batch")
    }
    packed = {name: pickle.dumps(batch) for name, batch in batches.items()}
    packed["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    sums = {name: hashlib.md5(content).hexdigest() for name, content in packed.items()}
    archive = tmp_path / "downloads" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in packed.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    kind = with_torchvision(lambda: importlib.import_module("torchvision.datasets")).CIFAR10
    monkeypatch.setattr(kind, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(kind, "train_list", [[name, sums[name]] for name in ("data_batch_1", "data_batch_2")])
    monkeypatch.setattr(kind, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setitem(kind.meta, "md5", sums["batches.meta"])

    data.make(Data(source="cifar10"), tmp_path / "cifar10.safetensors", {})
    found, header = checkpoint.read(tmp_path / "cifar10.safetensors")
    for split, names in (("train", ("data_batch_1", "data_batch_2")), ("test", ("test_batch",))):
        pixels = np.concatenate([batches[name]["data"] for name in names]).reshape(-1, 3, 32, 32)
        assert np.array_equal(found[f"{split}_images"].numpy(), pixels)
        assert found[f"{split}_labels"].tolist() == [label for name in names for label in batches[name]["labels"]]
    assert header["classes"] == 10
