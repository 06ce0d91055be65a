"""Paths on planes against plain loops over flattened weights, in float64."""

import copy
import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional

from landscape import cli, directions
from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.data.datasets import DataSet, subset
from landscape.data.examples import Examples
from landscape.directions import Directions
from landscape.measures import plane_of, trajectory
from landscape.measures.loss import LossPlane
from landscape.measures.plane import Plane
from landscape.networks import building
from landscape.objective.objective import CLASSIFICATION
from landscape.store import checkpoint, files
from landscape.store.weights import Weights
from landscape.training.run_section import Run

torch.set_num_threads(1)

ANY: dict[str, dict[str, Any]] = {
    "random": {"directions": "random", "beta": [-1, 1, 3], "seed": 1},
    "line": {"directions": "random", "seed": 1},
    "start": {"directions": "start", "beta": [-1, 1, 3]},
    "pca": {"directions": "pca"},
    "uncentred": {"directions": "pca", "centred": False},
}


class Training:
    """A short training on digits, seen around its end."""

    def __init__(self) -> None:
        digits = load_digits()
        images = torch.tensor(digits.images[:200] / 8 - 1, dtype=torch.float32).unsqueeze(1)
        self.data = DataSet(Examples(images, torch.tensor(digits.target[:200])), None, 10, torch.zeros(1), {})
        self.network = building.build("resnet", {"depth": 8, "width": 4}, seed=0, images=(1, 8, 8), classes=10)
        self.axes = building.filter_axes(self.network)
        optimizer = torch.optim.SGD(self.network.parameters(), lr=0.05, momentum=0.9)
        self.epochs = {0: self._saved()}
        for epoch in range(1, 5):
            for x, y in zip(images.split(50), self.data.train.targets.split(50), strict=True):
                optimizer.zero_grad()
                functional.cross_entropy(self.network(x), y).backward()
                optimizer.step()
            self.epochs[epoch] = self._saved()
        self.theta = self.epochs[4]

    def _saved(self) -> Weights:
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    def drawn(self, plane: Plane) -> Directions:
        if plane.directions == "pca":
            return directions.pca(self.theta, self.epochs, self.axes, centred=plane.centred)[0]
        pair = directions.random_pair(self.theta, self.axes, plane.seed, plane.normalize, line=plane.is_line)
        if plane.directions == "start":
            pair |= directions.towards(self.theta, self.epochs[0], self.axes, buffers=False)
        return pair

    def path(self, plane: Plane, pair: Directions, epochs: dict[int, Weights] | None = None) -> xr.Dataset:
        return trajectory.trajectory(plane, self.network, self.theta, pair, epochs or self.epochs, self.axes, self.data)

    def at_centre(self, plane: Plane, pair: Directions) -> float:
        """The surface's loss at its centre."""
        centre = plane.model_copy(update={"alpha": (0.0, 0.0, 1), "beta": None if plane.is_line else (0.0, 0.0, 1)})
        whole = centre.template(test=False, attrs={})
        tile = centre.evaluate(whole, [0], self.network, self.theta, pair, self.data, CLASSIFICATION)
        return float(tile.train_loss[0])

    def loss(self, weights: Weights, examples: int | None = None) -> float:
        """The plain loop, float64."""
        network: nn.Module = copy.deepcopy(self.network).double().eval()
        network.load_state_dict(weights)
        split = subset(self.data.train, examples)
        with torch.no_grad():
            return functional.cross_entropy(network(split.inputs.double()), split.targets).item()


@pytest.fixture(scope="module")
def training() -> Training:
    return Training()


@functools.cache
def seen(training: Training, kind: str) -> tuple[Plane, Directions, xr.Dataset]:
    """A plane of `ANY`, its directions, and the path on it."""
    plane = plane_of(ANY[kind])
    pair = training.drawn(plane)
    return plane, pair, training.path(plane, pair)


def row(weights: Weights, names: list[str]) -> np.ndarray:
    return np.concatenate([weights[name].double().numpy().ravel() for name in names])


@pytest.mark.parametrize("kind", ANY)
def test_a_path_ends_at_the_centre_of_the_surface(training: Training, kind: str) -> None:
    plane, pair, found = seen(training, kind)
    end = found.sel(epoch=4)
    assert [float(end[name]) for name in ("alpha", "beta", "distance", "distance_to_end")] == [0, 0, 0, 0]
    centre = training.at_centre(plane, pair)
    assert [float(end[name]) for name in ("projected_loss", "weights_loss", "saved_loss")] == [centre] * 3
    assert found.epoch.values.tolist() == list(range(5))


