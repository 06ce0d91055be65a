"""Interrupted trainings end with the results of uninterrupted ones."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from landscape.data.datasets import DataSet
from landscape.store import checkpoint
from landscape.training import loop
from landscape.training.run_section import Run

from toy_training import Interruption, a_data_set, a_network, a_run, assert_same, evaluate, interrupted_at

INTERRUPTED = {
    "sgd": a_run(augment=["crop", "flip"], keep=2, clip=1.0),
    "adam": a_run(optimizer="adam", schedule="onecycle", keep="all"),
    "adamw": a_run(optimizer="adamw", schedule="cosine", warmup=0.3, learning_rate=0.01),
    "adagrad": a_run(optimizer="adagrad", warmup=0.2, precision="bf16"),
    "sam": a_run(sam=0.1, augment=["crop"], clip=0.5),
    "swa": a_run(swa=1, schedule="constant", keep="all"),
}


@pytest.fixture(scope="module", params=INTERRUPTED)
def uninterrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, loop.Trained]:
    run = INTERRUPTED[request.param]
    return run, loop.train(run, a_network(), a_data_set(), tmp_path_factory.mktemp("whole"), "x", evaluate)


@pytest.mark.parametrize("calls", [[0], [1], [2], [3], [4], [0, 1, 0, 2]])
def test_interrupted_in_an_epoch_it_ends_the_same(
    calls: list[int], uninterrupted: tuple[Run, loop.Trained], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`calls`: calls of `evaluate`, one per epoch, before each interruption."""
    run, whole = uninterrupted
    start = time.monotonic()
    for call in calls:
        with pytest.raises(Interruption):
            loop.train(run, a_network(), a_data_set(), tmp_path, "x", interrupted_at(call))
    with caplog.at_level(logging.INFO):
        resumed = loop.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate)
    assert_same(resumed, whole)
    finished = sum(calls)
    assert (f"goes on after epoch {finished - 1} of 4" in caplog.text) == (finished > 0)
    assert (np.diff(resumed.history.seconds) > 0).all()
    assert 0 < resumed.history.seconds[-1] < time.monotonic() - start


def test_interrupted_with_images_in_channels_last(tmp_path: Path) -> None:
    run, data = a_run(epochs=2), a_data_set(size=32)
    whole = loop.train(run, a_network(), data, tmp_path / "a", "x", evaluate)
    with pytest.raises(Interruption):
        loop.train(run, a_network(), data, tmp_path / "b", "x", interrupted_at(1))
    assert_same(loop.train(run, a_network(), data, tmp_path / "b", "x", evaluate), whole)
    assert all(tensor.is_contiguous() for tensor in whole.weights.values())


def test_a_finished_run_is_only_read(uninterrupted: tuple[Run, loop.Trained], tmp_path: Path) -> None:
    run, whole = uninterrupted
    loop.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate)
    assert_same(loop.train(run, a_network(), a_data_set(), tmp_path, "x", interrupted_at(0)), whole)


KILLED = a_run(epochs=30, augment=["crop"], keep=3)


def train_slowly(work: str) -> None:
    def slow(network: nn.Module, data: DataSet) -> dict[str, float]:
        time.sleep(0.02)
        return evaluate(network, data)

    loop.train(KILLED, a_network(), a_data_set(), Path(work), "x", slow)


def test_killed_it_ends_the_same(tmp_path: Path) -> None:
    whole = loop.train(KILLED, a_network(), a_data_set(), tmp_path / "whole", "x", evaluate)
    work = tmp_path / "killed"
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_resuming; test_resuming.train_slowly(sys.argv[2])"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(Path(__file__).parent), str(work)])
    try:
        deadline = time.monotonic() + 60
        while not (work / "006.safetensors").exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == -9
    assert not (work / "030.safetensors").exists()
    (work / ".state.pt.left.tmp").write_bytes(b"half a state")  # as a kill while writing leaves it
    assert_same(loop.train(KILLED, a_network(), a_data_set(), work, "x", evaluate), whole)
    assert not list(work.glob(".*.tmp"))


# What cannot be gone on from


def test_a_state_of_another_identity_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = a_run(epochs=1, keep="all")
    for identity in ("x", "y", "z"):
        loop.train(run, a_network(), a_data_set(), tmp_path, identity, evaluate)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000.safetensors",
        "001.safetensors",
        "set-aside-2",
        "state.pt",
    ]
    aside = tmp_path / "set-aside-2"
    assert sorted(path.name for path in aside.iterdir()) == ["000.safetensors", "001.safetensors", "state.pt"]
    assert torch.load(aside / "state.pt", weights_only=True)["identity"] == "y"
    assert "of another specification" in caplog.text


def _replace(path: Path, content: bytes) -> None:
    path.unlink()  # tensors read before may still live in the old file
    path.write_bytes(content)


def _truncate(work: Path) -> None:
    _replace(work / "state.pt", (work / "state.pt").read_bytes()[:-2000])


def _flip_a_byte_of_the_weights(work: Path) -> None:
    content = bytearray((work / "state.pt").read_bytes())
    place = content.find(torch.load(work / "state.pt", weights_only=True)["network"]["0.weight"].numpy().tobytes())
    assert place > 0
    content[place] ^= 1
    _replace(work / "state.pt", bytes(content))


def _unpickle_code(work: Path) -> None:
    torch.save({"identity": "x", "epoch": 1, "network": a_network()}, work / "state.pt")


def _another_dict(work: Path) -> None:
    torch.save({"identity": "x", "weights": {}}, work / "state.pt")


def _another_network(work: Path) -> None:
    state = torch.load(work / "state.pt", weights_only=True)
    state["network"]["0.weight"] = torch.zeros(5, 1, 3, 3)
    torch.save(state, work / "state.pt")


def _another_epoch(work: Path) -> None:
    checkpoint.write(work / "000.safetensors", a_network().state_dict(), {"identity": "y", "epoch": 0})


DAMAGES = {
    "truncated state": _truncate,
    "one byte wrong": _flip_a_byte_of_the_weights,
    "no state at all": lambda work: _replace(work / "state.pt", b"nonsense"),
    "empty state": lambda work: _replace(work / "state.pt", b""),
    "code in the state": _unpickle_code,
    "another dict": _another_dict,
    "another network": _another_network,
    "kept epoch missing": lambda work: (work / "000.safetensors").unlink(),
    "kept epoch damaged": lambda work: _replace(work / "000.safetensors", b"nonsense"),
    "kept epoch of another run": _another_epoch,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_mean_starting_over(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = a_run(epochs=2, keep="all")
    whole = loop.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate)
    DAMAGES[damage](tmp_path)
    assert_same(loop.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate), whole)
    assert "starting over" in caplog.text
    assert "goes on" not in caplog.text
    assert (tmp_path / "set-aside-1" / "state.pt").exists()
