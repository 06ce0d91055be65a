"""Signatures of the public functions: their keywords are the keys of the configuration's sections. Never imports torch."""

import functools
import inspect
import operator
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic.fields import FieldInfo

from landscape.experiment.schema import kinds_of
from landscape.objective.objective_section import ObjectiveKeys

LEFT_OUT: Mapping[str, frozenset[str]] = {
    "data": frozenset({"source", "code"}),
    "runs": frozenset(
        {
            "network",
            "args",
            "data",
            "weights",
            "rescaled",
            "code",
            "train",
            "parts",
            *ObjectiveKeys.model_fields,
        }
    ),
    "planes": frozenset({"run", "runs", "plane", "probe", "tiles"}),
    "probes": frozenset({"plane"}),
}
"""Keys that are no keywords of the section: names of other entries, for which Python has the things themselves; how jobs are
cut; the loss, which may be a function here (`minimised`)."""

_LINE = textwrap.TextWrapper(width=120, initial_indent=" " * 8, subsequent_indent=" " * 12, break_on_hyphens=False)

Function = TypeVar("Function", bound=Callable[..., Any])


def keywords(
    section: str, kind: str = "", without: tuple[str, ...] = (), like: Callable[..., Any] | None = None
) -> Callable[[Function], Function]:
    """Give a function that takes `**keys` the signature that they have, and their descriptions in its docstring.

    The descriptions stand where the docstring says `keys: ...`.

    Args:
        kind: the one kind of entry that the function is for; else the keys of every kind.
        without: further keys that are no keywords.
        like: a function that the keywords are handed to, whose own ones may stand here too.
    """

    def signed(function: Function) -> Function:
        fields = {key: of for key, of in fields_of(section, kind).items() if key not in without}
        own = inspect.signature(function)
        parameters = {one.name: one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD}
        for one in inspect.signature(like).parameters.values() if like else ():
            if one.kind is one.KEYWORD_ONLY and one.name not in fields_of(section):
                parameters.setdefault(one.name, one)
        parameters |= {key: _parameter(key, of) for key, of in fields.items()}
        function.__signature__ = own.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
        told = {key: next((field.description for field in of if field.description), "") for key, of in fields.items()}
        return _described(function, "keys", told)

    return signed


def minimised(function: Function) -> Function:
    """Give a function the keywords `loss`, `objective`, `output` and `score` of a run, before its own, in the place of `**keys`.

    They may be functions themselves. Their descriptions stand where the docstring says `minimised: ...`.
    """
    own = inspect.signature(function)
    found, told = [], {}
    for key, field in ObjectiveKeys.model_fields.items():
        told[key] = (field.description or "").replace("file.py:function", "a function")
        types: Any = str | Mapping[str, Any] | None if key == "loss" else _plain(field.annotation)
        types = types | Callable[..., Any] if told[key] != field.description else types
        found.append(inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=types))
    kept = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    first = [one for one in kept if one.kind is not one.KEYWORD_ONLY]
    parameters = [*first, *found, *kept[len(first) :]]
    function.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return _described(function, "minimised", told)


def _described(function: Function, placeholder: str, told: Mapping[str, str]) -> Function:
    """Put the descriptions of keywords into the docstring, in the place of a line."""
    lines = "".join(_LINE.fill(f"{key}: {text}") + "\n" for key, text in told.items() if text)
    function.__doc__ = re.sub(rf"        {placeholder}: .*\n(?: {{12}}.*\n)*", lambda _: lines, function.__doc__ or "")
    return function


def fields_of(section: str, kind: str = "") -> dict[str, list[FieldInfo]]:
    """The fields behind each keyword, one for every kind of entry that has it."""
    _, kinds = kinds_of(section)
    found: dict[str, list[FieldInfo]] = {}
    for one in [kinds[kind]] if kind else kinds.values():
        for key, field in one.model_fields.items():
            if key not in LEFT_OUT[section] and not (kind and key == "measure"):
                found.setdefault(key, []).append(field)
    return found


def _parameter(key: str, fields: list[FieldInfo]) -> inspect.Parameter:
    stated = [field.default for field in fields if not field.is_required()]
    default = stated[0] if stated else inspect.Parameter.empty
    annotation = _joined([_plain(field.annotation) for field in fields])
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _joined(annotations: list[Any]) -> Any:
    """One annotation that allows what each of them allows."""
    if all(get_origin(annotation) is Literal for annotation in annotations):
        return Literal[tuple(dict.fromkeys(value for annotation in annotations for value in get_args(annotation)))]
    return functools.reduce(operator.or_, dict.fromkeys(annotations))


def _plain(annotation: Any) -> Any:
    """The annotation without what it says to pydantic and to the configuration."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(args[0])
    if origin is Literal or not args:
        return annotation
    parts = tuple(part if part is Ellipsis else _plain(part) for part in args)
    container: Any = origin
    return container[parts] if origin in (tuple, list, dict) else functools.reduce(operator.or_, parts)
