"""Trainings that other code did: checkpoints as the epochs of an adopted run, with what a run trained here has."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
from torch import Tensor, nn

import landscape as ls
from landscape import cli
from landscape.errors import InputError
from landscape.experiment import jobs, lookup, needs, reading, rules, specs
from landscape.experiment.schema import Experiment
from landscape.running import check
from landscape.store import checkpoint, files, weight_files

from every_kind import verb
from test_checkpoint import network, state

RUN = {"network": "resnet", "args": {"depth": 8, "width": 2}, "data": "digits"}
PLANES = {
    "path": {"directions": "pca", "alpha": [-1, 1, 3], "beta": [-1, 1, 3], "examples": 20, "tiles": 1},
    "back": {"directions": "start", "alpha": [0, 1, 3], "examples": 20, "tiles": 1},
}


# The order of files


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["epoch_2.pt", "epoch_10.pt", "epoch_1.pt"], [1, 2, 10]),
        (["epoch_002.pt", "epoch_010.pt"], [2, 10]),
        (["epoch=3-step=1200.ckpt", "epoch=0-step=300.ckpt"], [0, 3]),
        (["epoch=03-loss=0.91.ckpt", "epoch=10-loss=0.95.ckpt", "epoch=20-loss=0.12.ckpt"], [3, 10, 20]),
        (["run7_ep5/w.pt", "run7_ep40/w.pt"], [5, 40]),
        (["step_500.pt", "step_30.pt"], [30, 500]),
        (["step_5000.pt", "step_300.pt"], [0, 1]),
        (["resnet20_v2_7.pt", "resnet20_v2_8.pt"], [7, 8]),
        (["9/model.safetensors", "11/model.safetensors"], [9, 11]),
        (["a1b2.pt", "a2b4.pt"], [1, 2]),
        (["Epoch-4.bin", "Epoch-5.bin"], [4, 5]),
        (["only.pt"], [0]),
    ],
)
def test_numbers_in_names_order_files_and_are_the_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], numbers: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    found = weight_files.matching("*/*" if "/" in names[0] else "*.*")
    assert list(weight_files.numbered(found)) == numbers and set(found) == set(names)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["epoch_1.pt", "epoch_2.pt", "epoch_best.pt"], "epoch_best.pt and .*epoch_1.pt differ in more than a number"),
        (["epoch_1.pt", "epoch_01.pt"], "do not say the order"),
        (["a1b4.pt", "a2b3.pt"], "do not say the order of the files; name the files in a list"),
        (["a1b1.pt", "a1b2.pt", "a2b1.pt"], "do not say the order"),
        ([], "no file matches"),
    ],
)
def test_an_order_is_not_guessed(tmp_path: Path, names: list[str], line: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=line):
        weight_files.matching(f"{tmp_path}/*.pt")


def test_a_list_is_in_its_order() -> None:
    assert list(weight_files.numbered(["b.pt", "a.pt"])) == [0, 1]
    assert list(weight_files.numbered(["w10.pt", "w2.pt"])) == [0, 1]
    assert list(weight_files.numbered(["w2.pt", "w10.pt#ema"])) == [2, 10]


# From Python


def saved(folder: Path, weights: dict[int, dict[str, Tensor]]) -> str:
    folder.mkdir(exist_ok=True)
    for epoch, theta in weights.items():
        torch.save({"epoch": epoch, "state_dict": theta}, folder / f"epoch_{epoch}.pt")
    return f"{folder}/epoch_*.pt"


DATA = (torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2)


def test_a_pattern_and_a_list_of_files_make_the_path_of_the_weights(tmp_path: Path) -> None:
    weights = {epoch: state(epoch) for epoch in (2, 5, 10)}
    pattern = saved(tmp_path, weights)
    wanted = ls.path(network(), DATA, checkpoints=weights)
    assert wanted.epoch.values.tolist() == [2, 5, 10]
    xr.testing.assert_identical(_bare(ls.path(network(), DATA, checkpoints=pattern)), _bare(wanted))
    in_order = [tmp_path / f"epoch_{epoch}.pt" for epoch in (2, 5, 10)]
    xr.testing.assert_identical(_bare(ls.path(network(), DATA, checkpoints=in_order)), _bare(wanted))


def _bare(found: xr.Dataset) -> xr.Dataset:
    return found.drop_attrs(deep=False)


def test_adopting_checkpoints_measures_each(tmp_path: Path) -> None:
    pattern = saved(tmp_path, {epoch: state(epoch) for epoch in (2, 5, 10)})
    into = network()
    found = ls.adopt(into, data=DATA, checkpoints=pattern)
    assert found.history.epoch.values.tolist() == list(found.epochs) == [2, 5, 10]
    for epoch in (2, 5, 10):
        alone = ls.adopt(network(), state(epoch), DATA).history
        assert float(found.history.train_loss.sel(epoch=epoch)) == float(alone.train_loss[0])
    assert all(torch.equal(tensor, state(10)[name]) for name, tensor in into.state_dict().items())
    with pytest.raises(InputError, match="neither weights nor checkpoints"):
        ls.adopt(into, data=DATA)
    with pytest.raises(InputError, match="a training takes a number, and landscape.adopt takes checkpoints"):
        ls.train(into, DATA, epochs=["a.pt"])


def test_the_line_between_two_checkpoints_is_one_line_of_python(tmp_path: Path) -> None:
    torch.save(state(1), tmp_path / "a.pt")
    torch.save(nn.DataParallel(network(2)).state_dict(), tmp_path / "b.pt")
    a, b, net, data = tmp_path / "a.pt", tmp_path / "b.pt", network(), DATA
    line = ls.line(net, data, around=a, to=b, alpha=(0, 1, 5))
    ends = [float(ls.adopt(network(), state(seed), DATA).history.train_loss[0]) for seed in (1, 2)]
    assert line.train_loss.values[[0, -1], 0].tolist() == pytest.approx(ends, rel=1e-6)


# From a configuration


def experiment(folder: Path, **runs: Any) -> Experiment:
    content = {
        "results": str(folder / "out").lstrip("/"),
        "data": {"digits": {"source": "digits", "examples": 40}},
        "runs": {name: {**RUN, **keys} for name, keys in runs.items()},
        "planes": {**PLANES, "between": {"directions": "to", "run": "b", "alpha": [0, 1, 11]}},
    }
    return reading.resolve(content | ({"planes": PLANES} if "b" not in runs else {}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training of three epochs that was done here, and its checkpoints as other code saves them."""
    folder = tmp_path_factory.mktemp("path")
    whole = experiment(folder, trained={"epochs": 3, "batch_size": 20, "keep": "all"})
    verb("dataset", "--spec", specs.of_data(whole, "digits"), "--output", folder / "digits.safetensors")
    made(folder, whole, "trained", "train")
    epochs, _ = checkpoint.read_epochs(folder / "trained/epochs.safetensors")
    saved(folder, epochs)
    return folder


