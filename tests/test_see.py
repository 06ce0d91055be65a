"""`landscape see` and `landscape init`, as a user calls them in a folder of theirs."""

import json
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
import yaml
from sklearn.datasets import load_digits
from torch import nn

import landscape as ls
from landscape.cli.first_verbs import Options
from landscape.objective.objective_section import LossName, ObjectiveKeys, ScoreName
from landscape.running import starter
from landscape.store import files

from running import landscape, once

NETS = """
from torch import nn


def net(width=4, num_classes=10):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, stride=2), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(9 * width, num_classes)
    )


def curve():
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))


def squares(network, batch):
    inputs, targets = batch
    return ((network(inputs) - targets) ** 2).sum(1)
"""


def _network(name: str) -> nn.Module:
    names: dict[str, Any] = {}
    exec(NETS, names)
    built: nn.Module = names[name]()
    return built


def _folder(folder: Path) -> None:
    """Write networks, data and trained weights, as somebody else has them."""
    (folder / "nets.py").write_text(NETS)
    digits, rng = load_digits(), np.random.default_rng(0)
    images = (digits.images[:400, None] / 8 - 1).astype(np.float32)
    named = {"train_inputs": images[:300], "test_inputs": images[300:]}
    np.savez(folder / "digits.npz", **named, train_targets=digits.target[:300], test_targets=digits.target[300:400])
    inputs = rng.uniform(-2, 2, (120, 2)).astype(np.float32)
    np.savez(folder / "curve.npz", train_inputs=inputs, train_targets=np.sin(inputs[:, :1]) * inputs[:, 1:])
    losses: dict[str, Any] = {"net": nn.functional.cross_entropy, "curve": nn.functional.mse_loss}
    for name, data in {"net": "digits.npz", "curve": "curve.npz"}.items():
        torch.manual_seed(0)
        network, arrays = _network(name), np.load(folder / data)
        x, y = (torch.tensor(arrays[f"train_{kind}"]) for kind in ("inputs", "targets"))
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(100):
            optimizer.zero_grad()
            losses[name](network(x), y).backward()
            optimizer.step()
        torch.save({"state_dict": network.state_dict()}, folder / f"{name}.pt")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "mine", _folder)


@pytest.fixture
def folder(mine: Path, tmp_path: Path) -> Path:
    for file in mine.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_see_draws_a_network_and_prints_what_python_finds(folder: Path) -> None:
    command = ("see", "nets.py:net", "net.pt", "digits.npz", "--points", "7", "--examples", "100")
    said = landscape(*command, folder=folder)
    for picture in (
        "landscape-rough",
        *(f"results/figures/{name}" for name in ("contour", "surface", "line", "sharpest")),
    ):
        assert f"{picture}.png" in said and (folder / f"{picture}.png").stat().st_size > 5000
    assert said.index("a rough picture") < said.index("the rest takes about") < said.index("made 1 network")

    network, data = _network("net"), ls.dataset(folder / "digits.npz")
    network.load_state_dict(torch.load(folder / "net.pt")["state_dict"])
    history = ls.adopt(network, network, data).history.isel(epoch=0)
    assert f"loss           train {float(history.train_loss):.4g}, test {float(history.test_loss):.4g}\n" in said
    assert f"accuracy       train {float(history.train_accuracy):.4g}" in said
    pairs = ls.eigenpairs(network, data, pairs=1, examples=256)
    largest, smallest = float(pairs.eigenvalue_largest[0]), float(pairs.eigenvalue_smallest[0])
    assert f"largest {largest:.4g} +- " in said and f"smallest {smallest:.4g} +- " in said
    content = yaml.safe_load((folder / "landscape.yaml").read_text())
    contour = content["planes"]["contour"]
    found = ls.plane(network, data, alpha=("auto", 7), beta=("auto", 7), examples=100, seed=1)
    spec = json.loads(found.spec)
    assert contour == {"alpha": spec["alpha"], "beta": spec["beta"], "examples": 100, "seed": 1}
    kept = files.read_dataset(folder / "results/surfaces/net/contour.nc")
    np.testing.assert_array_equal(kept.train_loss.values, found.train_loss.values)
    advice = ls.numbers(found).findings.splitlines()
    assert re.findall(r"^beware +(.*)$", said, flags=re.M) == advice

    again = landscape(*command, folder=folder)
    assert (
        "going on with landscape.yaml" in again and "nothing had to be made" in again and "a rough picture" not in again
    )
    assert said[said.index("\nloss  ") :] == again[again.index("\nloss  ") :]
    other = landscape("see", "nets.py:net", "digits.npz", folder=folder, expect=2)
    assert "landscape.yaml exists and is not overwritten" in other and "--force" in other


