"""The verbs that draw directions and measure on planes and at points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from landscape.cli.headers import header_of, on_plane, rebuilt, state_of
from landscape.cli.options import Data, DirectionsFile, Name, Output, Paths, Spec, Weights
from landscape.errors import InputError

if TYPE_CHECKING:
    from landscape.config.section import Section
    from landscape.data.datasets import DataSet
    from landscape.measures.plane_section import Plane
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
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.measures.draw_directions import drawn
    from landscape.networks.building import filter_axes
    from landscape.store import checkpoint
    from landscape.store.files import checksum

    plane, text = specs.load(spec, "directions")
    device.settle()
    theta, origin = checkpoint.read(weights)
    axes = filter_axes(rebuilt(origin, "meta", theta))
    pair, facts = drawn(plane, theta, axes, **_beside(plane, other, theta, origin, checksum(weights)))
    inputs = {"weights_hash": checksum(weights), "others_hash": [checksum(path) for path in other]}
    header = header_of(name, plane, text, "directions", state=state_of(origin), **inputs, device=device.name("cpu"))
    tensors = {f"{axis}/{key}": tensor for axis, direction in pair.items() for key, tensor in direction.items()}
    checkpoint.write(output, tensors, {**header, **facts, **describe(pair, theta, axes)})


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
    from landscape import api
    from landscape.data import datasets
    from landscape.directions import unflatten
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.measures import tiling
    from landscape.store import checkpoint, files

    plane, text = specs.load(spec, "surface")
    tiling.tile_of(plane.shape, tile, of)  # refused before anything is read
    where = device.settle()
    theta, origin = checkpoint.read(weights)
    tensors, drawn = _drawn_for(plane, directions, weights)
    used = datasets.read(data, device=where)
    network = rebuilt(origin, where, theta)
    facts = {
        **on_plane(name, plane, text, "surface", origin, drawn),
        **_inputs(weights, directions, data),
        **_counts(plane, used),
        "title": f"{state_of(origin)} on {name}",
        "device": device.name(where),
        **files.provenance("tile"),
    }
    pair = unflatten(tensors)
    found = api.plane(network, used, plane, around=theta, along=pair, tile=(tile, of), attributes=facts)
    files.write_dataset(found, output)


def merge(*, spec: Spec, tiles: Annotated[Paths, Parameter(help="every tile of the plane")], output: Output) -> None:
    """Put the tiles of a plane together."""
    from landscape import api
    from landscape.experiment import specs
    from landscape.store import files

    plane, text = specs.load(spec, "surface")
    parts = [(path, files.read_dataset(path)) for path in tiles]
    files.write_dataset(api.merge(parts, plane, {"spec_hash": specs.digest(text), "date": files.now()}), output)


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
    """Project the kept epochs of a run on a plane, with the losses on the way."""
    from landscape import api
    from landscape.data import datasets
    from landscape.directions import unflatten
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.store import checkpoint, files

    plane, text = specs.load(spec, "trajectory")
    where = device.settle()
    theta, origin = checkpoint.read(weights)
    tensors, drawn = _drawn_for(plane, directions, weights)
    kept = _epochs_of(epochs, origin)
    if origin.get("epoch") != max(kept):
        raise InputError(f"{weights} is {state_of(origin)}; a trajectory needs the end, epoch {max(kept)}")
    used = datasets.read(data, device=where)
    facts = {
        **on_plane(name, plane, text, "trajectory", origin, drawn),
        **_inputs(weights, directions, data, epochs=epochs),
        **_counts(plane, used),
        "test_images": None,
        "title": f"path of {origin['name']} on {name}",
        "shares": drawn.get("shares"),
        "random_walk_shares": drawn.get("random_walk_shares"),
        "device": device.name(where),
    }
    network, pair = rebuilt(origin, where, theta), unflatten(tensors)
    found = api.path(network, used, plane, checkpoints=kept, around=theta, along=pair, attributes=facts)
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
    """Find where on a plane another state lies, and how far from it."""
    from landscape import api
    from landscape.directions import unflatten
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.store import checkpoint, files
    from landscape.store.weights import check_fit

    plane, text = specs.load(spec, "mark")
    device.settle()
    theta, origin = checkpoint.read(weights)
    other, header = checkpoint.read(marked)
    check_fit(other, theta)
    tensors, drawn = _drawn_for(plane, directions, weights)
    facts = {
        **on_plane(name, plane, text, "mark", origin, drawn),
        **_inputs(weights, directions, marked=marked),
        "title": f"{state_of(header)} on {name} around {state_of(origin)}",
        "marked": state_of(header),
        "device": device.name("cpu"),
    }
    network = rebuilt(origin, "meta", theta)
    files.write_dataset(api.mark(network, other, along=unflatten(tensors), around=theta, attributes=facts), output)


def probe(
    *,
    spec: Spec,
    name: Name = "unnamed",
    weights: Weights,
    directions: Annotated[Paths, Parameter(help="of the plane that the point is on")] = [],  # noqa: B006
    data: Data,
    output: Annotated[tuple[Path, Path], Parameter(help="the numbers and the vectors")],
) -> None:
    """Measure at one point: eigenpairs, the spectrum, the trace, activations, a saddle."""
    from landscape import api
    from landscape.data import datasets
    from landscape.directions import unflatten
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.measures import tiling
    from landscape.store import checkpoint, files

    entry, text = specs.load(spec, "probe")
    if len(directions) != (entry.plane is not None):
        at = entry.plane or "the state itself"
        raise InputError(f"the probe is at {at}, and there are {len(directions)} --directions")
    where = device.settle()
    theta, origin = checkpoint.read(weights)
    along = unflatten(_around(directions[0], weights, origin, entry.plane)) if directions else None
    used = datasets.read(data, device=where)
    images = len(used.train.labels)
    facts = {
        "state": state_of(origin),
        "run": origin["name"],
        "epoch": origin.get("epoch"),
        "run_spec": origin["spec"],
        "probe": name,
        **_inputs(weights, directions[0] if directions else None, data),
        "data": used.header.get("name"),
        "train_images": min(entry.images or images, images),
        "classes": used.classes,
        "device": device.name(where),
    }
    header = header_of(name, entry, text, "probe", **{key: value for key, value in facts.items() if value is not None})
    network = rebuilt(origin, where, theta)
    found, vectors = api.probe(network, used, entry, around=theta, along=along)
    title = {"title": f"{entry.measure} of {state_of(origin)} at {name}"}
    files.write_dataset(found.assign_attrs(tiling.attributes({**header, **title})), output[0])
    checkpoint.write(output[1], vectors, header)


def _beside(
    plane: Any, others: list[str], theta: Theta, origin: Mapping[str, Any], weights_hash: str
) -> dict[str, Any]:
    """Reads from files what directions are made from beside the centre: arguments of `draw_directions.drawn`."""
    from landscape.store import checkpoint

    needed = {"random": 0, "through": len(plane.runs or ())}.get(plane.directions, 1)
    if len(others) != needed:
        raise InputError(f"directions: {plane.directions} needs {needed} --other, and there are {len(others)}")
    match plane.directions:
        case "pca":
            return {"epochs": _epochs_of(others[0], origin)}
        case "eigenvectors":
            return {"tensors": _eigenvectors_of(others[0], plane.probe, origin, weights_hash)}
        case "of":
            return {"tensors": checkpoint.read(others[0])[0]}
    read = [checkpoint.read(path) for path in others]
    if plane.directions == "start":
        _check_run(others[0], read[0][1], origin)
        if read[0][1].get("epoch") != 0:
            raise InputError(f"directions: start needs the epoch 000, and {others[0]} is {state_of(read[0][1])}")
    return {"others": {state_of(header): weights for weights, header in read}}


def _drawn_for(plane: Section, path: Path, weights: str) -> tuple[Theta, Mapping[str, Any]]:
    """The directions' tensors and header, which must be of this plane and these weights."""
    from landscape.experiment import specs
    from landscape.store import checkpoint
    from landscape.store.files import checksum

    tensors, drawn = checkpoint.read(path)
    wanted = (checksum(weights), specs.digest(specs.of("directions", plane)))
    if (drawn["weights_hash"], drawn["spec_hash"]) != wanted:
        raise InputError(f"{path} was drawn around other weights, or for another plane; draw it anew")
    return tensors, drawn