def made(folder: Path, whole: Experiment, run: str, rule: str) -> Path:
    """Make a run by its verb, and its path with the trajectory and the surface to its start."""
    out, data = folder / run, folder / "digits.safetensors"
    outputs = [out / name for name in ("weights.safetensors", "history.nc", "epochs.safetensors")]
    verb(rule, "--spec", specs.of_run(whole, run), "--name", run, "--data", data, "--output", *outputs)
    weights, _, epochs = outputs
    first = f"{epochs}@{jobs.others(whole, run, 'back')[0].rpartition('@')[2]}"
    for plane, other in (("path", epochs), ("back", first)):
        spec = specs.of_directions(whole, run, plane)
        where = ("--weights", weights, "--other", other, "--output", out / f"{plane}.safetensors")
        verb("directions", "--spec", spec, "--name", plane, *where)
    on = ("--weights", weights, "--directions", out / "path.safetensors", "--data", data)
    spec = specs.of_trajectory(whole, run, "path")
    verb("trajectory", "--spec", spec, "--name", "path", *on, "--epochs", epochs, "--output", out / "trajectory.nc")
    on = ("--weights", weights, "--directions", out / "back.safetensors", "--data", data)
    surface = ("--tile", "1", "--of", "1", "--output", out / "tile.nc")
    verb("tile", "--spec", specs.of_surface(whole, run, "back"), "--name", "back", *on, *surface)
    return out


