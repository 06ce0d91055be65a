"""Answers to the workflow's rules: which files a job reads, in how many tiles a surface is computed."""

import math
import re

from landscape.artefacts import path
from landscape.data.builtin_datasets import known_of
from landscape.errors import InputError
from landscape.experiment.lookup import entry, plane, probe, run, run_of, state
from landscape.experiment.schema import Experiment
from landscape.networks.local_imports import own_code
from landscape.networks.operations import operations
from landscape.store import weight_files

OPERATIONS = 2.4e16
"""At most, in one tile: 20 minutes at 20 TFLOP/s; of ResNet-56 a 51 x 51 plane over CIFAR-10's 60,000 images is two."""

MAX_TILES = 10_000
"""Largest number of tiles of one surface: a graph of more jobs takes too long to build."""

AIMED = ("to", "through", "of", "eigenvectors")
"""Directions made from another state, from other directions, or from a probe, for which jobs of other runs may be waited."""


def source_files(experiment: Experiment, name: str) -> list[str]:
    """The files or the folder a data set is read from; none for one that is fetched."""
    data = entry("data set", experiment.data, name)
    match data.kind:
        case "function":
            return list(map(str, own_code([data.source], data.code)))
        case "fetched":
            return []
    return [data.source]


def code_files(experiment: Experiment, at: str) -> list[str]:
    """The user's own files that the run of a state is made with."""
    made = run_of(experiment, at)
    return list(map(str, own_code(made.code_names, made.code)))


def origin(experiment: Experiment, name: str) -> str:
    """The weights that a rescaled run comes from, as the verb takes them: a kept epoch with `@EPOCH` behind."""
    rescaled = run(experiment, name).rescaled
    if rescaled is None:
        raise InputError(f"{name} is not rescaled from another run")
    return weights(experiment, rescaled.run)


def origin_file(experiment: Experiment, name: str) -> str:
    return _without_epoch(origin(experiment, name))


def adopted_files(experiment: Experiment, name: str) -> list[str]:
    """The files that a run adopts; none of those that are fetched."""
    own = run(experiment, name)
    files = [source.path for source in (*own.checkpoints.values(), own.end) if source.path is not None]
    return list(dict.fromkeys(str(path) for file in files for path in weight_files.parts(file)))


def threads(experiment: Experiment, name: str) -> int:
    return run(experiment, name).threads


def data_file(experiment: Experiment, at: str) -> str:
    return path(experiment.results, "data set", data=run_of(experiment, at).data)


def weights(experiment: Experiment, at: str) -> str:
    """A state's weights as the verbs take them: its file, and `@EPOCH` behind an epochs file."""
    found = state(experiment, at)
    if found.epoch is None:
        return path(experiment.results, "weights", run=found.run)
    return f"{epochs_file(experiment, at)}@{found.epoch:03d}"


def weights_file(experiment: Experiment, at: str) -> str:
    """The file that holds a state's weights."""
    return _without_epoch(weights(experiment, at))


def epochs_file(experiment: Experiment, at: str) -> str:
    """The file of the epochs that a state's run keeps."""
    return path(experiment.results, "epochs", run=state(experiment, at).run)


def aimed(experiment: Experiment) -> list[str]:
    """The planes whose directions are made from more than the run they start at."""
    return [name for name, plane in experiment.planes.items() if plane.directions in AIMED]


def directions_file(experiment: Experiment, at: str, plane_name: str) -> str:
    return path(experiment.results, "directions", state=at, plane=plane_name)


def other_files(experiment: Experiment, at: str, plane_name: str) -> list[str]:
    """The files beside the centre's weights that directions are made from."""
    return list(dict.fromkeys(map(_without_epoch, others(experiment, at, plane_name))))


def others(experiment: Experiment, at: str, plane_name: str) -> list[str]:
    """`other_files` as the verb takes them: of a state at a kept epoch with `@EPOCH` behind."""
    seen = plane(experiment, plane_name)
    match seen.directions:
        case "of":
            return [directions_file(experiment, str(seen.run), str(seen.plane))]
        case "start":
            return [f"{epochs_file(experiment, at)}@{run(experiment, state(experiment, at).run).first or 0:03d}"]
        case "pca":
            return [epochs_file(experiment, at)]
        case "eigenvectors":
            return [path(experiment.results, "vectors", state=at, probe=seen.probe)]
    return [weights(experiment, other) for other in seen.others]


def probe_file(experiment: Experiment, at: str, name: str) -> str:
    return path(experiment.results, "probe", state=at, probe=name)


def directions_of_probe(experiment: Experiment, at: str, name: str) -> list[str]:
    """The directions by which the point of a probe is reached; none of the state itself."""
    on = probe(experiment, name).plane
    return [] if on is None else [directions_file(experiment, at, on)]


def history_file(experiment: Experiment, at: str) -> str:
    return path(experiment.results, "history", run=state(experiment, at).run)


def tiles(experiment: Experiment, at: str, plane_name: str) -> int:
    """In how many tiles a surface is computed: what the plane says, else the fewest none of which is above `OPERATIONS`.

    A tile is evaluated at its points and, once more, at the centre. What decides is the plane, the images and the network
    of the configuration, and nothing else, so that a surface is cut alike on every machine.
    """
    seen = plane(experiment, plane_name)
    points = seen.shape[0] * seen.shape[1]
    if seen.tiles is not None:
        return min(seen.tiles, points, MAX_TILES)
    own = run_of(experiment, at)
    known = known_of(experiment.data[own.data].source)
    examples = known.examples if seen.examples is None else min(known.examples, 2 * seen.examples)  # of both splits
    point = examples * seen.passes * operations(own.network, own.args, known.shape, known.classes)
    return min(math.ceil(points / max(1, int(OPERATIONS / point) - 1)), MAX_TILES)


def tile_files(experiment: Experiment, at: str, plane_name: str) -> list[str]:
    n = tiles(experiment, at, plane_name)
    return [path(experiment.results, "tile", state=at, plane=plane_name, i=i, n=n) for i in range(1, n + 1)]


def _without_epoch(weights: str) -> str:
    return re.sub(r"@\d{3}$", "", weights)