@pytest.mark.parametrize("kind", ANY)
def test_coordinates_and_distances_are_those_of_least_squares(training: Training, kind: str) -> None:
    plane, pair, found = seen(training, kind)
    filters = directions.with_filters(training.axes)
    names = list(training.axes) if kind == "start" else filters
    assert found.attrs["measured_over"] == ("all parameters" if kind == "start" else "parameters with filters")
    end = row(training.theta, names)
    assert found.attrs["parameters"] == end.size
    frame = np.stack([row(direction, names) for direction in pair.values()], 1)
    before = None
    for epoch, weights in training.epochs.items():
        here, at = row(weights, names), found.sel(epoch=epoch)
        (alpha, *beta), *_ = np.linalg.lstsq(frame, here - end, rcond=None)
        np.testing.assert_allclose([at.alpha, at.beta], [alpha, *beta, *([0.0] if plane.is_line else [])], atol=1e-9)
        off = here - end - frame @ np.array([alpha, *beta])
        assert math.isclose(at.distance, np.linalg.norm(off), rel_tol=1e-6, abs_tol=1e-9)
        on = np.linalg.norm(frame @ np.array([alpha, *beta]))
        assert math.isclose(at.distance_to_end**2, on**2 + float(at.distance) ** 2, rel_tol=1e-6, abs_tol=1e-12)
        expected = np.nan if before is None else np.linalg.norm(here - before)
        np.testing.assert_allclose(at.step_norm, expected, rtol=1e-6)
        before = here


def test_the_three_losses_are_the_plain_loops(training: Training) -> None:
    plane = LossPlane(directions="pca", examples=60)
    pair = training.drawn(plane)
    found = training.path(plane, pair)
    filters = directions.with_filters(training.axes)
    assert "60 training examples" in found.saved_loss.attrs["long_name"]
    for epoch, weights in training.epochs.items():
        at = found.sel(epoch=epoch)
        there = dict(training.theta)
        for name in training.axes:
            there[name] = (
                there[name].double() + float(at.alpha) * pair["alpha"][name] + float(at.beta) * pair["beta"][name]
            )
        mixed = training.theta | {name: weights[name] for name in filters}
        for name, state in (("projected_loss", there), ("weights_loss", mixed), ("saved_loss", weights)):
            assert math.isclose(at[name], training.loss(state, examples=60), rel_tol=1e-4), (name, epoch)
    assert not np.allclose(found.weights_loss[:-1], found.saved_loss[:-1], rtol=1e-3)


@pytest.mark.parametrize("kind", ["pca", "uncentred"])
def test_shares_of_components_are_those_of_the_directions(training: Training, kind: str) -> None:
    plane, _, found = seen(training, kind)
    facts = directions.pca(training.theta, training.epochs, training.axes, centred=plane.centred)[1]
    np.testing.assert_allclose(found.share, facts["shares"][:2], rtol=1e-5)
    np.testing.assert_allclose(found.random_walk_share, facts["random_walk_shares"][:2], rtol=1e-12)
    assert np.isnan(found.expected_share).all()
    if plane.centred:
        filters = directions.with_filters(training.axes)
        rows = np.stack([row(weights, filters) for weights in training.epochs.values()])
        expected = PCA(2).fit(rows)
        np.testing.assert_allclose(found.share, expected.explained_variance_ratio_, rtol=1e-5)
        at = expected.transform(rows) - expected.transform(rows[-1:])
        np.testing.assert_allclose(np.abs(found.alpha), np.abs(at[:, 0]) / np.abs(at).max(), atol=1e-5)
        np.testing.assert_allclose(np.abs(found.beta), np.abs(at[:, 1]) / np.abs(at).max(), atol=1e-5)


