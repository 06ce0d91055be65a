"""Fields that say what they are: references to entries of other sections, and keys that change nothing.

    plane: Annotated[str, Ref("planes", axes=2)]
    runs: Annotated[tuple[str, ...], Ref("runs")]
    tiles: Annotated[int | None, INERT]

One walker finds every name that an entry holds, however deep: so what is checked, expanded and needed follows from the
fields, and no list of fields is kept anywhere.
"""

import fnmatch
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

SectionName = Literal["data", "runs", "planes", "probes"]


@dataclass(frozen=True)
class Ref:
    """The value names entries of a section.

    Attributes:
        section: `runs` stands for states too, RUN@EPOCH.
        axes: 1 if the plane must be a line, 2 if it must not; None for either.
        measures: what the plane or probe may measure; empty for anything.
    """

    section: SectionName
    axes: Literal[1, 2] | None = None
    measures: tuple[str, ...] = ()


class Trait(Enum):
    """Something that a key does not change."""

    INERT = "no number of any result: it stands in no specification"
    INCIDENTAL = "which network a run is: it says how it is computed, or what is kept of it"


INERT, INCIDENTAL = Trait.INERT, Trait.INCIDENTAL


class Reference(NamedTuple):
    """A name in an entry: where it stands (`rows[0].plane`), what it says, what it may name.

    `is_pattern`: whether it stands in a list of names, where * and ? stand for several.
    """

    path: str
    name: str
    to: Ref
    is_pattern: bool


_Entry = TypeVar("_Entry", bound=BaseModel)


def references(entry: BaseModel, section: SectionName | None = None) -> list[Reference]:
    """Every name in an entry, in the order of its fields; those that name entries of one section, if it is given."""
    found: list[Reference] = []

    def note(to: Ref, value: Any, path: str) -> Any:
        if isinstance(value, str):
            found.append(Reference(path, value, to, False))
        else:
            indexed = len(value) > 1 or to.section == "runs"  # of the others one may stand without brackets
            found.extend(Reference(f"{path}[{i}]" if indexed else path, name, to, True) for i, name in enumerate(value))
        return value

    _walk(entry, note)
    return [one for one in found if section in (None, one.to.section)]


def expanded(entry: _Entry, names: Mapping[str, Iterable[str]]) -> _Entry:
    """The entry with the names that its patterns stand for; a pattern that stands for none is left out.

    Args:
        names: of the entries of each section; references to other sections stay as they are.
    """

    def expand(to: Ref, value: Any, path: str) -> Any:
        patterns = isinstance(value, tuple) and to.section in names
        return tuple(select(value, names[to.section])[0]) if patterns else value

    return _walk(entry, expand)


def select(patterns: Iterable[str], names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names or states that `patterns` stand for (* and ?; `@EPOCH` is kept), and the patterns that stand for none.

    They stand in the order of the patterns, within one in that of `names`, and each once.
    """
    names = list(names)
    chosen: dict[str, None] = {}
    unmatched = []
    for pattern in patterns:
        name, at, epoch = pattern.partition("@")
        matches = [known for known in names if known == name] or fnmatch.filter(names, name)
        if not matches:
            unmatched.append(pattern)
        chosen.update(dict.fromkeys(known + at + epoch for known in matches))
    return list(chosen), unmatched


def with_trait(kind: type[BaseModel], *traits: Trait) -> set[str]:
    """The keys of a section that have one of these traits."""
    return {key for key, field in kind.model_fields.items() if set(traits) & {*_traits(field)}}


def _traits(field: FieldInfo) -> list[Trait]:
    return [part for part in field.metadata if isinstance(part, Trait)]


_Visit = Callable[[Ref, Any, str], Any]


def _walk(entry: _Entry, visit: _Visit, path: str = "") -> _Entry:
    """The entry with every value that names something replaced by what `visit` makes of it and its path."""
    update = {}
    for key, annotation in _referring(type(entry)).items():
        before = getattr(entry, key)
        after = _visited(annotation, before, path + key, visit)
        if after is not before:
            update[key] = after
    return entry.model_copy(update=update) if update else entry


def _visited(annotation: Any, value: Any, path: str, visit: _Visit) -> Any:
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(value, BaseModel):
        return _walk(value, visit, f"{path}.")
    if value is None:
        return None
    if origin is Annotated:
        to = next((part for part in args if isinstance(part, Ref)), None)
        return visit(to, value, path) if to else _visited(args[0], value, path, visit)
    if origin in (Union, UnionType):
        for part in args:
            value = _visited(part, value, path, visit)
    elif origin is tuple and isinstance(value, tuple):
        after = tuple(_visited(args[0], item, f"{path}[{i}]", visit) for i, item in enumerate(value))
        return value if all(a is b for a, b in zip(after, value, strict=True)) else after
    return value


@functools.cache
def _referring(kind: type[BaseModel]) -> dict[str, Any]:
    """The annotations of the fields that name something, or hold sections that may."""
    every = {key: field.rebuild_annotation() for key, field in kind.model_fields.items()}
    return {key: annotation for key, annotation in every.items() if _refers(annotation)}


def _refers(annotation: Any) -> bool:
    if isinstance(annotation, Ref):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_refers, get_args(annotation)))
