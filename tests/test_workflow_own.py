"""Somebody's own networks, weights and data, without a test split, in a folder and from files with spaces in their names."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from landscape.store import checkpoint, files

from running import copied, landscape, once, snakemake, written

TINY = """
from torch import nn


def net(in_channels, num_classes):
    return nn.Sequential(
        nn.Conv2d(in_channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes),
    )
"""
MINE = '''
"""A network of somebody else's, with what our own have not."""
import torch
from torch import nn

from blocks import Scale


class Net(nn.Module):
    def __init__(self, hidden, num_classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, hidden, 3, padding=1), nn.GELU(), nn.GroupNorm(2, hidden), Scale())
        self.token = nn.Parameter(torch.zeros(1, hidden))
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x):
        x = self.body(x)
        if x.mean() > 1e9:  # data-dependent control flow
            x = x / 2
        return self.head(x.mean((2, 3)) + self.token)


def wide(hidden=6, *, num_classes):
    return Net(hidden, num_classes)
'''
BLOCKS = """
from torch import nn


class Scale(nn.Module):
    def forward(self, x):
        return 2 * x
"""
RUN = {"network": "my nets/mine.py:wide", "data": "ours", "code": ["my nets/blocks.py"]}
CONFIG: dict[str, Any] = {
    "data": {"ours": {"source": "our data.npz"}},
    "runs": {
        "tiny": {"network": "my nets/tiny net.py:net", "data": "ours", "epochs": 1, "keep": "all"},
        "mine": {**RUN, "weights": "mine 0.pt"},
        "twin": {**RUN, "weights": "mine 1.pt"},
    },
    "planes": {
        "contour": {"alpha": [-1, 1, 5], "beta": [-1, 1, 3]},
        "back": {"directions": "to", "run": "tiny@000", "alpha": [0, 1, 3]},
        "forth": {"directions": "to", "run": "tiny", "alpha": [0, 1, 3]},
        "towards": {"directions": "to", "run": "twin", "alpha": [0, 1, 3]},
        "same": {"directions": "of", "run": "twin", "plane": "contour", "alpha": [-1, 1, 3]},
    },
    "figures": {
        "flat": {"draw": "contours", "runs": ["tiny", "mine"], "plane": "contour"},
        "high": {"draw": "surfaces", "runs": ["tiny"], "plane": "contour"},
        "backwards": {"draw": "lines", "runs": ["tiny"], "plane": "back"},
        "training": {"draw": "training", "runs": ["tiny"]},
    },
    "summary": {"plane": "contour", "runs": ["tiny", "mine"]},
}


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with networks, weights and data, none of them ours, and what was made of them."""
    return once(tmp_path_factory, "my first look", _made)


def _made(folder: Path) -> None:
    nets = folder / "my nets"
    nets.mkdir()
    for name, text in {"tiny net.py": TINY, "mine.py": MINE, "blocks.py": BLOCKS}.items():
        (nets / name).write_text(text)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 9, 7, 3), dtype=np.uint8), np.arange(40) % 5
    np.savez(folder / "our data.npz", train_images=images, train_labels=labels)
    sys.path.insert(0, str(nets))
    try:
        namespace: dict[str, Any] = {}
        exec(compile(MINE, "mine.py", "exec"), namespace)
    finally:
        sys.path.pop(0)
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = nn.DataParallel(namespace["wide"](num_classes=5)).state_dict()
        torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, folder / f"mine {seed}.pt")
    pairs = [f"results/surfaces/{pair}.nc" for pair in ("mine/towards", "mine/same", "tiny@000/forth")]
    landscape("run", written(CONFIG, folder, "my config.yaml").name, "all", *pairs, folder=folder)


def test_a_strangers_network_and_weights_and_data_work_on_every_plane(strangers: Path) -> None:
    weights, header = checkpoint.read(strangers / "results/runs/mine/weights.safetensors")
    saved = torch.load(strangers / "mine 0.pt", weights_only=True)["state_dict"]
    assert {f"module.{name}" for name in weights} == saved.keys()
    assert all(torch.equal(weights[name], saved[f"module.{name}"]) for name in weights)
    assert header["image_shape"] == [3, 9, 7] and header["classes"] == 5
    recorded = float(files.read_dataset(strangers / "results/runs/mine/history.nc").isel(epoch=-1).train_loss)
    for plane in ("contour", "towards", "same"):
        surface = files.read_dataset(strangers / f"results/surfaces/mine/{plane}.nc")
        assert float(surface.sel(alpha=0, beta=0).train_loss) == recorded


def test_what_only_torch_can_see_is_said_before_any_job(strangers: Path, tmp_path: Path) -> None:
    folder = copied(strangers, tmp_path / "folder")
    shutil.rmtree(folder / "results")
    content = yaml.safe_load((folder / "my config.yaml").read_text())
    torch.save(
        {"token": torch.zeros(1, 6), "head.weight": torch.zeros(4, 6), "more": torch.zeros(2)}, folder / "unfit.pt"
    )
    (folder / "cut.npz").write_bytes((folder / "our data.npz").read_bytes()[:900])
    np.savez(folder / "short.npz", train_images=np.zeros((4, 8, 8), np.uint8), train_labels=np.zeros(3, int))
    content["data"] |= {"cut": {"source": "cut.npz"}, "short": {"source": "short.npz"}}
    content["runs"] |= {
        "unfit": {**content["runs"]["mine"], "weights": "unfit.pt"},
        "absent": {"network": "torch.nn:NoSuchThing", "data": "ours"},
        "odd": {"network": "torch.nn:Linear", "data": "ours", "args": {"in_featuers": 3}},
    }
    for said in (
        snakemake(written(content, folder), folder=folder, expect=1),
        landscape("run", "config.yaml", folder=folder, expect=None),
    ):
        assert (
            "runs.unfit.weights: unfit.pt does not fit my nets/mine.py:wide: 5 tensors are missing: body.0.weight (6, 3, 3, 3)"
            in said
        )
        assert "head.weight has shape (4, 6), and the network's has (5, 6)" in said
        assert "more is not in the network" in said
        assert "runs.absent.network: torch.nn:NoSuchThing: torch.nn has no function NoSuchThing" in said
        assert "runs.odd.network: torch.nn:Linear(in_featuers=3) cannot be built" in said
        assert "data.cut.source is 'cut.npz': it is not a whole .npz file" in said
        assert "data.short.source is 'short.npz': it has 4 train_images and 3 train_labels" in said
        assert "Traceback" not in said
    assert not (folder / "results").exists()


def test_without_a_test_split_every_kind_of_figure_and_the_summary_are_made(strangers: Path) -> None:
    history = files.read_dataset(strangers / "results/runs/tiny/history.nc")
    surface = files.read_dataset(strangers / "results/surfaces/tiny/contour.nc")
    for made in (history, surface):
        assert "train_loss" in made and not [name for name in made if str(name).startswith("test")]
    assert float(surface.train_loss.sel(alpha=0, beta=0)) == float(history.train_loss.sel(epoch=1))
    for figure in ("flat", "high", "backwards", "training"):
        assert (strangers / f"results/figures/{figure}.pdf").read_bytes().startswith(b"%PDF")
        assert (strangers / f"results/figures/{figure}.png").stat().st_size > 5000
        caption = (strangers / f"results/figures/{figure}.rst").read_text()
        assert "tiny" in caption and "test error" not in caption and "nan" not in caption.lower().split()
    table = (strangers / "results/summary.md").read_text()
    assert "tiny" in table and "nan" not in table.lower()


def test_a_kept_epoch_is_the_one_end_or_the_other_of_an_interpolation(strangers: Path) -> None:
    history = files.read_dataset(strangers / "results/runs/tiny/history.nc")
    back = files.read_dataset(strangers / "results/surfaces/tiny/back.nc").train_loss.squeeze("beta")
    forth = files.read_dataset(strangers / "results/surfaces/tiny@000/forth.nc").train_loss.squeeze("beta")
    ends = history.train_loss.sel(epoch=[1, 0]).values
    assert abs(ends[1] / ends[0] - 1) > 1e-4
    np.testing.assert_allclose(back.sel(alpha=[0, 1]).values, ends, rtol=1e-6)
    np.testing.assert_allclose(forth.values, back.values[::-1], rtol=1e-6)
