"""Every command of docs/checkpoints.md runs, and makes what the page says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import xarray as xr

from landscape.store import checkpoint, files

import readme
from running import PATH, REPOSITORY

PAGE = REPOSITORY / "docs/checkpoints.md"


def test_the_page_runs(tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 5)
    theirs = {"xcoordinates": ("x", x), "ycoordinates": ("y", x), "train_loss": (("x", "y"), x[:, None] ** 2 + x**2)}
    xr.Dataset(theirs).to_netcdf(tmp_path / "model_surface.h5")
    environment = {**os.environ, "PATH": PATH}
    command = [sys.executable, readme.__file__, str(PAGE)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    results = tmp_path / "results"
    line = files.read_dataset(results / "surfaces/first/between.nc").train_loss.values.ravel()
    ends = [
        files.read_dataset(results / f"runs/{run}/history.nc").train_loss.values[-1] for run in ("first", "average")
    ]
    np.testing.assert_allclose(line[[0, -1]], ends, rtol=1e-6)
    assert checkpoint.read_header(results / "runs/average/weights.safetensors")["weights_entry"] == "ema"
    assert checkpoint.read_header(results / "runs/first/weights.safetensors")["weights_entry"] == "state_dict.model"
    history = files.read_dataset(results / "runs/mine/history.nc")
    assert history.epoch.values.tolist() == [0, 1, 2, 3, 4] and history.train_loss[4] < history.train_loss[0]
    surface = files.read_dataset(tmp_path / "surface.nc")
    assert surface.train_loss.dims == ("alpha", "beta") and surface.train_loss.values[0, 0] == 2
    assert (results / "figures/path.pdf").stat().st_size > 5000


def test_the_page_is_linked() -> None:
    assert "docs/checkpoints.md" in (REPOSITORY / "README.md").read_text()
