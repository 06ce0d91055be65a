"""What a configuration means, and what is said of a wrong one."""

import datetime
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from landscape.errors import InputError
from landscape.experiment import jobs, memory, needs, preflight, reading, specs
from landscape.networks import building, code
from landscape.networks.operations import operations
from landscape.running import check

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
        reading.resolve(experiment(**sections))
    return error.value.problems


def plane_problem(**plane: Any) -> str:
    (problem,) = problems(planes={"contour": {"alpha": [-1, 1, 5], "beta": [-1, 1, 5]}, "wrong": plane})
    return problem


def run_problem(**run: Any) -> str:
    base = {"network": "resnet", "args": {"depth": 8}, "data": "digits"}
    (problem,) = problems(runs={"small": {**base, "keep": 2, "epochs": 4}, "wrong": {**base, **run}})
    return problem


IN_THE_PAPER = {
    *("contours", "surfaces", "overlay", "training", "interpolation", "profiles", "trajectories", "bundles", "rings"),
    *("sharpness", "curvature", "gradients", "spectra", "layers", "sharpening", "saddle"),
}


def test_the_embedded_experiment_and_the_paper_are_right() -> None:
    assert list(reading.read(REPOSITORY / "config/default.yaml").runs) == [
        "resnet20",
        "resnet32",
        "resnet56",
        "resnet20-noshort",
        "resnet32-noshort",
        "resnet56-noshort",
        "resnet20-nonorm",
    ]
    for name in ("paper", "miniature"):
        whole = reading.read(REPOSITORY / f"config/{name}.yaml")
        assert {figure.draw for figure in whole.figures.values()} | {"saddle", "overlay"} == IN_THE_PAPER
        assert {f"figure{k}" for k in range(1, 10)} < set(whole.figures) and {"table1", "table2"} <= set(whole.tables)
    assert "resnet110-noshort-lr0.01" in reading.read(REPOSITORY / "config/paper.yaml").runs


