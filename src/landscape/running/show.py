"""Describe a file that the project made: what it is and where it comes from. Never imports torch."""

import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from landscape import artefacts
from landscape.errors import InputError
from landscape.lazy import np
from landscape.store import files

_LARGEST = 10_000_000
"""Numbers of a tensor that is summed up; a larger one takes longer than the rest of `described`."""
_SHOWN = 8
"""Texts that are counted by themselves, the most frequent ones."""
_TOLD = {"title", "name", "run", "plane", "probe", "state", "device", "seed", "Conventions"}
_TOLD |= {"spec", "run_spec", "spec_hash", "stage", "format_version", "versions", "date", "history"}
"""Entries of a header that `described` does not repeat under `also`."""


def described(path: str | Path) -> dict[str, Any]:
    """Describe a file, or a state `FILE@003`, in values that JSON can hold.

    Entries: `file`, `kind`, `title`, `made` (verb and date), `versions`, `device`, `seed`, `configuration` (by section
    and name, in full), `inputs` (their checksums), `checksum` (its own), `dimensions`, `variables`, and `also` (the rest
    of its header). A variable has its `value`, if it is one; else the `least`, `median` and `most` of its finite numbers, and
    how many are `not_finite`, if any is; or how often each text or meaning of a number is there, as `counts`. Of a tensor of
    more than ten million numbers it has none.

    Raises:
        InputError: if the project did not make the file, or it is damaged.
    """
    place, epoch = files.file_of(path), files.epoch_of(path)
    if place.suffix == ".nc":
        dataset = files.read_dataset(place)
        header = {key: _value(value) for key, value in dataset.attrs.items()}
        dimensions = {str(name): size for name, size in dataset.sizes.items()}
        variables = {str(name): _variable(array) for name, array in dataset.variables.items()}
    else:
        header, dimensions = dict(files.read_header(place)), {}
        if epoch is not None and epoch not in _list(header.get("epochs")):
            raise InputError(f"{place} holds no epoch {epoch:03d}; it holds {header.get('epochs', 'one state')}")
        prefix = "" if epoch is None else f"{epoch:03d}/"
        variables = {
            name.removeprefix(prefix): {"shape": shape, "type": dtype} | ({} if values is None else _values(values))
            for name, shape, dtype, values in files.tensors_in(place, _LARGEST)
            if name.startswith(prefix)
        }
    what = artefacts.kind_of(place, header)
    spec = _mapping(header.get("spec"))
    name = header.get("name", header.get("plane"))
    section = artefacts.section_of(what)
    configuration = {f"{section}.{name}": spec}
    if "run_spec" in header:
        configuration[f"runs.{header.get('run')}"] = header["run_spec"]
    return {
        "file": str(path),
        "bytes": os.path.getsize(place),
        "kind": what,
        "title": header.get("title", _title(what, name, header) + ("" if epoch is None else f", epoch {epoch}")),
        "made": {
            "date": header.get("date"),
            "verb": str(header["history"]).split()[2],
            "stage": header.get("stage"),
            "format": header.get("format_version"),
        },
        "versions": header.get("versions"),
        "device": header.get("device"),
        "seed": header.get("seed", spec.get("seed")),
        "configuration": configuration,
        "inputs": {key.removesuffix("_hash"): header[key] for key in sorted(header) if _is_checksum(key)},
        "checksum": files.checksum(place),
        "dimensions": dimensions,
        "variables": variables,
        "also": {key: header[key] for key in sorted(header) if key not in _TOLD and not _is_checksum(key)},
    }


