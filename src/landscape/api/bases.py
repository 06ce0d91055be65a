"""Directions of planes, and the places of other states on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from torch import nn

from landscape.api.inputs import AnyEpochs, AnyWeights, directions_of, entry_of, epochs_of, plain, weights_of
from landscape.directions import Directions, describe
from landscape.engine import device
from landscape.errors import InputError
from landscape.experiment.signatures import keywords
from landscape.measures import tiling
from landscape.measures.draw_directions import drawn
from landscape.measures.plane import Plane
from landscape.measures.trajectory import mark as place_of
from landscape.networks.building import filter_axes
from landscape.store.weights import Weights

_LEADS = {
    "to": ("to",),
    "through": ("through",),
    "checkpoints": ("pca", "start"),
    "eigenvectors": ("eigenvectors",),
    "along": ("of",),
}
"""Arguments that directions lead to, and the values of `directions` allowed with each, the default first."""


@keywords("planes", "loss", without=("alpha", "beta", "rise", "examples", "recalibration_examples", "precision"))
def basis(
    network: nn.Module,
    *,
    line: bool = False,
    to: AnyWeights | None = None,
    through: AnyWeights | Sequence[AnyWeights] | None = None,
    checkpoints: AnyEpochs | None = None,
    eigenvectors: Weights | None = None,
    around: AnyWeights | None = None,
    **keys: Any,
) -> Directions:
    """Draw the directions of a plane as `plane` does, for use as `along` in several calls.

    Args:
        line: draw the first direction alone.
        to: as in `plane`, and so are `through`, `checkpoints`, `eigenvectors` and `around`.
        keys: of the section `planes`.

    Returns:
        Under `alpha` and `beta` a tensor for each parameter of the network, on the CPU.

    Example:
        >>> net = ls.network("resnet", ls.dataset("digits", examples=100), depth=8, width=2)
        >>> d1, d2 = ls.basis(net, seed=1).values()
        >>> bool(d1["conv1.weight"].norm().isclose(net.conv1.weight.norm()))  # filter by filter
        True
    """
    network = plain(network)
    theta = weights_of(around if around is not None else network, network, "around")
    leads = {"to": to, "through": through, "checkpoints": checkpoints, "eigenvectors": eigenvectors}
    grid = {} if line or to is not None else {"beta": (-1, 1, 3)}
    return laid(network, theta, None, {**grid, **keys}, leads)[1]


def mark(
    network: nn.Module,
    marked: AnyWeights,
    *,
    along: Directions,
    around: AnyWeights | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Find where on a plane another state lies, and how far from it.

    Args:
        marked: the other state: a module, a state dict or a file.
        along: the directions of the plane, as `basis` returns them.
        around: its centre; by default the network's weights.
        attributes: further attributes of the result.

    Returns:
        `alpha` and `beta` of the orthogonal projection, the `distance` from the plane, and `distance_to_centre`.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> one, other = (ls.network("resnet", digits, depth=8, width=2, seed=seed) for seed in (0, 1))
        >>> found = ls.mark(one, other, along=ls.basis(one, to=other))
        >>> round(float(found.alpha), 6), round(float(found.distance), 3)
        (1.0, 0.0)
    """
    network = plain(network)
    theta = weights_of(around if around is not None else network, network, "around")
    other = weights_of(marked, network, "marked")
    with device.settled():
        found = place_of(other, theta, directions_of(along, network), filter_axes(network))
    return found.assign_attrs(tiling.attributes(attributes or {}))


def laid(
    network: nn.Module, theta: Weights, spec: Plane | None, keys: Mapping[str, Any], leads: Mapping[str, Any]
) -> tuple[Plane, Directions, dict[str, Any]]:
    """Lay the plane around `theta` from keywords, with its directions and how they were made.

    Args:
        spec: the plane of a configuration, instead of keywords.
        leads: the arguments that directions lead to, by name; None if not given.
    """
    given = [name for name, value in leads.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} exclude each other: each says where the plane leads")
    if spec is not None and given == ["along"]:
        return spec, directions_of(leads["along"], network), {}
    names, material = _material(network, given[0], leads[given[0]]) if given else ({}, {})
    spec = spec or entry_of("planes", keys, {"directions": _said(given, keys.get("directions")), **names})
    if spec.directions == "start":
        material = {"others": {"start": next(iter(material["epochs"].values()))}}
    axes = filter_axes(network)
    with device.settled():
        pair, facts = drawn(spec.drawn(), theta, axes, **material)
        return spec, pair, {**facts, **describe(pair, theta, axes)}


def _said(given: Sequence[str], directions: Any) -> str:
    """Return the value of `directions` that goes with the given argument; it may be left out."""
    needed = {kind: name for name, kinds in _LEADS.items() for kind in kinds}
    if directions is None:
        return _LEADS[given[0]][0] if given else "random"
    wanted = needed.get(str(directions))
    if wanted is not None and not given:
        raise InputError(f"directions is {directions!r}, and the argument {wanted} that it needs is missing")
    if given and wanted != given[0]:
        raise InputError(f"directions is {directions!r}, and the argument {given[0]} is given; leave directions out")
    return str(directions)


def _material(network: nn.Module, name: str, value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys that name the targets of directions, and the targets: arguments of `drawn`."""
    match name:
        case "to":
            return {"run": "other"}, {"others": {"other": weights_of(value, network, "to")}}
        case "through":
            states = list(value) if isinstance(value, list | tuple) else [value]
            if len(states) not in (1, 2):
                raise InputError(f"through has {len(states)} states; allowed are one or two")
            names = [f"other-{k}" for k in range(1, len(states) + 1)]
            found = [weights_of(state, network, f"through[{k}]") for k, state in enumerate(states)]
            return {"runs": names}, {"others": dict(zip(names, found, strict=True))}
        case "checkpoints":
            epochs = epochs_of(value, network)
            if not epochs:
                raise InputError("checkpoints are none; the first is before the training, the last its end")
            return {}, {"epochs": epochs}
        case "eigenvectors":
            return {"probe": "given"}, {"tensors": value}
    along = directions_of(value, network)
    flat = {f"{axis}/{key}": step for axis, direction in along.items() for key, step in direction.items()}
    moved = {key for direction in along.values() for key in direction}
    statistics = {"batchnorm": "interpolated"} if moved & dict(network.named_buffers()).keys() else {}
    return {"run": "given", "plane": "given", **statistics}, {"tensors": flat}