def test_unstated_keys_are_the_recipe_of_the_paper() -> None:
    run = reading.resolve(experiment(runs={"small": {"network": "vgg9", "data": "digits"}})).runs["small"]
    assert (run.epochs, run.batch_size, run.initial_rate, run.momentum, run.weight_decay) == (300, 128, 0.1, 0.9, 5e-4)
    assert run.drops == (150, 225, 275)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"epochs": "many"},
            "runs.wrong.epochs is 'many': must be a whole number from 1 to 999, or the checkpoints of an adopted run",
        ),
        ({"epochs": 0}, "runs.wrong.epochs is 0: must be a whole number from 1 to 999"),
        ({"learning_rate": -1}, "runs.wrong.learning_rate is -1: input should be greater than 0"),
        ({"learning_rate": float("nan")}, "runs.wrong.learning_rate is nan: input should be a finite number"),
        ({"optimiser": "sgd"}, "runs.wrong.optimiser is no key; allowed are network, args, data"),
        ({"examples": 3}, "runs.wrong.examples is no key; allowed are network, args, data"),
        ({"optimizer": "sdg"}, "runs.wrong.optimizer is 'sdg': input should be 'sgd', 'adam', 'adamw' or 'adagrad'"),
        ({"data": "digts"}, "runs.wrong.data is 'digts'; the data sets are digits"),
        (
            {"network": "resnett"},
            f"runs.wrong.network is 'resnett', which is not built in; allowed are {', '.join(code.BUILTIN)}",
        ),
        ({"network": "no/such.py:net"}, "runs.wrong.network is 'no/such.py:net', and there is no file no/such.py"),
        (
            {"network": "no_such_package.x:net"},
            "runs.wrong.network is 'no_such_package.x:net', and no package no_such_package",
        ),
        ({"network": "a b:c"}, "code is named as package.module:function or path/file.py:function"),
        ({"args": {"depht": 8, "depth": 8}}, "runs.wrong.args has 'depht', and resnet takes depth, shortcut, width"),
        ({"args": {}}, "runs.wrong.args lacks 'depth', which resnet needs"),
        ({"weights": "no.pt"}, "runs.wrong.weights: no.pt: there is no such file"),
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
        ({"args": None, "sweep": {"args.depth": [8]}}, "runs.wrong.args is None; it must be a mapping from names"),
        ({"args": 3, "sweep": {"args.depth": [8]}}, "runs.wrong.args is 3; it must be a mapping from names"),
        ({"args": None}, "runs.wrong.args is None: input should be a valid dictionary"),
        ({"sweep": {"args.depth": [8]}}, "runs.wrong.sweep also sets args.depth, which is stated beside it"),
        ({"sweep": {1: [8]}}, "runs.wrong.sweep has 1; allowed are network, args"),
        ({"sweep": {True: [8]}}, "runs.wrong.sweep has True; allowed are network, args"),
        ({"args": {"depth": 8, "width": float("nan")}}, "runs.wrong.args: width is nan; numbers must be finite"),
        (
            {"args": {"depth": [8, {"a": datetime.date(2020, 1, 1)}]}},
            "depth[1].a is datetime.date(2020, 1, 1); allowed",
        ),
        ({"args": {"depth": {8}}}, "depth is {8}; allowed are numbers, text, true, false, null, lists and mappings"),
        ({"args": {"depth": {1: 2}}}, "depth has the key 1; keys must be text"),
        ({"epochs": 4, "milestones": [2, 4]}, "runs.wrong: milestones must be below epochs, and 4 is not below 4"),
        ({"optimizer": "adam", "momentum": 0.5}, "runs.wrong: optimizer: adam takes no momentum"),
        ({"schedule": "onecycle", "milestones": [2]}, "runs.wrong: schedule: onecycle takes no milestones"),
        ({"warmup": 1}, "runs.wrong.warmup is 1: input should be less than 1"),
        ({"epochs": 4, "swa": 4}, "runs.wrong: swa must be below epochs, and 4 is not below 4"),
        ({"sam": 0}, "runs.wrong.sam is 0: input should be greater than 0"),
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
        (
            {"batchnorm": "interpolated"},
            "directions: random takes no batchnorm: interpolated, since it leads to no other",
        ),
        (
            {"directions": "of", "run": "small", "plane": "contour", "batchnorm": "interpolated"},
            "planes.wrong.batchnorm is 'interpolated', and the plane contour has batchnorm: stored",
        ),
        ({"recalibration_examples": 100}, "planes.wrong: batchnorm: stored takes no recalibration_examples"),
        (
            {"batchnorm": "recalibrated", "recalibration_examples": 1},
            "planes.wrong.recalibration_examples is 1: input should",
        ),
        ({"precision": "fp16"}, "planes.wrong.precision is 'fp16': input should be 'fp32', 'tf32' or 'bf16'"),
        ({"examples": 0}, "planes.wrong.examples is 0: input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_plane(wrong: dict[str, Any], message: str) -> None:
    assert message in plane_problem(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"draw": "contour"}, "figures.wrong.draw is 'contour'; allowed are contours, surfaces, lines, overlay"),
        ({"runs": "small"}, "figures.wrong.runs is 'small': must be a list, in [ ]"),
        ({"runs": ["resnet2"]}, "figures.wrong.runs[0] is 'resnet2'; the runs are small, other"),
        ({"runs": ["small@001"]}, "figures.wrong.runs[0] is 'small@001': small@001 cannot be had"),
        ({"plane": "contuor"}, "figures.wrong.plane is 'contuor'; the planes are contour, line"),
        ({"plane": "line"}, "figures.wrong.plane is 'line', a grid of 5 x 1; draw: contours needs at least 2 x 2"),
        (
            {"draw": "lines"},
            "figures.wrong.plane is 'contour', a grid of 5 x 5; draw: lines needs a line of 2 points or more",
        ),
        ({"levels": [1, 0.5]}, "figures.wrong.levels is [1, 0.5]: must be log, paper, or a list of increasing"),
        ({"colour": "red"}, "figures.wrong.colour is no key; allowed are title, about, group, runs"),
    ],
)
def test_a_wrong_figure(wrong: dict[str, Any], message: str) -> None:
    right = {"draw": "contours", "runs": ["small"], "plane": "contour"}
    (problem,) = problems(figures={"wrong": {**right, **wrong}})
    assert message in problem


