"""Measurements at one point."""

import argparse

from landscape.errors import InputError
from landscape.verbs.common import attributes, hash_of, header_of, rebuild, state_of


def probe(options: argparse.Namespace) -> None:
    from landscape import directions
    from landscape.data import datasets
    from landscape.engine import device
    from landscape.experiment import specs
    from landscape.networks import building
    from landscape.probes import kinds
    from landscape.store import checkpoint, files

    probe, text = specs.load(options.spec, "probe")
    given = options.directions or []
    if len(given) != (probe.plane is not None):
        raise InputError(
            f"the probe is at {probe.plane or 'the state itself'}, and there are {len(given)} --directions"
        )
    where = device.settle()
    theta, origin = checkpoint.read(options.weights)
    pair: directions.Directions = {}
    for path in given:
        tensors, drawn = checkpoint.read(path)
        wanted = (hash_of(options.weights), state_of(origin), probe.plane)
        if (drawn["weights_hash"], drawn["state"], drawn["name"]) != wanted:
            raise InputError(f"{path} was drawn around other weights, or for another plane; draw it anew")
        pair = directions.unflatten(tensors)
    dataset = datasets.read(options.data, device=where)
    network = rebuild(origin, str(where), theta)
    found, vectors = kinds.measure(probe, network, theta, pair, building.filter_axes(network), dataset)
    images = len(dataset.train.labels)
    facts = {
        "state": state_of(origin),
        "run": origin["name"],
        "epoch": origin.get("epoch"),
        "run_spec": origin["spec"],
        "probe": options.name,
        "weights_hash": hash_of(options.weights),
        "directions_hash": hash_of(given[0]) if given else None,
        "data_hash": hash_of(options.data),
        "data": dataset.header.get("name"),
        "train_images": min(probe.images or images, images),
        "classes": dataset.classes,
        "device": device.name(where),
    }
    header = header_of(options.name, probe, text, "probe", **{k: v for k, v in facts.items() if v is not None})
    title = {"title": f"{probe.measure} of {state_of(origin)} at {options.name}"}
    files.write_dataset(found.assign_attrs(attributes({**header, **title})), options.output[0])
    checkpoint.write(options.output[1], vectors, header)
