"""Planes along the eigenvectors that a probe found: the directions, and the verbs from the probe to the surface."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from landscape import cli, directions
from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.networks import building
from landscape.objective.objective import CLASSIFICATION
from landscape.probes import probe_of
from landscape.store import checkpoint, files
from landscape.store.weights import Weights, norm
from landscape.training.run_section import Run

from dense_hessian import Example, connected, convolutional

SMOOTH = {"hidden": [6], "activation": "softplus", "linear_std": 0.3}


def found_by_a_probe(example: Example, **keys: Any) -> tuple[Any, Weights]:
    probe = probe_of({"measure": "eigenpairs", "precision": "fp64", **keys})
    return probe.measured(example.network, example.theta, {}, example.axes, example.dataset, CLASSIFICATION)


@pytest.mark.parametrize("parameters", ["filters", "all"])
def test_directions_are_unit_vectors_over_the_parameters_of_the_probe(parameters: str) -> None:
    example = Example(convolutional(nn.Softplus()))
    _, vectors = found_by_a_probe(example, parameters=parameters)
    pair = directions.eigenvectors(vectors, ["smallest-2", "largest-1"], example.theta, example.axes)
    for axis, name in (("alpha", "smallest-2"), ("beta", "largest-1")):
        assert pair[axis].keys() == example.axes.keys()
        assert norm(pair[axis]) == pytest.approx(1, rel=1e-6)
        for key, tensor in pair[axis].items():
            assert tensor.dtype == example.theta[key].dtype
            if key in example.names(parameters):
                torch.testing.assert_close(tensor.double(), vectors[f"{name}/{key}"], rtol=1e-6, atol=1e-7)
            else:
                assert not tensor.any()
    facts = directions.describe(pair, example.theta, example.axes)
    assert facts["unit_length_alpha"] == pytest.approx(1, rel=1e-6)
    assert facts["cosine"] == pytest.approx(0, abs=1e-6)


def test_of_a_line_the_first() -> None:
    example = Example(connected(nn.Tanh()))
    _, vectors = found_by_a_probe(example)
    assert list(directions.eigenvectors(vectors, ["smallest-1"], example.theta, example.axes)) == ["alpha"]


def test_eigenvectors_that_cannot_be_directions() -> None:
    example = Example(connected(nn.Tanh()))
    _, vectors = found_by_a_probe(example)
    with pytest.raises(
        InputError, match="no eigenvector largest-3; it found largest-1, largest-2, smallest-1, smallest-2"
    ):
        directions.eigenvectors(vectors, ["largest-3"], example.theta, example.axes)
    other = Example(convolutional(nn.Tanh()))
    with pytest.raises(InputError, match="1.weight has shape"):
        directions.eigenvectors(vectors, ["largest-1"], other.theta, other.axes)
    broken = {key: torch.full_like(tensor, torch.nan) for key, tensor in vectors.items()}
    with pytest.raises(InputError, match="largest-1 is not finite"):
        directions.eigenvectors(broken, ["largest-1"], example.theta, example.axes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smooth network's initial weights, as the run `net` and as epochs 0 and 1 of it, and data."""
    folder = tmp_path_factory.mktemp("eigenvectors")
    datasets.make(Data(source="digits", examples=200), folder / "data.safetensors", {"name": "digits"})
    run = Run(network="mlp", args=SMOOTH, data="digits", epochs=1, keep="all")
    built = building.build("mlp", SMOOTH, seed=3, images=(1, 8, 8), classes=10)
    theta = built.state_dict()
    header = {"name": "net", "spec": run.in_full(), "spec_hash": "0", "image_shape": [1, 8, 8], "classes": 10}
    checkpoint.write(folder / "net.safetensors", theta, {**header, "epoch": 1})
    checkpoint.write_epochs(folder / "epochs.safetensors", {0: theta, 1: theta}, header)
    return folder


PAIRS = {"measure": "eigenpairs", "examples": 100, "precision": "fp64"}
SHARP = {"directions": "eigenvectors", "probe": "pairs"}


def does(
    folder: Path, capsys: pytest.CaptureFixture[str], verb: str, spec: dict[str, Any], name: str, **options: str
) -> str:
    """Run a verb around `net`, or with other `options`; return its error message. The output is `NAME.nc`, ..."""
    given = {"weights": "net.safetensors", **options}
    words = [word for key, value in given.items() for word in (f"--{key}", str(folder / value))]
    kinds = {"directions": ["safetensors"], "tile": ["nc"], "probe": ["nc", "safetensors"]}[verb]
    outputs = [str(folder / f"{name}.{kind}") for kind in kinds]
    code = cli.main([verb, "--spec", json.dumps(spec), "--name", name, *words, "--output", *outputs])
    said = capsys.readouterr().err
    assert (code, "error: " in said) in ((0, False), (2, True)), said
    return said.partition("error: ")[2]


