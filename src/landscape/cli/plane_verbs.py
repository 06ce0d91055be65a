"""The verbs that draw directions and measure on planes and at points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from landscape.cli.headers import Opened, header_of, on_plane, opened, state_of
from landscape.cli.options import Data, DirectionsFile, Name, Output, Paths, Spec, Weights
from landscape.errors import InputError

if TYPE_CHECKING:
    from landscape.config.section import Section
    from landscape.data.datasets import DataSet
    from landscape.directions import Directions
    from landscape.measures.plane import Plane
    from landscape.store.weights import Weights as Theta


def directions(
    *,
    spec: Spec,
    name: Name = "unnamed",
    weights: Weights,
    other: Annotated[
        Paths,
        Parameter(
            help="beside the centre: other states' weights, another plane's directions, the epochs of the run, or the "
            "vectors of a probe"
        ),
    ] = [],  # noqa: B006
    output: Output,
) -> None:
    """Draw the directions of a plane."""
    from landscape.directions import describe
    from landscape.experiment import specs
    from landscape.measures.draw_directions import drawn
    from landscape.networks.building import filter_axes
    from landscape.store import checkpoint
    from landscape.store.files import checksum

    plane, text = specs.load(spec, "directions")
    at = opened(weights)
    axes = filter_axes(at.network)
    pair, facts = drawn(plane, at.theta, axes, **_beside(plane, other, at))
    inputs = {"weights_hash": at.checksum, "others_hash": [checksum(path) for path in other]}
    header = header_of(name, plane, text, "directions", state=at.state, **inputs, device=at.device)
    tensors = {f"{axis}/{key}": tensor for axis, direction in pair.items() for key, tensor in direction.items()}
    checkpoint.write(output, tensors, {**header, **facts, **describe(pair, at.theta, axes)})


def tile(
    *,
    spec: Spec,
    name: Name = "unnamed",
    weights: Weights,
    directions: DirectionsFile,
    data: Data,
    tile: Annotated[int, Parameter(help="which tile, counted from 1")] = 1,
    of: Annotated[int, Parameter(help="number of tiles")] = 1,
    output: Output,
) -> None:
    """Measure on one tile of a plane."""
    from landscape.api import planes
    from landscape.store import files

    seen = _seen(spec, "surface", name, weights, directions, data)
    facts = {**seen.facts, "title": f"{seen.at.state} on {name}", **files.provenance("tile")}
    del facts["spec"]  # the plane's own, with ranges that were found
    found = planes.plane(*seen.measured, loss=seen.at.objective, **seen.directed, tile=(tile, of), attributes=facts)
    files.write_dataset(found, output)


def merge(*, spec: Spec, tiles: Annotated[Paths, Parameter(help="every tile of the plane")], output: Output) -> None:
    """Merge the tiles of a plane into a surface."""
    from landscape.api import planes
    from landscape.experiment import specs
    from landscape.store import files

    plane, text = specs.load(spec, "surface")
    parts = [(path, files.read_dataset(path)) for path in tiles]
    files.write_dataset(planes.merge(parts, plane, {"spec_hash": specs.digest(text), "date": files.now()}), output)


def trajectory(
    *,
    spec: Spec,
    name: Name = "unnamed",
    weights: Weights,
    epochs: Annotated[Path, Parameter(help="the run's epochs")],
    directions: DirectionsFile,
    data: Data,
    output: Output,
) -> None:
    """Project the kept epochs of a run on a plane.

    The losses on the way are measured too.
    """
    from landscape.api import planes
    from landscape.store import files

    seen = _seen(spec, "trajectory", name, weights, directions, data, epochs=epochs)
    at = seen.at
    kept = _epochs_of(epochs, at)
    if at.header.get("epoch") != max(kept):
        raise InputError(f"{weights} is {at.state}; a trajectory needs the end, epoch {max(kept)}")
    facts = {
        **seen.facts,
        "test_examples": None,
        "title": f"path of {at.header['name']} on {name}",
        "shares": seen.drawn.get("shares"),
        "random_walk_shares": seen.drawn.get("random_walk_shares"),
    }
    found = planes.path(*seen.measured, loss=seen.at.objective, **seen.directed, checkpoints=kept, attributes=facts)
    files.write_dataset(found, output)


def mark(
    *,
    spec: Spec,
    name: Name = "unnamed",
    weights: Weights,
    marked: Annotated[str, Parameter(help="the other state's weights")],
    directions: DirectionsFile,
    output: Output,
) -> None:
    """Find where on a plane another state lies."""
    from landscape.api import bases
    from landscape.store import checkpoint, files
    from landscape.store.weights import check_fit

    seen = _seen(spec, "mark", name, weights, directions, marked=marked)
    other, header = checkpoint.read(marked)
    check_fit(other, seen.at.theta)
    title = f"{state_of(header)} on {name} around {seen.at.state}"
    facts = {**seen.facts, "title": title, "marked": state_of(header)}
    files.write_dataset(bases.mark(seen.at.network, other, **seen.directed, attributes=facts), output)


def probe(
    *,
    spec: Spec,
    name: Name = "unnamed",
    weights: Weights,
    directions: Annotated[Paths, Parameter(help="of the plane that the point is on")] = [],  # noqa: B006
    data: Data,
    output: Annotated[tuple[Path, Path], Parameter(help="the numbers and the vectors")],
) -> None:
    """Measure a probe: spectrum, eigenpairs, activations, ..."""
    from landscape.api import points
    from landscape.experiment import specs
    from landscape.measures import tiling
    from landscape.store import checkpoint, files

    entry, text = specs.load(spec, "probe")
    if len(directions) != (entry.plane is not None):
        there = entry.plane or "the state itself"
        raise InputError(f"the probe is at {there}, and there are {len(directions)} --directions")
    at = opened(weights, data)
    along = _around(directions[0], at, entry.plane) if directions else None
    examples = len(at.measured_on.train)
    facts = {
        "state": at.state,
        "run": at.header["name"],
        "epoch": at.header.get("epoch"),
        "run_spec": at.header["spec"],
        "probe": name,
        **_inputs(at, directions[0] if directions else None, data),
        "data": at.measured_on.header.get("name"),
        "train_examples": min(entry.examples or examples, examples),
        "classes": at.measured_on.classes,
        "device": at.device,
    }
    header = header_of(name, entry, text, "probe", **{key: value for key, value in facts.items() if value is not None})
    found, vectors = points.probe(at.network, at.data, entry, loss=at.objective, around=at.theta, along=along)
    title = {"title": f"{entry.measure} of {at.state} at {name}"}
    files.write_dataset(found.assign_attrs(tiling.attributes({**header, **title})), output[0])
    checkpoint.write(output[1], vectors, header)


@dataclass(frozen=True)
class _Seen:
    """A plane around a state.

    Attributes:
        drawn: header of the directions.
        facts: about every result on the plane.
        measured, directed: arguments of the public functions.
    """

    at: Opened
    drawn: Mapping[str, Any]
    facts: dict[str, Any]
    measured: tuple[Any, ...]
    directed: dict[str, Any]


def _seen(
    spec: str, stage: str, name: str, weights: str, directions: Path, data: Path | None = None, **more: str | Path
) -> _Seen:
    """Open a state's weights, and directions that must be drawn around them; `more` are further files of the result."""
    from landscape.experiment import specs

    plane, text = specs.load(spec, stage)
    along, drawn = _drawn_for(plane, directions, weights)
    at = opened(weights, data)
    facts = {
        **on_plane(name, plane, text, stage, at, drawn),
        **_inputs(at, directions, data, **more),
        **({} if data is None else _counts(plane, at.measured_on)),
    }
    return _Seen(at, drawn, facts, (at.network, at.data, plane), {"around": at.theta, "along": along})


