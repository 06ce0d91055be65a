"""Turns the entries of a YAML file into one entry per name: numbers, sweeps, keys that a rescaled run takes over."""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from landscape.errors import InputError, one_of

_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
MAX_COMBINATIONS = 10_000


def numbers(value: Any) -> Any:
    """`value` with every string that reads as a number made one: Snakemake's YAML reads `5e-4` as a string."""
    if isinstance(value, Mapping):
        return {key: numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [numbers(item) for item in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if re.search(r"[.eE]", value) else int(value)
    return value


def sweep(template: str, entry: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The entries of `vgg9-bs{batch_size}: {..., sweep: {batch_size: [128, 8192]}}`, one per combination.

    A key of `sweep` is a field of the section, or `args.NAME` for an argument of a network; a placeholder is a key or
    the last part of one. Values are put through the field's own validation before they become part of a name, so
    `5e-4` and `0.0005` make the same one.

    Args:
        fields: the annotation of each field of the section.

    Raises:
        InputError: with messages that begin with the part of the entry they are about.
    """
    entry = dict(entry)
    axes = entry.pop("sweep", None)
    placeholders = _PLACEHOLDER.findall(template)
    if axes is None:
        if placeholders:
            raise InputError(f" has {{{placeholders[0]}}} in its name and no sweep")
        return {template: entry}
    if not isinstance(axes, Mapping) or not axes or not all(isinstance(v, list) and v for v in axes.values()):
        raise InputError(f".sweep is {axes!r}; it must be a mapping from keys to lists, e.g. {{seed: [0, 1, 2]}}")
    args = entry.get("args", {}) if "args" in fields else {}
    if not isinstance(args, Mapping):
        raise InputError(f".args is {args!r}; it must be a mapping from names to values")
    known = [*fields, "args.NAME"] if "args" in fields else list(fields)
    if strange := [key for key in axes if not isinstance(key, str)]:
        raise InputError(f".sweep has {key!r}; allowed are {one_of(known, key)}" for key in strange)
    short = {key.rpartition(".")[2]: key for key in axes}
    problems = [
        f".sweep has {key!r}; allowed are {one_of(known, key)}"
        for key in axes
        if key not in fields and not (key.startswith("args.") and "args" in fields and key[5:].isidentifier())
    ]
    stated = {*entry, *(f"args.{key}" for key in args)}
    problems += [f".sweep also sets {key}, which is stated beside it" for key in axes if key in stated]
    if "args" in axes and any(key.startswith("args.") for key in axes):
        problems.append(".sweep has args and single arguments; state one of the two")
    keys = {placeholder: placeholder if placeholder in axes else short.get(placeholder) for placeholder in placeholders}
    problems += [
        f" has {{{placeholder}}} in its name; its sweep has {one_of(axes, placeholder)}"
        for placeholder, key in keys.items()
        if not key
    ]
    problems += [
        f".sweep.{key} is not in the name, so its runs would have one name; add {{{key.rpartition('.')[2]}}}"
        for key in axes
        if key not in keys.values() and len(axes[key]) > 1
    ]
    if problems:
        raise InputError(problems)
    values = {key: [_validated(value, fields.get(key)) for value in axes[key]] for key in axes}
    if (count := math.prod(map(len, values.values()))) > MAX_COMBINATIONS:
        raise InputError(f".sweep makes {count} combinations; allowed are {MAX_COMBINATIONS}")
    entries: dict[str, dict[str, Any]] = {}
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        name = template
        for placeholder, key in keys.items():
            name = name.replace(f"{{{placeholder}}}", _text(chosen[str(key)]))
        if name in entries:
            raise InputError(f".sweep makes the name {name!r} twice")
        filled = {key: value for key, value in chosen.items() if not key.startswith("args.")}
        swept = {key[5:]: value for key, value in chosen.items() if key.startswith("args.")}
        if swept:
            filled["args"] = {**args, **swept}
        entries[name] = {**entry, **filled}
    return entries


INHERITED = ("network", "args", "data", "code", "loss", "objective", "output", "score")
"""Keys that a rescaled run takes over from the run it comes from."""


def inherited(entry: dict[str, Any], runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An entry of `runs`; of a rescaled run with what it has of another one, where it does not state that itself.

    Raises:
        InputError: with a message that begins with the part of the entry it is about, if there is no such run, or it is
            rescaled itself.
    """
    origin = entry.get("rescaled")
    of = origin.get("run") if isinstance(origin, Mapping) else None
    if not isinstance(of, str):
        return entry
    name = of.partition("@")[0]
    if name not in runs:
        raise InputError(f".rescaled.run is {of!r}; the runs are {one_of(runs, name)}")
    if runs[name].get("rescaled"):
        raise InputError(f".rescaled.run is {of!r}, which is rescaled itself; name the run that it comes from")
    return {**{key: runs[name][key] for key in INHERITED if key in runs[name]}, **entry}


def _validated(value: Any, annotation: Any) -> Any:
    if annotation is None:
        return numbers(value)
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return value  # the entry's own validation will say what is wrong, with the path


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format(value, ".12g")
    return str(value)
