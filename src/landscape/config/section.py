"""Base class of configuration entries, and unions of kinds that one key tells apart."""

import functools
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, GetCoreSchemaHandler, Tag, model_validator
from pydantic_core import CoreSchema, core_schema

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
MAX_EPOCHS = 999  # a state is written RUN@EPOCH with three digits


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _exact(schema: Any) -> Any:
    """A schema in which true and false are no numbers, and nothing else is true or false."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(_exact, schema))
    if not isinstance(schema, dict) or schema.get("function") == _REFUSING:
        return schema
    within = {key: value if key in _NO_SCHEMA else _exact(value) for key, value in schema.items()}
    match schema.get("type"):
        case "bool":
            return {**within, "strict": True}
        case "int" | "float":
            return core_schema.no_info_before_validator_function(_no_truth, within)
    return within


_REFUSING = {"type": "no-info", "function": _no_truth}
_NO_SCHEMA = {"metadata", "serialization", "default", "expected"}
"""Keys of a schema that hold no further schema."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: CoreSchema = _exact(handler(source))
        return schema

    @model_validator(mode="after")
    def _no_idle_keys(self) -> Self:
        """Refuse stated keys without effect, since the user expects one."""
        for reason, keys in self._useless():
            if extra := sorted(self.model_fields_set & keys):
                raise ValueError(f"{reason} takes no {', '.join(extra)}")
        return self

    def in_full(self) -> dict[str, Any]:
        """Return all keys with an effect on this entry, defaults included; the result is a valid entry."""
        return self.model_dump(mode="json", exclude=set().union(*(keys for _, keys in self._useless())))

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        """Yield (reason, keys) for keys without effect on this entry."""
        yield from ()

    def _settle(self, key: str, value: Any) -> None:
        """Set a value during validation, so that a stated default equals an unstated one."""
        object.__setattr__(self, key, value)


def one_of_kinds(key: str, kinds: Sequence[type[Section]], default: str | None = None) -> Any:
    """Make the union type of several kinds of entries, told apart by the value of `key`, by default `default`."""

    def told(entry: Any) -> Any:
        return entry.get(key, default) if isinstance(entry, Mapping) else getattr(entry, key)

    members = [Annotated[kind, Tag(name)] for name, kind in by_name(key, kinds).items()]
    return Annotated[functools.reduce(operator.or_, members), Discriminator(told)]


def by_name(key: str, kinds: Iterable[type[Section]]) -> dict[str, type[Section]]:
    """Return kinds of entries by their value of `key`."""
    return {get_args(kind.model_fields[key].annotation)[0]: kind for kind in kinds}
