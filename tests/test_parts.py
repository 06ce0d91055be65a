"""A training as a chain of jobs: the same bits as of one."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from landscape import cli
from landscape.artefacts import Job
from landscape.errors import InputError
from landscape.experiment import reading, specs, training_chain
from landscape.experiment.lookup import differing
from landscape.experiment.schema import Experiment
from landscape.running import clean
from landscape.running.plan.graph import Graph
from landscape.training import loop
from landscape.training.run_section import Run

from running import SMOKE, assert_same_bits, jobs, snakemake, whole_files, written
from toy_training import a_data_set, a_network, a_run, assert_same, evaluate, interrupted_at

RUNS = {
    "sgd": a_run(epochs=5, augment=["crop", "flip"], keep=2, clip=1.0),
    "onecycle": a_run(epochs=5, optimizer="adam", schedule="onecycle", keep="all"),
    "swa": a_run(epochs=5, swa=1, schedule="constant"),
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("ends", [[2, 5], [1, 2, 3, 4, 5], [3, 3, 5]])
def test_in_parts_it_ends_with_the_same_bits(name: str, ends: list[int], tmp_path: Path) -> None:
    run = RUNS[name]
    whole = loop.train(run, a_network(), a_data_set(), tmp_path / "whole", "x", evaluate)
    for end in ends:
        part = loop.train(run, a_network(), a_data_set(), tmp_path / "parts", "x", evaluate, until=end)
        assert part.history.epoch.values.tolist() == list(range(end + 1))
        assert list(part.epochs) == [epoch for epoch in run.kept if epoch <= end]
    assert_same(part, whole)


def test_a_part_that_was_done_is_not_done_again(tmp_path: Path) -> None:
    run = RUNS["sgd"]
    done = loop.train(run, a_network(), a_data_set(), tmp_path, "x", evaluate, until=4)
    again = loop.train(run, a_network(), a_data_set(), tmp_path, "x", interrupted_at(0), until=2)
    assert_same(again, done)


def experiment(**settings: Any) -> Experiment:
    content = yaml.safe_load(SMOKE.read_text())
    content["runs"]["small"] |= settings
    return reading.resolve(content)


@pytest.mark.parametrize(("epochs", "n"), [(3, 1), (3, 2), (3, 3), (10, 3), (300, 7), (999, 8)])
def test_the_parts_end_at_shares_of_the_epochs_rounded_up(epochs: int, n: int) -> None:
    made = experiment(epochs=epochs, parts=n)
    ends = [training_chain.end(made, "small", left) for left in range(n - 1, -1, -1)]
    assert ends == [-(-k * epochs // n) for k in range(1, n + 1)]
    assert ends[-1] == epochs and ends == sorted(set(ends))


def test_parts_are_a_chain() -> None:
    made = experiment(parts=3)
    folder = "results/smoke/runs/small"
    assert training_chain.before(made, "small") == [f"{folder}/1left.json"]
    assert training_chain.before(made, "small", "1") == [f"{folder}/2left.json"]
    assert training_chain.before(made, "small", "2") == []
    assert training_chain.before(made, "other") == []
    with pytest.raises(InputError, match="small has no part with 3 after it: its parts are 3"):
        training_chain.before(made, "small", "3")


def test_parts_are_no_difference() -> None:
    one, three = experiment(), experiment(parts=3)
    assert specs.of_run(one, "small") == specs.of_run(three, "small")
    assert differing(one.runs["small"], three.runs["small"]) == set()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"parts": 4}, "parts must be at most epochs, and 4 is above 3"),
        ({"parts": 0}, "parts"),
        ({"weights": "x.pt", "parts": 2}, "takes no .*parts"),
    ],
)
def test_impossible_parts_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Run.model_validate(
            {"network": "resnet", "data": "digits", **({} if "weights" in settings else {"epochs": 3}), **settings}
        )


def test_the_plan_has_the_parts() -> None:
    graph = Graph(experiment(parts=3))
    assert {task for task in graph.all if task.rule == "part"} == {
        Job("part", ("small", "1")),
        Job("part", ("small", "2")),
    }
    assert not [task for task in Graph(experiment()).all if task.rule == "part"]


def test_what_is_left_of_other_parts_can_be_cleaned_away() -> None:
    made = experiment(parts=2)
    wanted = {path: clean._wanted(made, path) for path in ("runs/small/1left.json", "logs/part/small/1left.log")}
    assert wanted == dict.fromkeys(wanted, True)
    idle = ("runs/small/2left.json", "runs/other/1left.json", "benchmarks/part/other/1left.tsv")
    assert [clean._wanted(made, path) for path in idle] == [False] * 3


def test_the_workflow_trains_in_parts(tmp_path: Path) -> None:
    content = yaml.safe_load(SMOKE.read_text())
    content["runs"]["small"]["parts"] = 2
    path = written(content, tmp_path)
    folder = "results/smoke/runs"
    made = jobs(snakemake(path, "-n", f"{folder}/small/history.nc", f"{folder}/other/history.nc", folder=tmp_path))
    assert made["part"] == {f"{folder}/small/1left.json"}
    assert {Path(output).parent.name for output in made["train"]} == {"small", "other"}


def test_parts_by_hand_make_the_files_of_one(tmp_path: Path) -> None:
    """Through the command line, the last part from a finished training too."""
    spec = json.dumps({"network": "resnet", "args": {"depth": 8, "width": 2}, "data": "digits", "epochs": 3, "keep": 2})
    data = tmp_path / "digits.safetensors"
    assert cli.main(["dataset", "--spec", '{"source": "digits", "examples": 200}', "--output", str(data)]) == 0

    def verb(name: str, *options: str) -> int:
        return cli.main([name, "--spec", spec, "--data", str(data), *options])

    def trained(folder: str) -> int:
        names = ("weights.safetensors", "history.nc", "epochs.safetensors")
        outputs = (str(tmp_path / "results" / folder / name) for name in names)
        return verb("train", "--output", *outputs)

    for until in ("1", "2"):
        output = tmp_path / "results/parts" / f"{until}.json"
        assert verb("part", "--until", until, "--output", str(output)) == 0
        assert json.loads(output.read_text()) == {"run": "unnamed", "until": int(until)}
    assert not (tmp_path / "results/parts/weights.safetensors").exists()
    assert trained("parts") == trained("one") == 0
    found = [name for name in whole_files(tmp_path) if "/one/" in name]
    assert len(found) == 3
    (tmp_path / "a").symlink_to(tmp_path / "results/one")
    (tmp_path / "b").symlink_to(tmp_path / "results/parts")
    assert_same_bits(tmp_path / "a", tmp_path / "b", [Path(name).name for name in found])
    assert verb("part", "--until", "1", "--output", str(tmp_path / "results/parts/1.json")) == 0
    assert not (tmp_path / "results/parts/.work/state.pt").exists(), "a finished training is not begun again"
    assert verb("part", "--until", "4", "--output", str(tmp_path / "x.json")) == 2
