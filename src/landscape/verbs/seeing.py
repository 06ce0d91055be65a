"""Directions, surfaces, and what lies on a plane."""

import argparse
from typing import TYPE_CHECKING, Any

from landscape.errors import InputError
from landscape.verbs.common import attributes, hash_of, header_of, rebuild, state_of

if TYPE_CHECKING:
    import xarray as xr

    from landscape.data.datasets import DataSet
    from landscape.directions import Axes, Directions
    from landscape.measures.plane_section import Directions as DirectionKeys
    from landscape.measures.plane_section import Plane
    from landscape.store.weights import Weights


def directions(options: argparse.Namespace) -> None:
    from landscape import directions
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.networks import building
    from landscape.store import checkpoint

    plane, text = specs.load(options.spec, "directions")
    device.settle()
    theta, origin = checkpoint.read(options.weights)
    axes = building.filter_axes(rebuild(origin, "meta", theta))
    weights_hash = hash_of(options.weights)
    pair, facts = _drawn(plane, theta, origin, weights_hash, axes, options.other or [])
    inputs = {"weights_hash": weights_hash, "others_hash": [hash_of(path) for path in options.other or []]}
    made_on = device.name("cpu")
    header = header_of(options.name, plane, text, "directions", state=state_of(origin), **inputs, device=made_on)
    tensors = {f"{axis}/{name}": tensor for axis, direction in pair.items() for name, tensor in direction.items()}
    checkpoint.write(options.output, tensors, {**header, **facts, **directions.describe(pair, theta, axes)})


def tile(options: argparse.Namespace) -> None:
    from landscape import directions
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.measures import tiling
    from landscape.store import checkpoint, files

    plane, text = specs.load(options.spec, "surface")
    indices = tiling.tile_of(plane.shape, options.tile, options.of)
    where = device.settle()
    theta, origin = checkpoint.read(options.weights)
    tensors, drawn = _directions_of(options, plane)
    dataset = datasets.read(options.data, device=where)
    network = rebuild(origin, str(where), theta)
    facts = {
        **_facts(options, plane, text, "surface", origin, drawn),
        **_facts_of_data(options, plane, dataset),
        "title": f"{state_of(origin)} on {options.name}",
        "test_images": min(plane.images or len(dataset.test.labels), len(dataset.test.labels))
        if dataset.test and plane.measure == "loss"
        else None,
        "device": device.name(where),
        **files.provenance("tile"),
    }
    whole = _template(plane, test=dataset.test is not None, attrs=attributes(facts))
    pair = directions.unflatten(tensors)
    if plane.measure == "loss":
        from landscape.measures import loss

        tile = loss.evaluate(whole, indices, plane, network, theta, pair, dataset)
    else:
        from landscape.measures import curvature as curvature

        tile = curvature.evaluate(whole, indices, plane, network, theta, pair, dataset)
    tile.attrs["tile"] = f"{options.tile} of {options.of}"
    files.write_dataset(tile, options.output)


def merge(options: argparse.Namespace) -> None:
    from landscape.experiment import specs
    from landscape.measures import tiling
    from landscape.store import files

    plane, text = specs.load(options.spec, "surface")
    tiles = [(path, files.read_dataset(path)) for path in options.tiles]
    attrs = {
        **tiling.shared_attributes([tile for _, tile in tiles]),
        "spec_hash": specs.digest(text),
        "date": files.now(),
    }
    whole = _template(plane, test="test_loss" in tiles[0][1], attrs=attrs)
    if plane.measure == "loss":
        merged = tiling.merge(whole, tiles)
    else:
        from landscape.measures import curvature as curvature

        merged = curvature.merge(whole, tiles)
    files.write_dataset(merged, options.output)


