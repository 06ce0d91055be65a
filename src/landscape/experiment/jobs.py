"""What the workflow's rules ask of an experiment: which file of what is an input, in how many tiles.

Paths are relative to the `results` folder's prefix, which every function puts in front.
"""

import math
import re
from collections.abc import Iterable
from pathlib import Path

from landscape.data.builtin_datasets import known_of
from landscape.errors import InputError, one_of
from landscape.experiment.analysis_sections import Claims
from landscape.experiment.lookup import differing, figure, impossible, no_path, plane, probe, run, state
from landscape.experiment.schema import Experiment
from landscape.networks import code
from landscape.networks.operations import operations

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
STATE = NAME + r"(@\d{3})?"
OPERATIONS = 2.4e16
"""At most, in one tile: 20 minutes at 20 TFLOP/s; of ResNet-56 a 51 x 51 plane over CIFAR-10's 60,000 images is two."""

MAX_TILES = 10_000
"""Of one surface: a graph of more jobs is not built in any useful time."""

PASSES = {"loss": 1, "gradients": 8, "curvature": 150}
"""Forward passes over its images that a point costs, about."""

AIMED = ("to", "through", "of", "eigenvectors")
"""Directions made from another state, from other directions, or from a probe, for which jobs of other runs may be waited."""


def source_files(experiment: Experiment, name: str) -> list[str]:
    """The files a data set is read from; none for one that is fetched."""
    if name not in experiment.data:
        raise InputError(f"there is no data set {name!r}; the data sets are {one_of(experiment.data)}")
    data = experiment.data[name]
    match data.kind:
        case "function":
            own = code.source_file(data.source)
            return [*([str(own)] if own else []), *data.code]
        case "npz":
            return [data.source]
        case "folder":  # a folder's time is that of the last file put in or taken out, not of what folders in it hold
            root = Path(data.source)
            return [str(path) for path in (root, *sorted(root.glob("*/")), *sorted(root.glob("*/*/")))]
    return []


def code_files(experiment: Experiment, name: str) -> list[str]:
    """The user's own files a run is made with."""
    own = code.source_file(run(experiment, name).network)
    return [*([str(own)] if own else []), *experiment.runs[name].code]


def code_files_of_state(experiment: Experiment, at: str) -> list[str]:
    return code_files(experiment, state(experiment, at).run)


def adopted_file(experiment: Experiment, name: str) -> str:
    """The weights made elsewhere that a run adopts."""
    return str(run(experiment, name).weights)


def threads(experiment: Experiment, name: str) -> int:
    return run(experiment, name).threads


def data_file(experiment: Experiment, at: str) -> str:
    return f"{experiment.results}/data/{experiment.runs[state(experiment, at).run].data}.safetensors"


def weights_file(experiment: Experiment, at: str) -> str:
    """The file that holds a state's weights."""
    found = state(experiment, at)
    return f"{experiment.results}/runs/{found.run}/{'weights' if found.epoch is None else 'epochs'}.safetensors"


def weights(experiment: Experiment, at: str) -> str:
    """A state's weights as the verbs take them: its file, and `@EPOCH` behind an epochs file."""
    found = state(experiment, at)
    return weights_file(experiment, at) + ("" if found.epoch is None else f"@{found.epoch:03d}")


def epochs_file(experiment: Experiment, at: str) -> str:
    """The file of the epochs that a state's run keeps."""
    return f"{experiment.results}/runs/{state(experiment, at).run}/epochs.safetensors"


def aimed(experiment: Experiment) -> list[str]:
    """The planes whose directions are made from more than the run they start at."""
    return [name for name, plane in experiment.planes.items() if plane.directions in AIMED]


def directions_file(experiment: Experiment, at: str, plane_name: str) -> str:
    return f"{experiment.results}/directions/{at}/{plane_name}.safetensors"


def other_files(experiment: Experiment, at: str, plane_name: str) -> list[str]:
    """The files beside the centre's weights that directions are made from."""
    return list(dict.fromkeys(re.sub(r"@\d{3}$", "", name) for name in others(experiment, at, plane_name)))