@pytest.mark.parametrize("kind", ["random", "start"])
def test_shares_of_slanting_axes_are_those_of_the_second_made_upright(training: Training, kind: str) -> None:
    plane, pair, found = seen(training, kind)
    names = list(training.axes) if kind == "start" else directions.with_filters(training.axes)
    rows = np.stack([row(weights, names) for weights in training.epochs.values()])
    rows -= rows.mean(0)
    upright, _ = np.linalg.qr(np.stack([row(direction, names) for direction in pair.values()], 1))
    np.testing.assert_allclose(found.share, ((rows @ upright) ** 2).sum(0) / (rows**2).sum(), rtol=1e-5)
    chance = trajectory.expected_share(
        list(training.epochs.values()), training.theta, training.axes, plane.normalize, centred=plane.centred
    )
    np.testing.assert_array_equal(found.expected_share, [np.nan if kind == "start" else chance, chance])
    assert np.isnan(found.random_walk_share).all()


@pytest.mark.parametrize("normalize", ["filter", "layer", "model", "none"])
def test_the_expected_share_is_the_mean_over_many_directions(training: Training, normalize: str) -> None:
    names = directions.with_filters(training.axes)
    rows = np.stack([row(weights, names) for weights in training.epochs.values()])
    rows -= rows.mean(0)
    shares = []
    for seed in range(300):
        drawn = directions.random_axis(training.theta, training.axes, seed, normalize, "alpha")
        along = row(drawn, names)
        shares.append(((rows @ along) ** 2).sum() / (along @ along) / (rows**2).sum())
    found = trajectory.expected_share(
        list(training.epochs.values()), training.theta, training.axes, normalize, centred=True
    )
    assert abs(np.mean(shares) - found) < 3 * np.std(shares) / np.sqrt(len(shares))


def test_a_line_has_no_shares_of_a_second_axis(training: Training) -> None:
    _, _, found = seen(training, "line")
    assert np.isfinite([found.share[0], found.expected_share[0]]).all()
    assert np.isnan([found.share[1], found.expected_share[1]]).all()


def test_a_recalibrated_plane_has_its_own_statistics_under_the_path(training: Training) -> None:
    plane = LossPlane(directions="pca", batchnorm="recalibrated", recalibration_examples=100)
    pair = training.drawn(plane)
    found = training.path(plane, pair)
    assert float(found.projected_loss[-1]) == training.at_centre(plane, pair)
    assert float(found.projected_loss[-1]) != float(found.saved_loss[-1])
    assert float(found.saved_loss[-1]) == training.at_centre(LossPlane(directions="pca"), pair)


def test_a_projection_with_a_negative_variance_has_no_loss(training: Training) -> None:
    other = {
        name: tensor / 10 if name.endswith("running_var") else tensor * 1.1 if name in training.axes else tensor
        for name, tensor in training.theta.items()
    }
    pair = directions.towards(training.theta, other, training.axes, buffers=True)
    beyond = {name: t * 1.2 if name in training.axes else t for name, t in training.theta.items()}
    plane = LossPlane(directions="to", run="other", alpha=[0, 2, 3])
    found = training.path(plane, pair, {0: beyond, 1: other, 2: training.theta})
    np.testing.assert_allclose(found.alpha, [2, 1, 0], rtol=1e-5)
    assert np.isnan(found.projected_loss.values).tolist() == [True, False, False]
    assert math.isclose(found.projected_loss[1], training.loss(other), rel_tol=1e-4)


def test_what_is_not_finite_stays_so(training: Training) -> None:
    plane = plane_of(ANY["random"])
    broken = {name: t * math.nan if name in training.axes else t for name, t in training.epochs[3].items()}
    found = training.path(plane, training.drawn(plane), {**training.epochs, 3: broken})
    for name in ("alpha", "beta", "distance", "projected_loss", "weights_loss", "saved_loss"):
        assert np.isnan(found[name].values).tolist() == [epoch == 3 for epoch in range(5)], name
    assert np.isnan(found.step_norm.values).tolist() == [True, False, False, True, True]
    assert np.isnan(found.share).all()


def test_marks_on_a_plane_through_two_states_are_their_places(training: Training) -> None:
    theta, b, c, off = (training.epochs[k] for k in (4, 0, 2, 3))
    pair, places = directions.through_two(theta, [b, c], training.axes, buffers=True)
    for state, place in zip((theta, b, c), ((0, 0), *places), strict=True):
        found = trajectory.mark(state, theta, pair, training.axes)
        np.testing.assert_allclose([found.alpha, found.beta], place, atol=1e-6)
        assert float(found.distance) < 1e-5 * np.linalg.norm(row(b, list(training.axes)))
    found = trajectory.mark(off, theta, pair, training.axes)
    step = row(off, list(training.axes)) - row(theta, list(training.axes))
    assert math.isclose(found.distance_to_centre, np.linalg.norm(step), rel_tol=1e-9)
    unit = np.linalg.norm(row(pair["alpha"], list(training.axes)))
    on = unit * np.hypot(found.alpha, found.beta)
    assert math.isclose(found.distance_to_centre**2, float(found.distance) ** 2 + on**2, rel_tol=1e-6)
    assert found.attrs["measured_over"] == "all parameters"