@pytest.mark.parametrize(
    ("old", "sections"), [("images", ("data", "planes", "probes")), ("recalibration_images", ("planes",))]
)
def test_a_key_of_version_0_1_is_told_its_new_name(old: str, sections: tuple[str, ...]) -> None:
    new = old.replace("images", "examples")
    right: dict[str, dict[str, Any]] = {
        "data": {"source": "digits"},
        "planes": {"alpha": [-1, 1, 5], "beta": [-1, 1, 5], "batchnorm": "recalibrated"},
        "probes": {"measure": "trace"},
    }
    for section in sections:
        others = experiment().get(section, {})
        assert problems(**{section: {**others, "p": {**right[section], old: 100}}}) == [
            f"{section}.p.{old} is called {new} since 0.2"
        ]
        assert reading.resolve(experiment(**{section: {**others, "p": {**right[section], new: 100}}}))
        with pytest.raises(InputError, match=f"^{old} is called {new} since 0.2$"):
            reading.entry(section, {**right[section], old: 100})


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "$(x)", "a\nb", "x" * 81, "é"])
def test_a_name_cannot_leave_its_folder_nor_reach_a_shell(name: str) -> None:
    run = {"network": "resnet", "args": {"depth": 8}, "data": "digits"}
    assert any("is no name" in problem for problem in problems(runs={"small": run, name: run}))


@pytest.mark.parametrize("results", ["../x", "a b", "x;y", "a/../../b", "-n", "/", "//", ".", "./", "./-n", ""])
def test_results_stay_where_they_should(results: str) -> None:
    assert any(problem.startswith("results is") for problem in problems(results=results))


@pytest.mark.parametrize(
    ("written", "folder"), [("a/", "a"), ("./a", "a"), ("a//b", "a/b"), ("a/./b", "a/b"), ("//a", "/a")]
)
def test_results_have_one_spelling(written: str, folder: str) -> None:
    assert reading.resolve(experiment(results=written)).results == folder


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


def test_the_last_epoch_is_the_end() -> None:
    planes: dict[str, Any] = {"back": {"directions": "to", "run": "small@004", "alpha": [0, 1, 3]}}
    figures = {"f": {"draw": "lines", "runs": ["small"], "plane": "back"}}
    (problem,) = problems(planes=planes, figures=figures)
    assert "plane back leads to small@004, and a line from small to itself has no direction" in problem
    planes["back"]["run"] = "small@002"
    reading.resolve(experiment(planes=planes, figures=figures))


def test_planes_of_every_kind_need_what_they_are_made_from() -> None:
    def plane(**keys: Any) -> str:
        planes = {"p": {"alpha": [-1, 1, 3], "beta": [-1, 1, 3], **keys}}
        figures = {"f": {"draw": "contours", "runs": ["net"], "plane": "p"}}
        recipe = {"network": "resnet", "args": {"depth": 8}, "data": "digits", "epochs": 4}
        runs = {"net": {**recipe, "keep": keep}, "b": {**recipe, "seed": 1}, "c": {**recipe, "seed": 2}}
        try:
            reading.resolve(experiment(runs=runs, planes=planes, figures=figures))
        except InputError as error:
            return "; ".join(error.problems)
        return "fine"

    keep: Any = 2
    assert plane(directions="through", runs=["b", "c"]) == "fine"
    assert plane(directions="through", runs=["b"], seed=3) == "fine"
    assert plane(directions="start", seed=3) == "fine"
    assert plane(directions="pca", centred=False) == "fine"
    assert plane(directions="through", runs=["b", "b"]).endswith(
        "plane p leads to b and b from net, and two of these are one"
    )
    assert plane(directions="through", runs=["b", "nobody"]).startswith("planes.p.runs[1] is 'nobody': there is no run")
    assert "directions: through needs the key runs" in plane(directions="through")
    assert "directions: through takes no seed" in plane(directions="through", runs=["b", "c"], seed=3).replace(
        ", without a random axis,", ""
    )
    assert "directions: random takes no centred" in plane(centred=False)
    assert "directions: pca takes no batchnorm: interpolated" in plane(directions="pca", batchnorm="interpolated")
    keep = "none"
    assert "leads to the start of the training, which net does not keep" in plane(directions="start")
    assert (
        "needs the path of the training, of which net keeps 0 of the 3 epochs needed (keep: none of 4 epochs); set "
        in (plane(directions="pca"))
    )


def test_a_plane_of_a_path_has_a_grid_of_its_own() -> None:
    planes = {"p": {"directions": "pca"}, "q": {"directions": "pca", "alpha": [-0.4, 1.2, 41], "beta": [-1, 1, 51]}}
    whole = reading.resolve(experiment(planes=planes, figures={}))
    assert whole.planes["p"] == whole.planes["q"]
    assert (whole.planes["p"].shape, whole.planes["p"].is_line) == ((41, 51), False)


