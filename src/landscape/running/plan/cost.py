"""What a job costs: floating-point operations, and bytes that stay on disk."""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import xarray as xr

from landscape.artefacts import Job
from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.errors import InputError
from landscape.experiment.lookup import state
from landscape.experiment.schema import Experiment
from landscape.hessian import drift
from landscape.measures import curvature as curvature
from landscape.measures import loss, tiling
from landscape.measures.plane_section import Plane
from landscape.running.plan import sizes
from landscape.running.plan.sizes import Images, NetworkSize
from landscape.training.run_section import Run

FORWARD_AND_BACKWARD = 3
"""Forward passes that a step of training costs: backward is two, one for the activations and one for the weights."""

PRODUCT = 9
"""Forward passes that a product with the Hessian costs where its graph is made anew (counted); of one that is kept, 6."""

SEARCH = {"lanczos": 20, "eigsh": 62}
"""Products that the search for both extreme eigenvalues takes, about: 14 to 32 and 42 to 82 were seen."""

_OF_NETWORKS = ("train", "adopt", "rescale", "directions", "aimed", "tile", "merge", "trajectory", "probe")
_HISTORY_COLUMNS = 10
_COORDINATES_OF_A_POINT = 24  # bytes of a tile's index, alpha and beta


@dataclass(frozen=True)
class Cost:
    """Attributes:
    flops: floating-point operations, 2 for a multiply-add, of convolutions, matrix products and attention.
    disk: bytes of the arrays in files; headers, figures and tables, some kilobytes each, are not counted.
    known: whether that is all, or something beside it is not known.
    """

    flops: int = 0
    disk: int = 0
    known: bool = True


def total(costs: Iterable[Cost]) -> Cost:
    costs = list(costs)
    return Cost(sum(cost.flops for cost in costs), sum(cost.disk for cost in costs), all(cost.known for cost in costs))


class Costs:
    """The cost of every job of an experiment; each data set and each distinct network is looked at once.

    Attributes:
        unknown: what is not known, and why, one line each.

    Raises:
        InputError: if a data set is wrong or a network cannot be built.
    """

    def __init__(self, experiment: Experiment):
        self._experiment = experiment
        self.unknown: list[str] = []
        self._described = {name: _described(name, spec) for name, spec in experiment.data.items()}
        self._images = {name: self._counted(name, spec) for name, spec in experiment.data.items()}
        self._networks: dict[str, NetworkSize | None] = {}
        self._of_run = {name: self._measured(name, run) for name, run in experiment.runs.items()}

    def of(self, job: Job) -> Cost:
        match job:
            case Job("dataset", (name,)):
                images = self._images[name]
                return Cost(disk=images.disk) if images else Cost(known=False)
            case Job(rule, (at, *rest)) if rule in _OF_NETWORKS:
                run = state(self._experiment, at).run
                images, network = self._images[self._experiment.runs[run].data], self._of_run[run]
                if images is None or network is None:
                    return Cost(known=False)
                return self._of_network(job, self._experiment.runs[run], rest, images, network)
        return Cost()

    def _of_network(self, job: Job, run: Run, rest: list[str], images: Images, network: NetworkSize) -> Cost:
        if job.rule in ("train", "adopt", "rescale"):
            return of_run(run, images, network)
        if job.rule == "probe":
            cost = of_probe(self._experiment.probes[rest[0]], images, network)
            reason = f"how many steps lead probes.{rest[0]} to a saddle"
            if not cost.known and reason not in self.unknown:
                self.unknown.append(reason)
            return cost
        plane = self._experiment.planes[rest[0]]
        match job.rule:
            case "directions" | "aimed":
                axis = network.moving if plane.statistics == "interpolated" else network.parameters
                return Cost(disk=axis * (1 if plane.is_line else 2))
            case "tile":
                i, n = map(int, rest[1:])
                return of_tile(plane, i, n, images, network)
            case "merge":
                return Cost(disk=math.prod(plane.shape) * _point(plane, images.test is not None) + 8 * sum(plane.shape))
        return of_trajectory(run, plane, images, network)

    def _counted(self, name: str, spec: Data) -> Images | None:
        made = f"{self._experiment.results}/data/{name}.safetensors"
        found = sizes.images(spec, self._described[name][0], made)
        if found is None:
            self.unknown.append(f"how many images data.{name} has ({spec.source}); it is known once {made} is made")
        return found

    def _measured(self, name: str, run: Run) -> NetworkSize | None:
        shape, classes = self._described[run.data]
        key = repr((run.network, run.args, shape, classes))
        if key not in self._networks:
            self._networks[key] = None
            try:
                self._networks[key] = sizes.network(run, shape, classes)
            except InputError as error:
                raise InputError(f"runs.{name}.network: {problem}" for problem in error.problems) from None
            except Exception as error:  # of the network's own code
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                self.unknown.append(f"the operations of {run.network}, which does not run here ({reason})")
        return self._networks[key]


