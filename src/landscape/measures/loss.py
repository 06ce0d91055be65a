"""The loss over a plane: f(alpha, beta) = L(theta + alpha d1 + beta d2) (Li et al. 2018, section 2), tile by tile."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import nn

from landscape.config.values import Precision
from landscape.data.datasets import DataSet, subset
from landscape.directions import Directions
from landscape.engine.engine import Engine
from landscape.errors import InputError
from landscape.geometry.grid import Status, points_of
from landscape.measures.plane_section import Plane
from landscape.measures.tiling import LOSSES, MEASURED, as_tile
from landscape.progress import progress
from landscape.store.weights import Weights

SAMPLE = 17
"""Points of a plane at which a reduced precision is compared with fp32."""

_QUANTITIES = {
    "loss": "loss",
    "loss_standard_error": "error",
    "loss_paired_standard_error": "paired_error",
    "accuracy": "accuracy",
}
"""What is measured of each split: the end of a variable's name, and the attribute of `engine.Measured`."""


def evaluate(
    whole: xr.Dataset,
    indices: Sequence[int],
    plane: Plane,
    network: nn.Module,
    theta: Weights,
    directions: Directions,
    data: DataSet,
) -> xr.Dataset:
    """Measure the points `indices` of a plane, over the images it declares, in its precision.

    Every point is set by two additions from the centre, with coordinates taken from the whole plane, so a point has the
    same bits in whatever tile it is computed.

    Args:
        whole: the plane's `template`.

    Returns:
        A tile: the variables of `whole` over the dimension `point`, with the point's row-major `index`; beside the
        attributes of `whole` those that say how it was computed.
    """
    check_axes(whole, directions)
    splits = {"train": subset(data.train, plane.images)}
    if data.test is not None and "test_loss" in whole:
        splits["test"] = subset(data.test, plane.images)
    statistics = subset(data.train, plane.recalibration_images).images if plane.statistics == "recalibrated" else None

    def engine(precision: Precision) -> Engine:
        return Engine(network, theta, directions, splits, precision=precision, recalibration=statistics)

    fast = engine(plane.precision)
    index = np.asarray(indices, np.int64)
    tile = _tile(whole, index, fast)
    tile.attrs |= {
        "precision": fast.precision,
        "kernels": fast.kernels,
        "batch_norms_folded": fast.folded,
        "batch": fast.batch,
    }
    if fast.batch < fast.planned_batch:
        tile.attrs["batch_planned"] = fast.planned_batch
    if statistics is not None:
        tile.attrs["recalibration_images"] = len(statistics)
    if fast.precision != "fp32":
        del fast  # and with it its images
        sampled = np.intersect1d(index, _sample(whole))
        deviations = _deviations(tile, _tile(whole, sampled, engine("fp32"))) if sampled.size else np.array([])
        tile.attrs |= {"precision_points": deviations.size, "precision_deviation": float(deviations.max(initial=0.0))}
    return tile


def check_axes(whole: xr.Dataset, directions: Directions) -> None:
    """Nothing, if there is a direction for every axis along which the plane goes.

    Raises:
        InputError: if one is missing.
    """
    wanted = ["alpha", "beta"] if whole.sizes["beta"] > 1 or float(whole.beta[0]) else ["alpha"]
    if missing := [axis for axis in wanted if axis not in directions]:
        raise InputError(f"the directions are {', '.join(directions)}, and the plane needs {', '.join(missing)} too")


def _tile(whole: xr.Dataset, index: np.ndarray, engine: Engine) -> xr.Dataset:
    """The points of a plane with these row-major indices, as a tile."""
    alpha, beta = points_of(whole, index)
    columns: dict[str, np.ndarray] = {name: np.full(index.size, np.nan) for name in whole if name in MEASURED}
    status = np.full(index.size, Status.computed, np.int8)
    negative = np.zeros(index.size, np.int32)
    points = zip(alpha.tolist(), beta.tolist(), strict=True)
    for k, (found, negative[k]) in enumerate(progress(engine.measure(points), index.size, "points")):
        if negative[k]:
            status[k] = Status.negative_variance
            continue
        for split, measured in found.items():
            for suffix, of in _QUANTITIES.items():
                columns[f"{split}_{suffix}"][k] = getattr(measured, of)
        if not all(np.isfinite(measured.loss) for measured in found.values()):
            status[k] = Status.non_finite
    columns["status"] = status
    if "negative_variances" in whole:
        columns["negative_variances"] = negative
    return as_tile(whole, index, columns)


def _sample(whole: xr.Dataset) -> np.ndarray:
    """Row-major indices of the points of a plane that a reduced precision is tried on, the middle one among them."""
    points = whole.sizes["alpha"] * whole.sizes["beta"]
    return np.unique(np.linspace(0, points - 1, SAMPLE).round().astype(np.int64))


def _deviations(tile: xr.Dataset, exact: xr.Dataset) -> np.ndarray:
    """Of each point that is finite in fp32, the larger relative deviation of its losses from fp32; inf of a loss of 0."""
    found = tile.isel(point=np.searchsorted(tile["index"].values, exact["index"].values))
    names = [name for name in LOSSES if name in exact]
    true, other = (np.stack([each[name].values for name in names]) for each in (exact, found))
    known = np.isfinite(true).all(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.where(other == true, 0.0, np.abs(other - true) / true)
    return np.asarray(np.where(np.isnan(deviations), np.inf, deviations).max(0)[known])


class Recorder:
    """Says what a history has of a network as it is, in eval mode: on the CPU to the bit what a plane holds at (0, 0).

    Of one architecture and one data set it keeps the engine, as long as that says what the network says. The network itself
    is left alone: what is asked is a copy.
    """

    def __init__(self) -> None:
        self._kept: tuple[DataSet, nn.Module, Engine] | None = None

    def __call__(self, network: nn.Module, data: DataSet) -> dict[str, float]:
        """`train_loss`, `train_accuracy`, and, with a test split, `test_loss` and `test_accuracy`."""
        theta = {name: tensor.detach() for name, tensor in network.state_dict().items()}
        splits = {"train": data.train} | ({"test": data.test} if data.test else {})
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as for a tile: a training may use more, and that alters bits
        try:
            if self._kept is None or self._kept[0] is not data or not self._follows(*self._kept[1:], theta):
                self._kept = data, copy.deepcopy(network).eval(), Engine(network, theta, {}, splits)
            found = self._kept[2].centre()
        finally:
            torch.set_num_threads(threads)
        return {f"{name}_{of}": getattr(found[name], of) for name in splits for of in ("loss", "accuracy")}

    @staticmethod
    def _follows(network: nn.Module, engine: Engine, theta: Weights) -> bool:
        network.load_state_dict(theta)
        return engine.follows(network, theta)
