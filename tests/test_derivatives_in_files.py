"""Networks of somebody else's whose derivatives torch has wrong, or not at all, from the configuration to the file."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml

from landscape.experiment import reading
from landscape.geometry.grid import Status
from landscape.measures.gradients import GradientsPlane
from landscape.running import check

from running import landscape

torch.set_num_threads(1)

NETS = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations


class Layer(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
    def forward(self, x):
        return self.function(x)


def net(layer):
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Tanh(), layer, nn.Linear(6, 3))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), 1)
        self.out = nn.Linear(4, 3)
    def forward(self, x):
        return self.out(self.encoder(x[:, 0]).mean(1))


def plain(): return net(nn.Identity())
def normed(): return net(parametrizations.weight_norm(nn.Linear(6, 6)))
def encoder(): return Encoder()
def detached(): return net(Layer(lambda x: x * x.detach()))
def rounded(): return net(Layer(lambda x: x + (x.round() - x).detach()))
def distances(): return net(Layer(lambda x: torch.cdist(x, 2 * x[:1]) * x))
def bag(): return net(Layer(lambda x: x * F.embedding_bag(torch.zeros(len(x), 2).long(), x)))
"""
WRONG = {
    "detached": "the gradient is off finite differences",
    "rounded": "the gradient is off finite differences",
    "distances": "torch has no derivative of _cdist_backward",
    "bag": "torch has no derivative of _embedding_bag_backward",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(textwrap.dedent(NETS))
    generator = np.random.default_rng(0)
    images, labels = generator.normal(size=(24, 1, 4, 4)).astype(np.float32), np.arange(24) % 3
    np.savez("data.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    return tmp_path


def configuration(*names: str, **sections: Any) -> str:
    runs = {
        name: {"network": f"nets.py:{name}", "data": "d", "epochs": 1, "batch_size": 12, "learning_rate": 0.1}
        for name in names
    }
    planes = {
        measure: {"measure": measure, "alpha": [-0.5, 0.5, 2], "beta": [-0.5, 0.5, 2]}
        for measure in ("loss", "gradients", "curvature")
    }
    whole = {"data": {"d": {"source": "data.npz"}}, "runs": runs, "planes": planes, **sections}
    Path("conf.yaml").write_text(yaml.safe_dump(whole))
    return "conf.yaml"


@pytest.mark.parametrize("name", ["plain", "normed", "encoder", *WRONG])
def test_check_tries_the_derivatives_that_figures_show(folder: Path, name: str) -> None:
    curved = {"f": {"draw": "curvature", "runs": [name], "plane": "curvature"}}
    pairs = {"p": {"measure": "spectrum", "vectors": 2, "steps": 3}}
    spectra = {"s": {"draw": "spectra", "runs": [name], "probe": "p"}}
    asked: tuple[dict[str, Any], ...] = ({"figures": curved}, {"figures": spectra, "probes": pairs})
    for sections in asked:
        found = check.problems(reading.read(configuration(name, **sections)))
        assert len(found) == (name in WRONG)
        if found:
            assert found[0].startswith(f"figures.{next(iter(sections['figures']))} has {name} with measure: ")
            assert WRONG[name] in found[0]


def test_check_tries_a_network_once(folder: Path) -> None:
    run = {"network": "nets.py:detached", "data": "d", "epochs": 1, "batch_size": 12, "learning_rate": 0.1}
    runs = {f"r{seed}": {**run, "seed": seed} for seed in range(3)}
    figures = {"f": {"draw": "curvature", "runs": [*runs], "plane": "curvature"}}
    found = check.problems(reading.read(configuration(runs=runs, figures=figures)))
    assert len(found) == 1 and found[0].startswith("figures.f has r0 with measure: curvature")


def test_a_network_without_right_derivatives_may_be_seen_by_its_loss(folder: Path) -> None:
    figures = {"f": {"draw": "contours", "runs": [*WRONG], "plane": "loss"}}
    assert check.problems(reading.read(configuration(*WRONG, figures=figures))) == []


def test_the_file_says_how_right_the_derivatives_are(folder: Path) -> None:
    made, refused = "results/surfaces/normed/curvature.nc", "results/surfaces/detached/gradients.nc"
    said = landscape(
        "run", configuration("normed", "detached"), made, refused, "--keep-going", folder=folder, expect=None
    )
    with xr.open_dataset(made) as found:
        assert (found.status == Status.computed).all() and found.attrs["points_wrong_derivatives"] == 0
        for name in ("gradient_error", "product_error", "symmetry_error"):
            assert float(np.max(found[name])) < 1e-5 and found[name].attrs["units"] == "1"
    assert "measure: gradients is refused, since at the centre the gradient is off finite differences" in said
    assert not Path(refused).exists()


@pytest.mark.parametrize(
    ("alpha", "beta", "expected"),
    [
        ((-1, 1, 5), (-1, 1, 3), {0, 2, 7, 12, 14}),
        ((0, 1, 5), None, {0, 4}),  # of a line both corners of an end are one point
        ((0.5, 1, 5), (-2, -1, 3), {0, 2, 12, 14}),  # the centre lies outside
        ((0, 0, 1), (0, 0, 1), {0}),
    ],
)
def test_derivatives_are_compared_at_the_corners_and_next_to_the_centre(
    alpha: tuple[float, float, int], beta: tuple[float, float, int] | None, expected: set[int]
) -> None:
    plane = GradientsPlane.model_validate({"measure": "gradients", "alpha": alpha, "beta": beta})
    assert set(plane.compared_at(20)) == expected
    assert set(plane.compared_at(10**6)) == set(range(alpha[2] * (beta[2] if beta else 1)))
