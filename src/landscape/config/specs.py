"""The slice of a configuration that one file depends on, as one JSON string.

Snakemake reruns a job when its parameters change, and compares them as an unordered set; so each rule has one
parameter, with sorted keys, of what differs from the defaults and the version of the stage. Stating a default, or
adding a field to the schema, changes no specification; changing a default or the code of a stage must raise the
version of every stage it alters.
"""

import hashlib
import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from landscape.config.lookup import figure, impossible, plane, run
from landscape.config.read import read
from landscape.config.schema import SECTIONS, Experiment, Figure, Run, Section
from landscape.errors import InputError, one_of

STAGES = {"dataset": 1, "train": 1, "adopt": 1, "directions": 1, "surface": 1, "figure": 1, "summary": 1}
"""Version of what each stage computes. Raise it when the stage's code or a default it uses alters results."""

_DIRECTION_KEYS = {"directions", "normalize", "seed", "run", "plane", "batchnorm", "beta"}  # a line has no beta
_NOT_IN_A_SURFACE = {"tiles"}  # how a plane is cut leaves its numbers as they are


def of_data(experiment: Experiment, name: str) -> str:
    return dumps("dataset", _stated(experiment.data[name]))


def of_run(experiment: Experiment, name: str) -> str:
    """The run, whose epochs kept beside it are part of its files; the data set is an input."""
    found = run(experiment, name)
    return dumps("adopt" if found.adopted else "train", _stated(found))


def of_directions(experiment: Experiment, at: str, plane_name: str) -> str:
    """What the directions of a plane depend on: not what is measured there.

    Raises:
        InputError: with the reason if the state cannot be seen on the plane.
    """
    _possible(experiment, at, plane_name)
    return dumps("directions", _stated(plane(experiment, plane_name), include=_DIRECTION_KEYS))


def of_surface(experiment: Experiment, at: str, plane_name: str) -> str:
    """Raises: InputError with the reason if the state cannot be seen on the plane."""
    _possible(experiment, at, plane_name)
    return dumps("surface", _stated(plane(experiment, plane_name), exclude=_NOT_IN_A_SURFACE))


def of_figure(experiment: Experiment, name: str) -> str:
    return dumps("figure", _stated(figure(experiment, name)))


def of_summary(experiment: Experiment) -> str:
    content = {**_stated(experiment.summary), "runs": list(experiment.runs)}
    return dumps("summary", content)


def dumps(stage: str, content: dict[str, Any]) -> str:
    return json.dumps({**content, "stage": STAGES[stage]}, sort_keys=True)


def digest(spec: str) -> str:
    """A short hash of a specification."""
    return hashlib.sha256(spec.encode()).hexdigest()[:16]


def load(text: str, section: str) -> tuple[Any, str]:
    """The entry that a verb's `--spec` gives, and its specification in full.

    Args:
        text: JSON as the workflow writes it, or `CONFIG.yaml#planes.contour`.
        section: `data`, `runs`, `planes` or `figures`.

    Raises:
        InputError: if it is neither, or not a valid entry.
    """
    if text.lstrip().startswith("{"):
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"--spec is not valid JSON: {error}") from None
        content.pop("stage", None)
        try:
            return TypeAdapter(SECTIONS[section]).validate_python(content), text
        except ValidationError as error:
            details = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise InputError(f"--spec is no entry of the section {section}: {details}") from None
    path, hash_sign, entry = text.rpartition("#")
    named_section, dot, name = entry.partition(".")
    if not hash_sign or not dot or named_section != section:
        raise InputError(f"--spec is {text!r}; it must be JSON or CONFIG.yaml#{section}.NAME")
    experiment = read(path)
    entries = getattr(experiment, section)
    if name not in entries:
        raise InputError(f"--spec names {section}.{name}; the {section} are {one_of(entries)}")
    return entries[name], json.dumps(_stated(entries[name]), sort_keys=True)


def _possible(experiment: Experiment, at: str, plane_name: str) -> None:
    if reason := impossible(experiment, at, plane_name):
        raise InputError(f"{at} cannot be seen on {plane_name}: {reason}")


def _stated(entry: Section | Run | Figure, **which: Any) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude_defaults=True, **which)