def test_from_the_probe_to_the_surface(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second differences of the loss at the centre are the eigenvalues."""
    data_file = {"data": "data.safetensors"}
    assert not does(folder, capsys, "probe", PAIRS, "pairs", **data_file)
    assert not does(folder, capsys, "directions", SHARP, "sharp", other="pairs.safetensors")
    step = 0.1
    plane = {**SHARP, "alpha": [-step, step, 3], "beta": [-step, step, 3], "examples": 100}
    drawn = {"directions": "sharp.safetensors"}
    assert not does(folder, capsys, "tile", plane, "surface", **data_file, **drawn)
    probe, surface = (files.read_dataset(folder / name) for name in ("pairs.nc", "surface.nc"))
    loss = surface.set_index(point=["alpha", "beta"]).train_loss.unstack("point").values
    assert loss[1, 1] == pytest.approx(float(probe.train_loss), rel=1e-6)
    along_alpha = (loss[2, 1] - 2 * loss[1, 1] + loss[0, 1]) / step**2
    along_beta = (loss[1, 2] - 2 * loss[1, 1] + loss[1, 0]) / step**2
    assert along_alpha == pytest.approx(float(probe.eigenvalue_largest[0]), rel=0.02)
    assert along_beta == pytest.approx(float(probe.eigenvalue_smallest[0]), rel=0.02)
    header = checkpoint.read_header(folder / "sharp.safetensors")
    assert (header["probe"], header["vectors"]) == ("pairs", ["largest-1", "smallest-1"])
    assert header["unit_length_alpha"] == pytest.approx(1, rel=1e-6)
    wanted = {"run": "net", "state": "net", "probe": "pairs", "train_examples": 100, "graph": "kept", "classes": 10}
    assert {key: probe.attrs[key] for key in wanted} == wanted
    assert json.loads(probe.attrs["spec"])["pairs"] == 2
    assert probe.attrs["title"] == "eigenpairs of net at pairs"


def test_what_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_file = {"data": "data.safetensors"}
    epoch = {"weights": "epochs.safetensors@000"}
    assert not does(folder, capsys, "probe", PAIRS, "pairs", **data_file, **epoch)
    pairs = {"other": "pairs.safetensors"}
    assert not does(folder, capsys, "directions", SHARP, "sharp", **pairs, **epoch)
    later = {"weights": "epochs.safetensors@001"}
    assert "is of other weights, those of net@000" in does(folder, capsys, "directions", SHARP, "no", **pairs, **later)
    assert "is of other weights, those of net@000" in does(folder, capsys, "directions", SHARP, "no", **pairs)
    of_others = {**SHARP, "probe": "others"}
    said = does(folder, capsys, "directions", of_others, "no", **pairs, **epoch)
    assert "pairs.safetensors is no file of the probe others with measure: eigenpairs of the state itself" in said
    assert "needs 1 --other, and there are 0" in does(folder, capsys, "directions", SHARP, "no", **epoch)
    missing = {**SHARP, "vectors": ["smallest-4", "largest-1"]}
    assert "found no eigenvector smallest-4" in does(folder, capsys, "directions", missing, "no", **pairs, **epoch)
    assert not does(folder, capsys, "probe", {"measure": "spectrum", "vectors": 2, "steps": 3}, "others", **data_file)
    said = does(folder, capsys, "directions", of_others, "no", other="others.safetensors")
    assert "others.safetensors is no file of the probe others" in said


def test_a_probe_on_a_plane_takes_the_directions_of_this_plane_and_state(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The probe measures at the same weights as the plane's own surface."""
    data_file = {"data": "data.safetensors"}
    assert not does(folder, capsys, "directions", {}, "contour")
    drawn = {"directions": "contour.safetensors"}
    there = {
        "measure": "trace",
        "plane": "contour",
        "alpha": 0.5,
        "beta": -1,
        "examples": 100,
        "vectors": 2,
        "draws": 2,
    }
    assert not does(folder, capsys, "probe", there, "there", **data_file, **drawn)
    plane = {"alpha": [0.5, 0.5, 1], "beta": [-1, -1, 1], "examples": 100}
    assert not does(folder, capsys, "tile", plane, "point", **data_file, **drawn)
    found, point = (files.read_dataset(folder / f"{name}.nc") for name in ("there", "point"))
    assert float(found.train_loss) == pytest.approx(float(point.train_loss[0]), rel=1e-5)
    assert found.attrs["directions_hash"] == point.attrs["directions_hash"]
    wrong = "was drawn around other weights, or for another plane"
    epoch = {"weights": "epochs.safetensors@000"}
    assert wrong in does(folder, capsys, "probe", there, "no", **data_file, **drawn, **epoch)
    assert wrong in does(folder, capsys, "probe", {**there, "plane": "line"}, "no", **data_file, **drawn)
    assert "the probe is at contour, and there are 0 --directions" in does(
        folder, capsys, "probe", there, "no", **data_file
    )
    centre = {"measure": "trace"}
    assert "the probe is at the state itself, and there are 1 --directions" in does(
        folder, capsys, "probe", centre, "no", **data_file, **drawn
    )
