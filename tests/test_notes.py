"""Notes: what a configuration leaves unused, another one wrote, or names like something else; and names that are meant."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from landscape import cli
from landscape.errors import InputError
from landscape.experiment.reading import resolve
from landscape.running.notes import notes

from running import written

RUN = {"network": "mlp", "args": {"hidden": [4]}, "data": "digits", "epochs": 2, "keep": "all"}
CONFIG: dict[str, Any] = {
    "data": {"digits": {"source": "digits"}},
    "runs": {"small": RUN, "other": {**RUN, "seed": 1}},
    "planes": {"contour": {"alpha": [-1, 1, 3], "beta": [-1, 1, 3]}},
    "figures": {"contours": {"draw": "contours", "runs": ["*"], "plane": "contour"}},
}


def changed(**sections: Any) -> dict[str, Any]:
    """The configuration with further entries in its sections."""
    return {**CONFIG, **{name: {**CONFIG.get(name, {}), **entries} for name, entries in sections.items()}}


def said(content: dict[str, Any]) -> str:
    return "\n".join(notes(resolve(content)))


def test_of_a_configuration_that_uses_all_it_names_nothing_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(CONFIG) == ""


def test_entries_that_nothing_uses_are_named_and_how_to_make_them() -> None:
    line, pairs = {"alpha": [-1, 1, 3]}, {"measure": "eigenpairs", "examples": 10}
    assert said(changed(planes={"line": line}, probes={"pairs": pairs}, data={"more": {"source": "digits"}})) == (
        "planes.line is used by no figure, claim or summary, and left out; to measure a run there: "
        "landscape run CONFIG results/surfaces/RUN/line.nc\n"
        "probes.pairs is used by no figure, claim or summary, and left out; to measure a run there: "
        "landscape run CONFIG results/probes/RUN/pairs.nc\n"
        "data.more is used by no run"
    )
    one = {"contours": {"draw": "contours", "runs": ["small"], "plane": "contour"}}
    assert (
        said(changed(figures=one)) == "runs.other is in no figure, table or claim; only the summary shows the training"
    )
    assert said(changed(figures=one, summary={"plane": "contour"})) == "", "the summary shows all runs on its plane"


def test_entries_that_are_used_through_others_count_as_used() -> None:
    planes = {
        "back": {"directions": "of", "run": "small", "plane": "origin", "alpha": [-1, 1, 3], "beta": [-1, 1, 3]},
        "origin": {"alpha": [-1, 1, 3], "beta": [-1, 1, 3]},
        "bends": {"directions": "eigenvectors", "probe": "pairs", "alpha": [-1, 1, 3], "beta": [-1, 1, 3]},
        "towards": {"directions": "to", "run": "other", "alpha": [0, 1, 3]},
    }
    probes = {"pairs": {"measure": "eigenpairs", "examples": 10}}
    figures = {
        name: {"draw": "contours", "runs": ["small@001" if name == "back" else "small"], "plane": name}
        for name in ("back", "bends")
    }
    figures["lines"] = {"draw": "lines", "runs": ["small"], "plane": "towards"}
    content = changed(planes=planes, probes=probes) | {"figures": CONFIG["figures"] | figures}
    assert said(content) == ""


def test_planes_of_claims_are_used_where_claims_measure_them() -> None:
    planes = {
        "flat": {"alpha": [-1, 1, 3], "beta": [-1, 1, 3]},
        "bent": {"measure": "curvature", "alpha": [-1, 1, 3], "beta": [-1, 1, 3]},
    }
    told = said(changed(planes=planes, claims={"planes": "flat", "curvature": "bent"}))
    assert told.startswith("planes.bent is used by no figure") and "flat" not in told


def test_another_configuration_of_the_same_folder_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    stored = tmp_path / "results/config.yaml"
    stored.write_text(yaml.safe_dump(CONFIG))
    assert said(CONFIG) == ""
    added = changed(runs={"third": {**RUN, "seed": 2}})
    assert said(added) == "", "an entry more harms nobody"
    stored.write_text(yaml.safe_dump(changed(runs={"third": RUN, "small": {**RUN, "epochs": 1}})))
    assert said(CONFIG) == (
        "results/config.yaml is of another configuration, or of an earlier state of this one: it has runs.third, which this "
        "one lacks; there runs.small differs. Two configurations in one folder remake each other's results: give each its "
        "own `results:`"
    )
    stored.write_text("no: configuration")
    assert said(CONFIG) == ""


def test_a_name_that_torchvision_gives_to_another_network_is_noted() -> None:
    of_torchvision = {
        "deep": {"network": "resnet50", "data": "digits"},
        "plain": {"network": "resnet56", "data": "digits"},
    }
    assert said(changed(runs=of_torchvision)) == (
        "network: resnet50 of runs.deep is this package's network for small images, not torchvision's, which is "
        "torchvision.models:resnet50"
    )


def test_check_prints_notes_and_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written(changed(planes={"line": {"alpha": [-1, 1, 3]}}), tmp_path)
    assert cli.main(["check", "config.yaml"]) == 0
    assert capsys.readouterr().out.startswith("note: planes.line is used by no figure")


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        ({**CONFIG, "figure": {}}, "figures"),
        (changed(runs={"small": {**RUN, "epoch": 2}}), "epochs"),
        (changed(runs={"small": {**RUN, "optimizer": "addam"}}), "adam"),
        (changed(runs={"small": {**RUN, "network": "rasnet"}}), "resnet"),
        (changed(runs={"small": {**RUN, "args": {"hiden": [4]}}}), "hidden"),
        (changed(runs={"small": {**RUN, "data": "digit"}}), "digits"),
        (changed(data={"digits": {"source": "cifar1O"}}), "cifar10"),
        (changed(figures={"more": {"draw": "contour", "runs": ["*"], "plane": "contour"}}), "contours"),
        (changed(figures={"more": {"draw": "contours", "runs": ["smal"], "plane": "contour"}}), "small"),
        (changed(figures={"more": {"draw": "contours", "runs": ["Smal@001"], "plane": "contour"}}), "small"),
        (changed(figures={"more": {"draw": "contours", "runs": ["*"], "plane": "Contuor"}}), "contour"),
        (changed(planes={"more": {"measure": "curvatur", "alpha": [-1, 1, 3]}}), "curvature"),
    ],
)
def test_an_error_suggests_the_name_that_was_meant(content: dict[str, Any], meant: str) -> None:
    with pytest.raises(InputError) as error:
        resolve(content)
    assert any(f"did you mean {meant}?" in problem for problem in error.value.problems), error.value.problems


def test_names_that_resemble_nothing_get_no_suggestion() -> None:
    with pytest.raises(InputError) as error:
        resolve(changed(runs={"small": {**RUN, "xyzzy": 2}}))
    assert "did you mean" not in str(error.value)
