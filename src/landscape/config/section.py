"""The base of every entry of a configuration, and kinds of entries told apart by one key."""

import functools
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, model_validator

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
MAX_EPOCHS = 999  # a state is written RUN@EPOCH with three digits


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, allow_inf_nan=False)

    @model_validator(mode="after")
    def _no_idle_keys(self) -> Self:
        """Refuse keys that would do nothing: whoever states one expects something of it."""
        for reason, keys in self._useless():
            if extra := sorted(self.model_fields_set & keys):
                raise ValueError(f"{reason} takes no {', '.join(extra)}")
        return self

    def in_full(self) -> dict[str, Any]:
        """Every key that means something for this entry, defaults included; a valid entry again."""
        return self.model_dump(mode="json", exclude=set().union(*(keys for _, keys in self._useless())))

    def _useless(self) -> Iterator[tuple[str, set[str]]]:
        """Keys that change nothing of this entry, with what makes them so."""
        yield from ()

    def _settle(self, key: str, value: Any) -> None:
        """Make a stated default equal to an unstated one; for use while the entry is validated."""
        object.__setattr__(self, key, value)


def one_of_kinds(key: str, kinds: Sequence[type[Section]], default: str | None = None) -> Any:
    """The type of an entry that is one of several kinds, told apart by what `key` says; without it, the `default` kind."""

    def told(entry: Any) -> Any:
        return entry.get(key, default) if isinstance(entry, Mapping) else getattr(entry, key)

    members = [Annotated[kind, Tag(name)] for name, kind in by_name(key, kinds).items()]
    return Annotated[functools.reduce(operator.or_, members), Discriminator(told)]


def by_name(key: str, kinds: Iterable[type[Section]]) -> dict[str, type[Section]]:
    """Kinds of entries by what `key` says of them."""
    return {get_args(kind.model_fields[key].annotation)[0]: kind for kind in kinds}