def test_tiles_are_cut_by_the_work_in_them() -> None:
    whole = reading.read(REPOSITORY / "config/paper.yaml")
    for run in ("resnet20", "resnet56", "wrn56-4", "wrn56-8", "densenet121"):
        point = 60_000 * operations(run, {}, (3, 32, 32), 10)
        fitting = (n for n in range(1, 200) if (math.ceil(51 * 51 / n) + 1) * point <= jobs.OPERATIONS)
        assert jobs.tiles(whole, run, "contour") == next(fitting)
    assert jobs.tiles(whole, "resnet56", "contour") < jobs.tiles(whole, "wrn56-8", "contour") < 200
    stated = experiment(planes={"contour": {"alpha": [-1, 1, 5], "beta": [-1, 1, 5], "tiles": 7}})
    assert jobs.tiles(reading.resolve(stated), "small", "contour") == 7
    stated["planes"]["contour"]["tiles"] = 70
    assert jobs.tiles(reading.resolve(stated), "small", "contour") == 25


def test_figures_say_what_they_are_drawn_from() -> None:
    recipe = {"network": "resnet", "args": {"depth": 8}, "data": "digits", "epochs": 4, "keep": 1}
    grid = {"alpha": [-1, 1, 3], "beta": [-1, 1, 3]}
    whole = reading.resolve(
        experiment(
            runs={"a": recipe, "b": {**recipe, "seed": 1}},
            planes={
                "c-s{seed}": {**grid, "sweep": {"seed": [1, 2]}},
                "l-s{seed}": {"alpha": [-1, 1, 3], "sweep": {"seed": [1, 2]}},
                "to": {"directions": "to", "run": "b", "alpha": [0, 1, 3]},
                "path": {"directions": "pca"},
            },
            figures={
                "lines": {"draw": "lines", "runs": ["a"], "plane": "l-*"},
                "marks": {"draw": "contours", "runs": ["a"], "plane": "c-s1", "marks": ["*"]},
                "between": {"draw": "interpolation", "rows": [{"run": "a", "to": "b", "plane": "to"}]},
                "paths": {"draw": "trajectories", "runs": ["*"], "planes": "path", "contours": False},
                "bundles": {"draw": "bundles", "runs": ["a"], "rows": ["l-s1", ["l-s2", "l-s1"]]},
            },
        )
    )

    def drawn(name: str, folder: str) -> list[str]:
        """The results of one kind that a figure draws, under `results/FOLDER`."""
        found = [file.removeprefix("results/") for file in needs.results_of_figure(whole, name)]
        return [file.removeprefix(f"{folder}/") for file in found if file.startswith(f"{folder}/")]

    assert drawn("lines", "surfaces") == ["a/l-s1.nc", "a/l-s2.nc"]
    assert drawn("marks", "marks") == ["a/c-s1/a.nc", "a/c-s1/b.nc"]
    assert drawn("between", "runs") == ["a/history.nc", "b/history.nc"]
    assert needs.weighed_in_figure(whole, "between") == [f"results/runs/{r}/weights.safetensors" for r in "ab"]
    assert drawn("paths", "surfaces") == []
    assert drawn("paths", "trajectories") == ["a/path.nc", "b/path.nc"]
    assert drawn("bundles", "surfaces") == ["a/l-s1.nc", "a/l-s2.nc"]
    assert jobs.others(whole, "a", "path") == ["results/runs/a/epochs.safetensors"]
    assert (
        reading.resolve(experiment(**{k: v for k, v in preflight._in_full(whole).items() if k != "results"})) == whole
    )


def test_what_data_sets_supply_is_part_of_an_architecture() -> None:
    run = {"network": "resnet", "args": {"depth": 8}}
    sections: dict[str, Any] = {
        "data": {"digits": {"source": "digits"}, "again": {"source": "digits"}, "cifar": {"source": "cifar10"}},
        "runs": {"here": {**run, "data": "digits"}, "there": {**run, "data": "cifar"}},
        "planes": {"towards": {"directions": "to", "run": "there", "alpha": [0, 1, 3]}},
        "figures": {"f": {"draw": "lines", "runs": ["here"], "plane": "towards"}},
    }
    (problem,) = problems(**sections)
    assert "and here is resnet(depth=8, in_channels=1) while there is resnet(depth=8, in_channels=3)" in problem
    sections["runs"]["there"] |= {"data": "again"}
    reading.resolve(experiment(**sections))
    sections["runs"]["there"] |= {"args": {"depth": 8, "shortcut": True, "in_channels": 1}}
    reading.resolve(experiment(**sections))


