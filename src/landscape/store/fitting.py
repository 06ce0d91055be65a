"""Find the weights of a network in a checkpoint that other code wrote.

The names of a checkpoint are read as paths: the keys of its dictionaries, then the tensor's name, joined by dots. A reading
takes a beginning of these paths off, so that the rest are the network's names. The readings are tried in this order:

1. the names as they stand;
2. the names without what torch.compile and parallel wrappers add, on both sides;
3. the names below the one prefix that holds every tensor of the network.

If several entries fit, and their tensors differ, the user chooses: `FILE#BEGINNING`, such as `model.pt#ema.state_dict`.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landscape.errors import InputError, one_of
from landscape.store import user_checkpoint, weight_files
from landscape.store.user_checkpoint import Entry
from landscape.store.weights import Weights

_log = logging.getLogger(__name__)

_WRAPPERS = re.compile(r"(^|(?<=\.))(_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile, data parallelism, FSDP and activation checkpointing put before the names of what they wrap."""

_SHOWN = 3  # tensors named in a line about many


@dataclass(frozen=True)
class Fitted:
    """The weights of a network, found in a checkpoint.

    Attributes:
        weights: parameters and buffers by the network's names, in its types, on the CPU.
        entry: the beginning that was taken off the names; empty for none.
        cast: the types that were cast to the network's, with the number of tensors: `float16 to float32`.
        left_out: names outside of the entry's prefix, which are not of this network.
    """

    weights: Weights
    entry: str = ""
    cast: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """Facts for the header of a result."""
        return {"weights_entry": self.entry or None, "weights_cast": dict(self.cast) or None}


@dataclass(frozen=True)
class _Reading:
    """Names of the network, each with the name that an entry has for it, after `prefix` is taken off.

    Attributes:
        missing: tensors of the network that the entry lacks; tied names as one.
        extra: names below the prefix that the network lacks.
        outside: names that do not begin with the prefix.
    """

    entry: Entry
    prefix: str
    names: dict[str, str]
    missing: list[str]
    extra: list[str]
    outside: list[str]

    @property
    def path(self) -> str:
        return ".".join(part for part in (self.entry.path, self.prefix.removesuffix(".")) if part)

    def tensor(self, name: str) -> Tensor:
        return self.entry.tensors[self.names[name]]


def read(
    path: str | Path, network: nn.Module, *, called: str = "the network", mapped: bool = False, quiet: bool = False
) -> Fitted:
    """Read the weights of a network from a file, which may name an entry: `FILE#ENTRY`. See `fitted`.

    Raises:
        InputError: if there is no such file, or it does not fit.
    """
    file, entry = weight_files.split(path)
    return fitted(user_checkpoint.read(file, mapped=mapped), network, file, entry, called, quiet=quiet)


def fitted(
    content: Any,
    network: nn.Module,
    name: str,
    entry: str | None = None,
    called: str = "the network",
    advice: str = "write one of",
    quiet: bool = False,
) -> Fitted:
    """Find the weights of a network in a checkpoint, and cast them to the network's types.

    Batch norm's count of batches may be missing, since eval mode does not use it; of tied tensors one name is enough.

    Args:
        content: dictionaries of tensors, at any depth, as `user_checkpoint.read` returns them.
        name: name of the checkpoint in errors; `called` is that of the network.
        entry: the beginning of the names to take off; None to find it.
        advice: what to do with the entries if several fit.
        quiet: do not log what was done to find them.

    Raises:
        InputError: if nothing in the checkpoint fits the network, with a line per cause; or if several entries fit.
    """
    own = _Names(network)
    entries = user_checkpoint.entries(content)
    if not entries:
        raise InputError(
            f"{name} holds no state dict: {user_checkpoint.kinds(content)}; save it as torch.save(network.state_dict(), path)"
        )
    fits = _fits(entries, own)
    if entry is not None:
        chosen = [fit for fit in fits if fit.path == entry]
        entries = [below for one in entries if (below := _below(one, entry)).tensors]
        if not entries and not chosen:
            raise InputError(f"{name} has no entry {entry!r}; it has {one_of(_beginnings(content))}")
        fits = chosen or _fits(entries, own)
        fits = [fit for fit in fits if fit.path == entry] or fits
    if not fits:
        raise InputError(_misfits(_closest(entries, own), own, name, called))
    different = _different(fits, own)
    if len(different) > 1:
        shown = one_of(f"{name}#{fit.path}" for fit in different)
        raise InputError(f"{name} has {len(different)} entries that fit {called} and differ; {advice} {shown}")
    found = _taken(different[0], own)
    if not quiet:
        _log_found(found, name)
    return found


