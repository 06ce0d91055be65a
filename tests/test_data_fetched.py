"""Built-in data sets."""

import hashlib
import importlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from landscape.data import datasets, fetched
from landscape.data.builtin_datasets import FETCHED
from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.networks.torchvision_shim import with_torchvision
from landscape.store import checkpoint

from data_sets import assert_normalised, described, made


def test_digits_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    found = made(Data(source="digits"), tmp_path)
    assert found.image_shape == (1, 8, 8) and found.classes == 10 and found.test is not None
    assert (len(found.train.inputs), len(found.test.inputs)) == (1500, 297)
    stored, header = checkpoint.read(tmp_path / "made.safetensors")
    assert stored["train_inputs"].dtype == torch.uint8 and header["name"] == "ours"
    digits = load_digits()
    pixels = np.concatenate([stored["train_inputs"].numpy(), stored["test_inputs"].numpy()])
    labels = np.concatenate([found.train.targets.numpy(), found.test.targets.numpy()])
    rows = np.column_stack([labels, pixels.reshape(1797, 64)])
    expected = np.column_stack([digits.target, digits.data * 15])
    order, expected_order = np.lexsort(rows.T), np.lexsort(expected.T)
    np.testing.assert_array_equal(rows[order], expected[expected_order])
    assert (order != np.arange(1797)).any() and set(found.test.targets.tolist()) == set(range(10))
    for split, images in ((found.train, pixels[:1500]), (found.test, pixels[1500:])):
        mean, std = pixels[:1500].mean() / 255, pixels[:1500].std() / 255
        assert_normalised(split, images / 255, split.targets.numpy(), mean, std)


def test_digits_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        datasets.make(Data(source="digits"), tmp_path / name, {})
        torch.rand(3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_data_set_that_is_known_can_be_read() -> None:
    assert fetched.READERS.keys() == FETCHED.keys()


def test_what_is_known_without_a_file() -> None:
    assert described(Data(source="digits")) == ((1, 8, 8), 10)
    assert described(Data(source="cifar10")) == ((3, 32, 32), 10)
    assert described(Data(source="cifar100")) == ((3, 32, 32), 100)


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a missing proxy, so that no network is asked."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    for source, archive in (("cifar10", "cifar-10-python.tar.gz"), ("cifar100", "cifar-100-python.tar.gz")):
        with pytest.raises(
            InputError, match=f"'{source}': the download failed: .*put .*{archive} into {tmp_path}/downloads"
        ):
            datasets.make(Data(source=source), tmp_path / "made.safetensors", {})
    assert not (tmp_path / "made.safetensors").exists()


@pytest.mark.skipif("LANDSCAPE_CIFAR10" not in os.environ, reason="LANDSCAPE_CIFAR10 names no .npz of CIFAR-10")
def test_the_real_cifar10(tmp_path: Path) -> None:
    """Size, classes, and the mean and standard deviation that Li et al. 2018 normalise by."""
    spec = Data(source=os.environ["LANDSCAPE_CIFAR10"])
    assert described(spec) == ((3, 32, 32), 10) == described(Data(source="cifar10"))
    found = made(spec, tmp_path)
    assert found.test is not None
    assert found.train.inputs.shape == (50_000, 3, 32, 32) and found.test.inputs.shape == (10_000, 3, 32, 32)
    assert found.train.targets.bincount().tolist() == [5000] * 10
    assert found.test.targets.bincount().tolist() == [1000] * 10
    assert found.header["mean"] == pytest.approx([125.3 / 255, 123.0 / 255, 113.9 / 255], abs=2e-3)
    assert found.header["std"] == pytest.approx([63.0 / 255, 62.1 / 255, 66.7 / 255], abs=2e-3)
    assert found.train.inputs.double().mean((0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-5)
    assert datasets.subset(found.train, 1000).targets.bincount().tolist() == [100] * 10


def test_cifar_through_torchvisions_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an archive like the real one, with three images per batch, where the advice says."""
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

    datasets.make(Data(source="cifar10"), tmp_path / "cifar10.safetensors", {})
    found, header = checkpoint.read(tmp_path / "cifar10.safetensors")
    for split, names in (("train", ("data_batch_1", "data_batch_2")), ("test", ("test_batch",))):
        pixels = np.concatenate([batches[name]["data"] for name in names]).reshape(-1, 3, 32, 32)
        assert np.array_equal(found[f"{split}_inputs"].numpy(), pixels)
        assert found[f"{split}_targets"].tolist() == [label for name in names for label in batches[name]["labels"]]
    assert header["classes"] == 10
