"""What is written from the code is up to date: keys, schema, lists and tables. `make generated` writes it anew."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from landscape import artefacts, cli
from landscape.config.fields import INERT, with_trait
from landscape.experiment import document, documentation, key_reference
from landscape.experiment.schema import KINDS_OF, SWEEP, SWEPT, Experiment, json_schema
from landscape.experiment.sweeps import numbers
from landscape.figures.kinds.contours import Contours
from landscape.figures.kinds.interpolation import InterpolationRow
from landscape.measures.plane import Plane
from landscape.training.run_section import Rescaled

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = (
    "config/schema.json",
    "docs/keys.md",
    "tests/defaults.json",
    "config/default.yaml",
    "README.md",
    "results/README.md",
)
CONFIGURATIONS = sorted([*REPOSITORY.glob("config/*.yaml"), *REPOSITORY.glob("tests/configs/*.yaml")])
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def stale() -> set[str]:
    """The documents that the code would write differently."""
    return {path for path, text in documentation.documents().items() if (REPOSITORY / path).read_text() != text}


def headed() -> dict[str, dict[str, list[str]]]:
    """The tables of docs/keys.md: by the headings above them, the cells of each key."""
    tables: dict[str, dict[str, list[str]]] = {}
    section = heading = ""
    for line in (REPOSITORY / "docs/keys.md").read_text().splitlines():
        if line.startswith("## "):
            section = heading = line.removeprefix("## ")
        elif line.startswith("### "):
            heading = f"{section}, {line.removeprefix('### ')}"
        elif line.startswith("| `"):
            key, *cells = (cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            tables.setdefault(heading, {})[key] = cells
    return tables


def kinds() -> Iterator[tuple[str, str, type[BaseModel]]]:
    """Every kind of entry: its section, the heading of its own keys, and its class."""
    for section, named in key_reference.sections().items():
        for name, kind in named.items():
            yield section, f"{section}, {KINDS_OF[section][0]}: {name}" if name else section, kind


def keys_of(section: str, heading: str) -> dict[str, list[str]]:
    return {**headed()[section], **headed().get(heading, {})}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_up_to_date(path: str) -> None:
    made = documentation.documents()
    assert set(made) == set(DOCUMENTS)
    assert (REPOSITORY / path).read_text() == made[path], f"{path} is stale: run make generated"


def test_a_changed_word_of_the_code_makes_documents_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not stale()
    with monkeypatch.context() as change:
        change.setattr(Contours, "__doc__", "Another line.")
        assert stale() == {"docs/keys.md", "config/default.yaml", "config/schema.json"}
    with monkeypatch.context() as change:
        change.setitem(SWEEP, "description", "another meaning")
        assert stale() == {"docs/keys.md", "config/schema.json"}
    with monkeypatch.context() as change:
        table = [dataclasses.replace(made, about=made.about and f"{made.about}!") for made in artefacts.TABLE]
        change.setattr(documentation, "TABLE", tuple(table))
        assert stale() == {"README.md", "results/README.md"}


def test_only_marked_lines_are_written_and_lost_marks_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("config", "results", "tests"):
        (tmp_path / path).mkdir()
    (tmp_path / "tests/defaults.json").write_text((REPOSITORY / "tests/defaults.json").read_text())
    for path in ("config/default.yaml", "README.md", "results/README.md"):
        (tmp_path / path).write_text((REPOSITORY / path).read_text() + "# A line of one's own.\n")
    monkeypatch.setattr(documentation, "ROOT", tmp_path)
    config = tmp_path / "config/default.yaml"
    config.write_text(re.sub(r"#   contours .*\n", "#   nothing\n#   at all\n", config.read_text()))
    made = documentation.documents()["config/default.yaml"]
    assert made == (REPOSITORY / "config/default.yaml").read_text() + "# A line of one's own.\n"
    config.write_text(config.read_text().replace("# The kinds of figures (generated):", "# Figures:"))
    with pytest.raises(ValueError, match="kinds of figures"):
        documentation.documents()


@pytest.mark.parametrize(("section", "heading", "kind"), list(kinds()))
def test_every_key_stands_in_the_reference_with_its_default(section: str, heading: str, kind: type[BaseModel]) -> None:
    shown = keys_of(section, heading)
    told = KINDS_OF.get(section, ("",))[0]
    for key, field in kind.model_fields.items():
        if key == told:
            continue
        _, default, meaning = shown[key]
        if field.is_required():
            assert default == "required", key
        else:
            assert numbers(yaml.safe_load(default)) == json.loads(
                json.dumps(field.default, default=to_jsonable_python)
            ), key
        assert meaning.endswith("changes no number") == (key in with_trait(kind, INERT)), key
        assert meaning or section == "figures", key
    assert {key for key in shown if "." not in key} - {"sweep", told} == set(kind.model_fields) - {told}
    assert ("sweep" in shown) == (section in SWEPT)


def test_keys_of_mappings_and_of_the_top_level_stand_there_too() -> None:
    tables = headed()
    assert {f"rescaled.{key}" for key in Rescaled.model_fields} <= tables["runs"].keys()
    assert {f"rows.{key}" for key in InterpolationRow.model_fields} <= tables["figures, draw: interpolation"].keys()
    assert set(Experiment.model_fields) == {*key_reference.sections(), *tables["The top level"]}


@pytest.mark.parametrize("section", KINDS_OF)
def test_every_kind_has_its_heading_and_its_line_in_the_example(section: str) -> None:
    told, named = KINDS_OF[section]
    text, example = (REPOSITORY / "docs/keys.md").read_text(), (REPOSITORY / "config/default.yaml").read_text()
    for name in named:
        assert f"\n### {told}: {name}\n" in text
        assert re.search(rf"^#   {name} ", example, flags=re.M)


def test_the_example_lists_every_pair_of_directions() -> None:
    example = (REPOSITORY / "config/default.yaml").read_text()
    listed = re.search(r"# The directions of planes \(generated\):\n((?:#   .*\n)*)", example)
    assert listed
    found = re.findall(r"^#   (\w+) ", listed[1], flags=re.M)
    assert sorted(found) == sorted(get_args(Plane.model_fields["directions"].annotation))


@pytest.mark.parametrize(
    ("section", "heading", "key", "value"),
    [
        ("runs", "", "epochs", "whole number from 1 to 999, text or list of texts"),
        ("runs", "", "optimizer", "one of sgd, adam, adamw, adagrad"),
        ("runs", "", "keep", "none, all or whole number"),
        ("runs", "", "warmup", "number of at least 0 and below 1"),
        ("runs", "", "data", "name of a data set"),
        ("runs", "", "rescaled.run", "name of a run"),
        ("planes", "", "alpha", "auto, [first, last, points] or [auto, points]"),
        ("planes", "", "runs", "1 to 2 names of runs"),
        ("planes", "", "seed", "whole number of at least 0"),
        ("summary", "", "runs", "name or names of runs, with * and ?"),
        ("figures", "draw: contours", "runs", "names of runs, with * and ?"),
        ("figures", "draw: contours", "levels", "log, paper or list of numbers"),
        ("figures", "draw: curvature", "plane", "name of a plane with measure: curvature"),
        ("figures", "draw: interpolation", "rows.plane", "name of a line"),
        ("figures", "draw: bundles", "rows", "list of names of lines, with * and ?"),
        ("figures", "draw: sharpening", "probe", "name of a probe with measure: eigenpairs or spectrum"),
        ("figures", "draw: sharpening", "epochs", "list of 2 or more whole numbers from 0 to 999"),
        (
            "claims",
            "",
            "gradients",
            "name or names of planes or lines with measure: gradients or curvature, with * and ?",
        ),
    ],
)
def test_types_are_in_plain_words(section: str, heading: str, key: str, value: str) -> None:
    assert keys_of(section, f"{section}, {heading}")[key][0] == value


@pytest.mark.parametrize("path", ["README.md", "results/README.md"])
def test_the_table_of_results_names_the_files_that_people_look_for(path: str) -> None:
    text = (REPOSITORY / path).read_text()
    folder = "results/" if path == "README.md" else ""
    for kind, file in {
        "surface": f"{folder}surfaces/STATE/PLANE.nc",
        "probe": f"{folder}probes/STATE/PROBE.nc",
        "pdf": f"{folder}figures/FIGURE.pdf",
    }.items():
        about = next(made.about for made in artefacts.TABLE if kind in made.files)
        assert f"| {about} | `{file}`" in text
    assert "left" not in text.partition("<!-- results: generated -->")[2].partition("<!-- end -->")[0]


def test_the_verb_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert capsys.readouterr().out == documentation.documents()["config/schema.json"]


def test_the_schema_knows_sweeps_and_every_section() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(Experiment.model_fields)
    for kind in ("Run", "LossPlane", "GradientsPlane", "CurvaturePlane"):
        assert "sweep" in schema["$defs"][kind]["properties"]


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_the_schema_finds_no_fault_with_the_configurations_here(path: Path) -> None:
    VALIDATOR.validate(document.read(path))


RUN = {"network": "resnet20", "data": "digits"}


@pytest.mark.parametrize(
    ("run", "is_right"),
    [
        (RUN, True),
        ({"data": "digits", "sweep": {"network": ["resnet20", "resnet56"]}}, True),
        ({"rescaled": {"run": "other", "by": 10}}, True),
        ({"data": "digits"}, False),
        ({"data": "digits", "sweep": {"seed": [0, 1]}}, False),
        ({**RUN, "epochs": 0}, False),
        ({**RUN, "epoch": 1}, False),
    ],
)
def test_the_schema_tells_right_runs_from_wrong_ones(run: dict[str, Any], is_right: bool) -> None:
    assert VALIDATOR.is_valid({"data": {"digits": {"source": "digits"}}, "runs": {"one": run}}) == is_right
