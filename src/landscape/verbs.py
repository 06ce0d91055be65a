"""The verbs: each reads files, calls one module, and writes files. One for each rule of the workflow, and a few by hand.

What a verb needs is imported when it runs: whoever asks for help, or checks a configuration, does not wait for torch.
"""

import argparse
import hashlib
import html
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import landscape
from landscape.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape.config import Run
    from landscape.data import DataSet

_log = logging.getLogger(__name__)


def dataset(options: argparse.Namespace) -> None:
    from landscape import data
    from landscape.config import specs

    spec, text = specs.load(options.spec, "dataset")
    data.make(spec, Path(options.output), _header(options.name, spec, text, "dataset"))


def train(options: argparse.Namespace) -> None:
    from landscape import checkpoint, data, device, files, finished, surface, train
    from landscape.config import specs

    run, text = specs.load(options.spec, "train")
    where = device.settle(run.threads)
    dataset = data.read(options.data, device=where)
    network = _network(run, dataset, where)
    weights, history, epochs = (Path(path) for path in options.output)
    inputs = {"data_hash": _hash(options.data), "code_hash": [_hash(path) for path in _code(run)]}
    header = _header(options.name, run, text, "train", **_facts(network, dataset), seed=run.seed, **inputs)
    made_with = [landscape.__version__, files.versions()["torch"], device.kind(where)]
    identity = hashlib.sha256(json.dumps([text, inputs, made_with]).encode()).hexdigest()
    work = weights.parent / ".work"
    with finished.alone(weights.parent / ".lock", f"{options.name} is being trained"):
        if finished.put_back(work / f"finished-{identity[:16]}", [weights, history, epochs]):
            _log.info("this training had finished before; its files are put back")
            return
        trained = train.train(run, network, dataset, work, identity, surface.recorded, options.name)
        attributes = _attributes({"title": f"training of {options.name}", **header})
        files.write_dataset(trained.history.assign_attrs(attributes), history)
        checkpoint.write_epochs(epochs, trained.epochs, header)
        checkpoint.write(weights, trained.weights, {**header, "epoch": run.epochs})
        finished.set_by(work / f"finished-{identity[:16]}", [weights, history, epochs])


def adopt(options: argparse.Namespace) -> None:
    from landscape import checkpoint, data, device, files, surface, train
    from landscape.config import specs

    run, text = specs.load(options.spec, "adopt")
    where = device.settle()
    dataset = data.read(options.data, device=where)
    network = _network(run, dataset, where)
    theta = checkpoint.adopt(options.weights)
    if misfits := checkpoint.misfits(theta, network):
        raise InputError(f"{options.weights} does not fit {run.network}: {misfit}" for misfit in misfits)
    network.load_state_dict(theta, strict=False)
    weights, history, epochs = (Path(path) for path in options.output)
    inputs = {"data_hash": _hash(options.data), "weights_hash": _hash(options.weights)}
    header = _header(options.name, run, text, "adopt", **_facts(network, dataset), **inputs)
    row = train.history_of(network, dataset, surface.recorded)
    files.write_dataset(row.assign_attrs(_attributes({"title": f"{options.name}, adopted", **header})), history)
    checkpoint.write_epochs(epochs, {}, header)
    checkpoint.write(weights, {name: t.detach().cpu() for name, t in network.state_dict().items()}, header)


def directions(options: argparse.Namespace) -> None:
    from landscape import checkpoint, device, directions, networks
    from landscape.config import specs

    plane, text = specs.load(options.spec, "directions")
    device.settle()
    theta, origin = checkpoint.read(options.weights)
    axes = networks.filter_axes(_rebuild(origin, "meta"))
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
        facts["other"] = _state(other_header)
    header = _header(options.name, plane, text, "directions", state=_state(origin), weights_hash=_hash(options.weights))
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
    wanted = (_hash(options.weights), specs.digest(specs.of("directions", plane)))
    if (drawn["weights_hash"], drawn["spec_hash"]) != wanted:
        raise InputError(f"{options.directions} was drawn around other weights, or for another plane; draw it anew")
    dataset = data.read(options.data, device=where)
    network = _rebuild(origin, str(where))
    facts = dict(
        spec=plane.in_full(),
        title=f"{_state(origin)} on {options.name}",
        state=_state(origin),
        run=origin["name"],
        plane=options.name,
        run_spec=origin["spec"],
        spec_hash=specs.digest(text),
        stage=specs.STAGES["surface"],
        seed=drawn.get("seed"),
        cosine=drawn.get("cosine"),
        zero_filters=drawn.get("zero_filters"),
        weights_hash=_hash(options.weights),
        directions_hash=_hash(options.directions),
        data_hash=_hash(options.data),
        data=dataset.header.get("name"),
        train_images=min(plane.images or len(dataset.train.labels), len(dataset.train.labels)),
        test_images=min(plane.images or len(dataset.test.labels), len(dataset.test.labels)) if dataset.test else None,
        classes=dataset.classes,
        device=device.name(where),
        **files.provenance("tile"),
    )
    whole = surface.template(plane, test=dataset.test is not None, attrs=_attributes(facts))
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


