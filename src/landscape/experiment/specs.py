"""Specifications: the slice of a configuration that one file depends on, as one JSON string.

Snakemake reruns a job when its parameters change, and compares them as an unordered set; so each rule has one
parameter, with sorted keys, of what differs from the defaults and the version of the stage. Stating a default, or
adding a field to the schema, changes no specification; changing a default or the code of a stage must raise the
version of every stage it alters.

The functions `of_...` raise InputError, with the reason, where there is no such result.
"""

import hashlib
import json
from collections.abc import Collection
from typing import Any

from pydantic import TypeAdapter, ValidationError

from landscape.artefacts import STAGES
from landscape.config.fields import INERT, with_trait
from landscape.config.section import Section
from landscape.data.data_section import Data
from landscape.errors import InputError, one_of
from landscape.experiment.analysis_sections import Claims, Published, Table
from landscape.experiment.lookup import entry, figure, impossible, no_path, plane, probe, run, state, unlike
from landscape.experiment.reading import read
from landscape.experiment.schema import SECTIONS, Experiment
from landscape.measures.plane import DirectionKeys, Plane
from landscape.networks import code
from landscape.training.run_section import RULES, Run

_OF_DIRECTIONS = {"directions", "mark"}  # stages that look at a plane's directions alone


def of_data(experiment: Experiment, name: str) -> str:
    return of("dataset", experiment.data[name])


def of_run(experiment: Experiment, name: str) -> str:
    found = run(experiment, name)
    return of(RULES[found.made], found)


def of_directions(experiment: Experiment, at: str, plane_name: str) -> str:
    """Of a plane's directions, which do not depend on what is measured there."""
    return of("directions", _seen(experiment, at, plane_name))


def of_surface(experiment: Experiment, at: str, plane_name: str) -> str:
    return of("surface", _seen(experiment, at, plane_name))


def of_trajectory(experiment: Experiment, name: str, plane_name: str) -> str:
    if reason := no_path(experiment, name):
        raise InputError(f"{name} has no trajectory: {reason}")
    return of("trajectory", _seen(experiment, name, plane_name))


def of_mark(experiment: Experiment, at: str, plane_name: str, marked: str) -> str:
    """Of a marked state on a plane around another one."""
    if reason := unlike(experiment, at, marked):
        raise InputError(f"{marked} has no place on {plane_name} around {at}, which needs {reason}")
    return of("mark", _seen(experiment, at, plane_name))


def of_probe(experiment: Experiment, at: str, name: str) -> str:
    found = probe(experiment, name)
    state(experiment, at)
    if found.plane is not None:
        _seen(experiment, at, found.plane)
    return of("probe", found)


def of_figure(experiment: Experiment, name: str) -> str:
    return of("figure", figure(experiment, name))


def of_table(experiment: Experiment, name: str) -> str:
    """Of a table, with the published numbers of its runs."""
    table = entry("table", experiment.tables, name)
    return _dumps("table", {**_stated(table), "published": _published(experiment, table.runs)})


def of_summary(experiment: Experiment) -> str:
    return _dumps("summary", {**_stated(experiment.summary), "runs": list(experiment.runs)})


def of_claims(experiment: Experiment) -> str:
    """Of the claims, with the published numbers of every run."""
    stated = _stated(experiment.claims) if experiment.claims else {}
    runs = list(experiment.runs)
    return _dumps("claims", {**stated, "runs": runs, "published": _published(experiment, runs)})


def of(stage: str, made_from: Section) -> str:
    """Specification of an entry for a stage: the keys that its results depend on, where they differ from the defaults."""
    if stage in _OF_DIRECTIONS and isinstance(made_from, Plane):
        made_from = made_from.drawn()
    content = _stated(made_from)
    args = content.pop("args", {})
    if isinstance(made_from, Run):
        content["network"], _ = code.expanded(made_from.network)
        args = code.telling(made_from.network, args)
    elif isinstance(made_from, Data):
        args = code.telling(made_from.source, args)
    if args:
        content["args"] = args
    return _dumps(stage, content)


def digest(spec: str) -> str:
    """A short hash of a specification."""
    return hashlib.sha256(spec.encode()).hexdigest()[:16]


def load(text: str, stage: str) -> tuple[Any, str]:
    """The entry that a verb's `--spec` gives (of a plane's directions, a `DirectionKeys`), and its specification.

    Args:
        text: JSON as the workflow writes it, or `CONFIG.yaml#planes.contour`.

    Raises:
        InputError: if it is neither, or not a valid entry, or JSON for another version of the stage.
    """
    section = STAGES[stage].section
    if _is_json(text):
        model = DirectionKeys if stage in _OF_DIRECTIONS else SECTIONS[section]
        found = _validated(model, _parsed(text, stage), section)
    else:
        found = _from_file(text, section)
        found = found.drawn() if stage in _OF_DIRECTIONS else found
    return found, of(stage, found)


def load_published(text: str, stage: str) -> tuple[Any, dict[str, Published]]:
    """A table or the claims that a verb's `--spec` gives, with what is published of each run.

    Args:
        text: JSON as the workflow writes it, or `CONFIG.yaml#tables.table1`, `CONFIG.yaml#claims`.

    Raises:
        InputError: as `load`.
    """
    if not _is_json(text):
        whole = read(text.partition("#")[0])
        return (whole.claims or Claims()) if stage == "claims" else _from_file(text, "tables"), whole.published
    content = _parsed(text, stage)
    published = _validated(dict[str, Published], content.pop("published", {}), "published")
    if stage == "table":
        return _validated(Table, content, stage), published
    content.pop("runs", None)
    return _validated(Claims, content, stage), published


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _parsed(text: str, stage: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--spec is not valid JSON: {error}") from None
    version = content.pop("stage", STAGES[stage].version)
    if version != STAGES[stage].version:
        raise InputError(f"--spec is for version {version} of {stage}, and this is version {STAGES[stage].version}")
    return content


def _validated(model: Any, content: Any, section: str) -> Any:
    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"--spec is no entry of the section {section}: {details}") from None


def _from_file(text: str, section: str) -> Any:
    path, hash_sign, place = text.rpartition("#")
    named_section, dot, name = place.partition(".")
    if not hash_sign or not dot or named_section != section:
        raise InputError(f"--spec is {text!r}; it must be JSON or CONFIG.yaml#{section}.NAME")
    entries = getattr(read(path), section)
    if name not in entries:
        raise InputError(f"--spec names {section}.{name}; the {section} are {one_of(entries, name)}")
    return entries[name]


def _seen(experiment: Experiment, at: str, plane_name: str) -> Plane:
    if reason := impossible(experiment, at, plane_name):
        raise InputError(f"{at} cannot be seen on {plane_name}: {reason}")
    return plane(experiment, plane_name)


def _published(experiment: Experiment, runs: Collection[str]) -> dict[str, Any]:
    return {name: _stated(known) for name, known in experiment.published.items() if name in runs}


def _stated(made_from: Section) -> dict[str, Any]:
    """The keys that results depend on, where they differ from the defaults."""
    inert = with_trait(type(made_from), INERT)
    return made_from.model_dump(mode="json", exclude_defaults=True, exclude=inert)


def _dumps(stage: str, content: dict[str, Any]) -> str:
    return json.dumps({**content, "stage": STAGES[stage].version}, sort_keys=True)
