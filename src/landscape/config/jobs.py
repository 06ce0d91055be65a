"""What the workflow's rules ask of an experiment: which file of what is an input, in how many tiles, with how much memory.

Paths are relative to the `results` folder's prefix, which every function puts in front.
"""

import math
import zipfile
from pathlib import Path

from landscape.config import code
from landscape.config.known import FETCHED, Known
from landscape.config.lookup import figure, impossible, plane, run, state
from landscape.config.schema import Experiment, Training
from landscape.errors import InputError, one_of

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
STATE = NAME + r"(@\d{3})?"
POINTS_TIMES_IMAGES = 20_000_000
"""Work in one tile: a 51 x 51 plane over the 60,000 images of CIFAR-10 becomes 8 tiles."""

_UNKNOWN = Known((3, 32, 32), 10, 60_000)


def source_files(experiment: Experiment, name: str) -> list[str]:
    """The files a data set is read from; none for one that is fetched."""
    if name not in experiment.data:
        raise InputError(f"there is no data set {name!r}; the data sets are {one_of(experiment.data)}")
    source = experiment.data[name].source
    return [source] if source.endswith(".npz") else []


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


def other_file(experiment: Experiment, plane_name: str) -> list[str]:
    """The file beside the centre's weights that directions are made from: another state's, another plane's, or none."""
    seen = plane(experiment, plane_name)
    if seen.run is None:
        return []
    if seen.directions == "of":
        return [f"{experiment.results}/directions/{seen.run}/{seen.plane}.safetensors"]
    return [weights_file(experiment, seen.run)]


def other(experiment: Experiment, plane_name: str) -> list[str]:
    """`other_file` as the verb takes it: of a state at a kept epoch with `@EPOCH` behind."""
    seen = plane(experiment, plane_name)
    if seen.directions == "to":
        return [weights(experiment, str(seen.run))]
    return other_file(experiment, plane_name)


def history_file(experiment: Experiment, at: str) -> str:
    return f"{experiment.results}/runs/{state(experiment, at).run}/history.nc"


def tiles(experiment: Experiment, at: str, plane_name: str) -> int:
    """In how many tiles a surface is computed: what the plane says, else a function of its points and images."""
    seen = plane(experiment, plane_name)
    points = seen.shape[0] * seen.shape[1]
    if seen.tiles is not None:
        return min(seen.tiles, points)
    return max(1, min(points, round(points * _images(experiment, at, seen.images) / POINTS_TIMES_IMAGES)))


def tile_files(experiment: Experiment, at: str, plane_name: str) -> list[str]:
    n = tiles(experiment, at, plane_name)
    return [f"{experiment.results}/surfaces/{at}/{plane_name}/{i}of{n}.nc" for i in range(1, n + 1)]


def memory(experiment: Experiment, at: str) -> int:
    """MiB for a job that holds a run's data set: torch, the images in float32, and room for activations.

    The network is not counted, nor are the epochs a training keeps: how many parameters there are is known to torch only.
    """
    source = experiment.data[experiment.runs[state(experiment, at).run].data].source
    size = _unpacked(Path(source)) if source.endswith(".npz") else 0
    if not size:
        known = FETCHED.get(source, _UNKNOWN)
        size = known.images * math.prod(known.shape)
    return 1500 + 6 * size // 2**20


def _unpacked(npz: Path) -> int:
    """Bytes of all arrays of an .npz, compressed or not; 0 if it cannot be read."""
    try:
        with zipfile.ZipFile(npz) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return 0


def surfaces_of_figure(experiment: Experiment, name: str) -> list[str]:
    drawn = figure(experiment, name)
    if isinstance(drawn, Training):
        return []
    return [f"{experiment.results}/surfaces/{at}/{drawn.plane}.nc" for at in drawn.runs]


def histories_of_figure(experiment: Experiment, name: str) -> list[str]:
    return [history_file(experiment, at) for at in figure(experiment, name).runs]


def group_of_figure(experiment: Experiment, name: str) -> str:
    """The heading under which the report files a figure."""
    drawn = figure(experiment, name)
    return drawn.group or drawn.draw.capitalize()


def surfaces_of_summary(experiment: Experiment) -> list[str]:
    """The surfaces the summary reads: those of its plane around every run that can be seen there."""
    name = experiment.summary.plane
    if name is None:
        return []
    return [
        f"{experiment.results}/surfaces/{r}/{name}.nc" for r in experiment.runs if not impossible(experiment, r, name)
    ]


def surfaces(experiment: Experiment) -> list[str]:
    """Every surface a figure uses, once."""
    return list(dict.fromkeys(path for name in experiment.figures for path in surfaces_of_figure(experiment, name)))


def _images(experiment: Experiment, at: str, subset: int | None) -> int:
    """Images of both splits that one point is measured on, as far as the configuration tells."""
    source = experiment.data[experiment.runs[state(experiment, at).run].data].source
    whole = FETCHED.get(source, _UNKNOWN).images
    return min(whole, 2 * subset) if subset else whole