def of_run(run: Run, images: Images, network: NetworkSize) -> Cost:
    """Training, with an evaluation of both splits before it and after every epoch; or what makes a run without, with one."""
    columns = 8 * _HISTORY_COLUMNS
    if run.made != "trained":
        return Cost(images.both() * network.flops, network.state + columns)
    passes = FORWARD_AND_BACKWARD * (1 if run.sam is None else 2) * run.epochs  # sam takes every step twice
    passes += 0 if run.swa is None else 1  # batch-norm statistics of the mean
    seen = passes * images.train + (run.epochs + 1) * images.both()
    return Cost(seen * network.flops, (1 + len(run.kept)) * network.state + (run.epochs + 1) * columns)


def of_tile(plane: Plane, i: int, n: int, images: Images, network: NetworkSize) -> Cost:
    """Tile `i` of `n`: its points and, for the paired errors, the centre; of a reduced precision, a sample in fp32 too."""
    points = len(tiling.tile_of(plane.shape, i, n))
    if plane.measure != "loss":
        return _of_curved_tile(plane, tiling.tile_of(plane.shape, i, n), images, network)
    passes = points + 1.0
    if plane.precision != "fp32":
        passes += min(loss.SAMPLE, math.prod(plane.shape)) * points / math.prod(plane.shape) + 1
    each = images.both(plane.images) + _recalibrated(plane, images)
    disk = points * (_point(plane, images.test is not None) + _COORDINATES_OF_A_POINT)
    return Cost(round(passes * each * network.flops), disk)


def _of_curved_tile(plane: Any, indices: range, images: Images, network: NetworkSize) -> Cost:
    """A gradient over all images and two over halves at every point, and over those of the next tile's points beside it.

    Of curvature the gradient is taken twice, and there are the search for the extreme eigenvalues, the products within the
    plane, and the search over more images at a few points.
    """
    used = min(plane.images or images.train, images.train)
    beside = min(plane.shape[1], math.prod(plane.shape) - indices.stop)
    passes = FORWARD_AND_BACKWARD * (2 * len(indices) + beside)
    if plane.measure == "curvature":
        products = SEARCH[plane.eigensolver] + (1 if plane.is_line else 2)
        passes += len(indices) * (FORWARD_AND_BACKWARD + products * PRODUCT)
        again = sum(multiple for multiple in drift.MULTIPLES if multiple * used <= images.train)
        drifting = len(set(indices).intersection(drift.sample(_template(plane, test=False))))
        passes += drifting * again * SEARCH[plane.eigensolver] * PRODUCT
    disk = len(indices) * (_point(plane, test=False) + _COORDINATES_OF_A_POINT)
    return Cost(passes * used * network.flops, disk)


def of_probe(probe: Any, images: Images, network: NetworkSize) -> Cost:
    """What a probe takes, about; how many steps lead to a saddle is not known."""
    used = min(probe.images or images.train, images.train)
    match probe.measure:
        case "eigenpairs":  # a further pair at each end takes half as many products again
            products = 2 * SEARCH["lanczos"] * (1 + probe.pairs) // 2
            disk = 2 * probe.pairs * network.parameters
        case "spectrum":
            products, disk = 2 * probe.vectors * probe.steps, 0
        case "trace":
            products, disk = 2 * (probe.vectors + probe.draws), 0
        case "activations":
            return Cost(FORWARD_AND_BACKWARD * used * network.flops)
        case "saddle":
            return Cost(disk=3 * network.parameters + 8 * probe.points**2, known=False)
    return Cost((FORWARD_AND_BACKWARD + products * PRODUCT) * used * network.flops, disk)


def of_trajectory(run: Run, plane: Plane, images: Images, network: NetworkSize) -> Cost:
    """Three losses of every kept epoch over training images: on the plane, of its weights alone, as it was saved.

    That on the plane is measured at the centre too, and treats batch norm as the plane does.
    """
    kept = len(run.kept)
    seen = (3 * kept + 1) * min(plane.images or images.train, images.train) + (kept + 1) * _recalibrated(plane, images)
    return Cost(seen * network.flops)


def _recalibrated(plane: Plane, images: Images) -> int:
    """Images that the batch-norm statistics of a point are taken from."""
    return min(plane.recalibration_images, images.train) if plane.statistics == "recalibrated" else 0


def _described(name: str, spec: Data) -> tuple[tuple[int, int, int], int]:
    try:
        return datasets.describe(spec)
    except InputError as error:
        raise InputError(f"data.{name}.source {problem}" for problem in error.problems) from None


@functools.cache
def _template(plane: Plane, test: bool) -> xr.Dataset:
    if plane.measure == "loss":
        return tiling.template(plane, test=test, attrs={})
    return curvature.template(plane, attrs={})


def _point(plane: Plane, test: bool) -> int:
    """Bytes of what a surface holds at a point."""
    return sum(variable.dtype.itemsize for variable in _template(plane, test).values())
