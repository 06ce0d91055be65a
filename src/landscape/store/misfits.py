"""What is said of a checkpoint that does not fit a network: a line for each cause."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from landscape.store.readings import Names, Reading

_SHOWN = 3  # tensors named in a line about many


def misfits(reading: Reading, own: Names, name: str, called: str) -> list[str]:
    """Describe why a reading does not fit, in a line for each cause."""
    where = f"{name}#{reading.path}" if reading.path else name
    said = f"{where} does not fit {called}: "
    tensors = reading.entry.tensors
    if not reading.names:
        has = some(_with_shape(tensors))
        return [
            f"{said}none of its {len(tensors)} names is one of the network's; it has {has}; the network has {some(_with_shape(own.tensors))}"
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
        missing = [f"{len(missing)} tensors are missing: {some(_with_shape(of_network))}"]
    more = [f"{key} is not in the network, of shape {_shape(tensors[key])}" for key in extra]
    if len(more) > _SHOWN:
        more = [
            f"{len(more)} tensors are not in the network: {some(_with_shape({key: tensors[key] for key in extra}))}"
        ]
    return [said + line for line in [*missing, *more, *unlike(reading, own)]]


def unlike(reading: Reading, own: Names) -> list[str]:
    """Describe tensors of another shape, numbers of another kind, and tied tensors that differ, in a line for each cause."""
    lines = []
    flat = [name for name in reading.names if not reading.tensor(name).is_nested]
    shapes = [name for name in flat if reading.tensor(name).shape != own.tensors[name].shape]
    told = [
        f"{name} has shape {_shape(reading.tensor(name))}, and the network's has {_shape(own.tensors[name])}"
        for name in shapes
    ]
    lines += _listed(told, "tensors differ in shape")
    kinds: dict[str, list[str]] = {}
    for name in reading.names:
        if name not in shapes and (kind := _refused(reading.tensor(name), own.tensors[name])):
            kinds.setdefault(kind, []).append(name)
    for kind, names in kinds.items():
        lines.append(f"{names[0]} is {kind}" if len(names) == 1 else f"{len(names)} tensors are {kind}: {some(names)}")
    if lines:
        return lines
    for name in own.needed:
        first, *others = [other for other in own.tied(name) if other in reading.names] or [name]
        for other in others:
            if not same(reading.tensor(first), reading.tensor(other)):
                lines.append(f"{first} and {other} are one tensor of the network, and their values differ")
    return lines


def _refused(given: Tensor, own: Tensor) -> str:
    """Say why numbers cannot be taken for the network's, or ""."""
    kind, wanted = kind_of(given), kind_of(own)
    if given.is_nested:
        return f"nested, of several lengths, and the network's {wanted}"
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
    lossless = same(given, given.to(own.dtype).to(given.dtype))
    return "" if lossless else f"{kind}, and the network's {wanted}"


def same(one: Tensor, other: Tensor) -> bool:
    """Tell if two tensors hold the same numbers, NaN at the same places included."""
    if one is other:
        return True
    one, other = (tensor.double() if tensor.is_floating_point() else tensor for tensor in (one, other))
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _listed(lines: list[str], about: str) -> list[str]:
    return lines if len(lines) <= _SHOWN else [f"{len(lines)} {about}: {some(lines, '; ')}"]


def _with_shape(tensors: Mapping[str, Tensor]) -> list[str]:
    return [f"{name} {_shape(tensor)}" for name, tensor in tensors.items()]


def some(names: Iterable[str], by: str = ", ") -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return by.join(names[:_SHOWN]) + more


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def kind_of(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