def text(found: Mapping[str, Any]) -> str:
    """Write what `described` found for people. Control characters are escaped."""
    made = found["made"]
    lines = [f"{found['file']}: {found['title']}", f"{found['kind']}, {found['bytes']:,} bytes", ""]
    rows = {
        "made": f"{made['date']} by landscape {made['verb']} (stage version {made['stage']}, format {made['format']})",
        "with": _listed(found["versions"]),
        "on": found["device"],
        "seed": found["seed"],
        "checksum": found["checksum"],
    }
    lines += [f"{key:<10} {value}" for key, value in rows.items() if value is not None]
    lines += _block("inputs", [f"{key:<12} {_listed(value)}" for key, value in found["inputs"].items()])
    for name, section in found["configuration"].items():
        written = yaml.safe_dump(section, sort_keys=False, default_flow_style=None, width=110)
        lines += _block(name, written.splitlines())
    lines += _block("dimensions", [f"{name:<24} {size}" for name, size in found["dimensions"].items()])
    lines += _block("also", [f"{key:<24} {_listed(value)}" for key, value in found["also"].items()])
    width = min(40, max(map(len, found["variables"]), default=0))
    lines += _block("variables", [_row(name, of, width) for name, of in found["variables"].items()])
    return "".join(f"{printable(line)}\n" for line in lines)


def _variable(array: Any) -> dict[str, Any]:
    told = {key: str(array.attrs[key]) for key in ("units", "long_name") if key in array.attrs}
    made = {"dimensions": list(map(str, array.dims)), "shape": list(array.shape), "type": str(array.dtype), **told}
    meanings = str(array.attrs.get("flag_meanings", "")).split()
    flags = np.atleast_1d(array.attrs.get("flag_values", ())).tolist()
    return made | _values(array.values, dict(zip(flags, meanings, strict=False)))


def _values(values: np.ndarray, meanings: Mapping[Any, str] | None = None) -> dict[str, Any]:
    """Sum up the values of a variable: one as it is, several by what is least and most, or by what there is how often.

    Args:
        meanings: of the numbers, if they stand for something.
    """
    if meanings or values.dtype.kind not in "iuf":
        texts = [str((meanings or {}).get(value, value)) for value in values.ravel().tolist()]
        counts = dict(Counter(texts).most_common(_SHOWN))
        return {"value": texts[0]} if len(texts) == 1 else {"counts": counts} if counts else {}
    if values.size == 1:
        return {"value": _value(values.item())}
    finite = values[np.isfinite(values)].astype(np.float64 if values.dtype.kind == "f" else values.dtype)
    found: dict[str, Any] = {}
    if finite.size:
        found = {"least": finite.min().item(), "median": float(np.median(finite)), "most": finite.max().item()}
    return found | ({"not_finite": values.size - finite.size} if finite.size < values.size else {})


def _row(name: str, of: Mapping[str, Any], width: int) -> str:
    unit = f" {of['units']}" if of.get("units", "1") != "1" else ""
    shape = " x ".join(map(str, of["shape"])) or "one value"
    along = f" ({', '.join(of['dimensions'])})" if of.get("dimensions") else ""
    about = f"; {of['long_name']}" if "long_name" in of else ""
    return f"{name:<{width}} {_summed_up(of, unit)}{of['type']}, {shape}{along}{about}"


def _summed_up(of: Mapping[str, Any], unit: str) -> str:
    """Write what `_values` found, to stand before the type."""
    if "value" in of:
        return f"{_short(of['value'])}{unit}; "
    if "counts" in of:
        listed = ", ".join(f"{count} {text}" for text, count in of["counts"].items())
        rest = math.prod(of["shape"]) - sum(of["counts"].values())
        return f"{listed}{f', {rest} others' if rest else ''}; "
    numbers = [f"{key} {_short(of[key])}" for key in ("least", "median", "most") if key in of]
    told = f"{', '.join(numbers)}{unit}; " if numbers else ""
    return told + (f"{of['not_finite']} not finite; " if "not_finite" in of else "")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _title(what: str, name: Any, header: Mapping[str, Any]) -> str:
    if what == "directions":
        return f"directions of {name} around {header.get('state')}"
    if what == "vectors":
        return f"vectors of {name} at {header.get('state')}"
    return f"{what} of {name}" if what in ("weights", "epochs") else f"{what} {name}"


def _is_checksum(key: str) -> bool:
    return key.endswith("_hash") and key != "spec_hash"


def _value(value: Any) -> Any:
    """Convert an attribute of a NetCDF file to values that JSON can hold; parse text that is JSON."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _listed(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_listed(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(_listed(item)) for item in value) or "none"
    return None if value is None else str(value)


def _block(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def printable(line: str) -> str:
    """Escape every character that could control a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
