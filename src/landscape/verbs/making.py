"""Data sets and runs."""

import argparse
import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import landscape
from landscape.errors import InputError
from landscape.verbs.common import attributes, code_of, facts_of, hash_of, header_of, network_of, state_of

if TYPE_CHECKING:
    from torch import nn

    from landscape.data.data_section import Data
    from landscape.data.datasets import DataSet
    from landscape.store.weights import Weights
    from landscape.training.loop import Trained
    from landscape.training.run_section import Run

_log = logging.getLogger(__name__)


def dataset(options: argparse.Namespace) -> None:
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs

    spec, text = specs.load(options.spec, "dataset")
    header = header_of(options.name, spec, text, "dataset", device=device.name("cpu"), **_source_of(spec))
    datasets.make(spec, Path(options.output), header)


def train(options: argparse.Namespace) -> None:
    from landscape.store import checkpoint, files, hardlinks

    results = weights, history, epochs = [Path(path) for path in options.output]
    with _training(options, weights.parent) as begun:
        if hardlinks.put_back(begun.end, results):
            _log.info("this training had finished before; its files are put back")
            return
        trained = begun.go_on(begun.run.epochs)
        facts = attributes({"title": f"training of {options.name}", **begun.header})
        files.write_dataset(trained.history.assign_attrs(facts), history)
        checkpoint.write_epochs(epochs, trained.epochs, begun.header)
        checkpoint.write(weights, trained.weights, {**begun.header, "epoch": begun.run.epochs})
        hardlinks.set_by(begun.end, results)


def part(options: argparse.Namespace) -> None:
    """A training up to an epoch, from which another process goes on; of a longer training nothing is undone."""
    from landscape.store import files

    output = Path(options.output)
    with _training(options, output.parent) as begun:
        if not 1 <= options.until <= begun.run.epochs:
            raise InputError(f"--until is {options.until}; {options.name} has the epochs 1 to {begun.run.epochs}")
        if not begun.end.is_dir():
            begun.go_on(options.until)
        files.write_text(output, json.dumps({"run": options.name, "until": options.until}))


@dataclass(frozen=True)
class _Training:
    """A training as it was found.

    Attributes:
        header: of its results.
        end: the folder of the second names of its results, there if it has finished.
        go_on: train to the end of an epoch.
    """

    run: "Run"
    header: dict[str, Any]
    end: Path
    go_on: Callable[[int], "Trained"]


@contextlib.contextmanager
def _training(options: argparse.Namespace, folder: Path) -> Iterator[_Training]:
    """Hold a training whose results are in `folder`, and what it works in, as the only process."""
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.measures import loss
    from landscape.store import files, hardlinks
    from landscape.training import loop

    run, text = specs.load(options.spec, "train")
    where = device.settle(run.threads)
    dataset = datasets.read(options.data, device=where)
    network = network_of(run, dataset, where)
    inputs = {"data_hash": hash_of(options.data), "code_hash": [hash_of(path) for path in code_of(run)]}
    made_on = {"seed": run.seed, "device": device.name(where)}
    header = header_of(options.name, run, text, "train", **facts_of(network, dataset), **made_on, **inputs)
    made_with = [landscape.__version__, files.versions()["torch"], device.kind(where)]
    identity = hashlib.sha256(json.dumps([text, inputs, made_with]).encode()).hexdigest()
    work = folder / ".work"

    def go_on(until: int) -> "Trained":
        return loop.train(run, network, dataset, work, identity, loss.Recorder(), options.name, until)

    with hardlinks.alone(folder / ".lock", f"{options.name} is being trained"):
        yield _Training(run, header, work / f"finished-{identity[:16]}", go_on)


def adopt(options: argparse.Namespace) -> None:
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.store import checkpoint

    run, text = specs.load(options.spec, "adopt")
    where = device.settle()
    dataset = datasets.read(options.data, device=where)
    network = network_of(run, dataset, where)
    theta = checkpoint.adopt(options.weights)
    if misfits := checkpoint.misfits(theta, network):
        raise InputError(f"{options.weights} does not fit {run.network}: {misfit}" for misfit in misfits)
    _write_untrained(options, run, text, network, dataset, theta, device=device.name(where))


def rescale(options: argparse.Namespace) -> None:
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.store import checkpoint
    from landscape.training import rescaling

    run, text = specs.load(options.spec, "rescale")
    if run.rescaled is None:
        raise InputError("--spec is of a run without the key rescaled, which says by what")
    where = device.settle()
    dataset = datasets.read(options.data, device=where)
    network = network_of(run, dataset, where)
    theta, origin = checkpoint.read(options.weights)
    if misfits := checkpoint.misfits(theta, network):
        raise InputError(f"{options.weights} does not fit {run.network}: {misfit}" for misfit in misfits)
    twin = rescaling.twin(network, theta, run.rescaled.by, dataset.train.images[: rescaling.EXAMPLES])
    layers = [*(f"{pair.layer}, before {pair.norm}" for pair in twin.normed)]
    layers += [f"{both.layer}, made up for by {both.following}" for both in twin.joined]
    _log.info("%d layers are multiplied by %g: %s", len(layers), run.rescaled.by, "; ".join(layers))
    facts = {"device": device.name(where), "of": state_of(origin), "layers": layers}
    _write_untrained(options, run, text, network, dataset, twin.weights, **facts)


def _write_untrained(
    options: argparse.Namespace,
    run: "Run",
    text: str,
    network: "nn.Module",
    dataset: "DataSet",
    theta: "Weights",
    **facts: Any,
) -> None:
    """The files of a run that is not trained here: its weights, a history of one row, and no epochs."""
    from landscape.measures import loss
    from landscape.store import checkpoint, files
    from landscape.training.history import history_of
    from landscape.training.run_section import RULES

    network.load_state_dict(theta, strict=False)
    weights, history, epochs = (Path(path) for path in options.output)
    inputs: dict[str, Any] = {"data_hash": hash_of(options.data), "weights_hash": hash_of(options.weights)}
    inputs |= {"code_hash": [hash_of(path) for path in code_of(run)], **facts}
    header = header_of(options.name, run, text, RULES[run.made], **facts_of(network, dataset), **inputs)
    row = history_of(network, dataset, loss.Recorder())
    files.write_dataset(row.assign_attrs(attributes({"title": f"{options.name}, {run.made}", **header})), history)
    checkpoint.write_epochs(epochs, {}, header)
    checkpoint.write(weights, {name: t.detach().cpu() for name, t in network.state_dict().items()}, header)


def _source_of(spec: "Data") -> dict[str, Any]:
    """Checksums of the files that a data set is read from; a fetched one is the same for everybody."""
    from landscape.networks import code

    match spec.kind:
        case "npz" if Path(spec.source).is_file():
            return {"source_hash": hash_of(spec.source)}
        case "folder":
            found = sorted(path for path in Path(spec.source).rglob("*") if path.is_file())
            listed = [(str(path.relative_to(spec.source)), hash_of(path)) for path in found]
            return {"source_hash": hashlib.sha256(json.dumps(listed).encode()).hexdigest()}
        case "function":
            own = code.source_file(spec.source)
            named = [*([own] if own else []), *map(Path, spec.code)]
            return {"code_hash": [hash_of(path) for path in named if path.is_file()]}
    return {}
