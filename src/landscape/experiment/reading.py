"""A configuration from a file or from Snakemake: every sweep expanded, every reference resolved, every mistake reported."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from landscape.config.fields import expanded
from landscape.config.section import NAME
from landscape.errors import InputError, meant, one_of
from landscape.experiment import document, references
from landscape.experiment.document import Written
from landscape.experiment.schema import KINDS_OF, SECTIONS, SWEPT, Experiment, kinds_of
from landscape.experiment.sweeps import inherited, numbers, sweep

_FIELDS = {
    section: {
        key: field.rebuild_annotation()
        for kind in kinds_of(section)[1].values()
        for key, field in kind.model_fields.items()
    }
    for section in SWEPT
}
"""The annotation of every key in the sections whose entries may have a `sweep`."""

OLD_NAMES = {"images": "examples", "recalibration_images": "recalibration_examples"}
"""Keys of version 0.1 that have another name since."""

MAX_ENTRIES = 10_000
"""In one section, before the last sweep; it is as large as one sweep may be."""


def read(path: str | Path) -> Experiment:
    """Read a YAML file.

    Raises:
        InputError: with every mistake in it, one a line.
    """
    found = document.written(path)
    return resolve(found.content, [found])


def merged(content: Mapping[str, Any], files: Iterable[str | Path]) -> Experiment:
    """The experiment of files that Snakemake has read and merged.

    Raises:
        InputError: with every mistake; where the files themselves are wrong, with theirs.
    """
    found = [document.written(file) for file in dict.fromkeys(map(str, files))]
    if problems := [problem for file in found for problem in file.problems]:
        raise InputError(problems)
    return resolve(content, found)


def entry(section: str, keys: Mapping[str, Any]) -> Any:
    """The entry of a section that keys describe, by themselves: nothing that they name is looked for.

    Raises:
        InputError: with every mistake, one a line: the key, the value, and what is allowed.
    """
    try:
        return TypeAdapter(SECTIONS[section]).validate_python(dict(keys))
    except ValidationError as error:
        raise InputError(text.lstrip(".: ") for text in _messages((), error, section)) from None


def resolve(content: Any, files: Sequence[Written] = ()) -> Experiment:
    """The experiment a configuration describes. A relative path in it is relative to the current folder.

    Args:
        files: the files that `content` comes from, in which nothing may stand twice or be taken for another value.

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
        entries[section], broken[section] = _entries(section, model, sections.get(section, {}), problems, files)
    rest = {key: value for key, value in sections.items() if key not in SECTIONS}
    empty: dict[str, Any] = {"data": {}, "runs": {}}
    try:
        whole = Experiment.model_validate({**rest, **empty})
    except ValidationError as error:
        problems += _messages((), error, None, files)
        whole = Experiment.model_validate(empty)
    whole = whole.model_copy(update=entries)
    if not sections.get("runs"):
        problems.append("runs is missing: name at least one run")
    problems += references.problems(whole, broken)
    written = [problem for file in files for problem in file.problems]
    problems = written + [problem for problem in problems if not any(file.says(problem) for file in files)]
    if problems:
        raise InputError(dict.fromkeys(problems))
    return _expanded(whole)


def _expanded(whole: Experiment) -> Experiment:
    """The experiment with the names that the patterns in its figures, tables, summary and claims stand for."""
    names: dict[str, list[str]] = {"runs": list(whole.runs), "planes": list(whole.planes)}
    update: dict[str, Any] = {
        section: {name: expanded(entry, names) for name, entry in getattr(whole, section).items()}
        for section in ("figures", "tables")
    }
    update |= {key: expanded(entry, names) for key in ("summary", "claims") if (entry := getattr(whole, key))}
    return whole.model_copy(update=update)


def _entries(
    section: str, model: Any, content: Any, problems: list[str], files: Sequence[Written]
) -> tuple[dict[str, Any], set[str]]:
    """The valid entries of a section by name, and the names of the broken ones."""
    entries: dict[str, Any] = {}
    broken: set[str] = set()
    if not isinstance(content, Mapping | None):
        problems.append(f"{section} is {_shown(content)}; it must be a mapping from names to entries")
        return entries, broken
    seen: dict[str, str] = {}
    raw: dict[str, dict[str, Any]] = {}
    for template, entry in (content or {}).items():
        if len(seen) > MAX_ENTRIES:
            problems.append(
                f"{section} has more than {MAX_ENTRIES:,} entries, sweeps included; make several configurations"
            )
            break
        try:
            swept = _swept(section, str(template), entry)
        except InputError as error:
            problems += [f"{section}.{template}{problem}" for problem in error.problems]
            broken.add(str(template))
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
            problems += _messages((section, name), error, section, files)
            broken.add(name)
    return entries, broken


