"""A configuration from a file or from Snakemake: every sweep expanded, every reference resolved, every mistake reported."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from landscape.config import code
from landscape.config.expand import numbers, select, sweep
from landscape.config.schema import NAME, SECTIONS, Contours, Experiment, Figure, Lines, Plane, Run, Surfaces
from landscape.errors import InputError, one_of

_PLURAL = {"data": "data sets"}
_STATE = re.compile(r"(?P<run>[^@]+)(@(?P<epoch>\d{3}))?")
_FIELDS = {
    name: {key: field.rebuild_annotation() for key, field in model.model_fields.items()}
    for name, model in SECTIONS.items()
    if name in ("runs", "planes")
}


@dataclass(frozen=True)
class State:
    """A run at the end of its training, or at a kept epoch: `RUN` or `RUN@EPOCH`."""

    run: str
    epoch: int | None = None

    def __str__(self) -> str:
        return self.run if self.epoch is None else f"{self.run}@{self.epoch:03d}"


def read(path: str | Path) -> Experiment:
    """Read a YAML file.

    Raises:
        InputError: with every mistake in it, one a line.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    return resolve(content)


def resolve(content: Any) -> Experiment:
    """The experiment a configuration describes. A relative path in it is relative to the current folder.

    Raises:
        InputError: with every mistake, one a line: its path, the value, and what is allowed.
    """
    if not isinstance(content, Mapping):
        raise InputError(f"the configuration is {_shown(content)}; it must be a mapping with the sections data and runs")
    sections = {str(key): value for key, value in content.items()}
    problems: list[str] = []
    entries: dict[str, dict[str, Any]] = {}
    broken: dict[str, set[str]] = {}
    for section, model in SECTIONS.items():
        entries[section], broken[section] = _entries(section, model, sections.get(section, {}), problems)
    rest = {key: value for key, value in sections.items() if key not in SECTIONS}
    whole = Experiment.model_construct(**entries)
    try:
        whole = Experiment.model_validate({**rest, "data": {}, "runs": {}}).model_copy(update=entries)
    except ValidationError as error:
        problems += _messages("", error, Experiment)
    if not sections.get("runs"):
        problems.append("runs is missing: name at least one run")
    problems += _reference_problems(whole, broken)
    if problems:
        raise InputError(dict.fromkeys(problems))
    figures = {name: _with_states(figure, whole.runs) for name, figure in whole.figures.items()}
    return whole.model_copy(update={"figures": figures})


def state(experiment: Experiment, text: str) -> State:
    """The state named `RUN` or `RUN@EPOCH`.

    Raises:
        InputError: if there is no such run, or it does not keep that epoch.
    """
    match = _STATE.fullmatch(text)
    found = run(experiment, match["run"] if match else text)
    if not match or match["epoch"] is None:
        return State(text)
    epoch = int(match["epoch"])
    if found.adopted:
        raise InputError(f"{text} cannot be had: the run {match['run']} is adopted, so it has no epochs")
    if not found.keeps(epoch):
        kept = [f"{e:03d}" for e in range(found.epochs + 1) if found.keeps(e)]
        raise InputError(
            f"{text} cannot be had: the run {match['run']} has keep: {found.keep} of {found.epochs} epochs, so its kept epochs are "
            + one_of(kept)
        )
    return State(match["run"], epoch)


def run(experiment: Experiment, name: str) -> Run:
    """Raises: InputError if there is none of that name; so do `plane` and `figure`."""
    if name not in experiment.runs:
        raise InputError(f"there is no run {name!r}; the runs are {one_of(experiment.runs)}")
    return experiment.runs[name]


def plane(experiment: Experiment, name: str) -> Plane:
    if name not in experiment.planes:
        raise InputError(f"there is no plane {name!r}; the planes are {one_of(experiment.planes)}")
    return experiment.planes[name]


def figure(experiment: Experiment, name: str) -> Figure:
    if name not in experiment.figures:
        raise InputError(f"there is no figure {name!r}; the figures are {one_of(experiment.figures)}")
    return experiment.figures[name]


