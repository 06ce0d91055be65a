"""Cost of a job: floating-point operations, and bytes that stay on disk."""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from landscape.artefacts import Job
from landscape.data import datasets
from landscape.data.arrays import Source
from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.experiment.lookup import state
from landscape.experiment.schema import Experiment
from landscape.hessian.passes import FORWARD_AND_BACKWARD
from landscape.measures import tiling
from landscape.measures.plane import Plane
from landscape.probes.probe import Probe
from landscape.running.plan import sizes
from landscape.running.plan.sizes import Counts, NetworkSize
from landscape.training.run_section import Run

_OF_NETWORKS = ("train", "adopt", "rescale", "directions", "aimed", "tile", "merge", "trajectory", "probe")
_HISTORY_COLUMNS = 10
_COORDINATES_OF_A_POINT = 24  # bytes of a tile's index, alpha and beta


@dataclass(frozen=True)
class Cost:
    """Cost of a job.

    Attributes:
        flops: floating-point operations of convolutions, matrix products and attention; 2 for a multiply-add.
        disk: bytes of the arrays in files, without headers, figures and tables, some kilobytes each.
        known: whether the cost is complete; False if a part is unknown.
    """

    flops: int = 0
    disk: int = 0
    known: bool = True


def total(costs: Iterable[Cost]) -> Cost:
    costs = list(costs)
    return Cost(sum(cost.flops for cost in costs), sum(cost.disk for cost in costs), all(cost.known for cost in costs))


class Costs:
    """The cost of every job of an experiment; it examines each data set and each distinct network once.

    Attributes:
        unknown: unknown parts and their reasons, one line each.

    Raises:
        InputError: if a data set is wrong or a network cannot be built.
    """

    def __init__(self, experiment: Experiment):
        self._experiment = experiment
        self.unknown: list[str] = []
        self._described = {
            name: _described(name, spec, Path(experiment.results)) for name, spec in experiment.data.items()
        }
        self._counts = {name: self._counted(name, spec) for name, spec in experiment.data.items()}
        self._networks: dict[str, NetworkSize | None] = {}
        self._of_run = {name: self._measured(name, run) for name, run in experiment.runs.items()}

    def of(self, job: Job) -> Cost:
        match job:
            case Job("dataset", (name,)):
                counts = self._counts[name]
                return Cost(disk=counts.disk) if counts else Cost(known=False)
            case Job(rule, (at, *rest)) if rule in _OF_NETWORKS:
                run = state(self._experiment, at).run
                counts, network = self._counts[self._experiment.runs[run].data], self._of_run[run]
                if counts is None or network is None:
                    return Cost(known=False)
                return self._of_network(job, self._experiment.runs[run], rest, counts, network)
        return Cost()

    def _of_network(self, job: Job, run: Run, rest: list[str], counts: Counts, network: NetworkSize) -> Cost:
        if job.rule in ("train", "adopt", "rescale"):
            return of_run(run, counts, network)
        if job.rule == "probe":
            probe = self._experiment.probes[rest[0]]
            reason = probe.unknown_cost.format(f"probes.{rest[0]}")
            if reason and reason not in self.unknown:
                self.unknown.append(reason)
            return of_probe(probe, counts, network)
        plane = self._experiment.planes[rest[0]]
        match job.rule:
            case "directions" | "aimed":
                axis = network.moving if plane.statistics == "interpolated" else network.parameters
                return Cost(disk=axis * (1 if plane.is_line else 2))
            case "tile":
                i, n = map(int, rest[1:])
                return of_tile(plane, i, n, counts, network)
            case "merge":
                return Cost(disk=math.prod(plane.shape) * _point(plane, counts.test is not None) + 8 * sum(plane.shape))
        return of_trajectory(run, plane, counts, network)

    def _counted(self, name: str, spec: Data) -> Counts | None:
        made = f"{self._experiment.results}/data/{name}.safetensors"
        found = sizes.counts(spec, self._described[name].sample, made)
        if found is None:
            self.unknown.append(f"how many examples data.{name} has ({spec.source}); it is known once {made} is made")
        return found

    def _measured(self, name: str, run: Run) -> NetworkSize | None:
        known = self._described[run.data]
        key = repr((run.network, run.args, run.data))
        if key not in self._networks:
            self._networks[key] = None
            try:
                self._networks[key] = sizes.network(run, known)
            except InputError as error:
                raise InputError(f"runs.{name}.network: {problem}" for problem in error.problems) from None
            except Exception as error:  # from the network's own code
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                self.unknown.append(f"the operations of {run.network}, which does not run here ({reason})")
        return self._networks[key]


def of_run(run: Run, counts: Counts, network: NetworkSize) -> Cost:
    """Cost of a run: training, with an evaluation of both splits before it and after every epoch.

    A run made without training has one evaluation, or one for each of its checkpoints.
    """
    columns = 8 * _HISTORY_COLUMNS
    if run.made != "trained":
        rows = len(run.kept) or 1
        return Cost(rows * counts.both() * network.flops, (1 + len(run.kept)) * network.state + rows * columns)
    passes = FORWARD_AND_BACKWARD * (1 if run.sam is None else 2) * run.last_epoch  # sam takes every step twice
    passes += 0 if run.swa is None else 1  # batch-norm statistics of the mean
    seen = passes * counts.train + (run.last_epoch + 1) * counts.both()
    return Cost(seen * network.flops, (1 + len(run.kept)) * network.state + (run.last_epoch + 1) * columns)


def of_tile(plane: Plane, i: int, n: int, counts: Counts, network: NetworkSize) -> Cost:
    """Cost of tile `i` of `n`."""
    indices = tiling.tile_of(plane.shape, i, n)
    passes = plane.forward_passes(indices, counts.train, counts.test)
    disk = len(indices) * (_point(plane, counts.test is not None) + _COORDINATES_OF_A_POINT)
    return Cost(round(passes * network.flops), disk)


def of_probe(probe: Probe, counts: Counts, network: NetworkSize) -> Cost:
    """Cost of a probe, about."""
    passes, used = probe.forward_passes(), min(probe.examples or counts.train, counts.train)
    disk = probe.disk(network.parameters)
    return Cost(disk=disk, known=False) if passes is None else Cost(passes * used * network.flops, disk)


def of_trajectory(run: Run, plane: Plane, counts: Counts, network: NetworkSize) -> Cost:
    """Cost of three losses of every kept epoch over training examples: on the plane, of its weights alone, as saved.

    The loss on the plane is also measured at the centre, and treats batch norm as the plane does.
    """
    kept, used = len(run.kept), min(plane.examples or counts.train, counts.train)
    return Cost(((3 * kept + 1) * used + (kept + 1) * plane.recalibrating(counts.train)) * network.flops)


def _described(name: str, spec: Data, results: Path) -> Source:
    try:
        return datasets.describe(spec, results / "data" / datasets.DOWNLOADS)
    except InputError as error:
        raise InputError(f"data.{name}.source {problem}" for problem in error.problems) from None


@functools.cache
def _point(plane: Plane, test: bool) -> int:
    """Bytes of a surface at one point."""
    return sum(variable.dtype.itemsize for variable in plane.template(test=test, attrs={"score": "score"}).values())
