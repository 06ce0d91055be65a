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

from landscape.config import code
from landscape.config.lookup import figure, impossible, plane, run
from landscape.config.read import read
from landscape.config.schema import SECTIONS, Directions, Experiment, Plane, Run, Section
from landscape.errors import InputError, one_of

STAGES = {"dataset": 1, "train": 2, "adopt": 2, "directions": 1, "surface": 2, "figure": 1, "summary": 1}
"""Version of what each stage computes. Raise it when the stage's code or a default it uses alters results."""

_SECTION = {
    "dataset": "data",
    "train": "runs",
    "adopt": "runs",
    "directions": "planes",
    "surface": "planes",
    "figure": "figures",
}
_HOW_IT_IS_CUT = {"tiles"}  # which leaves a surface's numbers as they are


def of_data(experiment: Experiment, name: str) -> str:
    return of("dataset", experiment.data[name])


def of_run(experiment: Experiment, name: str) -> str:
    found = run(experiment, name)
    return of("adopt" if found.adopted else "train", found)


def of_directions(experiment: Experiment, at: str, plane_name: str) -> str:
    """What the directions of a plane depend on: not what is measured there.

    Raises:
        InputError: with the reason if the state cannot be seen on the plane.
    """
    return of("directions", _seen(experiment, at, plane_name))


def of_surface(experiment: Experiment, at: str, plane_name: str) -> str:
    """Raises: InputError with the reason if the state cannot be seen on the plane."""
    return of("surface", _seen(experiment, at, plane_name))


def of_figure(experiment: Experiment, name: str) -> str:
    return of("figure", figure(experiment, name))


def of_summary(experiment: Experiment) -> str:
    content = experiment.summary.model_dump(mode="json", exclude_defaults=True)
    return _dumps("summary", {**content, "runs": list(experiment.runs)})


def of(stage: str, entry: Section) -> str:
    """What of an entry the results of a stage depend on, where it differs from the defaults."""
    if stage == "directions" and isinstance(entry, Plane):
        entry = entry.drawn()
    exclude = _HOW_IT_IS_CUT if stage == "surface" else None
    content = entry.model_dump(mode="json", exclude_defaults=True, exclude=exclude)
    if isinstance(entry, Run) and (args := content.pop("args", {})) and (args := code.telling(entry.network, args)):
        content["args"] = args
    return _dumps(stage, content)


def digest(spec: str) -> str:
    """A short hash of a specification."""
    return hashlib.sha256(spec.encode()).hexdigest()[:16]


def load(text: str, stage: str) -> tuple[Any, str]:
    """The entry that a verb's `--spec` gives (of a plane's directions, a `Directions`), and its specification.

    Args:
        text: JSON as the workflow writes it, or `CONFIG.yaml#planes.contour`.

    Raises:
        InputError: if it is neither, or not a valid entry, or JSON for another version of the stage.
    """
    entry = _from_json(text, stage) if text.lstrip().startswith("{") else _from_file(text, _SECTION[stage])
    if stage == "directions" and isinstance(entry, Plane):
        entry = entry.drawn()
    return entry, of(stage, entry)


def _from_json(text: str, stage: str) -> Any:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--spec is not valid JSON: {error}") from None
    version = content.pop("stage", STAGES[stage])
    if version != STAGES[stage]:
        raise InputError(f"--spec is for version {version} of {stage}, and this is version {STAGES[stage]}")
    try:
        model = Directions if stage == "directions" else SECTIONS[_SECTION[stage]]
        return TypeAdapter(model).validate_python(content)
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"--spec is no entry of the section {_SECTION[stage]}: {details}") from None


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


def _dumps(stage: str, content: dict[str, Any]) -> str:
    return json.dumps({**content, "stage": STAGES[stage]}, sort_keys=True)
