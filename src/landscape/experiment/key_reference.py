"""The reference of keys, `docs/keys.md`: every key of a configuration in plain words, from the fields and their JSON schema."""

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from landscape.config.fields import INERT, Ref, with_trait
from landscape.experiment.analysis_sections import Claims
from landscape.experiment.schema import KINDS_OF, SECTIONS, SWEEP, SWEPT, Experiment, Summary, kinds_of
from landscape.measures.plane import Plane


class KeyRow(NamedTuple):
    """A key of a section in words; the default is `required`, or empty where a key has no value unless it is stated."""

    key: str
    value: str
    default: str
    meaning: str


def sections() -> dict[str, Mapping[str, type[BaseModel]]]:
    """List the kinds of entries of each section by name; a section of one kind has it under an empty name."""
    named: dict[str, Mapping[str, type[BaseModel]]] = {name: kinds_of(name)[1] for name in SECTIONS}
    return {**named, "summary": {"": Summary}, "claims": {"": Claims}}


def rows(kind: type[BaseModel]) -> Iterator[KeyRow]:
    """Describe every key of a kind of entry; keys of a mapping in it follow its own, as `rescaled.run`."""
    schema = kind.model_json_schema()["properties"]
    for key, field in kind.model_fields.items():
        annotation = field.rebuild_annotation()
        ref = next((part for part in _parts(annotation) if isinstance(part, Ref)), None)
        yield KeyRow(
            key,
            _names(schema[key], ref, patterns=not issubclass(kind, Plane)) if ref else _values(schema[key]),
            "required" if field.is_required() else _yaml(schema[key]["default"]),
            _meaning(schema[key]) + ("; changes no number" if key in with_trait(kind, INERT) else ""),
        )
        for part in _parts(annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from (row._replace(key=f"{key}.{row.key}") for row in rows(part))


_INTRODUCTION = """\
# Every key of a configuration

<!-- Made from the code by `make generated`: change it there. -->

A configuration is a YAML file of the sections below; [`config/default.yaml`](../config/default.yaml) is an example with
comments. The sections data, runs, planes, probes, figures, tables and published hold entries by name; summary and claims are
one entry each.

- *required*: the key must be stated. Any other may be left out; where its default is empty, nothing is set then, and the
  meaning says what is done.
- A *line* is a plane without `beta`.
- Where a run is named, `RUN@EPOCH` names it at an epoch that it kept.
- *With \\* and ?*: `*` stands for any letters and `?` for one, so that one name stands for several.
- *Changes no number*: nothing is computed again when the key changes.
"""


def reference() -> str:
    """Write the reference in Markdown: a table for each section, and for each kind of its entries."""
    top = [row for row in rows(Experiment) if row.key in ("results", "container")]
    blocks = [_INTRODUCTION, "## The top level\n", _table(top)]
    for section, kinds in sections().items():
        described = {name: list(rows(kind)) for name, kind in kinds.items()}
        first, *_ = described.values()
        shared = [row for row in first if all(row in own for own in described.values())]
        if section in SWEPT:
            shared.append(KeyRow("sweep", "mapping from keys to lists", "", SWEEP["description"]))
        told, _ = KINDS_OF.get(section, ("", {}))
        if told:
            shared.insert(
                0, KeyRow(told, f"one of {', '.join(kinds)}", default_kind(told, kinds), "the kind, see below")
            )
        blocks += [f"## {section}\n", f"{about(_base(kinds.values()))}\n", _table(shared)]
        for name, kind in kinds.items() if told else ():
            own = [row for row in described[name] if row not in shared and row.key != told]
            blocks += [f"### {told}: {name}\n", f"{about(kind)}\n", *([_table(own)] if own else [])]
    return "\n".join(blocks)


def _table(described: Iterable[KeyRow]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, value, default, meaning in described:
        shown = default if default in ("", "required") else f"`{default}`"
        cells = [cell.replace("|", "\\|") for cell in (f"`{key}`", value, shown, meaning)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _base(kinds: Iterable[type[BaseModel]]) -> type[BaseModel]:
    """The class that all kinds of a section are of."""
    first, *others = kinds
    return next(base for base in first.mro() if all(issubclass(other, base) for other in others))


def default_kind(told: str, kinds: Mapping[str, type[BaseModel]]) -> str:
    """Name the kind of an entry that does not state one, or say `required`."""
    return next((name for name, kind in kinds.items() if not kind.model_fields[told].is_required()), "required")


def about(kind: type[BaseModel]) -> str:
    """Give the first line of a class's docstring."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and all that is in it."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


_NOUNS = {"data": "data set", "runs": "run", "planes": "plane or line", "probes": "probe"}


def _names(schema: Mapping[str, Any], ref: Ref, *, patterns: bool) -> str:
    noun = {None: _NOUNS[ref.section], 1: "line", 2: "plane"}[ref.axes]
    measures = f" with measure: {' or '.join(ref.measures)}" if ref.measures else ""
    options = list(_options(schema))
    lists = [option for option in options if option["type"] == "array"]
    if not lists:
        return f"name of a {noun}{measures}"
    several = " or ".join(f"{word}s" for word in noun.split(" or "))
    names = "name or names" if len(options) > 1 else "names" if "type" in lists[0]["items"] else "list of names"
    return f"{_count(lists[0])}{names} of {several}{measures}" + (", with * and ?" if patterns else "")


def _values(schema: Mapping[str, Any]) -> str:
    """Say in words what a key may be, from its JSON schema."""
    options = list(_options(schema))
    words = [*_stated(schema), *(_value(option) for option in options if not {"enum", "const"} & option.keys())]
    if len(words) == len(_stated(schema)) > 1:
        return f"one of {', '.join(words)}"
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _stated(schema: Mapping[str, Any]) -> list[str]:
    """The values that a JSON schema names one by one."""
    found = (option.get("enum", [option["const"]] if "const" in option else []) for option in _options(schema))
    return [str(value) for values in found for value in values]


def _value(schema: Mapping[str, Any]) -> str:
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            is_auto = schema["prefixItems"][0].get("const") == "auto"
            return "[auto, points]" if is_auto else "[first, last, points]"  # no other list has places of its own
        case "array":
            several = re.sub(r"^(whole number|number|text|mapping)", r"\1s", _values(schema["items"]))
            return f"list of {_count(schema)}{several.removeprefix('one of ')}"
        case "string":
            return "text"
        case "boolean":
            return "true or false"
        case "integer":
            return "whole number" + _bounds(schema)
        case "number":
            return "number" + _bounds(schema)
    return "mapping"


def _options(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The alternatives of a JSON schema, but null."""
    for option in schema.get("anyOf", ()):
        yield from _options(option)
    if "anyOf" not in schema and schema.get("type") != "null":
        yield schema


def _count(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    return f"{least} to {most} " if most else f"{least} or more " if least > 1 else ""


def _bounds(schema: Mapping[str, Any]) -> str:
    bounds = {key: f"{schema[key]:,.12g}" for key in _BOUNDS if schema.get(key, _SEEDS) < _SEEDS}
    if {"minimum", "maximum"} <= bounds.keys():
        return f" from {bounds['minimum']} to {bounds['maximum']}"
    return " and".join(f" {_BOUNDS[key]} {bound}" for key, bound in bounds.items())


_BOUNDS = {"minimum": "of at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
_SEEDS = 2**63  # are below this, which tells a reader nothing


def _yaml(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _meaning(schema: Mapping[str, Any]) -> str:
    """The description of a key, a line for each value that it explains."""
    head, values = by_value(schema)
    return "<br>".join(([head] if head else []) + [f"`{value}`: {text}" for value, text in values.items()])


def by_value(schema: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Split a description of the form `head; value: text; value: text`; the head is empty where it begins with a value."""
    known = [*_stated(schema), *_stated(schema.get("items", {}))]
    head, *rest = re.split(rf"(?:^|; )({'|'.join(known)}): ", schema.get("description", ""))
    return head, dict(zip(rest[::2], rest[1::2], strict=True))
