"""Fields that say what they are: names found, expanded and checked however deep they stand; keys that change nothing."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from landscape.config.fields import INCIDENTAL, INERT, Ref, expanded, references, select, with_trait
from landscape.config.section import Section, by_name, one_of_kinds
from landscape.config.values import Names
from landscape.errors import InputError
from landscape.experiment import reading, specs
from landscape.experiment.lookup import differing
from landscape.experiment.references import problems
from landscape.figures.kind import OfRuns
from landscape.figures.shared.groups import group
from landscape.measures import MEASURES
from landscape.training.run_factors import factors
from landscape.training.run_section import Run
from landscape.training.seed_groups import JudgedRun, networks

from members import history, member


class Row(Section):
    to: Annotated[str, Ref("runs")]
    lines: Annotated[Names, Ref("planes", axes=1)] | None = None


class New(OfRuns):
    """A kind of figure that nobody thought of."""

    draw: Literal["new"]
    surface_plane: Annotated[str, Ref("planes", axes=2)]
    rows: tuple[Row, ...] = ()
    sets: tuple[Annotated[Names, Ref("planes")], ...] = ()
    probe: Annotated[str, Ref("probes", measures=("spectrum",))] | None = None
    plane_of_words: str = "contour"


NEW = New(
    draw="new",
    runs=("a*",),
    surface_plane="plain",
    rows=(Row(to="b", lines=("l-*",)), Row(to="a1")),
    sets=(("plain",), ("l-*", "plain")),
)


def test_every_name_is_found_with_its_path_and_no_other_text() -> None:
    found = [(one.path, one.name, one.to.section, one.is_pattern) for one in references(NEW)]
    assert found == [
        ("runs[0]", "a*", "runs", True),
        ("surface_plane", "plain", "planes", False),
        ("rows[0].to", "b", "runs", False),
        ("rows[0].lines", "l-*", "planes", True),
        ("rows[1].to", "a1", "runs", False),
        ("sets[0]", "plain", "planes", True),
        ("sets[1][0]", "l-*", "planes", True),
        ("sets[1][1]", "plain", "planes", True),
    ]
    assert [one.path for one in references(NEW, "planes")] == [path for path, _, of, _ in found if of == "planes"]


def test_patterns_are_expanded_wherever_they_stand() -> None:
    whole = expanded(NEW, {"runs": ["a1", "a2", "b"], "planes": ["l-1", "plain", "l-2"]})
    assert whole.runs == ("a1", "a2")
    assert whole.rows[0].lines == ("l-1", "l-2") and whole.rows[1] is NEW.rows[1]
    assert whole.sets == (("plain",), ("l-1", "l-2", "plain"))
    assert whole.seen[:4] == [("a1", "plain"), ("a1", "l-1"), ("a1", "l-2"), ("a2", "plain")]
    assert expanded(whole, {"runs": [], "planes": []}).runs == ()
    assert expanded(NEW, {}) is NEW


def test_states_are_selected_by_their_run() -> None:
    assert select(["a?@003", "b", "a1@003"], ["a1", "a2", "b"]) == (["a1@003", "a2@003", "b"], [])
    assert select(["c*", "b"], ["a1", "b"]) == (["b"], ["c*"])


def an_experiment() -> Any:
    return reading.resolve(
        {
            "data": {"digits": {"source": "digits"}},
            "runs": {"a1": {"network": "resnet20", "data": "digits", "epochs": 4}},
            "planes": {
                "plain": {"beta": [-1, 1, 5]},
                "l-1": {"seed": 1},
                "map": {"beta": [-1, 1, 3], "measure": "curvature"},
            },
            "probes": {"density": {"measure": "spectrum"}, "size": {"measure": "trace"}},
        }
    )


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"surface_plane": "nonsense"}, "figures.n.surface_plane is 'nonsense'; the planes are plain, l-1, map"),
        (
            {"surface_plane": "l-1"},
            "figures.n.surface_plane is 'l-1', a grid of 51 x 1; draw: new needs at least 2 x 2",
        ),
        ({"rows": [{"to": "nobody"}]}, "figures.n.rows[0].to is 'nobody': there is no run 'nobody'; the runs are a1"),
        ({"rows": [{"to": "a1", "lines": "plain"}]}, "figures.n.rows[0].lines is 'plain', a grid of 51 x 5; draw: new"),
        ({"rows": [{"to": "a*"}]}, "figures.n.rows[0].to is 'a*': there is no run 'a*'"),
        ({"sets": ["x*"]}, "figures.n.sets[0] is 'x*'; the planes are plain"),
        ({"probe": "size"}, "figures.n.probe is 'size', with measure: trace; draw: new needs spectrum"),
        ({"probe": "density?"}, "figures.n.probe is 'density?'; the probes are density, size"),
        ({"runs": ["a1@003"]}, "figures.n.runs[0] is 'a1@003': a1@003 cannot be had"),
    ],
)
def test_a_new_kind_is_checked_without_a_line_more(keys: dict[str, Any], problem: str) -> None:
    figure = New.model_validate({"draw": "new", "runs": ["a1"], "surface_plane": "plain", **keys})
    whole = an_experiment().model_copy(update={"figures": {"n": figure}})
    found = list(problems(whole, {section: set() for section in ("data", "runs", "planes", "probes")}))
    assert len(found) == 1 and found[0].startswith(problem), found


def test_a_new_kind_that_is_right_has_no_problem() -> None:
    figure = New.model_validate({"draw": "new", "runs": ["*"], "surface_plane": "plain", "probe": "density"})
    whole = an_experiment().model_copy(update={"figures": {"n": figure}})
    assert not list(problems(whole, {section: set() for section in ("data", "runs", "planes", "probes")}))


ALTERING = {
    *("network", "args", "data", "weights", "rescaled", "seed", "epochs", "batch_size", "optimizer", "learning_rate"),
    *("momentum", "weight_decay", "sam", "swa", "schedule", "milestones", "warmup", "clip", "augment", "precision"),
}
"""The keys of a run that make it another network."""


def test_keys_with_a_trait() -> None:
    assert with_trait(Run, INERT) == {"expected", "parts"}
    assert with_trait(Run, INCIDENTAL) >= {"keep", "threads", "code"}
    assert not with_trait(Run, INERT, INCIDENTAL) & ALTERING
    assert all(with_trait(kind, INERT) == {"tiles"} for kind in MEASURES)


ASIDE: list[dict[str, Any]] = [{"parts": 4}, {"keep": "all"}, {"threads": 2}]


@pytest.mark.parametrize("keys", ASIDE)
def test_two_runs_that_differ_aside_are_one_network_everywhere(keys: dict[str, Any]) -> None:
    """In lookups, claims, the sharpness figure and for `over: seed`."""
    one, other = Run(network="resnet20", data="digits"), Run(network="resnet20", data="digits", **keys)
    assert differing(one, other) == set()
    assert factors(history("a")) == factors(history("b", **keys))
    judged = [JudgedRun(history("a", seed=1)), JudgedRun(history("b", seed=2, **keys))]
    assert [len(network.runs) for network in networks(judged)] == [2]
    seeds = [member("a", recipe={"seed": 1}), member("b", recipe={"seed": 2, **keys})]
    assert len(group(seeds, "seed")) == 1


def test_two_runs_that_differ_in_their_training_are_two() -> None:
    one, other = Run(network="resnet20", data="digits"), Run(network="resnet20", data="digits", batch_size=64)
    assert differing(one, other) == {"batch_size"}
    assert len(group([member("a"), member("b", recipe={"batch_size": 64})], "seed")) == 2


def test_a_key_that_changes_no_number_stands_in_no_specification() -> None:
    one, other = Run(network="resnet20", data="digits"), Run(network="resnet20", data="digits", parts=4)
    assert specs.of("train", one) == specs.of("train", other)
    assert specs.of("train", one) != specs.of("train", Run(network="resnet20", data="digits", threads=2))


class One(Section):
    kind: Literal["one"] = "one"
    size: int = Field(1, ge=1)


class Two(Section):
    kind: Literal["two"]


def test_kinds_are_told_apart_by_their_key_and_one_is_the_default() -> None:
    class Whole(Section):
        entry: one_of_kinds("kind", (One, Two), default="one")  # type: ignore[valid-type]

    assert by_name("kind", (One, Two)) == {"one": One, "two": Two}
    assert isinstance(Whole.model_validate({"entry": {}}).entry, One)
    assert isinstance(Whole.model_validate({"entry": {"kind": "two"}}).entry, Two)
    assert isinstance(Whole.model_validate({"entry": Two(kind="two")}).entry, Two)


@pytest.mark.parametrize(
    ("section", "keys", "problem"),
    [
        ("planes", {"memory": 3, "eigensolver": "eigsh"}, "measure: loss takes no eigensolver, memory"),
        ("planes", {"measure": "gradients", "memory": 3}, "measure: gradients takes no memory"),
        ("planes", {"measure": "height"}, "measure is 'height'; allowed are loss, gradients, curvature"),
        ("probes", {}, "measure is missing; allowed are eigenpairs, spectrum, trace, activations, saddle"),
        ("probes", {"measure": "trace", "pairs": 2}, "measure: trace takes no pairs"),
        ("probes", {"measure": "trace", "paris": 2}, "paris is no key; allowed are"),
    ],
)
def test_a_key_of_another_kind_is_told_as_such(section: str, keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as told:
        reading.entry(section, keys)
    assert len(told.value.problems) == 1 and told.value.problems[0].startswith(problem), told.value.problems
