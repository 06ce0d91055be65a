import errno
import math
import os
import resource
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.store import checkpoint, files

HEADER = {
    "name": "vgg9",
    "spec": {"args": {"depth": 8}, "rates": [0.1, 1e-3]},
    "epoch": 300,
    "nothing": None,
    "best": 0.1,
}


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))


def state(seed: int = 0) -> dict[str, Tensor]:
    return dict(network(seed).state_dict())


def assert_equal(x: dict[str, Tensor], y: dict[str, Tensor]) -> None:
    assert x.keys() == y.keys()
    for name in x:
        assert type(x[name]) is Tensor and not x[name].requires_grad
        assert x[name].dtype == y[name].dtype
        assert torch.equal(x[name], y[name]), name


# Files of our own


def test_round_trip(tmp_path: Path) -> None:
    weights = {
        **state(),
        "half": torch.ones(2, dtype=torch.float16),
        "bfloat": torch.ones(2, dtype=torch.bfloat16),
        "double": torch.tensor([math.pi], dtype=torch.float64),
        "bytes": torch.arange(256, dtype=torch.uint8),
        "not finite": torch.tensor([math.inf, -math.inf]),
        "none": torch.zeros(0, 3),
    }
    path = tmp_path / "new folder" / "weights.safetensors"
    checkpoint.write(path, weights, HEADER)
    found, header = checkpoint.read(path)
    assert_equal(found, weights)
    assert header == HEADER == checkpoint.read_header(path)
    assert os.listdir(path.parent) == ["weights.safetensors"]