def test_checkpoints_give_the_bits_of_the_training_itself(folder: Path) -> None:
    whole = experiment(folder, mine={"epochs": f"{folder}/epoch_*.pt"})
    out = made(folder, whole, "mine", "adopt")
    trained = folder / "trained"
    for name in ("trajectory.nc", "tile.nc"):
        mine, theirs = (files.read_dataset(of / name).drop_attrs(deep=False) for of in (out, trained))
        xr.testing.assert_identical(mine, theirs)
    for name in ("epochs.safetensors", "weights.safetensors", "path.safetensors", "back.safetensors"):
        ours, others = (files.read_arrays(of / name) for of in (out, trained))
        assert ours.keys() == others.keys() and all((ours[key] == others[key]).all() for key in ours)
    mine, theirs = (files.read_dataset(of / "history.nc") for of in (out, trained))
    assert mine.epoch.values.tolist() == [0, 1, 2, 3] and mine.epoch.attrs == theirs.epoch.attrs
    for column in ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm"):
        assert (mine[column].values == theirs[column].values).all()
    header = checkpoint.read_header(out / "weights.safetensors")
    assert header["epoch"] == header["last_epoch"] == 3 and len(header["checkpoint_hashes"]) == 4
    assert header["weights_entry"] == "state_dict" and header["spec"]["epochs"][-1].endswith("epoch_3.pt")


def test_states_and_inputs_are_the_files(folder: Path) -> None:
    whole = experiment(folder, mine={"epochs": f"{folder}/epoch_*.pt"})
    mine = whole.runs["mine"]
    assert (mine.made, mine.kept, mine.first, mine.last_epoch) == ("adopted", [0, 1, 2, 3], 0, 3)
    assert jobs.adopted_files(whole, "mine") == [f"{folder}/epoch_{k}.pt" for k in range(4)]
    reads = rules.RULES["adopt"].inputs["weights"](whole, {"run": "mine"})
    assert reads == jobs.adopted_files(whole, "mine")
    assert str(lookup.state(whole, "mine@002")) == "mine@002" and jobs.weights(whole, "mine@002").endswith("@002")
    assert lookup.impossible(whole, "mine", "path") is None and lookup.no_path(whole, "mine") is None
    assert "is the start itself" in str(lookup.impossible(whole, "mine@000", "back"))
    with pytest.raises(InputError, match="the run mine has the checkpoints 000, 001, 002, 003"):
        lookup.state(whole, "mine@004")
    assert not check.problems(whole)


def test_eigenvalues_along_checkpoints_are_drawn_as_along_a_training(folder: Path) -> None:
    """`draw: sharpening` names states by run and epoch, the same for both."""
    content: dict[str, Any] = {
        "data": {"digits": {"source": "digits", "examples": 40}},
        "runs": {"mine": {**RUN, "epochs": f"{folder}/epoch_*.pt"}, "here": {**RUN, "epochs": 3, "keep": "all"}},
        "probes": {"pairs": {"measure": "eigenpairs", "examples": 10, "pairs": 1}},
        "figures": {"sharp": {"draw": "sharpening", "runs": ["mine", "here"], "epochs": [0, 2, 3], "probe": "pairs"}},
    }
    whole = reading.resolve(content)
    wanted = needs.results_of_figure(whole, "sharp")
    of_run = {run: [path.replace(run, "RUN") for path in wanted if f"/{run}" in path] for run in ("mine", "here")}
    assert of_run["mine"] == of_run["here"] and len(of_run["mine"]) == 4
    content["figures"]["sharp"]["epochs"] = [0, 5]
    with pytest.raises(InputError, match="the run mine has the checkpoints 000, 001, 002, 003"):
        reading.resolve(content)


def test_stated_weights_come_after_the_last_checkpoint(folder: Path) -> None:
    several = [f"{folder}/epoch_{k}.pt" for k in (1, 2)]
    whole = experiment(
        folder,
        same={"epochs": several, "weights": several[-1]},
        more={"epochs": several, "weights": f"{folder}/epoch_0.pt"},
    )
    assert whole.runs["same"].kept == [1, 2] and whole.runs["more"].kept == [1, 2, 3]
    assert whole.runs["same"].first == 1 and str(whole.runs["more"].checkpoints[3]).endswith("0.pt")
    assert jobs.others(whole, "same", "back")[0].endswith("epochs.safetensors@001")
    reason = "has 2 checkpoints of the 3 needed"
    assert reason in str(lookup.no_path(whole, "same")) and lookup.no_path(whole, "more") is None


