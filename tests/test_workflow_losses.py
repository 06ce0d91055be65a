"""A regression with everything that the workflow makes, and the same numbers from Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import landscape as ls
from landscape.store import files

from running import landscape, once, written

NET = """
from torch import nn


def small(hidden=6):
    return nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
"""
RUN = {"network": "nets.py:small", "data": "waves", "loss": "mse", "epochs": 2, "batch_size": 10, "keep": "all"}
CONFIG: dict[str, Any] = {
    "data": {"waves": {"source": "waves.npz"}},
    "runs": {"fit": RUN, "other": {**RUN, "seed": 1}},
    "planes": {
        "around": {"alpha": [-1, 1, 7], "beta": [-1, 1, 7]},
        "along": {"alpha": [-1, 1, 9]},
        "curved": {"measure": "curvature", "examples": 20, "alpha": [-0.5, 0.5, 3], "beta": [-0.5, 0.5, 3]},
        "path": {"directions": "pca", "alpha": [-0.5, 1.5, 5], "beta": [-1, 1, 5]},
        "between": {"directions": "to", "run": "other", "alpha": [0, 1, 9]},
    },
    "probes": {
        "pairs": {"measure": "eigenpairs", "pairs": 1},
        "density": {"measure": "spectrum", "vectors": 2, "steps": 8},
        "layers": {"measure": "activations"},
    },
    "figures": {
        "contours": {"draw": "contours", "runs": ["fit"], "plane": "around"},
        "both": {"draw": "contours", "runs": ["fit"], "plane": "around", "variable": "both"},
        "surface": {"draw": "surfaces", "runs": ["fit"], "plane": "around"},
        "line": {"draw": "lines", "runs": ["fit"], "plane": "along"},
        "between": {"draw": "interpolation", "rows": [{"run": "fit", "to": "other", "plane": "between"}]},
        "profile": {"draw": "profiles", "runs": ["fit"], "line": "along", "plane": "around"},
        "curvature": {"draw": "curvature", "runs": ["fit"], "plane": "curved"},
        "gradients": {"draw": "gradients", "runs": ["fit"], "plane": "curved"},
        "path": {"draw": "trajectories", "runs": ["fit"], "planes": ["path"]},
        "spectrum": {"draw": "spectra", "runs": ["fit"], "probe": "density"},
        "sharpening": {"draw": "sharpening", "runs": ["fit"], "probe": "pairs", "epochs": [0, 2]},
        "layers": {"draw": "layers", "runs": ["fit"], "probe": "layers"},
        "training": {"draw": "training", "runs": ["fit", "other"]},
        "sharpness": {"draw": "sharpness", "runs": ["fit", "other"], "planes": ["around"], "number": "step_alpha"},
    },
    "summary": {"plane": "around"},
    "claims": {"planes": ["around"]},
}


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "a regression", _made)


def _made(folder: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 2)).astype(np.float32)
    targets = (inputs[:, :1] * inputs[:, 1:]).astype(np.float32)
    np.savez(
        folder / "waves.npz",
        train_inputs=inputs[:40],
        train_targets=targets[:40],
        test_inputs=inputs[40:],
        test_targets=targets[40:],
    )
    (folder / "nets.py").write_text(NET)
    landscape("run", written(CONFIG, folder).name, folder=folder)


def test_everything_of_a_regression_is_made_and_names_its_loss(regression: Path) -> None:
    for figure in CONFIG["figures"]:
        stem = regression / f"results/figures/{figure}"
        assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF"), figure
        caption = stem.with_suffix(".rst").read_text()
        for word in ("cross-entropy", "accuracy", "Wilson", "ln(", "guessing"):
            assert word not in caption, (figure, caption)
        assert "mean squared error" in caption or figure == "sharpness", (figure, caption)
    summary = (regression / "results/summary.md").read_text()
    assert "mean squared error" in summary and "test R2" in summary and "test error (%)" not in summary
    claims = (regression / "results/claims.md").read_text()
    assert "Left out" in claims and "fit (mean squared error)" in claims and "reproduced |" not in claims


def test_the_workflow_and_python_give_the_same_bits(regression: Path) -> None:
    theta = files.read_dataset(regression / "results/surfaces/fit/around.nc")
    namespace: dict[str, Any] = {}
    exec(NET, namespace)
    arrays = {name: torch.from_numpy(of) for name, of in np.load(regression / "waves.npz").items()}
    train, test = (tuple(arrays[f"{split}_{part}"] for part in ("inputs", "targets")) for split in ("train", "test"))
    weights = str(regression / "results/runs/fit/weights.safetensors")
    found = ls.plane(
        namespace["small"](), train, test=test, loss="mse", around=weights, alpha=(-1, 1, 7), beta=(-1, 1, 7)
    )
    for name in ("train_loss", "train_r2", "test_loss", "test_r2", "train_loss_paired_standard_error"):
        xr.testing.assert_equal(found[name].drop_attrs(), theta[name].drop_attrs())
    history = files.read_dataset(regression / "results/runs/fit/history.nc")
    assert float(theta.train_loss.sel(alpha=0, beta=0)) == float(history.train_loss[-1])
    assert history.attrs["loss"] == "squared error" and history.attrs["score"] == "r2"