def _beside(plane: Any, others: list[str], at: Opened) -> dict[str, Any]:
    """Reads from files what directions are made from beside the centre: arguments of `draw_directions.drawn`."""
    from landscape.store import checkpoint

    needed = {"random": 0, "through": len(plane.runs or ())}.get(plane.directions, 1)
    if len(others) != needed:
        raise InputError(f"directions: {plane.directions} needs {needed} --other, and there are {len(others)}")
    match plane.directions:
        case "pca":
            return {"epochs": _epochs_of(others[0], at)}
        case "eigenvectors":
            return {"tensors": _eigenvectors_of(others[0], plane.probe, at)}
        case "of":
            return {"tensors": checkpoint.read(others[0])[0]}
    read = [checkpoint.read(path) for path in others]
    if plane.directions == "start":
        _check_run(others[0], read[0][1], at)
        first = min(read[0][1].get("epochs", [0]), default=0) if at.header.get("last_epoch") else 0
        if read[0][1].get("epoch") != first:
            raise InputError(
                f"directions: start needs the epoch {first:03d}, and {others[0]} is {state_of(read[0][1])}"
            )
    return {"others": {state_of(header): weights for weights, header in read}}


def _drawn_for(plane: Section, path: Path, weights: str) -> tuple[Directions, Mapping[str, Any]]:
    """The directions in a file and its header, which must be of this plane and these weights."""
    from landscape.directions import unflatten
    from landscape.experiment import specs
    from landscape.store import checkpoint
    from landscape.store.files import checksum

    tensors, drawn = checkpoint.read(path)
    wanted = (checksum(weights), specs.digest(specs.of("directions", plane)))
    if (drawn["weights_hash"], drawn["spec_hash"]) != wanted:
        raise InputError(f"{path} was drawn around other weights, or for another plane; draw it anew")
    return unflatten(tensors), drawn