def trajectory(options: argparse.Namespace) -> None:
    from landscape import directions
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.measures import trajectory
    from landscape.networks import building
    from landscape.store import checkpoint, files

    plane, text = specs.load(options.spec, "trajectory")
    where = device.settle()
    theta, origin = checkpoint.read(options.weights)
    tensors, drawn = _directions_of(options, plane)
    epochs = _epochs_of(options.epochs, theta, origin)
    if origin.get("epoch") != max(epochs):
        raise InputError(f"{options.weights} is {state_of(origin)}; a trajectory needs the end, epoch {max(epochs)}")
    dataset = datasets.read(options.data, device=where)
    network = rebuild(origin, str(where), theta)
    axes = building.filter_axes(network)
    found = trajectory.trajectory(plane, network, theta, directions.unflatten(tensors), epochs, axes, dataset)
    facts = {
        **_facts(options, plane, text, "trajectory", origin, drawn),
        **_facts_of_data(options, plane, dataset),
        "title": f"path of {origin['name']} on {options.name}",
        "centred": int(plane.centred),
        "shares": drawn.get("shares"),
        "random_walk_shares": drawn.get("random_walk_shares"),
        "epochs_hash": hash_of(options.epochs),
        "device": device.name(where),
        **files.provenance("trajectory"),
    }
    files.write_dataset(found.assign_attrs(attributes(facts)), options.output)


def mark(options: argparse.Namespace) -> None:
    from landscape import directions
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.measures import trajectory
    from landscape.networks import building
    from landscape.store import checkpoint, files, weights

    plane, text = specs.load(options.spec, "mark")
    device.settle()
    theta, origin = checkpoint.read(options.weights)
    other, marked = checkpoint.read(options.marked)
    weights.check_fit(other, theta)
    tensors, drawn = _directions_of(options, plane)
    axes = building.filter_axes(rebuild(origin, "meta", theta))
    found = trajectory.mark(other, theta, directions.unflatten(tensors), axes)
    facts = {
        **_facts(options, plane, text, "mark", origin, drawn),
        "title": f"{state_of(marked)} on {options.name} around {state_of(origin)}",
        "marked": state_of(marked),
        "marked_hash": hash_of(options.marked),
        "device": device.name("cpu"),
        **files.provenance("mark"),
    }
    files.write_dataset(found.assign_attrs(attributes(facts)), options.output)


def _template(plane: "Plane", *, test: bool, attrs: dict[str, Any]) -> "xr.Dataset":
    """What will stand in the surface of a plane."""
    from landscape.measures import tiling

    if plane.measure == "loss":
        return tiling.template(plane, test=test, attrs=attrs)
    from landscape.measures import curvature as curvature

    return curvature.template(plane, attrs=attrs)


def _drawn(
    plane: "DirectionKeys",
    theta: "Weights",
    origin: dict[str, Any],
    weights_hash: str,
    axes: "Axes",
    others: list[str],
) -> tuple["Directions", dict[str, Any]]:
    """The directions of a plane, and what their header says of how they were made."""
    from landscape import directions
    from landscape.store import checkpoint

    needed = {"random": 0, "through": len(plane.runs or ())}.get(plane.directions, 1)
    if len(others) != needed:
        raise InputError(f"directions: {plane.directions} needs {needed} --other, and there are {len(others)}")
    if plane.directions == "pca":
        epochs = _epochs_of(others[0], theta, origin)
        pair, facts = directions.pca(theta, epochs, axes, centred=plane.centred)
        return pair, {**facts, "kept_epochs": list(epochs)}
    if plane.directions == "eigenvectors":
        tensors = _eigenvectors_of(others[0], str(plane.probe), origin, weights_hash)
        chosen = plane.vectors[:1] if plane.is_line else plane.vectors
        return directions.eigenvectors(tensors, chosen, theta, axes), {"probe": plane.probe, "vectors": chosen}
    read = [checkpoint.read(path) for path in others]
    states, names = [weights for weights, _ in read], [state_of(header) for _, header in read]
    line, moving = plane.is_line, plane.statistics == "interpolated"
    facts = {"others": names, "seed": plane.seed if plane.has_random_axis else None}

    def random_beta() -> "Weights":
        return directions.random_axis(theta, axes, plane.seed, plane.normalize, "beta")

    match plane.directions:
        case "random":
            return directions.random_pair(theta, axes, plane.seed, plane.normalize, line=line), facts
        case "of":
            return directions.borrowed(states[0], theta, axes, line=line, buffers=moving), facts
        case "start":
            _check_run(others[0], read[0][1], origin)
            if read[0][1].get("epoch") != 0:
                raise InputError(f"directions: start needs the epoch 000, and {others[0]} is {names[0]}")
            pair = directions.towards(theta, states[0], axes, buffers=False)
            return pair if line else {**pair, "beta": random_beta()}, facts
        case "through" if len(states) == 2:
            pair, places = directions.through_two(theta, states, axes, buffers=moving)
        case "through" if not line:
            pair, places = directions.through_one(theta, states[0], random_beta(), axes, buffers=moving)
        case _:
            pair, places = directions.towards(theta, states[0], axes, buffers=moving), [(1.0, 0.0)]
    return pair, {**facts, "places": dict(zip(names, places, strict=True))}


