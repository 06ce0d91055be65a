"""Headers of files: networks rebuilt from them, and what the verbs write into them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape.artefacts import STAGES
from landscape.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from landscape.config.section import Section
    from landscape.data.datasets import DataSet
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights
    from landscape.training.run_section import Run

TRUSTED = "LANDSCAPE_NETWORKS"
"""Names the networks and losses, one a line, that are code of the user's and that a file's header may have run; the workflow
sets it."""


def network_of(run: Run, dataset: DataSet, device: Any) -> nn.Module:
    """Build the network of a run, on a device."""
    from landscape.api.inputs import plain
    from landscape.networks import building

    images, classes = dataset.image_shape, dataset.classes
    return plain(building.build(run.network, run.args, seed=run.seed, images=images, classes=classes, device=device))


def rebuilt(header: dict[str, Any], device: Any, theta: Weights) -> nn.Module:
    """Build the network that the header of `theta` describes, with initial weights.

    Raises:
        InputError: if it cannot be built, or the weights are not its own; if it is code from elsewhere that nobody but the
            header names: then nothing is imported.
    """
    from landscape.api.inputs import plain
    from landscape.networks import building
    from landscape.store import checkpoint

    try:
        run = {key: header["spec"][key] for key in ("network", "args", "seed")}
        channels, height, width = map(int, header["image_shape"]) if header["image_shape"] else (0, 0, 0)
        name, args, seed = str(run["network"]), dict(run["args"]), int(run["seed"])
        classes = None if header["classes"] is None else int(header["classes"])
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise InputError(f"the header of the weights does not describe a network ({problem})") from None
    _trust(name, "network")
    images = (channels, height, width) if channels else None
    network = plain(building.build(name, args, seed=seed, images=images, classes=classes, device=device))
    if misfits := checkpoint.misfits(theta, network):
        raise InputError(f"the weights are not of the network in their header, {name}: {misfit}" for misfit in misfits)
    return network


def _trust(name: str, what: str) -> None:
    """Refuse code from elsewhere that nobody but a header names."""
    if ":" in name and name not in os.environ.get(TRUSTED, "").splitlines():
        raise InputError(
            f"the weights are of the {what} {name!r}, which is code from outside of landscape, and a file alone does not "
            f"make it run; if it is yours, set {TRUSTED}={shlex.quote(name)}, as the workflow does for its configuration"
        )


def objective_of(spec: Mapping[str, Any]) -> Objective:
    """Make the objective of a run from the specification in its header, as `rebuilt` makes its network."""
    from landscape.objective import objective
    from landscape.objective.objective_section import keys_of

    keys = keys_of(spec)
    loss = keys.get("loss")
    names = {"loss": loss["name"] if isinstance(loss, Mapping) else loss, "score": keys.get("score")}
    for what, name in {**names, "objective": keys.get("objective")}.items():
        _trust(str(name), what)
    return objective.objective_of(keys)


@dataclass(frozen=True)
class Opened:
    """A state as it stands in its file: weights, header, and its network beside the data it is measured on.

    The network is on the device, with initial weights; without data it is on the meta device, which has no numbers.
    """

    weights: str
    theta: Weights
    header: dict[str, Any]
    network: nn.Module
    data: DataSet | None
    device: str

    @property
    def state(self) -> str:
        return state_of(self.header)

    @property
    def checksum(self) -> str:
        from landscape.store.files import checksum

        return checksum(self.weights)

    @property
    def objective(self) -> Objective:
        return objective_of(self.header["spec"])

    @property
    def measured_on(self) -> DataSet:
        assert self.data is not None
        return self.data


def opened(weights: str, data: Path | None = None) -> Opened:
    """Open a state's weights, and the data set; settle the device."""
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.store import checkpoint

    where = device.settle()
    theta, header = checkpoint.read(weights)
    used = None if data is None else datasets.read(data, device=where)
    network = rebuilt(header, "meta" if used is None else where, theta)
    return Opened(weights, theta, header, network, used, device.name("cpu" if used is None else where))


def facts_of(network: nn.Module, dataset: DataSet) -> dict[str, Any]:
    """Facts about a run's network and data, by which both can be rebuilt and counted."""
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "image_shape": dataset.image_shape,
        "classes": dataset.classes,
        "train_examples": len(dataset.train),
        "test_examples": len(dataset.test) if dataset.test else None,
    }


def header_of(name: str, entry: Section, text: str, stage: str, **facts: Any) -> dict[str, Any]:
    """Header of a result: the entry it was made from, the version of the stage, who made it and when."""
    from landscape.experiment import specs
    from landscape.store import files

    made = {"spec_hash": specs.digest(text), "stage": STAGES[stage].version}
    return {"name": name, "spec": entry.in_full(), **made, **facts, **files.provenance(stage)}


def on_plane(
    plane_name: str, entry: Section, text: str, stage: str, at: Opened, drawn: Mapping[str, Any]
) -> dict[str, Any]:
    """Header of a result on a plane: the state, the plane, and facts about the directions."""
    told = ("seed", "cosine", "zero_filters", "filters", "unit_length_alpha", "unit_length_beta")
    header = header_of(plane_name, entry, text, stage, state=at.state, run=at.header["name"], plane=plane_name)
    del header["name"]
    return header | {"run_spec": at.header["spec"], "device": at.device, **{key: drawn.get(key) for key in told}}


def state_of(header: Mapping[str, Any]) -> str:
    """`RUN` of the end of training, `RUN@EPOCH` of a kept epoch, from a checkpoint's header."""
    from landscape.experiment.lookup import State

    last = header.get("last_epoch", header["spec"].get("epochs"))
    epoch = header.get("epoch")
    return str(State(header["name"], None if epoch == last else epoch))