def impossible(experiment: Experiment, at: str, plane_name: str) -> str | None:
    """Why the state `at` cannot be seen on a plane, or None if it can, as far as the configuration tells.

    Raises:
        InputError: if there is no such state or plane.
    """
    centre = state(experiment, at)
    seen = plane(experiment, plane_name)
    if seen.run is None:
        return None
    other = state(experiment, seen.run)
    if seen.directions == "to" and other == centre:
        return f"plane {plane_name} leads to {seen.run}, and a line from {centre} to itself has no direction"
    if seen.directions == "of" and (reason := impossible(experiment, str(other), str(seen.plane))):
        return f"plane {plane_name} uses the directions of {seen.plane} around {seen.run}: {reason}"
    here, there = experiment.runs[centre.run], experiment.runs[other.run]
    if (here.network, here.args) != (there.network, there.args):
        return (
            f"plane {plane_name} needs two states of one architecture, and {centre} is {_architecture(here)} "
            f"while {other} is {_architecture(there)}"
        )
    return None


def _architecture(run: Run) -> str:
    return f"{run.network}({', '.join(f'{key}={value}' for key, value in run.args.items())})"


def _entries(section: str, model: Any, content: Any, problems: list[str]) -> tuple[dict[str, Any], set[str]]:
    """The valid entries of a section by name, and the names of the broken ones."""
    entries: dict[str, Any] = {}
    broken: set[str] = set()
    if content is None:
        return entries, broken
    if not isinstance(content, Mapping):
        problems.append(f"{section} is {_shown(content)}; it must be a mapping from names to entries")
        return entries, broken
    seen: dict[str, str] = {}
    for template, entry in content.items():
        template = str(template)
        path = f"{section}.{template}"
        if not isinstance(entry, Mapping):
            problems.append(f"{path} is {_shown(entry)}; it must be a mapping from keys to values")
            broken.add(template)
            continue
        entry = {str(key): value for key, value in entry.items()}
        if "args" in entry:
            entry["args"] = numbers(entry["args"])
        try:
            expanded = sweep(template, entry, _FIELDS[section]) if section in _FIELDS else {template: entry}
        except InputError as error:
            problems += [path + problem for problem in error.problems]
            broken.add(template)
            continue
        for name, one in expanded.items():
            path = f"{section}.{name}"
            if not NAME.fullmatch(name):
                problems.append(f"{path}: {name!r} is no name; names are letters, digits, _ . -, at most 80, the first no sign")
            elif name.lower() in seen:
                problems.append(f"{path}: the name stands twice, as {seen[name.lower()]} too (letters' case does not count)")
            seen[name.lower()] = name
            try:
                entries[name] = TypeAdapter(model).validate_python(one)
            except ValidationError as error:
                problems += _messages(path, error, model)
                broken.add(name)
    return entries, broken


def _reference_problems(whole: Experiment, broken: dict[str, set[str]]) -> list[str]:
    """What is wrong between entries that are right by themselves."""
    problems: list[str] = []

    def known(path: str, name: str, section: str) -> bool:
        entries = getattr(whole, section)
        if name not in entries and name not in broken[section]:
            problems.append(f"{path} is {name!r}; the {_PLURAL.get(section, section)} are {one_of(entries)}")
        return name in entries

    for name, data in whole.data.items():
        if data.source.endswith(".npz") and not Path(data.source).is_file():
            problems.append(f"data.{name}.source is {data.source!r}, and there is no such file")
        elif not data.source.endswith(".npz") and data.source not in ("digits", "cifar10", "cifar100"):
            problems.append(f"data.{name}.source is {data.source!r}; allowed are digits, cifar10, cifar100, path/to/file.npz")
    for name, run in whole.runs.items():
        known(f"runs.{name}.data", run.data, "data")
        problems += [f"runs.{name}{problem}" for problem in _network_problems(run)]
        for key, files in (("weights", [run.weights] if run.weights else []), ("code", run.code)):
            problems += [f"runs.{name}.{key} is {f!r}, and there is no such file" for f in files if not Path(f).is_file()]
    for name, seen in whole.planes.items():
        path = f"planes.{name}"
        if seen.run is not None and _run_known(f"{path}.run", seen.run, whole, broken, problems) and seen.plane is not None:
            if cycle := _cycle(name, whole.planes):
                problems.append(f"{path}.plane is {seen.plane!r}, so the plane refers to itself: {' -> '.join(cycle)}")
            else:
                known(f"{path}.plane", seen.plane, "planes")
    for name, figure in whole.figures.items():
        problems += _figure_problems(name, figure, whole, broken, known)
    if whole.summary.plane is not None:
        known("summary.plane", whole.summary.plane, "planes")
    return problems