class _Names:
    """The names of a network's tensors.

    Attributes:
        tensors: the state dict.
        plain: the names by what they are without wrappers.
        needed: names that must be given, tied ones as one.
    """

    def __init__(self, network: nn.Module) -> None:
        self.tensors: Weights = dict(network.state_dict())
        self.plain = _plain(self.tensors)
        same: dict[int, list[str]] = {}
        for named in (network.named_parameters, network.named_buffers):
            for name, tensor in named(remove_duplicate=False):
                if name in self.tensors:
                    same.setdefault(id(tensor), []).append(name)
        self._tied = {name: names for names in same.values() for name in names}
        self.needed = [
            name for name in self.tensors if self.tied(name)[0] == name and not name.endswith("num_batches_tracked")
        ]

    def tied(self, name: str) -> list[str]:
        """All names of a tensor, itself included."""
        return self._tied.get(name, [name])


def _plain(names: Iterable[str]) -> dict[str, str]:
    """Names by what they are without wrappers; by themselves if two would be the same."""
    names = list(names)
    plain = {_WRAPPERS.sub("", name): name for name in names}
    return plain if len(plain) == len(names) else _as_they_stand(names)


def _as_they_stand(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}


def _fits(entries: Iterable[Entry], own: _Names) -> list[_Reading]:
    return [reading for entry in entries for reading in _whole_readings(entry, own) if not _unlike(reading, own)]


def _whole_readings(entry: Entry, own: _Names) -> list[_Reading]:
    """Every reading of an entry with all tensors of the network, and no others below its prefix.

    Tensors that another such reading takes may lie below it: an average under `ema.` beside the weights.
    """
    plainly = _reading(entry, "", _as_they_stand(entry.tensors), _as_they_stand(own.tensors), own)
    if not plainly.missing and not plainly.extra:
        return [plainly]
    given = _plain(entry.tensors)
    counts = _prefixes(given, own.plain)
    found = [_reading(entry, prefix, given, own.plain, own) for prefix, n in counts.items() if n >= len(own.needed)]
    if not plainly.missing:
        found = [plainly, *(reading for reading in found if reading.prefix)]
    whole = [reading for reading in found if not reading.missing]
    if not whole and (bare := _below_own_prefix(entry, given, own)) is not None:
        return [bare]
    taken = [set(reading.names.values()) for reading in whole]
    return [
        reading
        for k, reading in enumerate(whole)
        if all(any(name in names for names in taken[:k] + taken[k + 1 :]) for name in reading.extra)
    ]


def _reading(entry: Entry, prefix: str, given: Mapping[str, str], wanted: Mapping[str, str], own: _Names) -> _Reading:
    """Read an entry below a prefix. `given` and `wanted` are the true names by the names that are compared."""
    below = {name.removeprefix(prefix): true for name, true in given.items() if name.startswith(prefix)}
    names = {wanted[name]: true for name, true in below.items() if name in wanted}
    missing = [name for name in own.needed if not any(other in names for other in own.tied(name))]
    extra = [true for name, true in below.items() if name not in wanted]
    outside = [true for name, true in given.items() if not name.startswith(prefix)]
    return _Reading(entry, prefix, names, missing, extra, outside)