def _around(path: str, at: Opened, plane: str) -> Directions:
    """The directions in a file, which must be of the plane of that name around these weights."""
    from landscape.directions import unflatten
    from landscape.store import checkpoint

    tensors, drawn = checkpoint.read(path)
    if (drawn["weights_hash"], drawn["state"], drawn["name"]) != (at.checksum, at.state, plane):
        raise InputError(f"{path} was drawn around other weights, or for another plane; draw it anew")
    return unflatten(tensors)


def _eigenvectors_of(path: str, probe: str, at: Opened) -> Theta:
    """The tensors of a probe's file, which must be of this probe at these weights."""
    from landscape.store import checkpoint

    tensors, header = checkpoint.read(path)
    if header.get("probe") != probe or header["spec"]["measure"] != "eigenpairs" or header["spec"]["plane"] is not None:
        raise InputError(f"{path} is no file of the probe {probe} with measure: eigenpairs of the state itself")
    if (header["weights_hash"], header["state"]) != (at.checksum, at.state):
        raise InputError(f"{path} is of other weights, those of {header['state']}; make it anew")
    return tensors


def _epochs_of(path: str | Path, at: Opened) -> dict[int, Theta]:
    """The kept epochs of a run, which must be those of the centre's run, and enough for a path."""
    from landscape.config.values import PATH_EPOCHS
    from landscape.store import checkpoint

    epochs, header = checkpoint.read_epochs(path)
    _check_run(path, header, at)
    if len(epochs) < PATH_EPOCHS:
        raise InputError(f"{path} holds the epochs {list(epochs)}, and a path needs {PATH_EPOCHS}; set keep: all")
    return epochs


def _check_run(path: str | Path, header: Mapping[str, Any], at: Opened) -> None:
    if (header["name"], header["spec_hash"]) != (at.header["name"], at.header["spec_hash"]):
        raise InputError(f"{path} is of another training than that of {at.state}")


def _inputs(at: Opened, directions: str | Path | None, data: Path | None = None, **more: str | Path) -> dict[str, Any]:
    """Checksums of the files that a result is made from."""
    from landscape.store.files import checksum

    named = {"weights": at.weights, "directions": directions, "data": data, **more}
    return {f"{name}_hash": checksum(path) for name, path in named.items() if path is not None}


def _counts(plane: Plane, used: DataSet) -> dict[str, Any]:
    """The data, and how many examples of each split a point is measured on."""
    train, test = len(used.train), len(used.test) if used.test else None
    return {
        "data": used.header.get("name"),
        "train_examples": min(plane.examples or train, train),
        "test_examples": min(plane.examples or test, test) if test and plane.measures_test else None,
        "classes": used.classes,
    }