def _directions_of(options: argparse.Namespace, plane: "Plane | DirectionKeys") -> tuple["Weights", dict[str, Any]]:
    """The directions' tensors and header, which must be of this plane and these weights."""
    from landscape.experiment import specs
    from landscape.store import checkpoint

    tensors, drawn = checkpoint.read(options.directions)
    wanted = (hash_of(options.weights), specs.digest(specs.of("directions", plane)))
    if (drawn["weights_hash"], drawn["spec_hash"]) != wanted:
        raise InputError(f"{options.directions} was drawn around other weights, or for another plane; draw it anew")
    return tensors, drawn


def _eigenvectors_of(path: str, probe: str, origin: dict[str, Any], weights_hash: str) -> "Weights":
    """The tensors of a probe's file, which must be of this probe at these weights."""
    from landscape.store import checkpoint

    tensors, header = checkpoint.read(path)
    if header.get("probe") != probe or header["spec"]["measure"] != "eigenpairs" or header["spec"]["plane"] is not None:
        raise InputError(f"{path} is no file of the probe {probe} with measure: eigenpairs of the state itself")
    if (header["weights_hash"], header["state"]) != (weights_hash, state_of(origin)):
        raise InputError(f"{path} is of other weights, those of {header['state']}; make it anew")
    return tensors


def _epochs_of(path: str, theta: "Weights", origin: dict[str, Any]) -> dict[int, "Weights"]:
    """The kept epochs of a run, at least three, which must be those of the centre's run."""
    from landscape.experiment.lookup import PATH_EPOCHS
    from landscape.store import checkpoint, weights

    epochs, header = checkpoint.read_epochs(path)
    _check_run(path, header, origin)
    if len(epochs) < PATH_EPOCHS:
        raise InputError(f"{path} holds the epochs {list(epochs)}, and a path needs {PATH_EPOCHS}; set keep: all")
    for kept in epochs.values():
        weights.check_fit(kept, theta)
    return epochs


def _check_run(path: str, header: dict[str, Any], origin: dict[str, Any]) -> None:
    if (header["name"], header["spec_hash"]) != (origin["name"], origin["spec_hash"]):
        raise InputError(f"{path} is of another training than that of {state_of(origin)}")


def _facts(
    options: argparse.Namespace,
    plane: "Plane | DirectionKeys",
    text: str,
    stage: str,
    origin: dict[str, Any],
    drawn: dict[str, Any],
) -> dict[str, Any]:
    """What a file says of the state and the plane that it is about."""
    from landscape.artefacts import STAGES
    from landscape.experiment import specs

    told = ("seed", "cosine", "zero_filters", "unit_length_alpha", "unit_length_beta")
    return {
        "spec": plane.in_full(),
        "state": state_of(origin),
        "run": origin["name"],
        "plane": options.name,
        "run_spec": origin["spec"],
        "spec_hash": specs.digest(text),
        "stage": STAGES[stage].version,
        **{key: drawn.get(key) for key in told},
        "weights_hash": hash_of(options.weights),
        "directions_hash": hash_of(options.directions),
    }


def _facts_of_data(options: argparse.Namespace, plane: "Plane", dataset: "DataSet") -> dict[str, Any]:
    return {
        "data_hash": hash_of(options.data),
        "data": dataset.header.get("name"),
        "train_images": min(plane.images or len(dataset.train.labels), len(dataset.train.labels)),
        "classes": dataset.classes,
    }
