import argparse
import errno
import io
import math
import os
import pickle
import resource
import shutil
import struct
import tarfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
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


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        checkpoint.adopt(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


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


# Files made elsewhere


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin"])
def test_adopt_safetensors(tmp_path: Path, name: str) -> None:
    safetensors.torch.save_file(state(), tmp_path / name)
    assert_equal(checkpoint.adopt(tmp_path / name), state())
    checkpoint.write(tmp_path / name, state(1), HEADER)
    assert_equal(checkpoint.adopt(str(tmp_path / name)), state(1))


OPTIMIZER = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: OrderedDict(s),
        lambda s: {"state_dict": s},
        lambda s: {"model_state_dict": s, "optimizer_state_dict": OPTIMIZER},
        lambda s: {"net": s, "acc": 93.5, "epoch": 199},
        lambda s: {"epoch": 3, "best_acc": torch.tensor(0.9), "net": s},
        lambda s: {"model": {"state_dict": s, "name": "vgg9"}, "ema": state(1)},
        lambda s: {"weights": s, "optimizer": OPTIMIZER, "rng": torch.zeros(8, dtype=torch.uint8)},
        lambda s: {"my_network": s, "optimizer": OPTIMIZER, "history": [0.1, 0.2], "scheduler": {"last_epoch": 3}},
        lambda s: {"network": s, "optimizer": {"state": {}, "param_groups": []}, "scaler": {}},
        lambda s: {f"module.{name}": tensor for name, tensor in s.items()},
        lambda s: {f"_orig_mod.module.{name}": tensor for name, tensor in s.items()},
        lambda s: {"state_dict": {f"module._orig_mod.{name}": tensor for name, tensor in s.items()}},
        lambda s: {name: nn.Parameter(tensor) if tensor.is_floating_point() else tensor for name, tensor in s.items()},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_adopt_what_torch_saved(tmp_path: Path, wrap: Any, zipped: bool) -> None:
    torch.save(wrap(state()), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert_equal(checkpoint.adopt(tmp_path / "w.pt"), state())


def test_adopt_the_state_of_a_real_training(tmp_path: Path) -> None:
    trained = network()
    optimizer = torch.optim.Adam(trained.parameters())
    trained(torch.ones(2, 1, 3, 3)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    content = {
        "epoch": 7,
        "net": nn.DataParallel(trained).state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "args": {"lr": 0.1, "milestones": [150, 225], "name": None},
        "random": torch.get_rng_state(),
    }
    torch.save(content, tmp_path / "ckpt.t7")
    assert_equal(checkpoint.adopt(tmp_path / "ckpt.t7"), dict(trained.state_dict()))


def test_adopt_a_network_of_which_a_part_was_compiled(tmp_path: Path) -> None:
    part = {name.replace("0.", "0._orig_mod.") if name < "1" else name: tensor for name, tensor in state().items()}
    assert {"0._orig_mod.weight", "0._orig_mod.bias", "1.weight"} <= part.keys()
    torch.save(part, tmp_path / "w.pt")
    assert_equal(checkpoint.adopt(tmp_path / "w.pt"), state())


def test_a_part_of_the_network_may_be_called_module(tmp_path: Path) -> None:
    """A prefix is what all names begin with; `module.` before some of them is a part of the network."""
    weights = {"module.weight": torch.ones(2), "weight": torch.zeros(2), "modules.weight": torch.ones(1)}
    torch.save(weights, tmp_path / "w.pt")
    assert_equal(checkpoint.adopt(tmp_path / "w.pt"), weights)


def test_tied_tensors_are_adopted(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    torch.save(tied.state_dict(), tmp_path / "w.pt")
    weights = checkpoint.adopt(tmp_path / "w.pt")
    checkpoint.write(tmp_path / "w.safetensors", weights, {})
    assert_equal(checkpoint.read(tmp_path / "w.safetensors")[0], dict(tied.state_dict()))


class Creates:
    """Unpickled, this creates a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, zipped: bool) -> None:
    trap = tmp_path / "trap"
    torch.save({"state_dict": state(), "more": Creates(trap)}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    said = refusal(tmp_path / "w.pt")
    assert "w.pt holds more than tensors" in said and "mkdir), and opening it could run code" in said
    assert "torch.save(network.state_dict(), path)" in said
    assert not trap.exists()
    torch.load(tmp_path / "w.pt", weights_only=False)  # the trap works
    assert trap.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_plain_pickle_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "w.pkl").write_bytes(pickle.dumps(Creates(trap), protocol))
        assert "mkdir" in refusal(tmp_path / "w.pkl") or protocol > 2
        assert not trap.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_module_is_refused_with_the_remedy(tmp_path: Path, zipped: bool) -> None:
    torch.save(network(), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    said = refusal(tmp_path / "w.pt")
    assert "holds more than tensors" in said and "torch.nn.modules.container.Sequential" in said
    assert "torch.save(network.state_dict(), path)" in said


@pytest.mark.parametrize("beside", [np.float64(0.9), argparse.Namespace(lr=0.1)])
def test_other_classes_beside_the_weights_are_named(tmp_path: Path, beside: Any) -> None:
    torch.save({"net": state(), "beside": beside}, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert "numpy" in said or "argparse.Namespace" in said
    assert "torch.save(network.state_dict(), path)" in said


@pytest.mark.parametrize(
    "content",
    [torch.zeros(3), [1, 2], "text", {}, {"a": 1}, {3: torch.zeros(3)}, {"a": state(), "b": state()}, OPTIMIZER],
)
def test_what_holds_no_state_dict(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert "holds no state dict" in said
    if isinstance(content, dict) and content:
        assert all(str(key) in said for key in content)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_half_a_file_of_torch_is_damaged(tmp_path: Path, zipped: bool, share: float) -> None:
    torch.save(state(), tmp_path / "whole.pt", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(content[: int(share * len(content))])
    said = refusal(tmp_path / "w.pt")
    assert "no whole file of torch.save" in said and "run code" not in said


def test_files_of_other_kinds(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    np.save(tmp_path / "w.npy", np.zeros(3))
    (tmp_path / "w.txt").write_text("conv.weight 0.1 0.2\n" * 20)  # to a pickle machine, `c` begins the name of a class
    (tmp_path / "w.json").write_text('{"conv.weight": [0.1, 0.2]}')
    (tmp_path / "w.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    shutil.make_archive(str(tmp_path / "w"), "zip", tmp_path, "w.txt")
    with tarfile.open(tmp_path / "w.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("w"), io.BytesIO())
    for path in [*sorted(tmp_path.iterdir()), *damaged(tmp_path).values()]:
        said = refusal(path)
        assert "is no safetensors file and no whole file of torch.save" in said, said
        assert "run code" not in said
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.txt").read_bytes())
    assert "is not a whole safetensors file" in refusal(tmp_path / "w.safetensors")
    for name in ("folder", "absent"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        assert "there is no such file" in refusal(tmp_path / name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:'torch.load' received a zip file")
def test_a_scripted_network_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(network().eval(), torch.zeros(1, 1, 3, 3)), tmp_path / "w.pt")
    said = refusal(tmp_path / "w.pt")
    assert "TorchScript" in said and "torch.save(network.state_dict(), path)" in said


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
