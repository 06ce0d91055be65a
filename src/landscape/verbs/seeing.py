"""Directions, surfaces, and what lies on a plane."""

import argparse
from typing import Any

from landscape.errors import InputError
from landscape.verbs.common import attributes, hash_of, header_of, rebuild, state_of


def directions(options: argparse.Namespace) -> None:
    from landscape import checkpoint, device, directions, networks
    from landscape.config import specs

    plane, text = specs.load(options.spec, "directions")
    device.settle()
    theta, origin = checkpoint.read(options.weights)
    axes = networks.filter_axes(rebuild(origin, "meta"))
    facts: dict[str, Any] = {}
    if plane.directions == "random":
        pair = directions.random_pair(theta, axes, plane.seed, plane.normalize, line=plane.is_line)
        facts["seed"] = plane.seed
    else:
        if len(options.other or []) != 1:
            raise InputError(f"directions: {plane.directions} needs one --other, the file of {plane.run}")
        other, other_header = checkpoint.read(options.other[0])
        if plane.directions == "to":
            pair = directions.towards(theta, other, axes, buffers=plane.statistics == "interpolated")
        else:
            moving = plane.statistics == "interpolated"
            pair = directions.borrowed(other, theta, axes, line=plane.is_line, buffers=moving)
        facts["other"] = state_of(other_header)
    header = header_of(
        options.name, plane, text, "directions", state=state_of(origin), weights_hash=hash_of(options.weights)
    )
    tensors = {f"{axis}/{name}": tensor for axis, direction in pair.items() for name, tensor in direction.items()}
    checkpoint.write(options.output, tensors, {**header, **facts, **directions.describe(pair, theta, axes)})


def tile(options: argparse.Namespace) -> None:
    from landscape import checkpoint, data, device, directions, files, surface
    from landscape.config import specs

    plane, text = specs.load(options.spec, "surface")
    indices = surface.tile_of(plane.shape, options.tile, options.of)
    where = device.settle()
    theta, origin = checkpoint.read(options.weights)
    tensors, drawn = checkpoint.read(options.directions)
    wanted = (hash_of(options.weights), specs.digest(specs.of("directions", plane)))
    if (drawn["weights_hash"], drawn["spec_hash"]) != wanted:
        raise InputError(f"{options.directions} was drawn around other weights, or for another plane; draw it anew")
    dataset = data.read(options.data, device=where)
    network = rebuild(origin, str(where))
    facts = dict(
        spec=plane.in_full(),
        title=f"{state_of(origin)} on {options.name}",
        state=state_of(origin),
        run=origin["name"],
        plane=options.name,
        run_spec=origin["spec"],
        spec_hash=specs.digest(text),
        stage=specs.STAGES["surface"],
        seed=drawn.get("seed"),
        cosine=drawn.get("cosine"),
        zero_filters=drawn.get("zero_filters"),
        weights_hash=hash_of(options.weights),
        directions_hash=hash_of(options.directions),
        data_hash=hash_of(options.data),
        data=dataset.header.get("name"),
        train_images=min(plane.images or len(dataset.train.labels), len(dataset.train.labels)),
        test_images=min(plane.images or len(dataset.test.labels), len(dataset.test.labels)) if dataset.test else None,
        classes=dataset.classes,
        device=device.name(where),
        **files.provenance("tile"),
    )
    whole = surface.template(plane, test=dataset.test is not None, attrs=attributes(facts))
    tile = surface.evaluate(whole, indices, plane, network, theta, directions.unflatten(tensors), dataset)
    tile.attrs["tile"] = f"{options.tile} of {options.of}"
    files.write_dataset(tile, options.output)


def merge(options: argparse.Namespace) -> None:
    from landscape import files, surface
    from landscape.config import specs

    plane, text = specs.load(options.spec, "surface")
    tiles = [(path, files.read_dataset(path)) for path in options.tiles]
    attrs = {
        **surface.shared_attributes([tile for _, tile in tiles]),
        "spec_hash": specs.digest(text),
        "date": files.now(),
    }
    whole = surface.template(plane, test="test_loss" in tiles[0][1], attrs=attrs)
    files.write_dataset(surface.merge(whole, tiles), options.output)


def trajectory(options: argparse.Namespace) -> None:
    raise NotImplementedError


def mark(options: argparse.Namespace) -> None:
    raise NotImplementedError