def test_see_prints_the_numbers_of_a_regression(folder: Path) -> None:
    command = ("see", "nets.py:curve", "curve.pt", "curve.npz", "--loss", "mse", "--points", "5")
    said = landscape(*command, folder=folder)
    network, data = _network("curve"), ls.dataset(folder / "curve.npz")
    history = ls.adopt(network, folder / "curve.pt", data, loss="mse").history.isel(epoch=0)
    assert f"loss           train {float(history.train_loss):.4g}\n" in said
    assert f"r2             train {float(history.train_r2):.4g}\n" in said
    found = ls.line(network, data, loss="mse", alpha=("auto", 3), seed=1)
    centre = float(found.train_loss.sel(alpha=0).squeeze())
    assert f"loss at the centre {centre:.4g}" in said
    assert "basin          width below 2 times the loss at the centre: " in said
    contour = yaml.safe_load((folder / "landscape.yaml").read_text())["planes"]["contour"]
    assert contour["alpha"][1] >= json.loads(found.spec)["alpha"][1], "along both directions"


def test_see_takes_an_objective_in_the_place_of_a_loss(folder: Path) -> None:
    words = ("curve.pt", "curve.npz", "--objective", "nets.py:squares", "--points", "5", "--score", "none")
    said = landscape("see", "nets.py:curve", *words, folder=folder)
    network, data = _network("curve"), ls.dataset(folder / "curve.npz")
    plain = ls.adopt(network, folder / "curve.pt", data, loss="mse").history.isel(epoch=0)
    assert f"loss           train {float(plain.train_loss):.4g}\n" in said and "accuracy" not in said
    run = yaml.safe_load((folder / "landscape.yaml").read_text())["runs"]["curve"]
    assert run["objective"] == "nets.py:squares" and "loss" not in run


def test_init_writes_a_configuration_that_passes_and_runs(folder: Path) -> None:
    said = landscape("init", "nets.py:net", "digits.npz", "--args", '{"width": 2}', folder=folder)
    assert "the configuration is landscape.yaml" in said
    assert landscape("check", "landscape.yaml", folder=folder) == "", "nothing in it is unused"
    text = (folder / "landscape.yaml").read_text()
    assert "landscape init nets.py:net digits.npz --args '{\"width\": 2}'" in text.splitlines()[1]
    small = text.replace(", 25]", ", 5]").replace(", 49]", ", 5]").replace("examples: 1000", "examples: 50")
    (folder / "landscape.yaml").write_text(small)
    assert "left as it is" in landscape("init", "nets.py:net", "digits.npz", "--args", '{"width": 2}', folder=folder)
    assert (folder / "landscape.yaml").read_text() == small
    landscape("run", "landscape.yaml", "--quiet", "all", folder=folder)
    header = files.read_header(folder / "results/runs/net/weights.safetensors")
    assert header["spec"]["epochs"] == 5 and header["spec"]["args"] == {"width": 2}
    for figure in ("contour", "surface", "line", "sharpest"):
        assert (folder / f"results/figures/{figure}.png").stat().st_size > 5000


