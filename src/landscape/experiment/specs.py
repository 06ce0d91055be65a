"""Specifications: the slice of a configuration that one file depends on, as one JSON string.

Snakemake reruns a job when its parameters change, and compares them as an unordered set; so each rule has one
parameter, with sorted keys, of what differs from the defaults and the version of the stage. Stating a default, or
adding a field to the schema, changes no specification; changing a default or the code of a stage must raise the
version of every stage it alters.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from landscape.artefacts import STAGES
from landscape.config.fields import INERT, with_trait
from landscape.config.section import Section
from landscape.data.data_section import Data
from landscape.errors import InputError, one_of
from landscape.experiment.analysis_sections import Claims, Published, Table
from landscape.experiment.lookup import figure, impossible, no_path, plane, probe, run, state, unlike
from landscape.experiment.needs import runs_of_table
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
    """Specification of a plane's directions, which do not depend on what is measured there.

    Raises:
        InputError: with the reason if the state cannot be seen on the plane.
    """
    return of("directions", _seen(experiment, at, plane_name))


def of_surface(experiment: Experiment, at: str, plane_name: str) -> str:
    """Specification of a surface.

    Raises:
        InputError: with the reason if the state cannot be seen on the plane.
    """
    return of("surface", _seen(experiment, at, plane_name))


def of_trajectory(experiment: Experiment, name: str, plane_name: str) -> str:
    """Specification of a trajectory.

    Raises:
        InputError: with the reason if the run has no path, or cannot be seen on the plane.
    """
    if reason := no_path(experiment, name):
        raise InputError(f"{name} has no trajectory: {reason}")
    return of("trajectory", _seen(experiment, name, plane_name))


def of_mark(experiment: Experiment, at: str, plane_name: str, marked: str) -> str:
    """Specification of a marked state on a plane around another one.

    Raises:
        InputError: with the reason if it has no place there.
    """
    if reason := unlike(experiment, at, marked):
        raise InputError(f"{marked} has no place on {plane_name} around {at}, which needs {reason}")
    return of("mark", _seen(experiment, at, plane_name))


def of_probe(experiment: Experiment, at: str, name: str) -> str:
    """Specification of a probe.

    Raises:
        InputError: with the reason if the state cannot be seen on the plane of the probe's point.
    """
    found = probe(experiment, name)
    state(experiment, at)
    if found.plane is not None:
        _seen(experiment, at, found.plane)
    return of("probe", found)


def of_figure(experiment: Experiment, name: str) -> str:
    return of("figure", figure(experiment, name))


def of_table(experiment: Experiment, name: str) -> str:
    """Specification of a table, with the published numbers of its runs."""
    runs = runs_of_table(experiment, name)
    content = experiment.tables[name].model_dump(mode="json", exclude_defaults=True)
    return _dumps("table", {**content, "published": _published(experiment, runs)})


def of_summary(experiment: Experiment) -> str:
    content = experiment.summary.model_dump(mode="json", exclude_defaults=True)
    return _dumps("summary", {**content, "runs": list(experiment.runs)})


def of_claims(experiment: Experiment) -> str:
    """Specification of the claims, with the published numbers of every run."""
    content = experiment.claims.model_dump(mode="json", exclude_defaults=True) if experiment.claims else {}
    return _dumps("claims", {**content, "runs": list(experiment.runs), "published": _published(experiment)})


def of(stage: str, entry: Section) -> str:
    """Specification of an entry for a stage: the keys that its results depend on, where they differ from the defaults."""
    if stage in _OF_DIRECTIONS and isinstance(entry, Plane):
        entry = entry.drawn()
    inert = with_trait(type(entry), INERT)
    content = entry.model_dump(mode="json", exclude_defaults=True, exclude=inert)
    args = content.pop("args", {})
    if isinstance(entry, Run):
        content["network"], _ = code.expanded(entry.network)
        args = code.telling(entry.network, args)
    elif isinstance(entry, Data):
        args = code.telling(entry.source, args)
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
    entry = _from_json(text, stage) if text.lstrip().startswith("{") else _from_file(text, STAGES[stage].section)
    if stage in _OF_DIRECTIONS and isinstance(entry, Plane):
        entry = entry.drawn()
    return entry, of(stage, entry)


def load_published(text: str, stage: str) -> tuple[Any, dict[str, Published]]:
    """A table or the claims that a verb's `--spec` gives, with what is published of each run.

    Args:
        text: JSON as the workflow writes it, or `CONFIG.yaml#tables.table1`, `CONFIG.yaml#claims`.

    Raises:
        InputError: as `load`.
    """
    if not text.lstrip().startswith("{"):
        whole = read(text.partition("#")[0])
        entry = (whole.claims or Claims()) if stage == "claims" else _from_file(text, STAGES[stage].section)
        return entry, whole.published
    content = _parsed(text, stage)
    published = content.pop("published", {})
    content.pop("runs", None) if stage == "claims" else None
    model = Claims if stage == "claims" else Table
    found = _validated(TypeAdapter(dict[str, Published]), published, "published")
    return _validated(TypeAdapter(model), content, stage), found


def _from_json(text: str, stage: str) -> Any:
    model = DirectionKeys if stage in _OF_DIRECTIONS else SECTIONS[STAGES[stage].section]
    return _validated(TypeAdapter(model), _parsed(text, stage), STAGES[stage].section)


def _parsed(text: str, stage: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--spec is not valid JSON: {error}") from None
    version = content.pop("stage", STAGES[stage].version)
    if version != STAGES[stage].version:
        raise InputError(f"--spec is for version {version} of {stage}, and this is version {STAGES[stage].version}")
    return content


def _validated(adapter: TypeAdapter[Any], content: Any, section: str) -> Any:
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"--spec is no entry of the section {section}: {details}") from None


def _from_file(text: str, section: str) -> Any:
    path, hash_sign, entry = text.rpartition("#")
    named_section, dot, name = entry.partition(".")
    if not hash_sign or not dot or named_section != section:
        raise InputError(f"--spec is {text!r}; it must be JSON or CONFIG.yaml#{section}.NAME")
    entries = getattr(read(path), section)
    if name not in entries:
        raise InputError(f"--spec names {section}.{name}; the {section} are {one_of(entries)}")
    return entries[name]


def _seen(experiment: Experiment, at: str, plane_name: str) -> Plane:
    if reason := impossible(experiment, at, plane_name):
        raise InputError(f"{at} cannot be seen on {plane_name}: {reason}")
    return plane(experiment, plane_name)


def _published(experiment: Experiment, runs: Iterable[str] | None = None) -> dict[str, Any]:
    wanted = set(experiment.runs if runs is None else runs)
    return {
        name: entry.model_dump(mode="json", exclude_defaults=True)
        for name, entry in experiment.published.items()
        if name in wanted
    }


def _dumps(stage: str, content: dict[str, Any]) -> str:
    return json.dumps({**content, "stage": STAGES[stage].version}, sort_keys=True)
