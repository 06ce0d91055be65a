"""A wrong key or name is answered with what is allowed, and with the nearest of it."""

import copy
from typing import Any

import pytest

from landscape.errors import InputError, meant
from landscape.experiment import reading

RIGHT: dict[str, Any] = {
    "data": {"digits": {"source": "digits"}},
    "runs": {
        "small": {"network": "resnet20", "data": "digits", "epochs": 4, "keep": 2},
        "other": {"network": "resnet", "args": {"depth": 8}, "data": "digits", "epochs": 4},
    },
    "planes": {"contour": {"alpha": [-1, 1, 3], "beta": [-1, 1, 3]}},
    "probes": {"trace": {"measure": "trace"}},
    "figures": {"flat": {"draw": "contours", "runs": ["small"], "plane": "contour"}},
    "tables": {"table1": {"runs": ["small"]}},
    "summary": {"plane": "contour"},
    "claims": {},
}
WRONG: dict[str, tuple[str, Any, str]] = {
    "a section": ("plane", {}, "planes"),
    "a section in another case": ("Runs", {}, "runs"),
    "a key": ("runs.small.learning_rat", 1, "learning_rate"),
    "a key in another case": ("runs.small.Epochs", 1, "epochs"),
    "a key of a measure": ("planes.contour.normalise", "filter", "normalize"),
    "a key of a probe": ("probes.trace.exmples", 3, "examples"),
    "a key of a figure": ("figures.flat.levles", "log", "levels"),
    "a key of a table": ("tables.table1.run", [], "runs"),
    "a key of the summary": ("summary.plan", "contour", "plane"),
    "a key of the claims": ("claims.run", ["small"], "runs"),
    "a key within a key": ("runs.small.loss", {"nam": "mse"}, "name"),
    "a short key": ("runs.new", {"rescaled": {"rum": "small", "by": 3}}, "run"),
    "a key of a sweep": ("runs.s{sed}", {"network": "resnet20", "data": "digits", "sweep": {"sed": [1]}}, "seed"),
    "an argument": ("runs.other.args", {"dept": 8}, "depth"),
    "a value": ("runs.small.schedule", "cosin", "cosine"),
    "one in a list": ("runs.small.augment", ["flp"], "flip"),
    "a measure": ("planes.contour.measure", "curvatur", "curvature"),
    "a measure of a probe": ("probes.trace.measure", "tracee", "trace"),
    "a kind of figure": ("figures.flat.draw", "contour", "contours"),
    "a variable": ("figures.flat.variable", "train_los", "train_loss"),
    "both variables": ("figures.flat.variable", "bothe", "both"),
    "levels": ("figures.flat.levels", "lgo", "log"),
    "kept epochs": ("runs.small.keep", "al", "all"),
    "a loss": ("runs.small.loss", "cross-entropy", "cross_entropy"),
    "a loss with arguments": ("runs.small.loss", {"name": "hubr", "args": {}}, "huber"),
    "a score": ("runs.small.score", "accurcy", "accuracy"),
    "a data set": ("runs.small.data", "digts", "digits"),
    "a source": ("data.digits.source", "cifar-10", "cifar10"),
    "a network": ("runs.other.network", "restnet", "resnet"),
    "a network with its depth": ("runs.small.network", "renset20", "resnet20"),
    "one without shortcuts": ("runs.small.network", "resnet20-noshrt", "resnet20-noshort"),
    "a wide one": ("runs.small.network", "wrn56_4-noshort", "wrn56-4-noshort"),
    "a run": ("figures.flat.runs", ["smal"], "small"),
    "a run in another case": ("figures.flat.runs", ["Small"], "small"),
    "a run at an epoch": ("figures.flat.runs", ["smal@002"], "small"),
    "an epoch of one digit": ("figures.flat.runs", ["small@2"], "small@002"),
    "an epoch of two digits": ("figures.flat.runs", ["small@04"], "small@004"),
    "a plane": ("figures.flat.plane", "contuor", "contour"),
    "a plane of the summary": ("summary.plane", "contor", "contour"),
    "a probe": ("planes.new", {"directions": "eigenvectors", "probe": "trac", "alpha": [-1, 1, 3]}, "trace"),
    "an end of a line": ("planes.new", {"directions": "to", "run": "othr", "alpha": [0, 1, 3]}, "other"),
    "a rescaled run": ("runs.new", {"rescaled": {"run": "smal", "by": 3}}, "small"),
    "a published run": ("published.othe", {"test_error": 3}, "other"),
}


def problems(place: str, value: Any) -> list[str]:
    content = copy.deepcopy(RIGHT)
    at = content
    *above, key = place.split(".")
    for part in above:
        at = at.setdefault(part, {})
    at[key] = value
    with pytest.raises(InputError) as refused:
        reading.resolve(content)
    return refused.value.problems


@pytest.mark.parametrize("what", WRONG)
def test_the_nearest_name_is_suggested(what: str) -> None:
    place, value, nearest = WRONG[what]
    found = problems(place, value)
    (suggesting,) = [problem for problem in found if problem.endswith(f"; did you mean {nearest}?")]
    allowed = suggesting.rpartition("; did you mean")[0]
    assert "\n" not in suggesting and (
        "allowed" in allowed or "are " in allowed or "be " in allowed or "RUN@" in allowed or "takes " in allowed
    )


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("runs.small.qwertz", 1),
        ("figures.flat.runs", ["zzz"]),
        ("runs.small.schedule", "zzz"),
        ("runs.small.network", "zzz"),
        ("figures.flat.runs", ["small@x"]),
        ("figures.flat.runs", ["small@003"]),
        ("figures.flat.runs", ["zz*"]),
        ("runs.small.score", 3),
        ("runs.small.output", 1.5),
        ("runs.small.output", True),
    ],
)
def test_what_resembles_nothing_is_told_what_is_allowed(place: str, value: Any) -> None:
    (problem,) = problems(place, value)
    assert problem.startswith(place) and "did you mean" not in problem and "[_" not in problem


def test_nothing_resembles_what_is_far() -> None:
    assert meant(["alpha", "beta"], "gamma") == "" and meant([], "x") == "" and meant(["a"], 10**99) == ""
