"""Names of networks with arguments in them: `resnet56-noshort`, `wrn56-4`."""

from typing import Any

import pytest

from landscape.errors import InputError
from landscape.experiment import lookup, specs
from landscape.experiment.lookup import impossible
from landscape.experiment.reading import resolve
from landscape.experiment.schema import Experiment
from landscape.networks import code

MEANINGS: dict[str, dict[str, Any]] = {
    "resnet20": {"depth": 20},
    "resnet56-noshort": {"depth": 56, "shortcut": False},
    "wrn56-4": {"depth": 56, "width": 64},
    "wrn56-8-noshort": {"depth": 56, "width": 128, "shortcut": False},
}


def an_experiment(**runs: dict[str, Any]) -> Experiment:
    content = {
        "data": {"digits": {"source": "digits"}},
        "runs": {name: {"data": "digits", "epochs": 4, **run} for name, run in runs.items()},
        "planes": {"towards": {"directions": "to", "run": "there", "alpha": [0, 1, 3]}},
    }
    return resolve(content)


@pytest.mark.parametrize("name", MEANINGS)
def test_a_name_means_a_resnet_with_arguments(name: str) -> None:
    meaning = MEANINGS[name]
    assert code.expanded(name) == ("resnet", meaning)
    assert code.split(name) == code.split("resnet")
    assert code.telling(name, {"norm": "group"}) == code.telling("resnet", {**meaning, "norm": "group"})
    assert code.plain(name, {"norm": "group"}) == code.plain("resnet", {**meaning, "norm": "group"})
    assert code.supplied(name, {}) == {"in_channels", "num_classes"}


def test_what_is_implied_is_told() -> None:
    implied = {"depth": 56, "shortcut": True, "width": 16, "linear_std": 1e-3, "norm": "batch"}
    assert code.plain("resnet56", {}) == ("resnet", implied)
    assert code.telling("wrn56-1", {"shortcut": True}) == {"depth": 56}
    assert code.plain("mine.nets:wide", {"k": 2}) == ("mine.nets:wide", {"k": 2})


@pytest.mark.parametrize("name", ["resnet", "resnet056", "resnet56-", "resnet56-4", "wrn56", "wrn56-0", "noshort"])
def test_other_names_mean_themselves(name: str) -> None:
    assert code.expanded(name) == (name, {})


def test_two_spellings_are_one_architecture() -> None:
    short, long = {"network": "resnet20"}, {"network": "resnet", "args": {"depth": 20}}
    whole = an_experiment(here=short, there=long, half={"network": "wrn20-2"}, bare={"network": "resnet20-noshort"})
    assert impossible(whole, "here", "towards") is None
    assert impossible(whole, "half", "towards") == (
        "plane towards needs two states of one architecture, and half is resnet(width=32) while there is resnet(depth=20)"
    )
    assert "bare is resnet(shortcut=False) while there is resnet(depth=20)" in str(impossible(whole, "bare", "towards"))
    assert specs.of_run(whole, "here") == specs.of_run(whole, "there")
    assert specs.load(specs.of_run(whole, "here"), "train")[0] == whole.runs["there"]
    assert lookup.differing(whole.runs["here"], whole.runs["there"]) == set()
    assert lookup.differing(whole.runs["half"], whole.runs["bare"]) == {"args.width", "args.shortcut"}


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        ({"network": "resnet20", "args": {"depth": 20}}, "args has 'depth', which resnet20 sets to 20"),
        ({"network": "wrn20-2", "args": {"width": 16}}, "args has 'width', which wrn20-2 sets to 32"),
        ({"network": "resnet20-noshort", "args": {"shortcut": True}}, "which resnet20-noshort sets to False"),
        (
            {"network": "resnet20", "args": {"widht": 8}},
            "args has 'widht', and resnet20 takes shortcut, width, linear_std, norm",
        ),
        ({"network": "resnext20"}, f"not built in; allowed are {', '.join(code.BUILTIN)}, resnet{{depth}}"),
    ],
)
def test_a_mistake_is_told(run: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as told:
        an_experiment(here=run, there={"network": "resnet20"})
    assert any(problem in one and one.startswith("runs.here.") for one in told.value.problems)
