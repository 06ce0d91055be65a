"""The verbs that make data sets and runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

import landscape
from landscape.cli.headers import facts_of, header_of, network_of, state_of
from landscape.cli.options import Data, Name, Output, OutputsOfRun, Spec, Weights
from landscape.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape.data.data_section import Data as DataSection
    from landscape.data.datasets import DataSet
    from landscape.training.loop import Trained
    from landscape.training.run_section import Run

_log = logging.getLogger(__name__)

EXPECTED = "LANDSCAPE_EXPECTED"
"""Holds what is expected of adopted runs, JSON by name. It is no part of a specification, where a change would have all
results of the run made anew; the workflow sets it."""


def dataset(*, spec: Spec, name: Name = "unnamed", output: Output) -> None:
    """Fetch or read a data set."""
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs

    entry, text = specs.load(spec, "dataset")
    header = header_of(name, entry, text, "dataset", device=device.name("cpu"), **_source_of(entry))
    datasets.make(entry, output, header)


def train(*, spec: Spec, name: Name = "unnamed", data: Data, output: OutputsOfRun) -> None:
    """Train a network, or go on where it was interrupted."""
    from landscape.store import hardlinks

    with _training(spec, name, data, output[0].parent) as (begun, end, go_on):
        if hardlinks.put_back(end, output):
            _log.info("this training had finished before; its files are put back")
            return
        header = {**begun.header, "seed": begun.run.seed}
        _write(output, go_on(begun.run.last_epoch), f"training of {name}", header, epoch=begun.run.last_epoch)
        hardlinks.set_by(end, output)


def part(
    *,
    spec: Spec,
    name: Name = "unnamed",
    data: Data,
    until: Annotated[int, Parameter(help="the epoch to end with")],
    output: Output,
) -> None:
    """Train a network up to an epoch.

    `train` or another part goes on from there.
    """
    from landscape.store import files

    with _training(spec, name, data, output.parent) as (begun, end, go_on):
        if not 1 <= until <= begun.run.last_epoch:
            raise InputError(f"--until is {until}; {name} has the epochs 1 to {begun.run.last_epoch}")
        if not end.is_dir():
            go_on(until)
        files.write_text(output, json.dumps({"run": name, "until": until}))


def adopt(
    *,
    spec: Spec,
    name: Name = "unnamed",
    data: Data,
    output: OutputsOfRun,
) -> None:
    """Adopt weights that were made elsewhere.

    The specification names their files.
    """
    from landscape.api import runs
    from landscape.objective.objective import objective_of
    from landscape.store import weight_files
    from landscape.store.fitting import read

    begun = _begin(spec, "adopt", name, data)
    run, network = begun.run, begun.network
    if not run.adopted:
        raise InputError(
            "--spec is of a run without weights and without checkpoints as epochs; one says what is adopted"
        )
    files = {epoch: source.located() for epoch, source in run.checkpoints.items()}
    end = files[run.last_epoch] if files else run.end.located()
    found = read(end, network)
    epochs = {
        epoch: found.weights if file == end else read(file, network, quiet=True).weights
        for epoch, file in files.items()
    }
    known = run.expected or json.loads(os.environ.get(EXPECTED, "{}")).get(name)
    objective = objective_of(run)
    trained = runs.adopt(network, found.weights, begun.data, checkpoints=epochs or None, expected=known, loss=objective)
    made = {"weights_hash": weight_files.checksum(end), **found.facts, "expected": known}
    if files:
        made["checkpoint_hashes"] = {epoch: weight_files.checksum(file) for epoch, file in files.items()}
        made["last_epoch"] = run.last_epoch
    _write(
        output, trained, f"{name}, adopted", {**begun.header, **made}, **({"epoch": run.last_epoch} if files else {})
    )


def rescale(*, spec: Spec, name: Name = "unnamed", data: Data, weights: Weights, output: OutputsOfRun) -> None:
    """Rescale the weights of a run so that they compute the same."""
    from landscape.api import runs
    from landscape.objective.objective import objective_of
    from landscape.store import checkpoint

    begun = _begin(spec, "rescale", name, data, weights)
    run, network = begun.run, begun.network
    assert run.rescaled is not None
    theta, origin = checkpoint.read(weights)
    if misfits := checkpoint.misfits(theta, network):
        raise InputError(f"{weights} does not fit {run.network}: {misfit}" for misfit in misfits)
    twin = runs.rescale(network, begun.data, by=run.rescaled.by, around=theta)
    layers = [*(f"{pair.layer}, before {pair.norm}" for pair in twin.normed)]
    layers += [f"{both.layer}, made up for by {both.following}" for both in twin.joined]
    _log.info("%d layers are multiplied by %g: %s", len(layers), run.rescaled.by, "; ".join(layers))
    header = {**begun.header, "of": state_of(origin), "layers": layers}
    _write(output, runs.adopt(network, twin.weights, begun.data, loss=objective_of(run)), f"{name}, rescaled", header)


@dataclass(frozen=True)
class _Begun:
    """A run before its weights are made: its network, as built, and its data set, both on `device`.

    Attributes:
        text: the specification.
        inputs: checksums of the files that the run is made from.
        header: of its results.
    """

    run: Run
    text: str
    network: nn.Module
    data: DataSet
    device: torch.device
    inputs: dict[str, Any]
    header: dict[str, Any]


def _begin(spec: str, stage: str, name: str, data: Path, weights: str | Path | None = None) -> _Begun:
    """Settle the device, read the data set and build the network of a run."""
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.networks.local_imports import own_code
    from landscape.store.files import checksum

    run, text = specs.load(spec, stage)
    if stage == "rescale" and run.rescaled is None:
        raise InputError("--spec is of a run without the key rescaled, which says by what")
    where = device.settle(run.threads if stage == "train" else 1)
    used = datasets.read(data, device=where)
    network = network_of(run, used, where)
    inputs = {"data_hash": checksum(data), "code_hash": [checksum(path) for path in own_code(run.code_names, run.code)]}
    if weights is not None:
        inputs["weights_hash"] = checksum(weights)
    header = header_of(name, run, text, stage, **facts_of(network, used), **inputs, device=device.name(where))
    return _Begun(run, text, network, used, where, inputs, header)


@contextlib.contextmanager
def _training(
    spec: str, name: str, data: Path, folder: Path
) -> Iterator[tuple[_Begun, Path, Callable[[int], Trained]]]:
    """Hold a training whose results are in `folder`, and what it works in, as the only process.

    Yields the run, the folder of the hard links to its results, which is there if it has finished, and a function that
    trains to the end of an epoch.
    """
    from landscape.api import runs
    from landscape.engine import device
    from landscape.store import files, hardlinks

    begun = _begin(spec, "train", name, data)
    made_with = [landscape.__version__, files.versions()["torch"], device.kind(begun.device)]
    identity = hashlib.sha256(json.dumps([begun.text, begun.inputs, made_with]).encode()).hexdigest()
    work = folder / ".work"

    def go_on(until: int) -> Trained:
        return runs.train(begun.network, begun.data, begun.run, work=work, identity=identity, name=name, until=until)

    with hardlinks.alone(folder / ".lock", f"{name} is being trained"):
        yield begun, work / f"finished-{identity[:16]}", go_on


def _write(
    output: tuple[Path, Path, Path], trained: Trained, title: str, header: dict[str, Any], **of_end: Any
) -> None:
    """Write the three files of a run: weights, history, epochs."""
    from landscape.measures import tiling
    from landscape.store import checkpoint, files

    weights, history, epochs = output
    files.write_dataset(trained.history.assign_attrs(tiling.attributes({"title": title, **header})), history)
    checkpoint.write_epochs(epochs, trained.epochs, header)
    checkpoint.write(weights, trained.weights, {**header, **of_end})


def _source_of(spec: DataSection) -> dict[str, Any]:
    """Checksums of the files that a data set is read from; a fetched one is the same for everybody."""
    from landscape.networks.local_imports import own_code
    from landscape.store.contents import checksum

    if spec.kind == "function":
        return {"code_hash": [checksum(path) for path in own_code([spec.source], spec.code) if path.is_file()]}
    return {"source_hash": checksum(spec.source)} if spec.kind != "fetched" and os.path.exists(spec.source) else {}
