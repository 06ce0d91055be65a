"""What several verbs do: rebuild a network from a header, and write headers that explain a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape.config import Run
    from landscape.data import DataSet


def network_of(run: "Run", dataset: "DataSet", device: "torch.device") -> "nn.Module":
    from landscape import networks

    shape, classes = dataset.shape, dataset.classes
    return networks.build(run.network, run.args, seed=run.seed, images=shape, classes=classes, device=device)


def rebuild(header: dict[str, Any], device: str) -> "nn.Module":
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


def facts_of(network: "nn.Module", dataset: "DataSet") -> dict[str, Any]:
    """What the files of a run say of its network and data, so that both can be rebuilt and counted."""
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "images": dataset.shape,
        "classes": dataset.classes,
        "train_images": len(dataset.train.labels),
        "test_images": len(dataset.test.labels) if dataset.test else None,
    }


def code_of(run: "Run") -> list[Path]:
    from landscape.config import code

    own = code.source_file(run.network)
    return [*([own] if own else []), *map(Path, run.code)]


def header_of(name: str, entry: Any, text: str, stage: str, **facts: Any) -> dict[str, Any]:
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


def attributes(header: dict[str, Any]) -> dict[str, str | int | float]:
    from landscape import surface

    return {key: surface.attribute(value) for key, value in header.items() if value is not None}


def state_of(header: dict[str, Any]) -> str:
    """`RUN` of the end of training, `RUN@EPOCH` of a kept epoch, from a checkpoint's header."""
    from landscape.config import State

    last = header["spec"].get("epochs")
    epoch = header.get("epoch")
    return str(State(header["name"], None if epoch == last else epoch))


def hash_of(path: str | Path) -> str:
    from landscape import files

    return files.checksum(path)