def _below_own_prefix(entry: Entry, given: Mapping[str, str], own: _Names) -> _Reading | None:
    """Read the bare weights of what the network has below a prefix of its own, such as `model.`."""
    for prefix, n in _prefixes(own.plain, given).items():
        if prefix and n >= len(own.needed):
            below = {name.removeprefix(prefix): true for name, true in own.plain.items() if name.startswith(prefix)}
            reading = _reading(entry, "", given, below, own)
            if not reading.missing and not reading.extra:
                return reading
    return None


def _prefixes(names: Iterable[str], suffixes: Mapping[str, str]) -> Counter[str]:
    """Beginnings of names, up to a dot, that leave one of `suffixes`; with how many names have each."""
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for k in range(len(parts)):
            if ".".join(parts[k:]) in suffixes:
                found["".join(f"{part}." for part in parts[:k])] += 1
    return found


def _below(entry: Entry, stated: str) -> Entry:
    """The part of an entry below a stated beginning; without tensors if it has none."""
    if not stated or f"{entry.path}.".startswith(f"{stated}."):
        return entry
    within = f"{entry.path}." if entry.path else ""
    beginning = f"{stated}.".removeprefix(within) if f"{stated}.".startswith(within) else None
    tensors = {
        name.removeprefix(beginning): tensor
        for name, tensor in entry.tensors.items()
        if beginning is not None and name.startswith(beginning)
    }
    return Entry(stated, tensors)


def _beginnings(content: Any) -> list[str]:
    entries = user_checkpoint.entries(content)
    paths = [entry.path for entry in entries if entry.path]
    prefixes = [name.partition(".")[0] for entry in entries if not entry.path for name in entry.tensors]
    return list(dict.fromkeys([*paths, *prefixes]))


def _different(fits: list[_Reading], own: _Names) -> list[_Reading]:
    """The readings without those whose tensors an earlier one has too."""
    kept: list[_Reading] = []
    for fit in fits:
        if not any(_equal(fit, other, own) for other in kept):
            kept.append(fit)
    return kept


def _equal(one: _Reading, other: _Reading, own: _Names) -> bool:
    return all(_same(_source(name, one, own), _source(name, other, own)) for name in own.needed)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN at the same places included."""
    if one is other:
        return True
    one, other = (tensor.double() if tensor.is_floating_point() else tensor for tensor in (one, other))
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _source(name: str, reading: _Reading, own: _Names) -> Tensor:
    return reading.tensor(name if name in reading.names else next(n for n in own.tied(name) if n in reading.names))


def _unlike(reading: _Reading, own: _Names) -> list[str]:
    """Lines about tensors of another shape, or of numbers that the network's cannot be; and about ties that are none."""
    lines = []
    shapes = [name for name in reading.names if reading.tensor(name).shape != own.tensors[name].shape]
    told = [
        f"{name} has {_shape(reading.tensor(name))}, and the network's has {_shape(own.tensors[name])}"
        for name in shapes
    ]
    lines += _listed(told, "tensors differ in shape")
    kinds: dict[str, list[str]] = {}
    for name in reading.names:
        if name not in shapes and (kind := _refused(reading.tensor(name), own.tensors[name])):
            kinds.setdefault(kind, []).append(name)
    for kind, names in kinds.items():
        lines.append(f"{names[0]} is {kind}" if len(names) == 1 else f"{len(names)} tensors are {kind}: {_some(names)}")
    if lines:
        return lines
    for name in own.needed:
        first, *others = [other for other in own.tied(name) if other in reading.names] or [name]
        for other in others:
            if not _same(reading.tensor(first), reading.tensor(other)):
                lines.append(f"{first} and {other} are one tensor of the network, and their values differ")
    return lines