def figure(options: argparse.Namespace) -> None:
    from landscape import figures, files
    from landscape.config import specs

    spec, _ = specs.load(options.spec, "figure")
    surfaces = [files.read_dataset(path) for path in options.surface or []]
    histories = [files.read_dataset(path) for path in options.history]
    members = figures.members(spec.runs, surfaces, histories)
    figures.save(figures.draw(spec, members), Path(options.output))


def summary(options: argparse.Namespace) -> None:
    from landscape import files, summary

    histories = [files.read_dataset(path) for path in options.history]
    surfaces = [files.read_dataset(path) for path in options.surface or []]
    summary.write(summary.table(histories, surfaces), [Path(path) for path in options.output])


def configuration(options: argparse.Namespace) -> None:
    from landscape import files

    text = Path(options.config).read_text()
    yaml, page = options.output
    files.write_text(yaml, text)
    files.write_text(
        page, f'<!DOCTYPE html><meta charset="utf-8"><title>Configuration</title><pre>{html.escape(text)}</pre>\n'
    )


def check(options: argparse.Namespace) -> None:
    from landscape import check, config

    problems = check.problems(config.read(options.config))
    if problems:
        raise InputError(problems)


def schema(options: argparse.Namespace) -> None:
    from landscape.config.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=1) + "\n")


def _network(run: "Run", dataset: "DataSet", device: "torch.device") -> "nn.Module":
    from landscape import networks

    shape, classes = dataset.shape, dataset.classes
    return networks.build(run.network, run.args, seed=run.seed, images=shape, classes=classes, device=device)


def _rebuild(header: dict[str, Any], device: str) -> "nn.Module":
    """The network that a checkpoint's header describes, with initial weights."""
    from landscape import networks

    spec = header["spec"]
    channels, height, width = header["images"]
    return networks.build(
        spec["network"],
        spec["args"],
        seed=spec["seed"],
        images=(channels, height, width),
        classes=header["classes"],
        device=device,
    )


def _facts(network: "nn.Module", dataset: "DataSet") -> dict[str, Any]:
    """What the files of a run say of its network and data, so that both can be rebuilt and counted."""
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "images": dataset.shape,
        "classes": dataset.classes,
        "train_images": len(dataset.train.labels),
        "test_images": len(dataset.test.labels) if dataset.test else None,
    }


def _code(run: "Run") -> list[Path]:
    from landscape.config import code

    own = code.source_file(run.network)
    return [*([own] if own else []), *map(Path, run.code)]


def _header(name: str, entry: Any, text: str, stage: str, **facts: Any) -> dict[str, Any]:
    from landscape import files
    from landscape.config import specs

    return {
        "name": name,
        "spec": entry.in_full(),
        "spec_hash": specs.digest(text),
        "stage": specs.STAGES[stage],
        **facts,
        **files.provenance(stage),
    }


def _attributes(header: dict[str, Any]) -> dict[str, str | int | float]:
    from landscape import surface

    return {key: surface.attribute(value) for key, value in header.items() if value is not None}


def _state(header: dict[str, Any]) -> str:
    """`RUN` of the end of training, `RUN@EPOCH` of a kept epoch, from a checkpoint's header."""
    from landscape.config import State

    last = header["spec"].get("epochs")
    epoch = header.get("epoch")
    return str(State(header["name"], None if epoch == last else epoch))


def _hash(path: str | Path) -> str:
    """SHA-256 of what a file holds: of a safetensors file its tensors and its normalisation, not the date it was made."""
    from landscape import checkpoint

    place = checkpoint.file_of(path)
    with open(place, "rb") as file:
        if place.suffix != ".safetensors":
            return hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        digest = hashlib.file_digest(file, "sha256")
    header = checkpoint.read_header(place)
    digest.update(json.dumps([header.get(key) for key in ("mean", "std", "classes")]).encode())
    return digest.hexdigest()
