"""Readings of a checkpoint's names: which tensor of an entry is which of a network's. See `landscape.store.fitting`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from landscape.store.user_checkpoint import Entry
from landscape.store.weights import Weights

_WRAPPERS = re.compile(r"(^|(?<=\.))(_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile, data parallelism, FSDP and activation checkpointing put before the names of what they wrap."""


@dataclass(frozen=True)
class Reading:
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


class Names:
    """The names of a network's tensors.

    Attributes:
        tensors: those of the state dict.
        extra: what the state dict holds beside tensors (`get_extra_state`).
        plain: the names by what they are without wrappers.
        needed: names that must be given, tied ones as one.
        numbers: names of single numbers without wrappers, which other code may have kept as Python's.
    """

    def __init__(self, network: nn.Module) -> None:
        state = network.state_dict()
        self.tensors: Weights = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        self.extra = {name: value for name, value in state.items() if name not in self.tensors}
        self.plain = plain(self.tensors)
        same: dict[int, list[str]] = {}
        for named in (network.named_parameters, network.named_buffers):
            for name, tensor in named(remove_duplicate=False):
                if name in self.tensors:
                    same.setdefault(id(tensor), []).append(name)
        self._tied = {name: names for names in same.values() for name in names}
        self.needed = [
            name for name in self.tensors if self.tied(name)[0] == name and not name.endswith("num_batches_tracked")
        ]

        self.numbers = [name for name, true in self.plain.items() if not self.tensors[true].ndim]

    def tied(self, name: str) -> list[str]:
        """List all names of a tensor, this one included."""
        return self._tied.get(name, [name])


def whole_readings(entry: Entry, own: Names) -> list[Reading]:
    """List the readings of an entry that have all tensors of the network, and no others below their prefix.

    Tensors that another such reading takes may lie below it: an average under `ema.` beside the weights.
    """
    plainly = reading_below(entry, "", as_they_stand(entry.tensors), as_they_stand(own.tensors), own)
    if not plainly.missing and not plainly.extra:
        return [plainly]
    given = plain(entry.tensors)
    counts = prefixes(given, own.plain)
    found = [
        reading_below(entry, prefix, given, own.plain, own) for prefix, n in counts.items() if n >= len(own.needed)
    ]
    if not plainly.missing:
        found = [plainly, *(reading for reading in found if reading.prefix)]
    whole = [reading for reading in found if not reading.missing]
    if not any(not reading.extra for reading in whole):
        whole += _below_wrapper(entry, own)
    if not whole and (bare := _below_own_prefix(entry, given, own)) is not None:
        return [bare]
    taken = [set(reading.names.values()) for reading in whole]
    return [
        reading
        for k, reading in enumerate(whole)
        if all(any(name in names for names in taken[:k] + taken[k + 1 :]) for name in reading.extra)
    ]


def reading_below(
    entry: Entry, prefix: str, given: Mapping[str, str], wanted: Mapping[str, str], own: Names
) -> Reading:
    """Read an entry below a prefix. `given` and `wanted` are the true names by the names that are compared."""
    below = {name.removeprefix(prefix): true for name, true in given.items() if name.startswith(prefix)}
    names = {wanted[name]: true for name, true in below.items() if name in wanted}
    missing = [name for name in own.needed if not any(other in names for other in own.tied(name))]
    extra = [true for name, true in below.items() if name not in wanted]
    outside = [true for name, true in given.items() if not name.startswith(prefix)]
    return Reading(entry, prefix, names, missing, extra, outside)


def _below_wrapper(entry: Entry, own: Names) -> Iterator[Reading]:
    """Read below a wrapper that has a tensor of its own beside it, as `n_averaged` of torch's averaged models."""
    given = as_they_stand(entry.tensors)
    for prefix, n in prefixes(given, own.plain).items():
        if n >= len(own.needed) and _WRAPPERS.search(prefix):
            reading = reading_below(entry, prefix, given, own.plain, own)
            if not reading.missing and not reading.extra:
                yield reading


def _below_own_prefix(entry: Entry, given: Mapping[str, str], own: Names) -> Reading | None:
    """Read the bare weights of what the network has below a prefix of its own, such as `model.`."""
    for prefix, n in prefixes(own.plain, given).items():
        if prefix and n >= len(own.needed):
            below = {name.removeprefix(prefix): true for name, true in own.plain.items() if name.startswith(prefix)}
            reading = reading_below(entry, "", given, below, own)
            if not reading.missing and not reading.extra:
                return reading
    return None


def prefixes(names: Iterable[str], suffixes: Mapping[str, str]) -> Counter[str]:
    """Count the beginnings of names, up to a dot, that leave one of `suffixes`."""
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for k in range(len(parts)):
            if ".".join(parts[k:]) in suffixes:
                found["".join(f"{part}." for part in parts[:k])] += 1
    return found


def plain(names: Iterable[str]) -> dict[str, str]:
    """Return the names by what they are without wrappers; by themselves if two would be the same."""
    names = list(names)
    plain = {_WRAPPERS.sub("", name): name for name in names}
    return plain if len(plain) == len(names) else as_they_stand(names)


def as_they_stand(names: Iterable[str]) -> dict[str, str]:
    """Return the names by themselves."""
    return {name: name for name in names}


def source(name: str, reading: Reading, own: Names) -> Tensor:
    """Return the tensor that a reading has for a name of the network, or for another name of the same tensor."""
    return reading.tensor(name if name in reading.names else next(n for n in own.tied(name) if n in reading.names))