def _network_problems(run: Run) -> list[str]:
    try:
        found = code.parameters(run.network)
    except InputError as error:
        return [f".network {error}"]
    return [f".args {problem}" for problem in found.problems(run.network, run.args)] if found else []


def _run_known(path: str, text: str, whole: Experiment, broken: dict[str, set[str]], problems: list[str]) -> bool:
    if text.partition("@")[0] in broken["runs"]:
        return False
    try:
        state(whole, text)
    except InputError as error:
        problems.append(f"{path} is {text!r}: {error}")
        return False
    return True


def _cycle(name: str, planes: Mapping[str, Plane]) -> list[str]:
    """The chain of planes that leads from `name` back to it; empty if none does."""
    chain = [name]
    while (following := planes[chain[-1]].plane) is not None and following in planes:
        chain.append(following)
        if following == name:
            return chain
        if len(chain) > len(planes):
            break
    return []


def _figure_problems(name: str, figure: Figure, whole: Experiment, broken: dict[str, set[str]], known: Any) -> Iterable[str]:
    path = f"figures.{name}"
    found_cycles = any(_cycle(plane_name, whole.planes) for plane_name in whole.planes)
    for i, pattern in enumerate(figure.runs):
        states, unmatched = select([pattern], [*whole.runs, *broken["runs"]])
        if unmatched:
            yield f"{path}.runs[{i}] is {pattern!r}; the runs are {one_of(whole.runs)}"
        for text in states:
            problems: list[str] = []
            usable = _run_known(f"{path}.runs[{i}]", text, whole, broken, problems)
            yield from problems
            if not usable or not isinstance(figure, Contours | Surfaces | Lines) or figure.plane not in whole.planes:
                continue
            try:
                reason = None if found_cycles else impossible(whole, text, figure.plane)
            except InputError:
                continue  # the plane's own reference is wrong, which is reported there
            if reason:
                yield f"{path}.runs[{i}] is {pattern!r}: {reason}"
    if isinstance(figure, Contours | Surfaces | Lines) and known(f"{path}.plane", figure.plane, "planes"):
        alphas, betas = whole.planes[figure.plane].shape
        if isinstance(figure, Lines) and (alphas < 2 or betas > 1):
            yield f"{path}.plane is {figure.plane!r}, a grid of {alphas} x {betas}; draw: lines needs a line of 2 points or more"
        if isinstance(figure, Contours | Surfaces) and min(alphas, betas) < 2:
            yield f"{path}.plane is {figure.plane!r}, a grid of {alphas} x {betas}; draw: {figure.draw} needs at least 2 x 2"


def _with_states(figure: Figure, runs: Mapping[str, Run]) -> Figure:
    states, _ = select(figure.runs, runs)
    return figure.model_copy(update={"runs": tuple(states)})


def _messages(path: str, error: ValidationError, model: Any) -> Iterable[str]:
    for item in error.errors(include_url=False):
        where = path
        for part in item["loc"]:
            if isinstance(part, int):
                where += f"[{part}]"
            elif not (path.startswith("figures.") and where == path and part in _DRAWN):
                where += f".{part}" if where else str(part)
        match item["type"]:
            case "extra_forbidden":
                fields = _DRAWN[str(item["loc"][0])] if path.startswith("figures.") else model
                yield f"{where} is no key; allowed are {one_of(fields.model_fields)}"
            case "missing":
                yield f"{where} is missing"
            case "union_tag_not_found":
                yield f"{where}.draw is missing; allowed are {one_of(_DRAWN)}"
            case "union_tag_invalid":
                yield f"{where}.draw is {item['input'].get('draw')!r}; allowed are {one_of(_DRAWN)}"
            case "value_error" if isinstance(item["input"], Mapping):
                yield f"{where}: {item['ctx']['error']}"
            case "value_error":
                yield f"{where} is {_shown(item['input'])}: {item['ctx']['error']}"
            case _:
                yield f"{where} is {_shown(item['input'])}: {item['msg'][0].lower()}{item['msg'][1:]}"


_DRAWN = {model.model_fields["draw"].annotation.__args__[0]: model for model in Figure.__origin__.__args__}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
