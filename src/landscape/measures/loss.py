"""The loss over a plane: f(alpha, beta) = L(theta + alpha d1 + beta d2) (Li et al. 2018, section 2), tile by tile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from landscape.geometry.grid import Status, points_of
from landscape.lazy import np, xr
from landscape.measures import tiling
from landscape.measures.plane import Plane
from landscape.objective.meanings import loss_meaning, score_in, score_meaning
from landscape.progress import progress

if TYPE_CHECKING:
    from torch import nn

    from landscape.config.values import Precision
    from landscape.data.datasets import DataSet
    from landscape.directions import Directions
    from landscape.engine.engine import Engine
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights

SAMPLE = 17
"""Number of points of a plane at which a reduced precision is compared with fp32."""

_SPLITS = {"train": "training examples", "test": "test examples"}
_ERRORS = {
    "loss_standard_error": (
        "error",
        "standard error of {loss}, as of a simple random sample of the population they are from",
    ),
    "loss_paired_standard_error": (
        "paired_error",
        "standard error of the rise over the centre's of {loss}, on the same examples, as of a simple random sample of the "
        "population they are from",
    ),
}
"""Errors of each split's loss: suffix of the variable's name, attribute of `engine.Measured`, long name."""


def _quantities(attrs: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Quantities of each split by the suffix of their names: the attribute of `engine.Measured`, the long name."""
    loss = loss_meaning(attrs)
    found = {"loss": ("loss", loss)}
    if attrs.get("loss_of") != "a batch":
        found |= {suffix: (of, text.format(loss=loss)) for suffix, (of, text) in _ERRORS.items()}
    if score := score_in(attrs):
        found[score] = ("score", score_meaning(score))
    return found


class LossPlane(Plane):
    """The loss and the score on both splits (Li et al. 2018, section 2)."""

    passes: ClassVar[int] = 1

    measure: Literal["loss"] = "loss"
    splits: Literal["both", "train"] = Field(
        "both", description="what is measured; without the test split, as in the paper, a plane costs less"
    )
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="of the network's arithmetic; of tf32 and bf16 the error is measured and kept in the file",
    )

    @property
    def measures_test(self) -> bool:
        return self.splits == "both"

    def template(self, *, test: bool, attrs: dict[str, Any]) -> xr.Dataset:
        measured: dict[str, tuple[Any, str]] = {
            f"{split}_{suffix}": (np.nan, text.format(word))
            for split, word in _SPLITS.items()
            if (test and self.measures_test) or split != "test"
            for suffix, (_, text) in _quantities(attrs).items()
        }
        negative = {"negative_variances": (np.int32(0), "batch-norm channels whose interpolated variance is negative")}
        whole = tiling.blank(self, measured | (negative if self.statistics == "interpolated" else {}), attrs)
        for name in measured:
            whole[name].attrs |= _ancillary(name, whole)
        return whole

    def evaluate(
        self,
        whole: xr.Dataset,
        indices: Sequence[int],
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        data: DataSet,
        objective: Objective,
    ) -> xr.Dataset:
        from landscape.data.datasets import subset
        from landscape.engine.engine import Engine

        tiling.check_axes(whole, directions)
        splits = {"train": subset(data.train, self.examples)}
        if data.test is not None and "test_loss" in whole:
            splits["test"] = subset(data.test, self.examples)
        statistics = (
            subset(data.train, self.recalibration_examples).inputs if self.statistics == "recalibrated" else None
        )

        def engine(precision: Precision) -> Engine:
            return Engine(network, theta, directions, splits, objective, precision=precision, recalibration=statistics)

        fast = engine(self.precision)
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
        if fast.loaded:
            tile.attrs["loaded_at_each_point"] = fast.loaded
        if statistics is not None:
            tile.attrs["recalibration_examples"] = self.recalibrating(len(data.train))
        if fast.precision != "fp32":
            del fast  # frees its examples too
            sampled = np.intersect1d(index, _sample(whole))
            deviations = _deviations(tile, _tile(whole, sampled, engine("fp32"))) if sampled.size else np.array([])
            tile.attrs |= {
                "precision_points": deviations.size,
                "precision_deviation": float(deviations.max(initial=0.0)),
            }
        return tile

    def forward_passes(self, indices: range, train: int, test: int | None) -> float:
        """Count the tile's points, the centre for the paired errors, and for a reduced precision a sample in fp32."""
        points, whole = len(indices), math.prod(self.shape)
        passes = points + 1.0
        if self.precision != "fp32":
            passes += min(SAMPLE, whole) * points / whole + 1
        both = sum(min(self.examples or split, split) for split in (train, (test or 0) * self.measures_test))
        return passes * (both + self.recalibrating(train))


def _tile(whole: xr.Dataset, index: np.ndarray, engine: Engine) -> xr.Dataset:
    """Measure the points of a plane with these row-major indices, as a tile."""
    alpha, beta = points_of(whole, index)
    columns, quantities = tiling.blank_columns(whole, index.size), _quantities(whole.attrs)
    status = columns["status"]
    status[:] = Status.computed
    points = zip(alpha.tolist(), beta.tolist(), strict=True)
    for k, (found, negative) in enumerate(progress(engine.measure(points), index.size, "points")):
        if "negative_variances" in columns:
            columns["negative_variances"][k] = negative
        if negative:
            status[k] = Status.negative_variance
            continue
        for split, measured in found.items():
            for suffix, (of, _) in quantities.items():
                columns[f"{split}_{suffix}"][k] = getattr(measured, of)
        if not all(np.isfinite(measured.loss) for measured in found.values()):
            status[k] = Status.non_finite
    return tiling.as_tile(whole, index, columns)


def _ancillary(name: str, whole: xr.Dataset) -> dict[str, str]:
    """Name the error and status variables of a variable in the CF attribute `ancillary_variables`."""
    errors = [error for error in (f"{name}_standard_error", f"{name}_paired_standard_error") if error in whole]
    return {"ancillary_variables": " ".join([*errors, "status"])}


def _sample(whole: xr.Dataset) -> np.ndarray:
    """Choose the points at which a reduced precision is compared, among them the middle one; row-major indices."""
    points = whole.sizes["alpha"] * whole.sizes["beta"]
    return np.unique(np.linspace(0, points - 1, SAMPLE).round().astype(np.int64))


def _deviations(tile: xr.Dataset, exact: xr.Dataset) -> np.ndarray:
    """Compute the larger relative deviation of a point's losses from fp32, for finite points; inf if the fp32 loss is 0."""
    found = tile.isel(point=np.searchsorted(tile["index"].values, exact["index"].values))
    names = [f"{split}_loss" for split in _SPLITS if f"{split}_loss" in exact]
    true, other = (np.stack([each[name].values for name in names]) for each in (exact, found))
    known = np.isfinite(true).all(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.where(other == true, 0.0, np.abs(other - true) / true)
    return np.asarray(np.where(np.isnan(deviations), np.inf, deviations).max(0)[known])