def test_init_of_a_regression_and_of_a_network_with_weights(folder: Path) -> None:
    loss = '{"name": "huber", "args": {"delta": 2}}'
    landscape("init", "nets.py:curve", "curve.pt", "curve.npz", "--loss", loss, "--score", "r2", folder=folder)
    run = yaml.safe_load((folder / "landscape.yaml").read_text())["runs"]["curve"]
    assert run["weights"] == "curve.pt" and run["score"] == "r2" and "epochs" not in run
    assert run["loss"] == {"name": "huber", "args": {"delta": 2}}
    assert landscape("check", "landscape.yaml", folder=folder) == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nets.py:net"], "DATA is missing; allowed are digits, cifar10, cifar100, an .npz or .safetensors file"),
        (["nets.py:net", "net.pt"], "DATA is missing, and net.pt is taken for weights"),
        (["nets.py:net", "net.pt", "none.npz"], "source is 'none.npz', and there is no such file or folder"),
        (["none.py:net", "net.pt", "digits.npz"], "there is no file none.py"),
        (["nets.py:nett", "net.pt", "digits.npz"], "NETWORK: nets.py:nett: nets.py has no function nett"),
        (["nets.py:net", "none.pt", "digits.npz"], "none.pt: there is no such file"),
        (
            ["nets.py:net", "curve.pt", "digits.npz"],
            "curve.pt#state_dict does not fit the network: 6 tensors are missing",
        ),
        (["nets.py:net", "net.pt", "curve.npz"], "the network failed on examples float32 (4, 2)"),
        (["nets.py:net", "net.pt", "digits.npz", "--args", "{"], "--args is '{', which is not valid JSON"),
        (["nets.py:net", "net.pt", "digits.npz", "--args", "[1]"], "--args is '[1]'; it must be a mapping"),
        (["nets.py:net", "net.pt", "digits.npz", "--loss", "mes"], "'mes' is no loss; allowed are cross_entropy"),
        (
            ["nets.py:curve", "curve.pt", "curve.npz", "--loss", "mse", "--objective", "nets.py:squares"],
            "objective is in the place of loss and output; leave these out",
        ),
        (
            ["nets.py:curve", "curve.pt", "curve.npz", "--objective", "squares"],
            "error: objective: squares names no function; write file.py:function",
        ),
        (
            ["nets.py:curve", "curve.pt", "curve.npz", "--objective", "nets.py:square"],
            "nets.py has no function square",
        ),
        (["nets.py:curve", "curve.pt", "curve.npz", "--output", "x", "--loss", "mse"], "error: output"),
        (["nets.py:net", "net.pt", "digits.npz", "--score", "f1"], "error: score: must be accuracy"),
        (["nets.py:net", "net.pt", "digits.npz", "--points", "1"], "--points is 1; it must be at least 3"),
    ],
)
def test_mistakes_are_said_without_a_traceback(folder: Path, words: list[str], said: str) -> None:
    heard = landscape("see", *words, folder=folder, expect=2)
    assert said in heard and "Traceback" not in heard
    lines = [line for line in heard.splitlines() if not re.match(r"\d\d:\d\d:\d\d ", line)]  # the log
    assert all(line.startswith("error: ") for line in lines[:-1])
    assert not (folder / "landscape.yaml").exists() and not (folder / "results").exists()


def test_see_and_init_offer_every_loss_and_every_key_of_it() -> None:
    offered = {name: field for name, field in get_type_hints(Options, include_extras=True).items()}
    assert set(ObjectiveKeys.model_fields) < set(offered)
    for key, names in (("loss", LossName), ("score", ScoreName)):
        (parameter,) = offered[key].__metadata__
        assert all(re.search(rf"\b{name}\b", parameter.help) for name in get_args(names))


@pytest.mark.parametrize("word", ["no", "1e3", "a b", "-x", "weights  # x.pt", "{a: b}", "net's.pt", "*.pt"])
def test_names_of_any_kind_are_quoted(word: str) -> None:
    subject = starter.Subject(f"{word}.py:{'net'}", f"{word}.npz", weights=word, output=word, args={"a": word})
    content = yaml.safe_load(starter.text(subject, starter.Extent(), "# landscape init", "landscape.yaml"))
    (run,) = content["runs"].values()
    assert (run["weights"], run["output"], run["args"]) == (word, word, {"a": word})
    assert run["network"] == f"{word}.py:net" and content["data"][run["data"]]["source"] == f"{word}.npz"


def test_the_single_word_after_a_network_is_data_or_weights(folder: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"train_inputs": np.zeros((2, 2))}, folder / "data.safetensors")
    save_file({"0.weight": np.zeros((2, 2))}, folder / "weights.safetensors")
    (folder / "images").mkdir()
    for data in ("digits", "a.npz", "a.py:data", str(folder / "data.safetensors"), str(folder / "images")):
        assert starter.weights_and_data(data, None) == (None, data)
    for weights in ("a.pt", str(folder / "weights.safetensors"), "a.ckpt#ema", "none.safetensors"):
        with pytest.raises(ls.InputError, match="is taken for weights"):
            starter.weights_and_data(weights, None)
    assert starter.weights_and_data("a.pt", "a.npz") == ("a.pt", "a.npz")