def _swept(section: str, template: str, entry: Any) -> dict[str, dict[str, Any]]:
    """One entry for every combination of its sweep, not yet validated.

    Raises:
        InputError: with messages that begin with the part of the entry they are about.
    """
    if not isinstance(entry, Mapping):
        raise InputError(f" is {_shown(entry)}; it must be a mapping from keys to values")
    entry = {str(key): value for key, value in entry.items()}
    try:
        if "args" in entry:
            entry["args"] = numbers(entry["args"])
        return sweep(template, entry, _FIELDS[section]) if section in _FIELDS else {template: entry}
    except RecursionError:
        raise InputError(".args is nested too deeply") from None


def _messages(
    at: Sequence[str], error: ValidationError, section: str | None, files: Sequence[Written] = ()
) -> Iterator[str]:
    """Says each mistake in the entry at a place, or in the whole configuration, in one message."""
    key, kinds = KINDS_OF.get(section or "", ("", {}))
    path = ".".join(at)
    idle: dict[str, list[str]] = {}
    errors = error.errors(include_url=False)
    for item in errors:
        place = list(item["loc"])
        kind = str(place.pop(0)) if kinds and place and place[0] in kinds else None
        where = path
        for part in place:
            where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
        match item["type"]:
            case "extra_forbidden" if len(place) == 1 and any(
                place[0] in other.model_fields for other in kinds.values()
            ):
                idle.setdefault(f"{path}: {key}: {kind}", []).append(str(place[-1]))
            case "extra_forbidden":
                entry = kinds[kind] if kind else SECTIONS[section] if section else Experiment
                allowed: Any = list(_section_at(entry, place).model_fields)
                if OLD_NAMES.get(str(place[-1])) in allowed:
                    yield renamed(where, str(place[-1]))
                else:
                    yield f"{where} is no key; allowed are {one_of(allowed, place[-1])}"
            case "missing":
                yield f"{where} is missing"
            case "union_tag_not_found":
                yield f"{where}.{key} is missing; allowed are {one_of(kinds)}"
            case "union_tag_invalid":
                yield f"{where}.{key} is {item['input'].get(key)!r}; allowed are {one_of(kinds, item['input'].get(key))}"
            case "value_error" if isinstance(item["input"], Mapping):
                yield f"{where}: {item['ctx']['error']}"
            case "value_error":
                yield f"{where} is {_shown(item['input'])}: {item['ctx']['error']}"
            case "string_type" if isinstance(item["input"], bool | int | float | None):
                yield f"{where} is {_in_yaml(item['input'], (*at, *place), files)}"
            case "tuple_type" | "list_type":
                yield f"{where} is {_shown(item['input'])}: must be a list, in [ ]"
            case "bool_type":
                yield f"{where} is {_shown(item['input'])}: must be true or false"
            case "too_short" if any(
                len(other["loc"]) > len(item["loc"]) and other["loc"][: len(item["loc"])] == item["loc"]
                for other in errors
            ):
                pass  # too few are right
            case _:
                allowed = re.findall(r"'([^']*)'", item["ctx"]["expected"]) if item["type"] == "literal_error" else []
                problem = f"{item['msg'][0].lower()}{item['msg'][1:]}{meant(allowed, item['input'])}"
                yield f"{where} is {_shown(item['input'])}: {problem}"
    yield from (f"{whose} takes no {', '.join(sorted(keys))}" for whose, keys in idle.items())


def renamed(where: str, key: str) -> str:
    """Say how the key of version 0.1 at `where` is called."""
    return f"{where} is called {OLD_NAMES[key]} since 0.2"


def _in_yaml(value: bool | float | None, place: Sequence[str | int], files: Sequence[Written]) -> str:
    """Say as what a value is read that is no text, and how it is written as text."""
    found = next(filter(None, (file.scalar(place) for file in reversed(files))), None)
    text, where = (found.text, f" ({found.where})") if found else (_shown(value), "")
    if not text:
        return f"empty{where}; it must be text"
    kind = "nothing" if value is None else "true or false" if isinstance(value, bool) else "a number"
    return f'{text}{where}, which YAML reads as {kind}; write "{text}" in quotes'


def _section_at(entry: Any, place: Sequence[Any]) -> type[BaseModel]:
    """The section within an entry that an unknown key stands in."""
    for part in place[:-1]:
        if not isinstance(part, int):
            of = entry.model_fields[part].annotation
            parts = (
                of,
                *get_args(of),
                *(one for part in get_args(of) for one in get_args(part)),
            )  # X, X | None, with checks
            entry = next(one for one in parts if isinstance(one, type) and issubclass(one, BaseModel))
    found: type[BaseModel] = entry
    return found


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
