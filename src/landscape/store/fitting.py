"""Find the weights of a network in a checkpoint that other code wrote.

The names of a checkpoint are read as paths: the keys of its dictionaries, then the tensor's name, joined by dots. A reading
takes a beginning of these paths off, so that the rest are the network's names. The readings are tried in this order:

1. the names as they stand;
2. the names without what torch.compile and parallel wrappers add, on both sides;
3. the names below the one prefix that holds every tensor of the network.

If several entries fit, and their tensors differ, the user chooses: `FILE#BEGINNING`, such as `model.pt#ema.state_dict`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from landscape.errors import InputError, one_of
from landscape.store import user_checkpoint, weight_files
from landscape.store.misfits import kind_of, misfits, same, some, unlike
from landscape.store.readings import (
    Names,
    Reading,
    as_they_stand,
    plain,
    prefixes,
    reading_below,
    source,
    whole_readings,
)
from landscape.store.user_checkpoint import Entry
from landscape.store.weights import Weights

_log = logging.getLogger(__name__)


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
    own = Names(network)
    entries = user_checkpoint.entries(content, [f".{name}" for name in own.numbers])
    if not entries:
        raise InputError(
            f"{name} holds no state dict: {user_checkpoint.kinds(content)}; save it as torch.save(network.state_dict(), path)"
        )
    fits = _fits(entries, own)
    if entry is not None:
        chosen = [fit for fit in fits if fit.path == entry]
        entries = [below for one in entries if (below := _below(one, entry)).tensors]
        if not entries and not chosen:
            raise InputError(f"{name} has no entry {entry!r}; it has {one_of(_beginnings(content), entry)}")
        fits = chosen or _fits(entries, own)
        fits = [fit for fit in fits if fit.path == entry] or fits
    if not fits:
        raise InputError(misfits(_closest(entries, own), own, name, called))
    different = _different(fits, own)
    if len(different) > 1:
        shown = one_of(f"{name}#{fit.path}" for fit in different)
        raise InputError(f"{name} has {len(different)} entries that fit {called} and differ; {advice} {shown}")
    if differing := next(_other_extra(content, own.extra), None):
        raise InputError(
            f"{name} holds {differing}, which is no tensor and not that of {called}; build it so that it is: only tensors are "
            "taken from a checkpoint"
        )
    found = _taken(different[0], own)
    if not quiet:
        _log_found(found, name)
    return found


def _other_extra(content: Any, own: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names, no tensors', for which a checkpoint has another value, in any of its dictionaries."""
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if (key := max((key for key in own if f".{name}".endswith(f".{key}")), key=len, default=None)) is None:
            yield from _other_extra(value, own)
        elif not _alike(value, own[key]):
            yield key


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape and same(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(np.array_equal(one, other))


def _log_found(found: Fitted, name: str) -> None:
    if found.entry:
        _log.info("%s: the weights are under %s", name, found.entry)
    for kinds, count in found.cast.items():
        _log.info("%s: %d tensors are cast from %s", name, count, kinds)
    if found.left_out:
        _log.info("%s: %d tensors are not of this network: %s", name, len(found.left_out), some(found.left_out))


def _fits(entries: Iterable[Entry], own: Names) -> list[Reading]:
    return [reading for entry in entries for reading in whole_readings(entry, own) if not unlike(reading, own)]


def _closest(entries: list[Entry], own: Names) -> Reading:
    """Return the reading with the most names of the network, among several the one with the fewest others."""
    readings = [
        reading_below(entry, "", as_they_stand(entry.tensors), as_they_stand(own.tensors), own) for entry in entries
    ]
    for entry in entries:
        given = plain(entry.tensors)
        readings += [
            reading_below(entry, prefix, given, own.plain, own)
            for prefix, _ in prefixes(given, own.plain).most_common(3)
        ]
    return max(readings, key=lambda reading: (len(reading.names), -len(reading.extra), -len(reading.path)))


def _below(entry: Entry, stated: str) -> Entry:
    """Return the part of an entry below a stated beginning, without tensors if it has none there."""
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


def _different(fits: list[Reading], own: Names) -> list[Reading]:
    """Leave out readings whose tensors an earlier one has too."""
    kept: list[Reading] = []
    for fit in fits:
        if not any(_equal(fit, other, own) for other in kept):
            kept.append(fit)
    return kept


def _equal(one: Reading, other: Reading, own: Names) -> bool:
    return all(same(source(name, one, own), source(name, other, own)) for name in own.needed)


def _taken(reading: Reading, own: Names) -> Fitted:
    """Return the weights of a reading in the network's types."""
    weights: Weights = {}
    cast: Counter[str] = Counter()
    for key, tensor in own.tensors.items():
        given = any(other in reading.names for other in own.tied(key))
        theirs = (source(key, reading, own) if given else tensor).detach()
        if theirs.dtype != tensor.dtype:
            cast[f"{kind_of(theirs)} to {kind_of(tensor)}"] += 1
        weights[key] = theirs if theirs.is_meta else theirs.to("cpu", tensor.dtype)
    return Fitted(weights, reading.path, dict(cast), tuple(reading.outside))
