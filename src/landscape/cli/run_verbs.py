"""The verbs that make data sets and runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

import landscape
from landscape.cli.headers import code_of, facts_of, header_of, network_of, state_of
from landscape.cli.options import Data, Name, Output, OutputsOfRun, Spec, Weights
from landscape.errors import InputError

if TYPE_CHECKING:
    from landscape.data.data_section import Data as DataSection
    from landscape.training.loop import Trained
    from landscape.training.run_section import Run

_log = logging.getLogger(__name__)


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

    with _training(spec, name, data, output[0].parent) as begun:
        if hardlinks.put_back(begun.end, output):
            _log.info("this training had finished before; its files are put back")
            return
        trained = begun.go_on(begun.run.last_epoch)
        _write(output, trained, f"training of {name}", begun.header, epoch=begun.run.last_epoch)
        hardlinks.set_by(begun.end, output)


def part(
    *,
    spec: Spec,
    name: Name = "unnamed",
    data: Data,
    until: Annotated[int, Parameter(help="the epoch to end with")],
    output: Output,
) -> None:
    """Train a network up to an epoch, from which `train` or another part goes on."""
    from landscape.store import files

    with _training(spec, name, data, output.parent) as begun:
        if not 1 <= until <= begun.run.last_epoch:
            raise InputError(f"--until is {until}; {name} has the epochs 1 to {begun.run.last_epoch}")
        if not begun.end.is_dir():
            begun.go_on(until)
        files.write_text(output, json.dumps({"run": name, "until": until}))


def adopt(
    *,
    spec: Spec,
    name: Name = "unnamed",
    data: Data,
    output: OutputsOfRun,
) -> None:
    """Check the weights made elsewhere that the specification names, and take them in."""
    from landscape.api import runs
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.store import weight_files
    from landscape.store.fitting import read

    run, text = specs.load(spec, "adopt")
    if not run.adopted:
        raise InputError(
            "--spec is of a run without weights and without checkpoints as epochs; one says what is adopted"
        )
    where = device.settle()
    used = datasets.read(data, device=where)
    network = network_of(run, used, where)
    files = {epoch: source.located() for epoch, source in run.checkpoints.items()}
    end = files[run.last_epoch] if files else run.end.located()
    found = read(end, network)
    epochs = {
        epoch: found.weights if file == end else read(file, network, quiet=True).weights
        for epoch, file in files.items()
    }
    trained = runs.adopt(network, found.weights, used, checkpoints=epochs or None)
    made = {**_inputs(run, data), "weights_hash": weight_files.checksum(end), **found.facts}
    made["checkpoint_hashes"] = {epoch: weight_files.checksum(file) for epoch, file in files.items()} or None
    last = {"last_epoch": run.last_epoch} if files else {}
    header = header_of(name, run, text, "adopt", **facts_of(network, used), **made, **last, device=device.name(where))
    _write(output, trained, f"{name}, adopted", header, **({"epoch": run.last_epoch} if files else {}))


def rescale(*, spec: Spec, name: Name = "unnamed", data: Data, weights: Weights, output: OutputsOfRun) -> None:
    """Rescale another run's weights so that they compute the same."""
    from landscape.api import runs
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.store import checkpoint

    run, text = specs.load(spec, "rescale")
    if run.rescaled is None:
        raise InputError("--spec is of a run without the key rescaled, which says by what")
    where = device.settle()
    used = datasets.read(data, device=where)
    network = network_of(run, used, where)
    theta, origin = checkpoint.read(weights)
    if misfits := checkpoint.misfits(theta, network):
        raise InputError(f"{weights} does not fit {run.network}: {misfit}" for misfit in misfits)
    twin = runs.rescale(network, used, by=run.rescaled.by, around=theta)
    layers = [*(f"{pair.layer}, before {pair.norm}" for pair in twin.normed)]
    layers += [f"{both.layer}, made up for by {both.following}" for both in twin.joined]
    _log.info("%d layers are multiplied by %g: %s", len(layers), run.rescaled.by, "; ".join(layers))
    made = {**_inputs(run, data, weights), "device": device.name(where), "of": state_of(origin), "layers": layers}
    header = header_of(name, run, text, "rescale", **facts_of(network, used), **made)
    _write(output, runs.adopt(network, twin.weights, used), f"{name}, rescaled", header)


@dataclass(frozen=True)
class _Training:
    """A training as it was found.

    Attributes:
        header: of its results.
        end: the folder of the hard links to its results, there if it has finished.
        go_on: train to the end of an epoch.
    """

    run: Run
    header: dict[str, Any]
    end: Path
    go_on: Callable[[int], Trained]


@contextlib.contextmanager
def _training(spec: str, name: str, data: Path, folder: Path) -> Iterator[_Training]:
    """Hold a training whose results are in `folder`, and what it works in, as the only process."""
    from landscape.api import runs
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.store import files, hardlinks

    run, text = specs.load(spec, "train")
    where = device.settle(run.threads)
    used = datasets.read(data, device=where)
    network = network_of(run, used, where)
    inputs = _inputs(run, data)
    made_on = {"seed": run.seed, "device": device.name(where)}
    header = header_of(name, run, text, "train", **facts_of(network, used), **made_on, **inputs)
    made_with = [landscape.__version__, files.versions()["torch"], device.kind(where)]
    identity = hashlib.sha256(json.dumps([text, inputs, made_with]).encode()).hexdigest()
    work = folder / ".work"

    def go_on(until: int) -> Trained:
        return runs.train(network, used, run, work=work, identity=identity, name=name, until=until)

    with hardlinks.alone(folder / ".lock", f"{name} is being trained"):
        yield _Training(run, header, work / f"finished-{identity[:16]}", go_on)


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


def _inputs(run: Run, data: Path, weights: str | Path | None = None) -> dict[str, Any]:
    """Checksums of what a run is made from."""
    from landscape.store.files import checksum

    found = {"data_hash": checksum(data), "code_hash": [checksum(path) for path in code_of(run)]}
    return found if weights is None else {**found, "weights_hash": checksum(weights)}


def _source_of(spec: DataSection) -> dict[str, Any]:
    """Checksums of the files that a data set is read from; a fetched one is the same for everybody."""
    from landscape.networks import code
    from landscape.store.files import checksum

    match spec.kind:
        case "npz" if Path(spec.source).is_file():
            return {"source_hash": checksum(spec.source)}
        case "folder":
            found = sorted(path for path in Path(spec.source).rglob("*") if path.is_file())
            listed = [(str(path.relative_to(spec.source)), checksum(path)) for path in found]
            return {"source_hash": hashlib.sha256(json.dumps(listed).encode()).hexdigest()}
        case "function":
            own = code.source_file(spec.source)
            named = [*([own] if own else []), *map(Path, spec.code)]
            return {"code_hash": [checksum(path) for path in named if path.is_file()]}
    return {}
