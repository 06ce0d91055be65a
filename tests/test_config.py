"""What a configuration means, and what is said of a wrong one."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from landscape import config
from landscape.config import preflight, specs
from landscape.errors import InputError

REPOSITORY = Path(__file__).parents[1]


def experiment(**sections: Any) -> dict[str, Any]:
    """A right configuration with some sections replaced."""
    right: dict[str, Any] = {
        "data": {"digits": {"source": "digits"}},
        "runs": {
            "small": {"network": "resnet", "args": {"depth": 8}, "data": "digits", "epochs": 4, "keep": 2},
            "other": {"network": "resnet", "args": {"depth": 14}, "data": "digits", "epochs": 4},
        },
        "planes": {
            "contour": {"alpha": [-1, 1, 5], "beta": [-1, 1, 5]},
            "line": {"alpha": [-1, 1, 5]},
        },
        "figures": {"figure5": {"draw": "contours", "runs": ["small"], "plane": "contour"}},
    }
    return right | sections


def problems(**sections: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        config.resolve(experiment(**sections))
    return error.value.problems


def plane_problem(**plane: Any) -> str:
    (problem,) = problems(planes={"contour": {"alpha": [-1, 1, 5], "beta": [-1, 1, 5]}, "wrong": plane})
    return problem


def run_problem(**run: Any) -> str:
    base = {"network": "resnet", "args": {"depth": 8}, "data": "digits"}
    (problem,) = problems(runs={"small": {**base, "keep": 2, "epochs": 4}, "wrong": {**base, **run}})
    return problem


def test_the_embedded_experiment_and_the_paper_are_right() -> None:
    assert list(config.read(REPOSITORY / "config/default.yaml").runs) == [
        "resnet20",
        "resnet32",
        "resnet56",
        "resnet20-noshort",
        "resnet32-noshort",
        "resnet56-noshort",
    ]
    assert "resnet110-noshort" in config.read(REPOSITORY / "config/paper.yaml").runs


def test_unstated_keys_are_the_recipe_of_the_paper() -> None:
    run = config.resolve(experiment(runs={"small": {"network": "vgg9", "data": "digits"}})).runs["small"]
    assert (run.epochs, run.batch_size, run.initial_rate, run.momentum, run.weight_decay) == (300, 128, 0.1, 0.9, 5e-4)
    assert run.drops == (150, 225, 275)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": "many"}, "runs.wrong.epochs is 'many': input should be a valid integer"),
        ({"epochs": 0}, "runs.wrong.epochs is 0: input should be greater than or equal to 1"),
        ({"learning_rate": -1}, "runs.wrong.learning_rate is -1: input should be greater than 0"),
        ({"learning_rate": float("nan")}, "runs.wrong.learning_rate is nan: input should be a finite number"),
        ({"optimiser": "sgd"}, "runs.wrong.optimiser is no key; allowed are network, args, data"),
        ({"optimizer": "sdg"}, "runs.wrong.optimizer is 'sdg': input should be 'sgd' or 'adam'"),
        ({"data": "digts"}, "runs.wrong.data is 'digts'; the data sets are digits"),
        (
            {"network": "resnett"},
            "runs.wrong.network is 'resnett', which is not built in; allowed are densenet121, resnet, vgg",
        ),
        ({"network": "no/such.py:net"}, "runs.wrong.network is 'no/such.py:net', and there is no file no/such.py"),
        (
            {"network": "no_such_package.x:net"},
            "runs.wrong.network is 'no_such_package.x:net', and no package no_such_package",
        ),
        ({"network": "a b:c"}, "code is named as package.module:function or path/file.py:function"),
        ({"args": {"depht": 8, "depth": 8}}, "runs.wrong.args has 'depht', and resnet takes depth, shortcut, width"),
        ({"args": {}}, "runs.wrong.args lacks 'depth', which resnet needs"),
        ({"weights": "no.pt"}, "runs.wrong.weights is 'no.pt', and there is no such file"),
        (
            {"weights": "no.pt", "epochs": 3},
            "runs.wrong: an adopted run (it has weights) is not trained, so it takes no epochs",
        ),
        ({"code": ["no.py"]}, "runs.wrong.code is 'no.py', and there is no such file"),
        ({"keep": -1}, "runs.wrong.keep is -1: must be none, all, or a whole number N"),
        ({"milestones": [3, 2]}, "milestones must increase"),
        (
            {"sweep": {"seed": [0, 1]}},
            "runs.wrong.sweep.seed is not in the name, so its runs would have one name; add {seed}",
        ),
        ({"sweep": {"sed": [0]}}, "runs.wrong.sweep has 'sed'; allowed are network, args"),
        ({"sweep": {"args.depth": []}}, "it must be a mapping from keys to lists"),
    ],
)
def test_a_wrong_run(wrong: dict[str, Any], message: str) -> None:
    assert message in run_problem(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"alpha": [-1, 1, 0]},
            "planes.wrong.alpha is [-1, 1, 0]: the number of points must be a whole number of at least 1",
        ),
        ({"alpha": [1, -1, 5]}, "planes.wrong.alpha is [1, -1, 5]: first must be below last, and 1 is not below -1"),
        ({"alpha": [-1, float("inf"), 5]}, "first and last must be finite"),
        ({"alpha": [-1, 1, 2.5]}, "the number of points must be a whole number of at least 1"),
        ({"alpha": [-1, 1]}, "must be [first, last, number of points]"),
        ({"alpha": [-1, 1, 1]}, "one point cannot span a range"),
        (
            {"normalize": "filtre"},
            "planes.wrong.normalize is 'filtre': input should be 'filter', 'layer', 'model' or 'none'",
        ),
        ({"directions": "to"}, "planes.wrong: directions: to needs the key run"),
        (
            {"directions": "to", "run": "smal"},
            "planes.wrong.run is 'smal': there is no run 'smal'; the runs are small, other",
        ),
        ({"directions": "to", "run": "small@003"}, "has keep: 2 of 4 epochs, so its kept epochs are 000, 002, 004"),
        ({"directions": "to", "run": "small", "beta": [0, 1, 2]}, "directions: to makes a line, which takes no beta"),
        (
            {"directions": "of", "run": "small", "plane": "cont"},
            "planes.wrong.plane is 'cont'; the planes are contour, wrong",
        ),
        ({"directions": "of", "run": "small", "plane": "wrong"}, "so the plane refers to itself: wrong -> wrong"),
        ({"seed": 1, "directions": "to", "run": "small"}, "directions: to takes no seed"),
        ({"images": 0}, "planes.wrong.images is 0: input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_plane(wrong: dict[str, Any], message: str) -> None:
    assert message in plane_problem(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"draw": "contour"}, "figures.wrong.draw is 'contour'; allowed are contours, surfaces, lines, training"),
        ({"runs": ["resnet2"]}, "figures.wrong.runs[0] is 'resnet2'; the runs are small, other"),
        ({"runs": ["small@001"]}, "figures.wrong.runs[0] is 'small@001': small@001 cannot be had"),
        ({"plane": "contuor"}, "figures.wrong.plane is 'contuor'; the planes are contour, line"),
        ({"plane": "line"}, "figures.wrong.plane is 'line', a grid of 5 x 1; draw: contours needs at least 2 x 2"),
        (
            {"draw": "lines"},
            "figures.wrong.plane is 'contour', a grid of 5 x 5; draw: lines needs a line of 2 points or more",
        ),
        ({"levels": [1, 0.5]}, "figures.wrong.levels is [1, 0.5]: must be log, paper, or a list of increasing"),
        ({"colour": "red"}, "figures.wrong.colour is no key; allowed are runs, title"),
    ],
)
def test_a_wrong_figure(wrong: dict[str, Any], message: str) -> None:
    right = {"draw": "contours", "runs": ["small"], "plane": "contour"}
    (problem,) = problems(figures={"wrong": {**right, **wrong}})
    assert message in problem


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "$(x)", "a\nb", "x" * 81, "é"])
def test_a_name_cannot_leave_its_folder_nor_reach_a_shell(name: str) -> None:
    run = {"network": "resnet", "args": {"depth": 8}, "data": "digits"}
    assert any("is no name" in problem for problem in problems(runs={"small": run, name: run}))


@pytest.mark.parametrize("results", ["../x", "a b", "x;y", "a/../../b", "-n"])
def test_results_stay_where_they_should(results: str) -> None:
    assert any(problem.startswith("results is") for problem in problems(results=results))


def test_names_are_one_whatever_their_case() -> None:
    run = {"network": "resnet", "args": {"depth": 8}, "data": "digits"}
    assert any("the name stands twice" in problem for problem in problems(runs={"small": run, "Small": run}))


def test_a_figure_of_an_impossible_pair_is_an_error_with_its_reason() -> None:
    planes = {"towards": {"directions": "to", "run": "other", "alpha": [0, 1, 3]}}
    figures = {"f": {"draw": "lines", "runs": ["small"], "plane": "towards"}}
    (problem,) = problems(planes=planes, figures=figures)
    assert (
        "needs two states of one architecture, and small is resnet(depth=8) while other is resnet(depth=14)" in problem
    )
    (problem,) = problems(planes=planes, figures={"f": {"draw": "lines", "runs": ["other"], "plane": "towards"}})
    assert "a line from other to itself has no direction" in problem


def test_every_mistake_is_reported_at_once() -> None:
    found = problems(
        results="../x",
        runs={"small": {"network": "resnett", "data": "digts", "epochs": 2}},
        planes={"contour": {"alpha": [1, -1, 3]}},
        figures={"f": {"draw": "contours", "runs": ["nobody"], "plane": "contour"}},
        sumary={},
    )
    assert [problem.split()[0] for problem in found] == [
        "planes.contour.alpha",
        "results",
        "sumary",
        "runs.small.data",
        "runs.small.network",
        "figures.f.runs[0]",
    ]


@pytest.mark.parametrize("content", [None, [], "text", {"runs": []}, {"runs": {"a": None}}, {"data": 3, "runs": {}}])
def test_what_is_no_configuration(content: Any) -> None:
    with pytest.raises(InputError):
        config.resolve(content)


def test_a_sweep_makes_one_run_per_combination_and_one_name_per_value() -> None:
    runs = {
        "net-{optimizer}-wd{weight_decay}-d{depth}": {
            "network": "resnet",
            "data": "digits",
            "sweep": {"optimizer": ["sgd", "adam"], "weight_decay": [0, "5e-4", 5.0e-5], "args.depth": [8, "14"]},
        }
    }
    resolved = config.resolve(experiment(runs=runs, figures={})).runs
    assert len(resolved) == 12
    assert resolved["net-adam-wd0.0005-d14"].weight_decay == 0.0005
    assert resolved["net-adam-wd0.0005-d14"].args == {"depth": 14}
    assert resolved["net-sgd-wd0-d8"].initial_rate == 0.1
    assert resolved["net-adam-wd5e-05-d8"].initial_rate == 0.001


def test_figures_take_patterns_and_states() -> None:
    figures = {"f": {"draw": "contours", "runs": ["small@002", "*"], "plane": "contour"}}
    assert config.resolve(experiment(figures=figures)).figures["f"].runs == ("small@002", "small", "other")


def test_stating_a_default_changes_no_specification() -> None:
    plain = config.resolve(experiment())
    stated = experiment()
    stated["runs"] = yaml.safe_load(yaml.safe_dump(stated["runs"]))
    stated["runs"]["small"] |= {
        "learning_rate": "1e-1",
        "milestones": [2, 3],
        "batch_size": 128,
        "seed": 0,
        "optimizer": "sgd",
    }
    stated["planes"]["contour"] |= {"normalize": "filter", "batchnorm": "stored", "directions": "random"}
    stated["figures"]["figure5"] |= {"levels": "log", "variable": "train_loss"}
    again = config.resolve(stated)
    assert again.runs["small"].drops == plain.runs["small"].drops == (2, 3)
    for spec, names in (
        (specs.of_run, ["small"]),
        (specs.of_surface, ["small", "contour"]),
        (specs.of_figure, ["figure5"]),
    ):
        assert spec(again, *names) == spec(plain, *names)


def test_a_number_written_as_text_is_a_number_everywhere() -> None:
    runs = {
        "small": {
            "network": "resnet",
            "args": {"depth": "8", "width": "1.6e1"},
            "data": "digits",
            "weight_decay": "5e-4",
        }
    }
    run = config.resolve(experiment(runs=runs)).runs["small"]
    assert run.args == {"depth": 8, "width": 16.0}
    assert run.weight_decay == 0.0005


@pytest.mark.parametrize("text", ["{", "[1", "config.yaml", "nothing.yaml#planes.contour", "x#runs.small"])
def test_a_wrong_spec_on_the_command_line(text: str) -> None:
    with pytest.raises(InputError):
        specs.load(text, "surface")


def test_a_spec_may_name_an_entry_of_a_file() -> None:
    plane, spec = specs.load(f"{REPOSITORY / 'config/default.yaml'}#planes.contour", "surface")
    assert plane.shape == (31, 31)
    assert specs.load(spec, "surface") == (plane, spec)
    with pytest.raises(InputError, match="for version 99 of surface"):
        specs.load('{"stage": 99}', "surface")


@pytest.mark.parametrize("path", ["config/default.yaml", "config/paper.yaml", "tests/configs/smoke.yaml"])
def test_the_resolved_configuration_is_a_configuration_of_the_same_experiment(path: str, tmp_path: Path) -> None:
    content = yaml.safe_load((REPOSITORY / path).read_text())
    (tmp_path / "resolved.yaml").write_text(yaml.safe_dump(preflight._in_full(config.resolve(content))))
    first, again = config.resolve(content), config.read(tmp_path / "resolved.yaml")
    assert [specs.of_run(first, name) for name in first.runs] == [specs.of_run(again, name) for name in first.runs]
    assert [specs.of_figure(first, name) for name in first.figures] == [
        specs.of_figure(again, name) for name in first.figures
    ]
    assert first.results == again.results and first.summary == again.summary
