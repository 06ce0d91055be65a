"""Rescaled runs: what they have of the run they come from, what is refused, and the files the verb makes."""

import json
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
import yaml

from landscape import artefacts, cli
from landscape.artefacts import Job
from landscape.errors import InputError
from landscape.experiment import specs
from landscape.experiment.reading import resolve
from landscape.running.plan.graph import Graph
from landscape.store import checkpoint
from landscape.training import run_factors

CONFIG = """
data: {digits: {source: digits, examples: 40}}
runs:
  twin-{seed}: {rescaled: {run: "net-1@001", by: 10}, sweep: {seed: [0]}}
  net-{seed}: {network: resnet, args: {depth: 8, width: 2}, data: digits, epochs: 1, batch_size: 20, keep: all, sweep: {seed: [1]}}
  other: {network: resnet, args: {depth: 14}, data: digits, epochs: 1}
planes: {line: {alpha: [-1, 1, 3]}}
figures: {figure: {draw: lines, runs: [twin-0], plane: line}}
"""


def content(**twin: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CONFIG)
    loaded["runs"]["twin-{seed}"] |= twin
    return loaded


def test_a_twin_has_the_network_and_data_of_its_run() -> None:
    experiment = resolve(content())
    twin, net = experiment.runs["twin-0"], experiment.runs["net-1"]
    assert (twin.made, twin.network, twin.args, twin.data) == ("rescaled", net.network, net.args, net.data)
    assert json.loads(specs.of_run(experiment, "twin-0"))["rescaled"] == {"run": "net-1@001", "by": 10.0}
    assert {Job("rescale", ("twin-0",)), Job("train", ("net-1",))} <= Graph(experiment).figures["figure"]
    in_full = {"data": {"digits": {"source": "digits"}}, "runs": {n: r.in_full() for n, r in experiment.runs.items()}}
    assert resolve(in_full).runs == experiment.runs  # as the check before the jobs reads it


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"rescaled": {"run": "nat", "by": 2}}, "runs.twin-0.rescaled.run is 'nat'; the runs are twin-0, net-1, other"),
        (
            {"rescaled": {"run": "twin-0", "by": 2}},
            "'twin-0', which is rescaled itself; name the run that it comes from",
        ),
        ({"rescaled": {"run": "other@001", "by": 2}}, "other@001 cannot be had: the run other has keep: none"),
        ({"rescaled": {"run": "net-1", "by": 1}}, "runs.twin-0.rescaled.by is 1: input should be greater than 1"),
        (
            {"network": "vgg9"},
            "runs.twin-0.network is 'vgg9', and net-1@001, which it rescales, has 'resnet'; leave it out",
        ),
        ({"epochs": 3, "weights": "w.pt"}, "a rescaled run is not trained, so it takes no epochs, weights"),
    ],
)
def test_what_is_no_twin(stated: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(content(**stated))
    assert problem in str(caught.value)


def test_the_verb_writes_a_run_that_measures_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = resolve(content())
    for verb, *options in (
        ("dataset", "--spec", specs.of_data(experiment, "digits"), "--output", "d.safetensors"),
        ("train", "--spec", specs.of_run(experiment, "net-1"), "--name", "net-1", "--data", "d.safetensors")
        + ("--output", "w.safetensors", "h.nc", "e.safetensors"),
        ("rescale", "--spec", specs.of_run(experiment, "twin-0"), "--name", "twin-0", "--data", "d.safetensors")
        + ("--weights", "e.safetensors@001", "--output", "tw.safetensors", "th.nc", "te.safetensors"),
    ):
        assert cli.main([verb, *options]) == 0
    theta, header = checkpoint.read("tw.safetensors")
    assert artefacts.kind_of("tw.safetensors", header) == "weights"
    assert header["of"] == "net-1" and header["layers"][0] == "conv1, before bn1" and len(header["layers"]) == 9
    assert theta["conv1.weight"].norm() == pytest.approx(
        10 * float(checkpoint.read("w.safetensors")[0]["conv1.weight"].norm())
    )
    history, own = xr.load_dataset("th.nc"), xr.load_dataset("h.nc").isel(epoch=-1)
    assert history.sizes["epoch"] == 1
    assert float(history.train_loss[-1]) == pytest.approx(float(own.train_loss), rel=1e-5)
    assert run_factors.epochs(json.loads(history.attrs["spec"])) == "rescaled"


def test_the_verb_refuses_a_run_that_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = specs.of_run(resolve(content()), "other").replace(
        f'"stage": {artefacts.STAGES["train"].version}', f'"stage": {artefacts.STAGES["rescale"].version}'
    )
    names = [str(tmp_path / name) for name in ("w.safetensors", "h.nc", "e.safetensors")]
    assert cli.main(["rescale", "--spec", spec, "--data", "d", "--weights", "w", "--output", *names]) == 2
    assert "without the key rescaled" in capsys.readouterr().err