def test_same_content_same_bytes(tmp_path: Path) -> None:
    for name, header in (("a", HEADER), ("b", dict(reversed(HEADER.items())))):
        checkpoint.write(tmp_path / name, state(), header)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tensors_that_share_memory(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    weights = {
        "a": base.view(3, 4),
        "tied": base.view(3, 4),
        "part": base[4:8],
        "turned": base.view(3, 4).T,
        "last": base[-1],
    }
    expected = {name: tensor.clone() for name, tensor in weights.items()}
    checkpoint.write(tmp_path / "w.safetensors", weights, {})
    assert_equal(checkpoint.read(tmp_path / "w.safetensors")[0], expected)


def test_layouts_and_gradients_do_not_matter(tmp_path: Path) -> None:
    x = torch.arange(2.0 * 3 * 4 * 5).view(2, 3, 4, 5)
    weights = {
        "channels_last": x.contiguous(memory_format=torch.channels_last),
        "strided": x[:, ::2, :, 1::2],
        "expanded": torch.ones(1).expand(3, 2),
        "parameter": nn.Parameter(x),
    }
    checkpoint.write(tmp_path / "w.safetensors", weights, {})
    found, _ = checkpoint.read(tmp_path / "w.safetensors")
    assert_equal(found, {name: tensor.detach().clone() for name, tensor in weights.items()})
    assert all(tensor.is_contiguous() for tensor in found.values())


def test_what_was_read_can_be_changed_and_written_over_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.write(path, state(), HEADER)
    weights, header = checkpoint.read(path)
    weights["0.weight"].add_(1)
    assert_equal(checkpoint.read(path)[0], state())
    checkpoint.write(path, weights, header)
    assert_equal(checkpoint.read(path)[0], {**state(), "0.weight": state()["0.weight"] + 1})


def test_epochs(tmp_path: Path) -> None:
    path = tmp_path / "epochs.safetensors"
    checkpoint.write_epochs(path, {epoch: state(epoch) for epoch in (3, 0, 12)}, HEADER)
    assert checkpoint.read_header(path) == {**HEADER, "epochs": [0, 3, 12]}
    for epoch in (0, 3, 12):
        weights, header = checkpoint.read(f"{path}@{epoch:03d}")
        assert_equal(weights, state(epoch))
        assert header == {**HEADER, "epochs": [0, 3, 12], "epoch": epoch}
    assert len(checkpoint.read(path)[0]) == 3 * len(state())
    assert checkpoint.file_of(f"{path}@003") == path == checkpoint.file_of(path)
    with pytest.raises(InputError, match=r"epochs.safetensors holds no epoch 001; it holds \[0, 3, 12\]"):
        checkpoint.read(f"{path}@001")


def test_no_epochs(tmp_path: Path) -> None:
    path = tmp_path / "epochs.safetensors"
    checkpoint.write_epochs(path, {}, HEADER)
    assert checkpoint.read(path) == ({}, {**HEADER, "epochs": []})
    with pytest.raises(InputError, match=r"holds no epoch 000; it holds \[\]"):
        checkpoint.read(f"{path}@000")


def test_a_file_of_one_state_has_no_epochs(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    checkpoint.write(path, state(), HEADER)
    with pytest.raises(InputError, match="is no file of epochs"):
        checkpoint.read(f"{path}@003")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.write(path, state(), HEADER)
    with pytest.raises(TypeError):
        checkpoint.write(path, state(1), {"header": object()})
    assert_equal(checkpoint.read(path)[0], state())
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk; the error has Python's number."""
    path = tmp_path / "w.safetensors"
    checkpoint.write(path, state(), HEADER)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="w.safetensors") as caught:
            checkpoint.write(path, {"large": torch.zeros(100_000)}, HEADER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert_equal(checkpoint.read(path)[0], state())
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_files_of_a_later_version_are_refused(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "w.safetensors", state(), {"format_version": files.FORMAT_VERSION})
    checkpoint.read(tmp_path / "w.safetensors")
    checkpoint.write(tmp_path / "w.safetensors", state(), {"format_version": files.FORMAT_VERSION + 1})
    with pytest.raises(InputError, match="w.safetensors has format version 2; this landscape reads up to 1"):
        checkpoint.read(tmp_path / "w.safetensors")


def damaged(folder: Path) -> dict[str, Path]:
    """Damaged checkpoints, by the kind of damage."""
    whole = folder / "whole"
    checkpoint.write(whole, state(), HEADER)
    content = whole.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    contents = {
        "empty": b"",
        "cut off in its last tensor": content[:-1],
        "cut off in the header": content[: 8 + size // 2],
        "cut off in the size of the header": content[:5],
        "text": b"loss: 0.1\n" * 100,
        "longer than it says": content + b"\0" * 16,
    }
    for name, damage in contents.items():
        (folder / name).write_bytes(damage)
    return {name: folder / name for name in contents}


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    for path in damaged(tmp_path).values():
        for function in (checkpoint.read, checkpoint.read_header):
            with pytest.raises(InputError, match="is not a whole safetensors file") as caught:
                function(path)
            assert str(path) in str(caught.value)


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("absent", "folder", "absent@003"):
        with pytest.raises(InputError, match="there is no such file"):
            checkpoint.read(tmp_path / name)
    safetensors.torch.save_file(state(), tmp_path / "foreign")
    with pytest.raises(InputError, match="foreign was not made by landscape"):
        checkpoint.read(tmp_path / "foreign")
    safetensors.torch.save_file(state(), tmp_path / "nonsense", {"landscape": "{"})
    with pytest.raises(InputError, match="nonsense was not made by landscape"):
        checkpoint.read(tmp_path / "nonsense")


def test_misfits() -> None:
    weights = state()
    assert checkpoint.misfits(weights, network()) == []
    del weights["1.num_batches_tracked"]
    assert checkpoint.misfits(weights, network()) == []
    del weights["1.running_var"]
    weights["more"] = torch.zeros(2)
    weights["3.weight"] = torch.zeros(3, 3)
    weights["0.bias"] = torch.zeros(())
    assert checkpoint.misfits(weights, network()) == [
        "1.running_var is missing, of shape (3,)",
        "more is not in the network, of shape (2,)",
        "0.bias has shape (), and the network's has (3,)",
        "3.weight has shape (3, 3), and the network's has (2, 3)",
    ]
    assert len(checkpoint.misfits({}, network())) == len(state()) - 1
    with torch.device("meta"):
        assert checkpoint.misfits(state(), network()) == []