def others(experiment: Experiment, at: str, plane_name: str) -> list[str]:
    """`other_files` as the verb takes them: of a state at a kept epoch with `@EPOCH` behind."""
    seen = plane(experiment, plane_name)
    match seen.directions:
        case "of":
            return [directions_file(experiment, str(seen.run), str(seen.plane))]
        case "start":
            return [f"{epochs_file(experiment, at)}@000"]
        case "pca":
            return [epochs_file(experiment, at)]
        case "eigenvectors":
            return [probe_file(experiment, at, str(seen.probe), "safetensors")]
    return [weights(experiment, other) for other in seen.others]


def probe_file(experiment: Experiment, at: str, name: str, kind: str = "nc") -> str:
    return f"{experiment.results}/probes/{at}/{name}.{kind}"


def directions_of_probe(experiment: Experiment, at: str, name: str) -> list[str]:
    """The directions by which the point of a probe is reached; none of the state itself."""
    on = probe(experiment, name).plane
    return [] if on is None else [directions_file(experiment, at, on)]


def history_file(experiment: Experiment, at: str) -> str:
    return f"{experiment.results}/runs/{state(experiment, at).run}/history.nc"


def tiles(experiment: Experiment, at: str, plane_name: str) -> int:
    """In how many tiles a surface is computed: what the plane says, else the fewest none of which is above `OPERATIONS`.

    A tile is evaluated at its points and, once more, at the centre. What decides is the plane, the images and the network
    of the configuration, and nothing else, so that a surface is cut alike on every machine.
    """
    seen = plane(experiment, plane_name)
    points = seen.shape[0] * seen.shape[1]
    if seen.tiles is not None:
        return min(seen.tiles, points, MAX_TILES)
    own = experiment.runs[state(experiment, at).run]
    known = known_of(experiment.data[own.data].source)
    passes = _images(experiment, at, seen.images) * PASSES[seen.measure]
    point = passes * operations(own.network, own.args, known.shape, known.classes)
    return min(math.ceil(points / max(1, int(OPERATIONS / point) - 1)), MAX_TILES)


def tile_files(experiment: Experiment, at: str, plane_name: str) -> list[str]:
    n = tiles(experiment, at, plane_name)
    return [f"{experiment.results}/surfaces/{at}/{plane_name}/{i}of{n}.nc" for i in range(1, n + 1)]


