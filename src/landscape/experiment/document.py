"""A YAML file as plain values; a configuration in which no key stands twice and no word is taken for another value.

PyYAML, which Snakemake uses too, follows YAML 1.1: `010` is 8, `1:30` is 90, `on` is true, and of a key that stands twice
the last one counts. `written` refuses both, with the line and what to write.
"""

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from landscape.errors import InputError

_DAMAGE = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)
"""Errors that text raises which is no YAML, or holds `!!int ""` or a number of ten thousand digits."""

Place = tuple[str | int, ...]
"""Keys and indices that lead to a value."""


@dataclass(frozen=True)
class Scalar:
    """A value as it is written: its text, and `file, line 3`."""

    text: str
    where: str


@dataclass(frozen=True)
class Written:
    """A configuration as it is written in a file.

    Attributes:
        content: its values. A key that is no text by YAML, and reads as another one, is the text written.
        mistakes: places, such as `runs.a.epochs`, and messages about them: keys that stand twice, words that YAML reads as
            another value.
    """

    path: str
    content: Any
    mistakes: list[tuple[str, str]] = field(default_factory=list)
    _root: yaml.Node | None = None

    @property
    def problems(self) -> list[str]:
        return [message for _, message in self.mistakes]

    def says(self, problem: str) -> bool:
        """Whether a message is about a place of which something is said already."""
        return any(problem.startswith((f"{place} is ", f"{place}: ", f"{place}[")) for place, _ in self.mistakes)

    def scalar(self, place: Sequence[str | int]) -> Scalar | None:
        """Find the plain scalar at a place; None if another kind of value, or nothing, is written there."""
        node = self._root
        for part in place:
            if isinstance(node, yaml.MappingNode):
                node = next((value for key, value in reversed(node.value) if key.value == str(part)), None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            elif part != 0:  # a single value may stand for a list of one
                return None
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            return Scalar(node.value, _where(self.path, node))
        return None


def read(path: str | Path) -> Any:
    """Read a YAML file as PyYAML does.

    Raises:
        InputError: if it cannot be read, is not valid YAML, or is nested too deeply.
    """
    return _loaded(path, lambda loader: loader.get_single_data())


def written(path: str | Path) -> Written:
    """Read a configuration, and find the keys that stand twice and the words that YAML takes for another value.

    Raises:
        InputError: as `read`.
    """

    def look(loader: _Loader) -> Written:
        root = loader.get_single_node()
        if root is None:
            return Written(str(path), None)
        found = Written(str(path), None, _root=root)
        _look(root, (), found, loader, set())
        return Written(str(path), loader.construct_document(root), found.mistakes, root)

    return _loaded(path, look)


def text(content: Any) -> str:
    """YAML of values, which `written` reads as they are."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """Notes in each scalar whether it is plain: without quotes, and without a tag."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        is_plain = self.peek_event().implicit[0]
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        node.style = None if is_plain else node.style or "tag"
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes text that reads as a number by YAML 1.2 or by eye, though not by YAML 1.1."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = "'" if _LIKE_A_NUMBER.fullmatch(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)

_Result = TypeVar("_Result")


def _loaded(path: str | Path, read: Callable[[_Loader], _Result]) -> _Result:
    try:
        loader = _Loader(Path(path).read_bytes())
        try:
            return read(loader)
        finally:
            loader.dispose()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        said = " ".join(filter(None, (error.context, error.problem)))
        advice = "; indent with spaces" if "'\\t'" in said else ""
        raise InputError(f"{path} is not valid YAML{line}: {said}{advice}") from None
    except _DAMAGE as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_LIKE_A_NUMBER = re.compile(r"[-+]?(0[0-9_]+|0o[0-7]+)")
"""Numbers that begin with 0; YAML 1.1 takes `010` for 8, and `08` and `0o10` for text."""


def _look(node: yaml.Node, place: Place, found: Written, loader: _Loader, seen: set[int]) -> None:
    """Look through a value and everything in it, once though aliases repeat it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode) and (problem := _mistaken(node, loader)):
        name = _name(place)
        found.mistakes.append((name, f"{name} is {node.value} ({_where(found.path, node)}), {problem}"))
        if isinstance(_value(node, loader), datetime.date):
            node.tag = _TEXT
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _look(item, (*place, index), found, loader, seen)
    elif isinstance(node, yaml.MappingNode):
        _look_at_keys(node, place, found, loader)
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                within = place if key.tag == _MERGE else (*place, key.value)
                _look(value, within, found, loader, seen)


def _look_at_keys(node: yaml.MappingNode, place: Place, found: Written, loader: _Loader) -> None:
    lines: dict[Any, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # which PyYAML refuses
        value = key.value if key.tag == _MERGE else _value(key, loader)
        name, line, ways = _name((*place, key.value)), key.start_mark.line + 1, (value, str(value), key.value)
        if before := next((lines[way] for way in ways if way in lines), 0):
            where = f"line {line}" if before == line else f"lines {before} and {line}"
            advice = "write <<: [*one, *other]" if key.tag == _MERGE else "keep one of them"
            found.mistakes.append((name, f"{name} stands twice ({found.path}, {where}); {advice}"))
        lines |= dict.fromkeys(ways, line)
        if key.style is None and key.tag not in (_TEXT, _MERGE) and str(value) != key.value:
            reads = (
                f"the name is {key.value or 'empty'} ({_where(found.path, key)}), which YAML reads as {_shown(value)}"
            )
            found.mistakes.append((name, f'{name}: {reads}; write "{key.value}" in quotes'))
            key.tag = _TEXT
        elif isinstance(value, datetime.date):
            key.tag = _TEXT


def _mistaken(node: yaml.ScalarNode, loader: _Loader) -> str:
    """Say as which other value YAML reads a plain scalar, to follow it; nothing if everybody reads it so."""
    if node.style is not None:
        return ""
    value = _value(node, loader)
    quoted = f'"{node.value}" in quotes'
    if isinstance(value, datetime.date):
        return f"which YAML reads as a date; write {quoted}"
    if isinstance(value, bool):
        others = [] if node.value.lower() in ("true", "false") else [_shown(value)]
    elif _LIKE_A_NUMBER.fullmatch(node.value):
        digits = node.value.replace("_", "")
        read_as = [int(digits)] if "o" not in digits else []
        read_as += [int(digits, 8)] if "o" in digits or not isinstance(value, str) else []
        others = list(map(str, dict.fromkeys(read_as)))
    elif isinstance(value, int | float) and re.search("[_:]|^[-+]?0b", node.value):
        others = [str(value)]
    else:
        others = []
    return f"which YAML reads as {_shown(value)}; write {', '.join(others)} or {quoted}" if others else ""


def _value(node: yaml.ScalarNode, loader: _Loader) -> Any:
    return loader.construct_object(yaml.ScalarNode(node.tag, node.value, node.start_mark, node.end_mark, node.style))


def _shown(value: Any) -> str:
    """A value in the words of YAML 1.2."""
    if isinstance(value, str):
        return "text"
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)


def _name(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".") or "it"


def _where(path: str, node: yaml.Node) -> str:
    return f"{path}, line {node.start_mark.line + 1}"