def test_two_checkpoints_and_the_line_between_them_are_three_lines_of_yaml(folder: Path) -> None:
    text = f"""
        data: {{digits: {{source: digits, examples: 40}}}}
        runs:
          a: &a {{network: resnet, args: {{depth: 8, width: 2}}, data: digits, weights: {folder}/epoch_0.pt}}
          b: {{<<: *a, weights: {folder}/epoch_3.pt}}
        planes: {{between: {{directions: to, run: b, alpha: [0, 1, 11]}}}}
    """
    (folder / "line.yaml").write_text(text)
    whole = reading.read(folder / "line.yaml")
    assert lookup.impossible(whole, "a", "between") is None and not check.problems(whole)
    assert json.loads(specs.of_run(whole, "a"))["weights"] == f"{folder}/epoch_0.pt"


def test_a_checkpoint_that_does_not_fit_and_a_run_without_any_are_named(folder: Path) -> None:
    torch.save({"a": torch.ones(2)}, folder / "other.pt")
    whole = experiment(
        folder,
        mine={"epochs": [f"{folder}/epoch_0.pt", f"{folder}/other.pt"]},
        plain={"weights": f"{folder}/epoch_0.pt"},
    )
    (problem,) = check.problems(whole)
    assert problem.startswith(f"runs.mine.epochs: {folder}/other.pt does not fit resnet: none of its 1 names")
    assert "is adopted, so it has no epochs; state its checkpoints as epochs" in str(lookup.no_path(whole, "plain"))
    with pytest.raises(InputError, match="is adopted, so it has no epochs; state its checkpoints as epochs"):
        lookup.state(whole, "plain@001")
    for keys, line in (
        ({"epochs": f"{folder}/no_*.pt"}, "no file matches"),
        ({"epochs": []}, "must be a list of files, one or more"),
        (
            {"epochs": ["a.pt"], "batch_size": 3},
            r"it has checkpoints as epochs\) is not trained, so it takes no batch_size",
        ),
    ):
        with pytest.raises(InputError, match=line):
            experiment(folder, mine=keys)


def test_the_verb_says_what_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = json.dumps({**RUN, "epochs": 3})
    data, outputs = folder / "digits.safetensors", [folder / name for name in "abc"]
    assert cli.main([str(w) for w in ("adopt", "--spec", spec, "--data", data, "--output", *outputs)]) == 2
    assert "one says what is adopted" in capsys.readouterr().err


@pytest.mark.parametrize("wrapper", ["nn.DataParallel", "torch.compile"])
def test_a_network_in_a_wrapper_is_trained_here_and_adopted_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrapper: str
) -> None:
    net = "nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))"
    (tmp_path / "nets.py").write_text(
        f"import torch\nfrom torch import nn\n\n\ndef net(num_classes):\n    return {wrapper}({net})\n"
    )
    named = f"{tmp_path}/nets.py:net"
    monkeypatch.setenv("LANDSCAPE_NETWORKS", named)
    run = {"network": named, "data": "digits"}
    made = {}
    for rule, keys in (("train", {"epochs": 1}), ("adopt", {"weights": f"{tmp_path}/train/weights.safetensors"})):
        outputs = [tmp_path / rule / name for name in ("weights.safetensors", "history.nc", "epochs.safetensors")]
        data = ("--data", folder / "digits.safetensors")
        verb(rule, "--spec", json.dumps({**run, **keys}), "--name", "net", *data, "--output", *outputs)
        made[rule] = files.read_arrays(outputs[0])
        where = ("--weights", outputs[0], "--output", tmp_path / rule / "line.safetensors")
        verb("directions", "--spec", '{"seed": 1}', *where)
    assert made["train"].keys() == made["adopt"].keys()
    assert all((made["train"][name] == made["adopt"][name]).all() for name in made["train"])