def _around(path: str, weights: str, origin: Mapping[str, Any], plane: str) -> Theta:
    """The tensors of directions, which must be of the plane of that name around these weights."""
    from landscape.store import checkpoint
    from landscape.store.files import checksum

    tensors, drawn = checkpoint.read(path)
    if (drawn["weights_hash"], drawn["state"], drawn["name"]) != (checksum(weights), state_of(origin), plane):
        raise InputError(f"{path} was drawn around other weights, or for another plane; draw it anew")
    return tensors


def _eigenvectors_of(path: str, probe: str, origin: Mapping[str, Any], weights_hash: str) -> Theta:
    """The tensors of a probe's file, which must be of this probe at these weights."""
    from landscape.store import checkpoint

    tensors, header = checkpoint.read(path)
    if header.get("probe") != probe or header["spec"]["measure"] != "eigenpairs" or header["spec"]["plane"] is not None:
        raise InputError(f"{path} is no file of the probe {probe} with measure: eigenpairs of the state itself")
    if (header["weights_hash"], header["state"]) != (weights_hash, state_of(origin)):
        raise InputError(f"{path} is of other weights, those of {header['state']}; make it anew")
    return tensors


def _epochs_of(path: str | Path, origin: Mapping[str, Any]) -> dict[int, Theta]:
    """The kept epochs of a run, which must be those of the centre's run, and enough for a path."""
    from landscape.config.values import PATH_EPOCHS
    from landscape.store import checkpoint

    epochs, header = checkpoint.read_epochs(path)
    _check_run(path, header, origin)
    if len(epochs) < PATH_EPOCHS:
        raise InputError(f"{path} holds the epochs {list(epochs)}, and a path needs {PATH_EPOCHS}; set keep: all")
    return epochs


def _check_run(path: str | Path, header: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    if (header["name"], header["spec_hash"]) != (origin["name"], origin["spec_hash"]):
        raise InputError(f"{path} is of another training than that of {state_of(origin)}")


def _inputs(
    weights: str, directions: str | Path | None, data: Path | None = None, **more: str | Path
) -> dict[str, Any]:
    """Checksums of the files that a result is made from."""
    from landscape.store.files import checksum

    named = {"weights": weights, "directions": directions, "data": data, **more}
    return {f"{name}_hash": checksum(path) for name, path in named.items() if path is not None}


def _counts(plane: Plane, used: DataSet) -> dict[str, Any]:
    """The data, and how many images of each split a point is measured on."""
    train, test = len(used.train.labels), len(used.test.labels) if used.test else None
    return {
        "data": used.header.get("name"),
        "train_images": min(plane.images or train, train),
        "test_images": min(plane.images or test, test) if test and plane.measure == "loss" else None,
        "classes": used.classes,
    }
