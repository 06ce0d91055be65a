"""Types of fields that refer to entries of other sections, or that change no number.

    plane: Annotated[str, Ref("planes", axes=2)]
    runs: Annotated[tuple[str, ...], Ref("runs")]
    tiles: Annotated[int | None, INERT]

One walker finds every name in an entry, at any depth. It checks and expands names and tells what a figure needs, so no
list of fields is kept anywhere.
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
    """Mark a field that names entries of a section.

    Attributes:
        section: `runs` allows states (RUN@EPOCH) too.
        axes: 1 if the plane must be a line, 2 if it must not; None for either.
        measures: allowed measures of the plane or probe; empty for any.
    """

    section: SectionName
    axes: Literal[1, 2] | None = None
    measures: tuple[str, ...] = ()


class Trait(Enum):
    """Mark a key by what it does not change."""

    INERT = "no number of any result: it stands in no specification"
    INCIDENTAL = "which network a run is: it says how it is computed, or what is kept of it"


INERT, INCIDENTAL = Trait.INERT, Trait.INCIDENTAL


class Reference(NamedTuple):
    """A name in an entry: its path (`rows[0].plane`), the name, and the allowed target.

    `is_pattern`: it is in a list of names, which may use * and ?.
    """

    path: str
    name: str
    to: Ref
    is_pattern: bool


_Entry = TypeVar("_Entry", bound=BaseModel)


def references(entry: BaseModel, section: SectionName | None = None) -> list[Reference]:
    """List all names in an entry, in the order of its fields; with `section`, those of this section alone."""
    found: list[Reference] = []

    def note(to: Ref, value: Any, path: str) -> Any:
        if isinstance(value, str):
            found.append(Reference(path, value, to, False))
        else:
            indexed = len(value) > 1 or to.section == "runs"  # in other lists, one name may stand without brackets
            found.extend(Reference(f"{path}[{i}]" if indexed else path, name, to, True) for i, name in enumerate(value))
        return value

    _walk(entry, note)
    return [one for one in found if section in (None, one.to.section)]


def expanded(entry: _Entry, names: Mapping[str, Iterable[str]]) -> _Entry:
    """Replace the patterns in an entry by the names they match; drop patterns that match none.

    Args:
        names: names of the entries, by section; references to other sections stay.
    """

    def expand(to: Ref, value: Any, path: str) -> Any:
        patterns = isinstance(value, tuple) and to.section in names
        return tuple(select(value, names[to.section])[0]) if patterns else value

    return _walk(entry, expand)


def select(patterns: Iterable[str], names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the names or states that match `patterns` (* and ?; `@EPOCH` is kept), and the patterns without a match.

    The order is that of the patterns, then that of `names`. Each name appears once.
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
    """Return the keys of a section with one of these traits."""
    return {key for key, field in kind.model_fields.items() if set(traits) & {*_traits(field)}}


def _traits(field: FieldInfo) -> list[Trait]:
    return [part for part in field.metadata if isinstance(part, Trait)]


_Visit = Callable[[Ref, Any, str], Any]


def _walk(entry: _Entry, visit: _Visit, path: str = "") -> _Entry:
    """Replace every value that names entries by `visit(its Ref, value, path)`."""
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
    """Annotations of the fields that name entries, or hold sections that may."""
    every = {key: field.rebuild_annotation() for key, field in kind.model_fields.items()}
    return {key: annotation for key, annotation in every.items() if _refers(annotation)}


def _refers(annotation: Any) -> bool:
    if isinstance(annotation, Ref):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return any(map(_refers, get_args(annotation)))