def test_what_files_supply_is_compared_by_looking_into_them(tmp_path: Path) -> None:
    for name, classes in (("two", 2), ("also-two", 2), ("five", 5)):
        labels = np.arange(10) % classes
        np.savez(tmp_path / f"{name}.npz", train_images=np.zeros((10, 8, 8), np.uint8), train_labels=labels)
    whole = reading.resolve(
        experiment(
            data={path.stem: {"source": str(path)} for path in tmp_path.glob("*.npz")},
            runs={
                name: {"network": "resnet", "args": {"depth": 8, "width": 4}, "data": name}
                for name in ("two", "also-two", "five")
            },
            planes={
                "towards": {"directions": "to", "run": "five", "alpha": [0, 1, 3]},
                "again": {"directions": "of", "run": "two", "plane": "towards"},
                "right": {"directions": "to", "run": "two", "alpha": [0, 1, 3]},
            },
            figures={
                "a": {"draw": "lines", "runs": ["two"], "plane": "towards"},
                "b": {"draw": "lines", "runs": ["also-two"], "plane": "again"},
                "c": {"draw": "lines", "runs": ["also-two"], "plane": "right"},
            },
        )
    )
    reason = (
        "which needs two and five to be of one architecture, and 2 tensors differ: linear.weight has the shape (2, 16)"
    )
    assert [problem.partition(" in two and ")[0] for problem in check.problems(whole)] == [
        f"figures.a has two on plane towards, {reason}",
        f"figures.b has two on plane towards, {reason}",
    ]


def test_a_borrowed_plane_has_the_directions_and_statistics_it_is_asked_for() -> None:
    planes: dict[str, Any] = {
        "line": {"alpha": [-1, 1, 5]},
        "towards": {"directions": "to", "run": "small@000", "alpha": [0, 1, 3]},
        "moved": {"directions": "of", "run": "small", "plane": "towards", "batchnorm": "interpolated"},
        "moved-on": {"directions": "of", "run": "small", "plane": "moved", "batchnorm": "interpolated"},
        "fixed": {"directions": "of", "run": "small", "plane": "towards"},
    }
    assert reading.resolve(experiment(planes=planes, figures={})).planes["fixed"].statistics == "stored"
    planes["flat"] = {"directions": "of", "run": "small", "plane": "line", "beta": [-1, 1, 3]}
    planes["off"] = {"directions": "of", "run": "small", "plane": "fixed", "batchnorm": "interpolated"}
    assert problems(planes=planes, figures={}) == [
        "planes.flat.beta is [-1.0, 1.0, 3], and the plane line is a line: it has no second direction",
        "planes.off.batchnorm is 'interpolated', and the plane fixed has batchnorm: stored",
    ]


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
        reading.resolve(content)


def test_a_sweep_makes_one_run_per_combination_and_one_name_per_value() -> None:
    runs = {
        "net-{optimizer}-wd{weight_decay}-d{depth}": {
            "network": "resnet",
            "data": "digits",
            "sweep": {"optimizer": ["sgd", "adam"], "weight_decay": [0, "5e-4", 5.0e-5], "args.depth": [8, "14"]},
        }
    }
    resolved = reading.resolve(experiment(runs=runs, figures={})).runs
    assert len(resolved) == 12
    assert resolved["net-adam-wd0.0005-d14"].weight_decay == 0.0005
    assert resolved["net-adam-wd0.0005-d14"].args == {"depth": 14}
    assert resolved["net-sgd-wd0-d8"].initial_rate == 0.1
    assert resolved["net-adam-wd5e-05-d8"].initial_rate == 0.001


def test_a_sweep_over_optimizers_states_what_all_of_them_take() -> None:
    run = {"network": "vgg9", "data": "digits", "sweep": {"optimizer": ["sgd", "adam"]}}
    assert len(reading.resolve(experiment(runs={"net-{optimizer}": run}, figures={})).runs) == 2
    found = problems(runs={"net-{optimizer}": {**run, "momentum": 0.5}}, figures={})
    assert found == ["runs.net-adam: optimizer: adam takes no momentum"]