def test_a_plane_through_two_states_has_their_own_losses(training: Training) -> None:
    theta, b, c = (training.epochs[k] for k in (4, 0, 2))
    pair, places = directions.through_two(theta, [b, c], training.axes, buffers=True)
    for state, (alpha, beta) in zip((b, c), places, strict=True):
        plane = LossPlane(directions="through", runs=["b", "c"], alpha=[alpha, alpha, 1], beta=[beta, beta, 1])
        whole = plane.template(test=False, attrs={})
        tile = plane.evaluate(whole, [0], training.network, theta, pair, training.data, CLASSIFICATION)
        assert math.isclose(tile.train_loss[0], training.loss(state), rel_tol=1e-4)


def test_a_trajectory_is_the_same_after_a_file(training: Training, tmp_path: Path) -> None:
    _, _, found = seen(training, "random")
    files.write_dataset(found, tmp_path / "path.nc")
    again = files.read_dataset(tmp_path / "path.nc")
    xr.testing.assert_equal(again, found)
    assert float(again.share.sel(axis="beta")) == float(found.share[1])


@pytest.fixture
def folder(training: Training, tmp_path: Path) -> Path:
    """Files as the workflow makes them: the training `net`, the run `other`, data."""
    run = Run(network="resnet", args={"depth": 8, "width": 4}, data="digits", epochs=4, keep="all")
    header = {"name": "net", "spec": run.in_full(), "spec_hash": "0", "image_shape": [1, 8, 8], "classes": 10}
    checkpoint.write(tmp_path / "net.safetensors", training.theta, {**header, "epoch": 4})
    checkpoint.write_epochs(tmp_path / "epochs.safetensors", training.epochs, header)
    other = {**header, "name": "other", "spec_hash": "1"}
    checkpoint.write(tmp_path / "other.safetensors", training.epochs[2], {**other, "epoch": 4})
    checkpoint.write_epochs(tmp_path / "others.safetensors", training.epochs, other)
    datasets.make(Data(source="digits"), tmp_path / "data.safetensors", {"name": "digits"})
    return tmp_path


def does(folder: Path, verb: str, spec: dict[str, Any], capsys: pytest.CaptureFixture[str], **options: str) -> str:
    """Run a verb around `net`, on a plane called `plane`; what it says if it refuses."""
    given = {"weights": "net.safetensors", "output": f"{verb}.out", **options}
    if verb != "directions":
        given["directions"] = "directions.out"
    paths = [
        word for key, names in given.items() for word in (f"--{key}", *(str(folder / name) for name in names.split()))
    ]
    code = cli.main([verb, "--spec", json.dumps(spec), "--name", "plane", *paths])
    said = capsys.readouterr().err
    assert (code, "error: " in said) in ((0, False), (2, True)), said
    return said.partition("error: ")[2]


