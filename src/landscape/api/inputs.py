"""What the public functions are given: networks, data, weights; and what every result says of them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from landscape.data.datasets import DataSet
from landscape.data.handed_over import data_set
from landscape.engine import device
from landscape.measures.plane import Plane
from landscape.probes.probe import Probe
from landscape.store import checkpoint, files
from landscape.store.weights import Weights

Given = Any
"""A pair (images, labels), a torch `Dataset` or `DataLoader`, or a `DataSet`."""

Point = nn.Module | Mapping[str, torch.Tensor] | str | Path
"""Weights: a module, a state dict, or a file that holds one."""


@contextlib.contextmanager
def ready(network: nn.Module, data: Given, test: Given, threads: int = 1) -> Iterator[DataSet]:
    """The data beside the network, with everything settled meanwhile that alters bits."""
    where = next(network.parameters()).device
    with device.settled(threads):
        yield data_set(data, where, test)


def weights_of(point: Point) -> Weights:
    """Parameters and buffers by name, on the CPU, detached."""
    if isinstance(point, str | Path):
        return checkpoint.adopt(point)
    state = point.state_dict() if isinstance(point, nn.Module) else point
    return {name: tensor.detach().cpu() for name, tensor in state.items()}


def others_of(
    keys: Mapping[str, Any], to: Point | None, through: Sequence[Point] | None, checkpoints: Sequence[Point] | None
) -> tuple[dict[str, Weights], dict[str, Any]]:
    """The states that directions lead to, by name, and the keys that say so."""
    if to is not None:
        return {"other": weights_of(to)}, {"directions": "to", "run": "other", **keys}
    if through is not None:
        names = [f"other-{k}" for k in range(1, len(through) + 1)]
        others = dict(zip(names, map(weights_of, through), strict=True))
        return others, {"directions": "through", "runs": names, **keys}
    if checkpoints is not None and keys.get("directions") == "start":
        return {"start": weights_of(checkpoints[0])}, dict(keys)
    return {}, {**({"directions": "pca"} if checkpoints is not None else {}), **keys}


def facts_of(network: nn.Module, used: DataSet, spec: Plane | Probe) -> dict[str, Any]:
    """What every result says of the network, the data and the specification it was made with."""
    name, images = type(network).__name__, len(used.train.labels)
    return {
        "title": f"{spec.measure} of {name}",
        "run": name,
        "state": name,
        "plane": "given",
        "spec": spec.in_full(),
        "data": used.header.get("name"),
        "classes": used.classes,
        "train_images": min(spec.images or images, images),
        "test_images": min(spec.images or len(used.test.labels), len(used.test.labels))
        if used.test and spec.measures_test
        else None,
        "device": device.name(next(network.parameters()).device),
        **files.provenance("probe" if isinstance(spec, Probe) else "tile"),
    }
