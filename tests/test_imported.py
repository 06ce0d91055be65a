"""Surfaces and directions of the paper's own code, measured by a plain loop in its way and written by h5py as it does."""

import copy
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

import landscape as ls
from landscape import cli
from landscape.errors import InputError
from landscape.figures import draw
from landscape.store import files


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
        made(torch.randn(50, 1, 6, 6))
    return made.eval()


def images(seed: int) -> tuple[Tensor, Tensor]:
    return torch.randn(24, 1, 6, 6, generator=torch.Generator().manual_seed(seed)), torch.arange(24) % 4


TRAIN, TEST = images(0), images(1)


def evaluated(net: nn.Module, data: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Their loss and accuracy in percent, batch by batch."""
    total, correct = 0.0, 0
    with torch.no_grad():
        for batch, labels in zip(data[0].split(10), data[1].split(10), strict=True):
            scores = net(batch)
            total += float(nn.functional.cross_entropy(scores, labels)) * len(labels)
            correct += int((scores.argmax(1) == labels).sum())
    return total / len(data[1]), 100.0 * correct / len(data[1])


def drawn(tensors: list[Tensor], seed: int) -> list[Tensor]:
    """A direction as they draw it: filter by filter of the norm of the weights', zero for biases and batch norm."""
    generator = torch.Generator().manual_seed(seed)
    direction = [torch.randn(tensor.size(), generator=generator) for tensor in tensors]
    for d, w in zip(direction, tensors, strict=True):
        if d.dim() <= 1:
            d.fill_(0)
            continue
        for filter_d, filter_w in zip(d, w, strict=True):
            filter_d.mul_(filter_w.norm() / (filter_d.norm() + 1e-10))
    return direction


def measured(folder: Path, kind: str, x: Any, y: Any = None, states: list[Tensor] | None = None) -> tuple[Path, Path]:
    """Measure a surface in their way, and write it and its directions as they do."""
    net = network()
    state = copy.deepcopy(net.state_dict())
    tensors = [p.data for p in net.parameters()] if kind == "weights" else list(state.values())
    seeds = (1,) if y is None else (1, 2)
    directions = [states] if states else [drawn(tensors, seed) for seed in seeds]
    dir_file, surf_file = folder / f"model_{kind}_xnorm=filter.h5", folder / f"model_{kind}_surface.h5"
    with h5py.File(dir_file, "w") as f:
        for name, direction in zip(("xdirection", "ydirection"), directions, strict=False):
            group = f.create_group(name)
            for i, d in enumerate(direction):
                group.create_dataset(str(i), data=d.numpy())
    shape = (len(x),) if y is None else (len(x), len(y))
    values = {key: -np.ones(shape) for key in ("train_loss", "train_acc", "test_loss", "test_acc")}
    for index in np.ndindex(*shape):
        step = [axis[k] for axis, k in zip((x, y), index, strict=False)]
        moved = copy.deepcopy(net)
        changes = [sum(d[k] * s for d, s in zip(directions, step, strict=True)) for k in range(len(tensors))]
        if kind == "weights":
            for p, change in zip(moved.parameters(), changes, strict=True):
                p.data = p.data + torch.Tensor(change)
        else:
            new = copy.deepcopy(state)
            for v, change in zip(new.values(), changes, strict=True):
                v.add_(torch.as_tensor(change).type(v.type()))
            moved.load_state_dict(new)
        for split, data in (("train", TRAIN), ("test", TEST)):
            values[f"{split}_loss"][index], values[f"{split}_acc"][index] = evaluated(moved, data)
    with h5py.File(surf_file, "w") as f:
        f["dir_file"] = str(dir_file)
        f["xcoordinates"] = x
        if y is not None:
            f["ycoordinates"] = y
        for key, of in values.items():
            f[key] = of
    return surf_file, dir_file


X, Y = np.linspace(-1, 1, num=5), np.linspace(-1, 1, num=3)
COUNTS: dict[str, Any] = {"train_examples": 24, "test_examples": 24, "classes": 4}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return measured(tmp_path_factory.mktemp("theirs"), "weights", X, Y)


def test_their_surface_is_ours_along_their_directions(plane: tuple[Path, Path]) -> None:
    theirs = ls.import_surface(plane[0], **COUNTS)
    along = ls.import_directions(plane[1], network())
    assert set(along["alpha"]) == dict(network().named_parameters()).keys()
    ours = ls.plane(network(), TRAIN, test=TEST, along=along, alpha=(-1, 1, 5), beta=(-1, 1, 3))
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        assert theirs[name].dims == ours[name].dims == ("alpha", "beta")
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-6, atol=1e-6)
        assert (
            theirs[name].attrs["long_name"] == ours[name].attrs["long_name"] and theirs[name].dtype == ours[name].dtype
        )
    assert (theirs.status == ours.status).all() and theirs.status.attrs.keys() == ours.status.attrs.keys()
    assert {"classes", "train_examples", "test_examples", "precision"} <= theirs.attrs.keys() & ours.attrs.keys()
    assert theirs.attrs["source_file"] == plane[0].name and theirs.attrs["source"].endswith("loss-landscape")