def test_the_verbs_write_a_path_with_where_it_comes_from(
    training: Training, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"directions": "pca", "examples": 50}
    assert not does(folder, "directions", {"directions": "pca"}, capsys, other="epochs.safetensors")
    inputs = {"epochs": "epochs.safetensors", "data": "data.safetensors"}
    assert not does(folder, "trajectory", spec, capsys, **inputs)
    found = files.read_dataset(folder / "trajectory.out")
    drawn = checkpoint.read_header(folder / "directions.out")
    wanted = {"title": "path of net on plane", "run": "net", "state": "net", "plane": "plane", "centred": 1}
    wanted |= {"train_examples": 50, "parameters": 4964, "cosine": drawn["cosine"]}
    assert {key: found.attrs[key] for key in wanted} == wanted
    assert json.loads(found.attrs["spec"])["directions"] == "pca"
    assert json.loads(found.attrs["shares"]) == drawn["shares"]
    np.testing.assert_allclose(found.share, drawn["shares"][:2], rtol=1e-5)
    assert found.attrs["unit_length_alpha"] == drawn["unit_length_alpha"]
    assert drawn["kept_epochs"] == found.epoch.values.tolist() == [0, 1, 2, 3, 4]
    refusals = {
        "others.safetensors is of another training than that of net": {"epochs": "others.safetensors"},
        "net.safetensors is no file of epochs": {"epochs": "net.safetensors"},
        "is no file of epochs": {"epochs": "epochs.safetensors@001"},
    }
    for said, wrong in refusals.items():
        assert said in does(folder, "trajectory", spec, capsys, **{**inputs, **wrong})
    assert "for another plane" in does(folder, "trajectory", {**spec, "centred": False}, capsys, **inputs)
    earlier = "epochs.safetensors@003"
    assert not does(folder, "directions", {"directions": "pca"}, capsys, weights=earlier, other="epochs.safetensors")
    said = does(folder, "trajectory", spec, capsys, **inputs, weights=earlier)
    assert "is net@003; a trajectory needs the end, epoch 4" in said


def test_the_verbs_write_marks_where_the_directions_say(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = {"directions": "through", "runs": ["other", "net@000"]}
    others = {"other": "other.safetensors", "net@000": "epochs.safetensors@000"}
    assert not does(folder, "directions", spec, capsys, other=" ".join(others.values()))
    drawn = checkpoint.read_header(folder / "directions.out")
    assert drawn["others"] == list(others)
    assert drawn["places"]["other"] == [1, 0]
    for name, path in others.items():
        assert not does(folder, "mark", spec, capsys, marked=path)
        found = files.read_dataset(folder / "mark.out")
        np.testing.assert_allclose([found.alpha, found.beta], drawn["places"][name], atol=1e-6)
        wanted = {
            "marked": name,
            "state": "net",
            "run": "net",
            "plane": "plane",
            "title": f"{name} on plane around net",
        }
        assert {key: found.attrs[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("spec", "other", "said"),
    [
        ({"directions": "pca"}, "others.safetensors", "is of another training than that of net"),
        ({"directions": "pca"}, "epochs.safetensors@003", "is no file of epochs"),
        ({"directions": "start"}, "epochs.safetensors@001", "start needs the epoch 000, and"),
        ({"directions": "start"}, "others.safetensors@000", "is of another training than that of net"),
        (
            {"directions": "through", "runs": ["a", "b"]},
            "other.safetensors",
            "through needs 2 --other, and there are 1",
        ),
        ({"directions": "through", "runs": ["a"]}, "net.safetensors", "no direction leads there"),
        ({"directions": "random"}, "other.safetensors", "random needs 0 --other, and there are 1"),
    ],
)
def test_directions_are_refused_from_what_they_cannot_be_made_of(
    folder: Path, spec: dict[str, Any], other: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in does(folder, "directions", spec, capsys, other=other)


@pytest.mark.parametrize(
    ("spec", "other", "facts"),
    [
        ({"directions": "start", "seed": 5}, "epochs.safetensors@000", {"seed": 5, "others": ["net@000"]}),
        ({"directions": "start", "line": True}, "epochs.safetensors@000", {"seed": None}),
        ({"directions": "through", "runs": ["other"], "seed": 5}, "other.safetensors", {"seed": 5, "places": {"other": [1, 0]}}),
        ({"directions": "through", "runs": ["other"], "line": True}, "other.safetensors", {"places": {"other": [1, 0]}}),
        ({"directions": "to", "run": "other", "line": True}, "other.safetensors", {"others": ["other"]}),
    ],
)  # fmt: skip
def test_directions_say_how_they_were_made(
    folder: Path, spec: dict[str, Any], other: str, facts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not does(folder, "directions", spec, capsys, other=other)
    tensors, header = checkpoint.read(folder / "directions.out")
    assert {key: header[key] for key in facts} == facts
    pair = directions.unflatten(tensors)
    assert list(pair) == (["alpha"] if spec.get("line") else ["alpha", "beta"])
    theta, there = checkpoint.read(folder / "net.safetensors")[0], checkpoint.read(folder / other)[0]
    for name, step in pair["alpha"].items():
        torch.testing.assert_close(theta[name] + step, there[name])
    assert any(name.endswith("running_var") for name in pair["alpha"]) == (spec["directions"] != "start")
