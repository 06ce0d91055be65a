"""A configuration from a file or from Snakemake: every sweep expanded, every reference resolved, every mistake reported."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from landscape.config.section import NAME
from landscape.errors import InputError, one_of
from landscape.experiment import document, references
from landscape.experiment.expand import expanded, inherited, numbers, sweep
from landscape.experiment.schema import SECTIONS, Experiment
from landscape.figures.kinds import DRAWN

_FIELDS = {
    name: {key: field.rebuild_annotation() for key, field in model.model_fields.items()}
    for name, model in SECTIONS.items()
    if name in ("runs", "planes")
}
MAX_ENTRIES = 10_000
"""In one section, before the last sweep; it is as large as one sweep may be."""


def read(path: str | Path) -> Experiment:
    """Read a YAML file.

    Raises:
        InputError: with every mistake in it, one a line.
    """
    return resolve(document.read(path))


def resolve(content: Any) -> Experiment:
    """The experiment a configuration describes. A relative path in it is relative to the current folder.

    Raises:
        InputError: with every mistake, one a line: its path, the value, and what is allowed.
    """
    if not isinstance(content, Mapping):
        raise InputError(
            f"the configuration is {_shown(content)}; it must be a mapping with the sections data and runs"
        )
    sections = {str(key): value for key, value in content.items()}
    problems: list[str] = []
    entries: dict[str, dict[str, Any]] = {}
    broken: dict[str, set[str]] = {}
    for section, model in SECTIONS.items():
        entries[section], broken[section] = _entries(section, model, sections.get(section, {}), problems)
    rest = {key: value for key, value in sections.items() if key not in SECTIONS}
    empty: dict[str, Any] = {"data": {}, "runs": {}}
    try:
        whole = Experiment.model_validate({**rest, **empty})
    except ValidationError as error:
        problems += _messages("", error, Experiment)
        whole = Experiment.model_validate(empty)
    whole = whole.model_copy(update=entries)
    if not sections.get("runs"):
        problems.append("runs is missing: name at least one run")
    problems += references.problems(whole, broken)
    if problems:
        raise InputError(dict.fromkeys(problems))
    names = (whole.runs, whole.planes)
    update: dict[str, Any] = {
        section: {name: expanded(entry, *names) for name, entry in getattr(whole, section).items()}
        for section in ("figures", "tables")
    }
    update["summary"] = expanded(whole.summary, *names)
    if whole.claims is not None:
        update["claims"] = expanded(whole.claims, *names)
    return whole.model_copy(update=update)


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
    raw: dict[str, dict[str, Any]] = {}
    for template, entry in content.items():
        if len(seen) > MAX_ENTRIES:
            problems.append(
                f"{section} has more than {MAX_ENTRIES:,} entries, sweeps included; make several configurations"
            )
            break
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
            swept = sweep(template, entry, _FIELDS[section]) if section in _FIELDS else {template: entry}
        except InputError as error:
            problems += [path + problem for problem in error.problems]
            broken.add(template)
            continue
        for name, one in swept.items():
            path = f"{section}.{name}"
            if not NAME.fullmatch(name):
                problems.append(
                    f"{path}: {name!r} is no name; names are letters, digits, _ . -, at most 80, the first no sign"
                )
            elif name.lower() in seen:
                problems.append(
                    f"{path}: the name stands twice, as {seen[name.lower()]} too (letters' case does not count)"
                )
            seen[name.lower()] = name
            raw[name] = one
    for name, one in raw.items():
        path = f"{section}.{name}"
        try:
            whole = inherited(one, raw) if section == "runs" else one
            entries[name] = TypeAdapter(model).validate_python(whole)
        except InputError as error:
            problems += [path + problem for problem in error.problems]
            broken.add(name)
        except ValidationError as error:
            problems += _messages(path, error, model)
            broken.add(name)
    return entries, broken


def _messages(path: str, error: ValidationError, model: Any) -> Iterator[str]:
    for item in error.errors(include_url=False):
        where = path
        for part in item["loc"]:
            if isinstance(part, int):
                where += f"[{part}]"
            elif not (path.startswith("figures.") and where == path and part in DRAWN):
                where += f".{part}" if where else str(part)
        match item["type"]:
            case "extra_forbidden":
                fields = DRAWN[str(item["loc"][0])] if path.startswith("figures.") else model
                yield f"{where} is no key; allowed are {one_of(fields.model_fields)}"
            case "missing":
                yield f"{where} is missing"
            case "union_tag_not_found":
                yield f"{where}.draw is missing; allowed are {one_of(DRAWN)}"
            case "union_tag_invalid":
                yield f"{where}.draw is {item['input'].get('draw')!r}; allowed are {one_of(DRAWN)}"
            case "value_error" if isinstance(item["input"], Mapping):
                yield f"{where}: {item['ctx']['error']}"
            case "value_error":
                yield f"{where} is {_shown(item['input'])}: {item['ctx']['error']}"
            case _:
                yield f"{where} is {_shown(item['input'])}: {item['msg'][0].lower()}{item['msg'][1:]}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