def _refused(given: Tensor, own: Tensor) -> str:
    """Say why numbers cannot be taken for the network's, or ""."""
    kind, wanted = _kind(given), _kind(own)
    if given.is_meta:
        return "without values (on the device meta)"
    if given.is_quantized:
        return f"quantised ({kind}), and the network's {wanted}; dequantise before saving"
    if given.layout != torch.strided:
        return f"sparse ({str(given.layout).removeprefix('torch.')}), and the network's dense; call to_dense() before saving"
    if kind == wanted or (given.is_floating_point() and own.is_floating_point()):
        return ""
    if own.is_floating_point() or own.is_complex() != given.is_complex():
        return f"{kind}, and the network's {wanted}"
    lossless = _same(given, given.to(own.dtype).to(given.dtype))
    return "" if lossless else f"{kind}, and the network's {wanted}"


def _taken(reading: _Reading, own: _Names) -> Fitted:
    """The weights of a reading in the network's types."""
    weights: Weights = {}
    cast: Counter[str] = Counter()
    for key, tensor in own.tensors.items():
        given = any(other in reading.names for other in own.tied(key))
        source = (_source(key, reading, own) if given else tensor).detach()
        if source.dtype != tensor.dtype:
            cast[f"{_kind(source)} to {_kind(tensor)}"] += 1
        weights[key] = source if source.is_meta else source.to("cpu", tensor.dtype)
    return Fitted(weights, reading.path, dict(cast), tuple(reading.outside))


def _log_found(found: Fitted, name: str) -> None:
    if found.entry:
        _log.info("%s: the weights are under %s", name, found.entry)
    for kinds, count in found.cast.items():
        _log.info("%s: %d tensors are cast from %s", name, count, kinds)
    if found.left_out:
        _log.info("%s: %d tensors are not of this network: %s", name, len(found.left_out), _some(found.left_out))


def _closest(entries: list[Entry], own: _Names) -> _Reading:
    """The reading with the most names of the network, of these that with the fewest others."""
    readings = [
        _reading(entry, "", _as_they_stand(entry.tensors), _as_they_stand(own.tensors), own) for entry in entries
    ]
    for entry in entries:
        given = _plain(entry.tensors)
        readings += [
            _reading(entry, prefix, given, own.plain, own) for prefix, _ in _prefixes(given, own.plain).most_common(3)
        ]
    return max(readings, key=lambda reading: (len(reading.names), -len(reading.extra), -len(reading.path)))


def _misfits(reading: _Reading, own: _Names, name: str, called: str) -> list[str]:
    """Lines about a reading that does not fit, one for each cause."""
    where = f"{name}#{reading.path}" if reading.path else name
    said = f"{where} does not fit {called}: "
    tensors = reading.entry.tensors
    if not reading.names:
        has = _some(_with_shape(tensors))
        return [
            f"{said}none of its {len(tensors)} names is one of the network's; it has {has}; the network has {_some(_with_shape(own.tensors))}"
        ]
    extra = list(reading.extra)
    missing = []
    for key in reading.missing:
        text = f"{key} is missing, of shape {_shape(own.tensors[key])}"
        if len(reading.missing) <= _SHOWN and (near := difflib.get_close_matches(key, extra, 1)):
            extra.remove(near[0])
            text += f"; the nearest name is {near[0]}, of shape {_shape(tensors[near[0]])}"
        missing.append(text)
    if len(missing) > _SHOWN:
        of_network = {key: own.tensors[key] for key in reading.missing}
        missing = [f"{len(missing)} tensors are missing: {_some(_with_shape(of_network))}"]
    more = [f"{key} is not in the network, of shape {_shape(tensors[key])}" for key in extra]
    if len(more) > _SHOWN:
        more = [
            f"{len(more)} tensors are not in the network: {_some(_with_shape({key: tensors[key] for key in extra}))}"
        ]
    return [said + line for line in [*missing, *more, *_unlike(reading, own)]]


def _listed(lines: list[str], about: str) -> list[str]:
    return lines if len(lines) <= _SHOWN else [f"{len(lines)} {about}: {_some(lines, '; ')}"]


def _with_shape(tensors: Mapping[str, Tensor]) -> list[str]:
    return [f"{name} {_shape(tensor)}" for name, tensor in tensors.items()]


def _some(names: Iterable[str], by: str = ", ") -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return by.join(names[:_SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