def surface_files(experiment: Experiment, pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{experiment.results}/surfaces/{at}/{plane_name}.nc" for at, plane_name in pairs]


def surfaces_of_figure(experiment: Experiment, name: str) -> list[str]:
    return surface_files(experiment, figure(experiment, name).seen)


def histories_of_figure(experiment: Experiment, name: str) -> list[str]:
    return [history_file(experiment, at) for at in figure(experiment, name).states]


def trajectories_of_figure(experiment: Experiment, name: str) -> list[str]:
    return [f"{experiment.results}/trajectories/{r}/{p}.nc" for r, p in figure(experiment, name).paths]


def marks_of_figure(experiment: Experiment, name: str) -> list[str]:
    return [f"{experiment.results}/marks/{at}/{p}/{mark}.nc" for at, p, mark in figure(experiment, name).marked]


def probes_of_figure(experiment: Experiment, name: str) -> list[str]:
    return [probe_file(experiment, at, of) for at, of in figure(experiment, name).probed]


def weights_of_figure(experiment: Experiment, name: str) -> list[str]:
    """The files of the weights that a figure shows."""
    return list(dict.fromkeys(weights_file(experiment, at) for at in figure(experiment, name).weighed))


def weighed_in_figure(experiment: Experiment, name: str) -> list[str]:
    """The same, one for each state, as the verb takes them."""
    return [weights(experiment, at) for at in figure(experiment, name).weighed]


def group_of_figure(experiment: Experiment, name: str) -> str:
    """The heading under which the report files a figure."""
    drawn = figure(experiment, name)
    return drawn.group or drawn.draw.capitalize()


def surfaces_of_summary(experiment: Experiment) -> list[str]:
    """The surfaces the summary reads: its runs on its plane, and every line between runs that is made anyway."""
    lines = [
        name for name, entry in experiment.planes.items() if entry.is_line and entry.others and entry.plane is None
    ]
    made = [pair for pair in (*_seen_in_figures(experiment), *_seen_in_claims(experiment)) if pair[1] in lines]
    return surface_files(experiment, dict.fromkeys([*_seen_in_summary(experiment), *made]))


def trajectories_of_summary(experiment: Experiment) -> list[str]:
    """Every trajectory that is made anyway."""
    return list(dict.fromkeys([*_trajectories_of_figures(experiment), *trajectories_of_claims(experiment)]))


def histories(experiment: Experiment, names: Iterable[str] | None = None) -> list[str]:
    """The histories of some runs, by default of all."""
    return [history_file(experiment, name) for name in (experiment.runs if names is None else names)]


def runs_of_table(experiment: Experiment, name: str) -> tuple[str, ...]:
    if name not in experiment.tables:
        raise InputError(f"there is no table {name!r}; the tables are {one_of(experiment.tables)}")
    return experiment.tables[name].runs


def histories_of_table(experiment: Experiment, name: str) -> list[str]:
    return histories(experiment, runs_of_table(experiment, name))


def surfaces_of_claims(experiment: Experiment) -> list[str]:
    """The claims' runs on their planes and lines, and what else is made on these for figures and the summary."""
    claims = experiment.claims
    if claims is None:
        return []
    wanted = _planes_of_claims(claims)
    made = (*_seen_in_figures(experiment), *_seen_in_summary(experiment))
    pairs = [*_seen_in_claims(experiment), *(pair for pair in made if pair[1] in wanted and "@" not in pair[0])]
    return surface_files(experiment, dict.fromkeys(pairs))


def trajectories_of_claims(experiment: Experiment) -> list[str]:
    """Those of the claims' runs on their planes of paths, and what else is made on these for figures."""
    claims = experiment.claims
    if claims is None:
        return []
    pairs = [(r, p) for r, p in _possible(experiment, claims.paths or (), claims.runs) if not no_path(experiment, r)]
    wanted = [f"{experiment.results}/trajectories/{r}/{p}.nc" for r, p in pairs]
    made = [path for path in _trajectories_of_figures(experiment) if Path(path).stem in (claims.paths or ())]
    return list(dict.fromkeys([*wanted, *made]))


def surfaces(experiment: Experiment) -> list[str]:
    """Every surface a figure uses, once."""
    return list(dict.fromkeys(path for name in experiment.figures for path in surfaces_of_figure(experiment, name)))


def _seen_in_figures(experiment: Experiment) -> list[tuple[str, str]]:
    return [pair for name in experiment.figures for pair in figure(experiment, name).seen]


def _seen_in_summary(experiment: Experiment) -> list[tuple[str, str]]:
    wanted = experiment.summary
    return _possible(experiment, [wanted.plane] if wanted.plane else [], wanted.runs)


def _seen_in_claims(experiment: Experiment) -> list[tuple[str, str]]:
    """Every run on every plane and line the claims name, and every line from a run to one that differs in batch size."""
    claims = experiment.claims
    if claims is None:
        return []
    pairs = _possible(experiment, (*(claims.planes or ()), *(claims.lines or ())), claims.runs)
    for name in claims.interpolations or ():
        end = plane(experiment, name).run
        pairs += [
            (start, name)
            for start, _ in _possible(experiment, [name], None)
            if end in experiment.runs and differing(experiment.runs[start], experiment.runs[end]) == {"batch_size"}
        ]
    return pairs


def _planes_of_claims(claims: Claims) -> tuple[str, ...]:
    """The planes and lines that the claims look at."""
    named = (claims.planes, claims.lines, claims.curvature, claims.gradients)
    return tuple(dict.fromkeys(name for names in named for name in names or ()))


def _trajectories_of_figures(experiment: Experiment) -> list[str]:
    return [path for name in experiment.figures for path in trajectories_of_figure(experiment, name)]


def _possible(experiment: Experiment, planes: Iterable[str], runs: Iterable[str] | None) -> list[tuple[str, str]]:
    """Every one of the runs (None: of all) on every plane where it can be seen."""
    chosen = list(experiment.runs if runs is None else runs)
    return [(r, name) for name in planes for r in chosen if not impossible(experiment, r, name)]


def _images(experiment: Experiment, at: str, subset: int | None) -> int:
    """Images of both splits that one point is measured on, as far as the configuration tells."""
    source = experiment.data[experiment.runs[state(experiment, at).run].data].source
    whole = known_of(source).images
    return min(whole, 2 * subset) if subset else whole
