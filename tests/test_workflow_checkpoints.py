"""Through the workflow: weights from an address, a path of one's own, a network in a parallel wrapper."""

import functools
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from landscape.networks.building import build
from landscape.store import checkpoint, files

from running import jobs, landscape, snakemake, written

PARALLEL = """
from torch import nn


def net(num_classes):
    return nn.DataParallel(nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)))
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of the folder `served`, with an empty cache."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    monkeypatch.setenv("LANDSCAPE_CACHE", str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_what_was_made_elsewhere_is_a_run(tmp_path: Path, served: str) -> None:
    states = [
        build("resnet", {"depth": 8, "width": 2}, seed=seed, images=(1, 8, 8), classes=10).state_dict()
        for seed in (0, 1, 2)
    ]
    for epoch, state in enumerate(states):
        torch.save(state, tmp_path / f"epoch_{epoch}.pt")
    torch.save({"model": states[0], "ema": states[1]}, tmp_path / "served/w.pt")
    sha256 = hashlib.sha256((tmp_path / "served/w.pt").read_bytes()).hexdigest()
    (tmp_path / "nets.py").write_text(PARALLEL)
    run: dict[str, Any] = {"network": "resnet", "args": {"depth": 8, "width": 2}, "data": "digits"}
    parallel = {"network": "nets.py:net", "data": "digits"}
    content = {
        "data": {"digits": {"source": "digits", "examples": 40}},
        "runs": {
            "far": {**run, "weights": {"url": f"{served}/w.pt#ema", "sha256": sha256}},
            "mine": {**run, "epochs": "epoch_*.pt"},
            "parallel": {**parallel, "weights": "parallel.safetensors"},
        },
        "planes": {
            "tiny": {"alpha": [-1, 1, 3], "examples": 20},
            "path": {"directions": "pca", "alpha": [-1, 1, 3], "beta": [-1, 1, 3], "examples": 20},
        },
    }
    saved = {f"module.1.{name}": tensor for name, tensor in torch.nn.Linear(64, 10).state_dict().items()}
    checkpoint.write(tmp_path / "parallel.safetensors", saved, {})
    config = written(content, tmp_path)
    surfaces = [f"results/surfaces/{state}/tiny.nc" for state in ("far", "mine@001", "parallel")]
    wanted = [*surfaces, "results/trajectories/mine/path.nc"]
    landscape("run", config.name, *wanted, folder=tmp_path)
    header = checkpoint.read_header(tmp_path / "results/runs/far/weights.safetensors")
    assert header["weights_entry"] == "ema" and header["spec"]["weights"]["sha256"] == sha256
    far, one, _ = (files.read_dataset(tmp_path / path) for path in surfaces)
    assert far.train_loss.equals(one.train_loss)
    assert files.read_dataset(tmp_path / wanted[-1]).epoch.values.tolist() == [0, 1, 2]
    again = functools.partial(snakemake, config, *wanted, "--dry-run", folder=tmp_path)
    assert not jobs(again())
    torch.save(states[0], tmp_path / "epoch_1.pt")
    os.utime(tmp_path / "epoch_1.pt")
    assert "adopt" in (changed := jobs(again())) and any("mine" in path for path in changed["adopt"])
    assert not any("far" in path for path in changed["adopt"])
