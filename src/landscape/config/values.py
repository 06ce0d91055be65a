"""Types of values in a configuration, with their checks."""

import itertools
import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from landscape.errors import meant

MAX_POINTS = 10_000
"""Most points on an axis; more would fill the memory before a computation starts."""

PATH_EPOCHS = 3
"""Least number of kept epochs that make a path, start and end included."""


AUTO_POINTS = 51
"""Points on an axis whose range is found, by default."""

Range = tuple[float, float, int]
Auto = tuple[Literal["auto"], int]


def _axis(value: Any) -> Range | Auto:
    if value == "auto" or (isinstance(value, list | tuple) and "auto" in list(value)):
        points = AUTO_POINTS if value == "auto" or len(value) == 1 else value[1] if len(value) == 2 else None
        if not isinstance(points, int) or isinstance(points, bool) or not 2 <= points <= MAX_POINTS:
            raise ValueError(f"allowed are auto and [auto, number of points], from 2 to {MAX_POINTS:,}")
        return "auto", points
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ValueError("must be [first, last, number of points], e.g. [-1, 1, 51]")
    try:
        first, last = float(value[0]), float(value[1])
        points = int(value[2])
        exact = points == float(value[2]) and not any(isinstance(part, bool) for part in value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be three numbers [first, last, number of points], e.g. [-1, 1, 51]") from None
    if not (math.isfinite(first) and math.isfinite(last)):
        raise ValueError("first and last must be finite")
    if not exact or points < 1:
        raise ValueError("the number of points must be a whole number of at least 1")
    if points > MAX_POINTS:
        raise ValueError(f"the number of points must be at most {MAX_POINTS:,}")
    if points > 1 and first >= last:
        raise ValueError(f"first must be below last, and {first:g} is not below {last:g}")
    if points == 1 and first != last:
        raise ValueError(f"one point cannot span a range: write [{first:g}, {first:g}, 1] or ask for more points")
    return first, last, points


Axis = Annotated[Range | Auto, BeforeValidator(_axis, json_schema_input_type=Range | Auto | Literal["auto"])]
"""[first, last, number of points], or [auto, number of points] for a range that is found."""


def _keep(value: Any) -> Any:
    if value in ("none", None, False):
        return "none"
    if value == "all":
        return "all"
    if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]*", str(value)):
        raise ValueError(
            f"must be none, all, or a whole number N (keep every Nth epoch){meant(('none', 'all'), value)}"
        )
    return int(value)


def _levels(value: Any) -> Any:
    if value in ("log", "paper"):
        return value
    try:
        levels = tuple(float(level) for level in value)
    except (TypeError, ValueError):
        near = meant(("log", "paper"), value)
        raise ValueError(f"must be log, paper, or a list of increasing numbers{near}") from None
    if not levels or any(not math.isfinite(x) for x in levels) or any(b <= a for a, b in itertools.pairwise(levels)):
        raise ValueError("must be log, paper, or a list of increasing finite numbers")
    return levels


def _safe_path(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_./-]+", value) or ".." in value.split("/") or value.startswith("-"):
        raise ValueError("must be a folder name of letters, digits and _ . - /, without '..'")
    path = posixpath.normpath(re.sub("/+", "/", value))
    if path in (".", "/") or path.startswith("-"):
        raise ValueError("must be the name of a folder that can be made, e.g. results")
    return path


def _args(value: Any) -> Any:
    """Refuse values that JSON cannot hold unaltered, since a specification must distinguish arguments."""
    if isinstance(value, Mapping) and (problems := list(_not_json("", value))):
        raise ValueError("; ".join(problems))
    return value


def _not_json(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _not_json(f"{path}.{key}" if path else key, item)
            else:
                yield f"{path or 'args'} has the key {key!r}; keys must be text"
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _not_json(f"{path}[{i}]", item)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value}; numbers must be finite"
    elif not (value is None or isinstance(value, bool | int | float | str)):
        yield f"{path} is {value!r}; allowed are numbers, text, true, false, null, lists and mappings"


def _names(value: Any) -> Any:
    return (value,) if isinstance(value, str | int | float) else value


Keep = Annotated[Literal["none", "all"] | int, BeforeValidator(_keep)]
"""Epochs that are kept: none, all, or every Nth."""

Levels = Annotated[Literal["log", "paper"] | tuple[float, ...], BeforeValidator(_levels)]
"""Increasing contour levels, or the name of a rule for them."""

Folder = Annotated[str, AfterValidator(_safe_path)]
"""The name of a folder, safe for a shell and without `..`."""

Arguments = Annotated[dict[str, Any], BeforeValidator(_args)]
"""Arguments of a function, with values that JSON holds unaltered."""

_Some = Annotated[tuple[str, ...], Field(min_length=1)]
Names = Annotated[_Some, BeforeValidator(_names, json_schema_input_type=str | _Some)]
"""Names in another section; a single one may stand without brackets."""

Precision = Literal["fp32", "tf32", "bf16", "fp64"]
"""Precision of a network's arithmetic."""


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}; filters and all are allowed too") from None
    return value


Parameters = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
"""Chosen parameters: `filters`, those that have filters, as in the paper; `all`; or a regular expression, those in whose
name it is found (`re.search`)."""