def test_a_sweep_sets_arguments_beside_those_stated() -> None:
    run: dict[str, Any] = {"network": "resnet", "data": "digits", "args": {"width": 4}, "sweep": {"args.depth": [8]}}
    assert reading.resolve(experiment(runs={"net": run}, figures={})).runs["net"].args == {"width": 4, "depth": 8}
    run["sweep"] = {"args.depth": [8], "args": [{"depth": 14}]}
    assert "runs.net.sweep has args and single arguments; state one of the two" in problems(runs={"net": run})[1]


def test_figures_take_patterns_and_states() -> None:
    figures = {"f": {"draw": "contours", "runs": ["small@002", "*"], "plane": "contour"}}
    assert reading.resolve(experiment(figures=figures)).figures["f"].states == ("small@002", "small", "other")


def test_stating_a_default_changes_no_specification() -> None:
    plain = reading.resolve(experiment())
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
    again = reading.resolve(stated)
    assert again.runs["small"].drops == plain.runs["small"].drops == (2, 3)
    for spec, names in (
        (specs.of_run, ["small"]),
        (specs.of_surface, ["small", "contour"]),
        (specs.of_figure, ["figure5"]),
    ):
        assert spec(again, *names) == spec(plain, *names)


SOURCE = """
def built(a, b=2, *, c, d=(1, 2), e=None, f=int, in_channels=3): ...
def strict(depth, width=16.0): ...
class Net:
    def __init__(self, hidden=8): ...
"""


@pytest.mark.parametrize(
    ("function", "stated", "same"),
    [
        ("resnet", {"depth": 8, "width": 16, "shortcut": True, "linear_std": "1e-3"}, {"depth": 8}),
        ("built", {"a": 1, "b": 2, "c": 3, "e": None}, {"a": 1, "c": 3}),
        ("Net", {"hidden": 8}, {}),
    ],
)
def test_restating_a_default_of_a_network_changes_no_specification(
    function: str, stated: dict[str, Any], same: dict[str, Any], tmp_path: Path
) -> None:
    assert _spec(function, stated, tmp_path) == _spec(function, same, tmp_path)


@pytest.mark.parametrize(
    ("function", "stated", "other"),
    [
        ("resnet", {"depth": 8, "shortcut": 1}, {"depth": 8}),
        ("resnet", {"depth": 8, "width": 16.0}, {"depth": 8}),
        ("resnet", {"depth": 8, "in_channels": 3}, {"depth": 8}),
        ("strict", {"depth": 8, "width": 16}, {"depth": 8}),
        ("built", {"a": 1, "c": 3, "in_channels": 3}, {"a": 1, "c": 3}),
    ],
)
def test_what_only_looks_like_a_default_is_another_specification(
    function: str, stated: dict[str, Any], other: dict[str, Any], tmp_path: Path
) -> None:
    assert _spec(function, stated, tmp_path) != _spec(function, other, tmp_path)


def _spec(function: str, args: dict[str, Any], folder: Path) -> str:
    """Of a run as it is stated, through the command line and back."""
    (folder / "net.py").write_text(SOURCE)
    network = function if function == "resnet" else f"{folder}/net.py:{function}"
    run = {"network": network, "args": args, "data": "digits"}
    whole = reading.resolve(experiment(runs={"small": run}, planes={}, figures={}))
    spec = specs.of_run(whole, "small")
    assert specs.load(spec, "train")[1] == spec
    return spec


def test_directions_depend_on_nothing_of_the_grid_but_whether_it_is_a_line() -> None:
    def planes(**plane: Any) -> tuple[str, str]:
        whole = reading.resolve(experiment(planes={"contour": {"seed": 1, **plane}}, figures={}))
        return specs.of_directions(whole, "small", "contour"), specs.of_surface(whole, "small", "contour")

    coarse, fine = planes(beta=[-1, 1, 3]), planes(beta=[-2, 2, 9], alpha=[-1, 1, 7], examples=5, tiles=2)
    assert coarse[0] == fine[0] and coarse[1] != fine[1]
    assert planes()[0] not in coarse