def test_their_surface_is_drawn_and_counted_as_ours_is(plane: tuple[Path, Path]) -> None:
    theirs = ls.import_surface(plane[0], name="vgg9", **COUNTS)
    along = ls.import_directions(plane[1], network())
    ours = ls.plane(network(), TRAIN, test=TEST, along=along, alpha=(-1, 1, 5), beta=(-1, 1, 3))
    for one, other in zip(ls.numbers(theirs).values(), ls.numbers(ours).values(), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-5, nan_ok=True)
    figure = draw.contours(theirs, ours)
    assert len([ax for ax in figure.axes if "vgg9" in ax.get_title() or "Sequential" in ax.get_title()]) == 2
    assert len(draw.surfaces(theirs).axes) >= 1


def test_a_line_is_a_plane_of_one_beta(tmp_path: Path) -> None:
    surface, directions = measured(tmp_path, "weights", X)
    theirs = ls.import_surface(surface, **COUNTS)
    ours = ls.line(network(), TRAIN, test=TEST, along=ls.import_directions(directions, network()), alpha=(-1, 1, 5))
    assert theirs.beta.values.tolist() == [0.0]
    np.testing.assert_allclose(theirs.train_loss, ours.train_loss, rtol=1e-6)
    assert draw.lines(theirs).axes


def test_directions_of_states_move_the_running_statistics(tmp_path: Path) -> None:
    """From the network to another one, as they do with `model_file2`."""
    state = network().state_dict()
    other = {name: tensor * 1.5 if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    steps = [other[name] - tensor for name, tensor in state.items()]
    surface, directions = measured(tmp_path, "states", X, states=steps)
    along = ls.import_directions(directions, network())
    assert {"1.running_mean", "1.running_var"} <= along["alpha"].keys() and "1.num_batches_tracked" not in along[
        "alpha"
    ]
    theirs = ls.import_surface(surface, **COUNTS)
    ours = ls.line(network(), TRAIN, test=TEST, along=along, alpha=(-1, 1, 5))
    known = (theirs.status == 1).values & (ours.status == 1).values
    assert known[2:].all()
    np.testing.assert_allclose(theirs.train_loss.values[known], ours.train_loss.values[known], rtol=1e-6)


def test_states_that_stand_still_are_left_out(tmp_path: Path) -> None:
    _, directions = measured(tmp_path, "states", X[:2])
    assert ls.import_directions(directions, network())["alpha"].keys() == dict(network().named_parameters()).keys()


def test_what_was_not_computed_is_absent(plane: tuple[Path, Path], tmp_path: Path) -> None:
    whole = ls.import_surface(plane[0], **COUNTS)
    path = tmp_path / "part.h5"
    path.write_bytes(plane[0].read_bytes())
    with h5py.File(path, "r+") as f:
        del f["test_loss"], f["test_acc"]
        for key in ("train_loss", "train_acc"):
            f[key][0, 1] = -1
        f["train_loss"][1, 1] = np.inf
    part = ls.import_surface(path, **COUNTS)
    assert "test_loss" not in part and "test_accuracy" not in part and "test_images" not in part.attrs
    assert np.isnan(part.train_loss[0, 1]) and np.isnan(part.train_accuracy[0, 1])
    flags = dict(zip(part.status.flag_meanings.split(), part.status.flag_values, strict=True))
    assert part.status[0, 1] == flags["absent"] and part.status[1, 1] == flags["non_finite"]
    assert part.attrs["points_non_finite"] == 1
    assert (part.status.values == flags["computed"]).sum() == whole.status.size - 2


def test_the_verb_writes_a_file_that_every_verb_takes(
    plane: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "surface.nc"
    assert cli.main(["import", str(plane[0]), "--name", "vgg9", "--classes", "4", "--output", str(out)]) == 0
    read = files.read_dataset(out)
    wanted = ls.import_surface(plane[0], name="vgg9", classes=4)
    xr.testing.assert_equal(read, wanted)
    assert cli.main(["show", str(out)]) == 0
    said = capsys.readouterr().out
    assert "loss of vgg9, measured by loss-landscape" in said and "by landscape import" in said
    assert draw.contours(read).axes
    spec = '{"draw": "contours", "runs": ["vgg9"], "plane": "given"}'
    assert cli.main(["figure", "--spec", spec, "--input", str(out), "--output", str(tmp_path / "figure.pdf")]) == 0
    assert (tmp_path / "figure.pdf").stat().st_size > 5000


def test_other_files_are_refused(plane: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("text")
    with h5py.File(tmp_path / "odd.h5", "w") as f:
        f["xcoordinates"], f["train_loss"] = [0.0, 1.0, 3.0], np.ones(3)
    with h5py.File(tmp_path / "short.h5", "w") as f:
        f["xcoordinates"], f["train_loss"] = X, np.ones(3)
    for path, line in (
        (tmp_path / "absent.h5", "there is no such file"),
        (tmp_path / "text.h5", "is no whole HDF5 file"),
        (plane[1], "is no surface of loss-landscape: it holds xdirection, ydirection"),
        (tmp_path / "odd.h5", "xcoordinates are not evenly spaced"),
        (tmp_path / "short.h5", r"train_loss has the shape \(3,\), and the coordinates \(5, 1\)"),
    ):
        with pytest.raises(InputError, match=line):
            ls.import_surface(path)
    with pytest.raises(InputError, match="holds no directions of loss-landscape"):
        ls.import_directions(plane[0], network())
    with pytest.raises(InputError, match="xdirection has 6 arrays; the network has 2 parameters"):
        ls.import_directions(plane[1], nn.Linear(3, 3))
    with pytest.raises(InputError, match=r"xdirection/0 is of shape \(3, 1, 3, 3\), and 0.weight of the network is of"):
        ls.import_directions(plane[1], nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)))
