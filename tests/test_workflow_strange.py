"""Networks that are more than their state dicts, through the whole workflow, against a plain loop."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import strange_networks as strange
import torch
import xarray as xr
from safetensors.torch import load_file, save_file
from strange_networks import Make
from torch import Tensor
from torch.nn import functional as F

from running import REPOSITORY, landscape, written

RUNS: dict[str, Make] = {"merged": strange.MergedByEval, "mean": strange.BatchMean, "extra": strange.ExtraState}
TRAINED = ("merged", "extra")
ADOPTED = ("merged", "mean")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "tests/strange_networks.py", tmp_path / "nets.py")
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, n in (("train", 300), ("test", 45)):
        arrays[f"{split}_inputs"] = random.standard_normal((n, strange.INPUTS), np.float32)
        arrays[f"{split}_targets"] = random.integers(0, strange.CLASSES, n)
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path


def plain_loss(make: Make, weights: dict[str, Tensor], inputs: Tensor, targets: Tensor, parts: int) -> float:
    total = 0.0
    for given, expected in zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True):
        network = make()
        own = {name: of for name, of in network.state_dict().items() if not isinstance(of, Tensor)}
        network.load_state_dict({**own, **weights})
        with torch.no_grad():
            total += float(F.cross_entropy(network.eval()(given).double(), expected, reduction="sum"))
    return total / len(targets)


def test_surfaces_and_histories_are_those_of_a_plain_loop(folder: Path) -> None:
    runs: dict[str, dict[str, Any]] = {}
    for name in ADOPTED:
        torch.manual_seed(1)
        save_file(dict(RUNS[name]().state_dict()), folder / f"{name}.safetensors")
        runs[name] = {"network": f"nets.py:{RUNS[name].__name__}", "data": "d", "weights": f"{name}.safetensors"}
    trained = {"data": "d", "epochs": 2, "learning_rate": 0.05, "batch_size": 50}
    for name in TRAINED:
        runs[f"{name}-trained"] = {"network": f"nets.py:{RUNS[name].__name__}", **trained}
    content = {
        "data": {"d": {"source": "data.npz"}},
        "runs": runs,
        "planes": {"p": {"alpha": [-1, 1, 3], "beta": [-1, 1, 3], "seed": 1}},
        "figures": {"f": {"draw": "contours", "runs": list(runs), "plane": "p"}},
    }
    landscape("run", written(content, folder), folder=folder)
    data = np.load(folder / "data.npz")
    for run in runs:
        make, results = RUNS[run.removesuffix("-trained")], folder / "results"
        weights = load_file(results / f"runs/{run}/weights.safetensors")
        directions = load_file(results / f"directions/{run}/p.safetensors")
        surface = xr.open_dataset(results / f"surfaces/{run}/p.nc")
        for split in ("train", "test"):
            inputs, targets = (torch.from_numpy(data[f"{split}_{kind}"]) for kind in ("inputs", "targets"))
            parts = max(1, round(len(inputs) / 128)) if run == "mean" else 1
            for alpha, beta in [(-1.0, 0.0), (0.0, 0.0), (1.0, 1.0)]:
                moved = dict(weights)
                for key, direction in directions.items():
                    axis, _, name = key.partition("/")
                    moved[name] = moved[name] + (alpha if axis == "alpha" else beta) * direction
                expected = plain_loss(make, moved, inputs, targets, parts)
                found = float(surface[f"{split}_loss"].sel(alpha=alpha, beta=beta))
                assert found == pytest.approx(expected, rel=1e-6), (run, split, alpha, beta)
            centre = plain_loss(make, weights, inputs, targets, parts)
            history = xr.open_dataset(results / f"runs/{run}/history.nc")
            assert float(history[f"{split}_loss"][-1]) == pytest.approx(centre, rel=1e-6), (run, split)
        assert ("loaded_at_each_point" in surface.attrs) == ("merged" in run), run
        assert ("loss_depends_on_batches_of" in history.attrs) == (run == "mean"), run
    (caption,) = (folder / "results/figures").glob("f.*rst")
    assert "which depends on the batches, of about 128 examples" in " ".join(caption.read_text().split())


def test_a_random_network_ends_before_any_job(folder: Path) -> None:
    runs = {name: {"network": f"nets.py:{name}", "data": "d", "epochs": 1} for name in ("Dropout", "Base")}
    content = {"data": {"d": {"source": "data.npz"}}, "runs": runs}
    said = landscape("run", written(content, folder), folder=folder, expect=2)
    assert "error: runs.Dropout: the network is no function of the weights" in said
    assert "runs.Base" not in said and not (folder / "results").exists()