@pytest.mark.parametrize(
    "plane",
    [
        {"seed": 3, "normalize": "layer"},
        {"beta": [-1, 1, 3]},
        {"directions": "to", "run": "small@002", "batchnorm": "stored"},
        {"directions": "of", "run": "small@002", "plane": "contour", "beta": [0, 1, 2]},
    ],
)
def test_the_directions_of_a_plane_are_what_their_specification_says(plane: dict[str, Any], tmp_path: Path) -> None:
    content = experiment(planes={"contour": {"beta": [-1, 1, 2]}, "p": plane}, figures={})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    whole = reading.resolve(content)
    seen, spec = whole.planes["p"], specs.of_directions(whole, "small", "p")
    drawn, again = specs.load(spec, "directions")
    assert again == spec
    for key in ("directions", "run", "plane", "seed", "normalize", "statistics", "is_line"):
        assert getattr(drawn, key) == getattr(seen, key)
    assert specs.load(f"{tmp_path / 'c.yaml'}#planes.p", "directions") == (drawn, spec)
    assert not {"alpha", "beta", "images", "tiles"} & set(drawn.in_full())


def test_memory_is_that_of_the_unpacked_images(tmp_path: Path) -> None:
    images, labels = np.zeros((30_000, 3, 16, 16), np.float32), np.zeros(30_000, np.int64)
    found = []
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / f"{save.__name__}.npz", train_images=images, train_labels=labels)
        data = {"digits": {"source": f"{tmp_path}/{save.__name__}.npz"}}
        found.append(memory.of_job(reading.resolve(experiment(data=data, figures={})), "small"))
    assert found[0] == found[1] > 1500 + 6 * images.nbytes // 2**20 - 1


def test_memory_has_room_for_the_network_the_epochs_of_a_path_and_a_search_for_eigenvalues() -> None:
    run = {"network": "vgg9", "data": "cifar", "epochs": 10}
    content = {
        "data": {"cifar": {"source": "cifar10"}},
        "runs": {"none": run, "all": {**run, "keep": "all"}, "mine": {**run, "network": "torchvision.models:vgg11"}},
        "planes": {
            "loss": {"alpha": [-1, 1, 3]},
            "path": {"directions": "pca"},
            "eigen": {"measure": "curvature", "alpha": [-1, 1, 3], "memory": 300},
        },
        "probes": {"pairs": {"measure": "eigenpairs", "memory": 300}, "layers": {"measure": "activations"}},
    }
    whole = reading.resolve(content)
    built = building.build("vgg9", {}, seed=0, images=(3, 32, 32), classes=10, device="meta")
    of_network = sum(4 * parameter.numel() / 2**20 for parameter in built.parameters())
    unknown = memory.of_job(whole, "mine")
    assert memory.of_job(whole, "none") - unknown == pytest.approx(8 * of_network, rel=0.01)
    assert memory.of_training(whole, "mine") == unknown
    base = memory.of_job(whole, "none")
    assert memory.of_training(whole, "none") == memory.of_tile(whole, "all", "loss") == base
    assert memory.of_training(whole, "all") - base == pytest.approx(2 * 11 * of_network, rel=0.01)
    assert memory.of_directions(whole, "all", "path") == memory.of_training(whole, "all@003")
    assert memory.of_directions(whole, "all", "eigen") == base
    assert memory.of_probe(whole, "none", "layers") == base
    assert memory.of_tile(whole, "none", "eigen") == memory.of_probe(whole, "none", "pairs")
    assert memory.of_probe(whole, "none", "pairs") - base == pytest.approx(300 + 100 * of_network, rel=0.01)


def test_a_number_written_as_text_is_a_number_everywhere() -> None:
    runs = {
        "small": {
            "network": "resnet",
            "args": {"depth": "8", "width": "1.6e1"},
            "data": "digits",
            "weight_decay": "5e-4",
        }
    }
    run = reading.resolve(experiment(runs=runs)).runs["small"]
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
    (tmp_path / "resolved.yaml").write_text(yaml.safe_dump(preflight._in_full(reading.resolve(content))))
    first, again = reading.resolve(content), reading.read(tmp_path / "resolved.yaml")
    assert [specs.of_run(first, name) for name in first.runs] == [specs.of_run(again, name) for name in first.runs]
    assert [specs.of_figure(first, name) for name in first.figures] == [
        specs.of_figure(again, name) for name in first.figures
    ]
    assert first.results == again.results and first.summary == again.summary
