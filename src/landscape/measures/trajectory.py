"""The path of a training over a plane with its losses (Li et al. 2018, section 7), and coordinates of other states."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from landscape import directions as planes
from landscape.data.datasets import DataSet, subset
from landscape.directions import Axes, Directions
from landscape.engine.engine import Engine
from landscape.measures.plane import Plane
from landscape.objective.meanings import mean_loss
from landscape.objective.objective import CLASSIFICATION, Objective
from landscape.progress import progress
from landscape.store.weights import Weights, dot, norm

_PATH = {
    "alpha": "coordinate along the first direction, in multiples of it",
    "beta": "coordinate along the second direction, in multiples of it",
    "distance": "distance from the plane",
    "distance_to_end": "distance to the end of the training, the centre of the plane",
    "step_norm": "distance to the kept epoch before",
    "projected_loss": "{} of the plane at the projection of the epoch's weights, over {} training examples",
    "weights_loss": "{} with the epoch's parameters that have filters, and all else of the end of the training, over {} "
    "training examples",
    "saved_loss": "{} of the epoch as it was saved, over {} training examples",
}
_AXES = {
    "share": "share of the path's {} along the axis, of beta along its part orthogonal to alpha",
    "random_walk_share": "share that the principal component of this rank has in a random walk with the same step lengths",
    "expected_share": "share expected of a random direction drawn and normalised like that of the axis",
}
_MARK = {
    "alpha": _PATH["alpha"],
    "beta": _PATH["beta"],
    "distance": _PATH["distance"],
    "distance_to_centre": "distance to the centre of the plane",
}


def trajectory(
    plane: Plane,
    network: nn.Module,
    theta: Weights,
    directions: Directions,
    epochs: Mapping[int, Weights],
    axes: Axes,
    data: DataSet,
    objective: Objective = CLASSIFICATION,
) -> xr.Dataset:
    """Project the kept epochs of a run on a plane around its end, and measure their losses.

    Projections are orthogonal; they and the distances are over the plane's own parameters (`directions.measured_over`).
    Losses are over the training examples that the plane declares, in eval mode and in its precision. `projected_loss` treats
    batch norm as the plane does; it is NaN where an interpolated variance is negative. Non-finite losses are kept.

    Args:
        theta: the end of the training, the centre of the plane.
        axes: the filter axes of the network (`networks.filter_axes`).

    Returns:
        Over the dimension `epoch`: `alpha`, `beta` (0 on a line), `distance` from the plane, `distance_to_end`,
        `step_norm` (NaN for the first) and three losses. `projected_loss` is L(theta + alpha d1 + beta d2).
        `weights_loss` takes the epoch's parameters with filters and theta's for the rest; it differs from the first by the
        part that the projection leaves out. `saved_loss` takes the epoch as saved; it differs from the second by batch
        norm and biases.

        Over the dimension `axis` (`alpha`, `beta`; beta is NaN on a line): `share`, the axis's share of the path's
        variation about its mean or, for a plane that is not centred, about its end. If the directions are not orthogonal,
        beta counts with its part orthogonal to alpha. `random_walk_share`, the share of the principal components of a
        random walk with the same steps (NaN except for pca). `expected_share`, the mean share of random directions
        normalised like the plane's (NaN for an axis that is not random).
    """
    names, filters = planes.measured_over(directions, axes), planes.with_filters(axes)
    path = list(epochs.values())
    products = planes.gram(path, names)
    found = _located(path, theta, directions, names)
    split = {"train": subset(data.train, plane.examples)}
    statistics = subset(data.train, plane.recalibration_examples).inputs if plane.statistics == "recalibrated" else None

    anywhere = Engine(network, theta, {}, split, objective, precision=plane.precision)

    def loss(weights: Weights) -> float:
        return anywhere.at(weights)["train"].loss

    on_plane = Engine(network, theta, directions, split, objective, precision=plane.precision, recalibration=statistics)
    places = zip(found["alpha"].tolist(), found["beta"].tolist(), strict=True)
    columns = {
        "alpha": found["alpha"],
        "beta": found["beta"],
        "distance": found["distance"],
        "distance_to_end": found["distance_to_centre"],
        "step_norm": np.array([np.nan, *planes.step_norms(products)]),
        "projected_loss": [
            np.nan if negative else measured["train"].loss
            for measured, negative in progress(on_plane.measure(places), len(path), "projections")
        ],
        "weights_loss": [
            loss(theta | {name: weights[name] for name in filters})
            for weights in progress(path, len(path), "epochs' weights")
        ],
        "saved_loss": [loss(weights) for weights in progress(path, len(path), "epochs as saved")],
    }
    said = mean_loss(objective.facts())
    long_names = {name: text.format(said, len(split["train"])) for name, text in _PATH.items()}
    share = (
        expected_share(path, theta, axes, plane.normalize, centred=plane.centred) if plane.has_random_axis else np.nan
    )
    return xr.Dataset(
        {name: ("epoch", values, {"long_name": long_names[name], "units": "1"}) for name, values in columns.items()}
        | _shares(plane, found, products, share),
        {
            "epoch": ("epoch", list(epochs), {"long_name": "epochs trained (0: before training)", "units": "1"}),
            "axis": ("axis", ["alpha", "beta"], {"long_name": "direction of the plane"}),
        },
        {"precision": on_plane.precision, **_metric(theta, names, filters)},
    )


def mark(marked: Weights, theta: Weights, directions: Directions, axes: Axes) -> xr.Dataset:
    """Project a state on a plane around another one, `theta`; the variables have no dimension.

    `alpha` and `beta` are the coordinates of the orthogonal projection. `distance` from the plane and `distance_to_centre`
    are over the plane's own parameters (`directions.measured_over`).
    """
    names = planes.measured_over(directions, axes)
    found = _located([marked], theta, directions, names)
    return xr.Dataset(
        {name: ((), found[name][0], {"long_name": text, "units": "1"}) for name, text in _MARK.items()},
        attrs=_metric(theta, names, planes.with_filters(axes)),
    )


def _located(
    path: Sequence[Weights], theta: Weights, directions: Directions, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Project states orthogonally on a plane: `alpha`, `beta`, `distance`, `distance_to_centre`, each (states,).

    `first` and `second` are the coordinates along two unit vectors: d1, and the part of d2 orthogonal to d1.
    """
    frame = [{name: direction[name].double() for name in names} for direction in directions.values()]
    lean = 0.0
    if len(frame) == 2:
        lean = _ratio(dot(frame[0], frame[1]), dot(frame[0], frame[0]))
        frame[1] = {name: frame[1][name] - lean * frame[0][name] for name in names}
    squares = [dot(axis, axis) for axis in frame]
    along = np.zeros((len(path), 2))
    distances = np.zeros((len(path), 2))
    for k, weights in enumerate(path):
        step = {name: weights[name].double() - theta[name].double() for name in names}
        along[k, : len(frame)] = [_ratio(dot(step, axis), square) for axis, square in zip(frame, squares, strict=True)]
        distances[k, 1] = norm(step)
        for axis, multiple in zip(frame, along[k].tolist(), strict=False):
            step = {name: step[name] - multiple * axis[name] for name in names}
        distances[k, 0] = norm(step)
    lengths = np.sqrt([*squares, 0.0][:2])
    return {
        "alpha": along[:, 0] - lean * along[:, 1],
        "beta": along[:, 1],
        "distance": distances[:, 0],
        "distance_to_centre": distances[:, 1],
        "first": along[:, 0] * lengths[0],
        "second": along[:, 1] * lengths[1],
    }


def _ratio(inner: float, square: float) -> float:
    """Return a coordinate; NaN along a direction of length zero."""
    return inner / square if square else np.nan


def expected_share(path: Sequence[Weights], theta: Weights, axes: Axes, normalize: str, *, centred: bool) -> float:
    """Compute the mean share of a random direction in a path's variation over the parameters with filters.

    A group is n weights that are normalised together: a filter, a layer, or all weights. Within a group the direction is
    uniform, and its norm is that of the group in `theta`. So the share is the mean over groups of (the group's variation /
    n), weighted by the squared norms of the groups of `theta`, over the whole variation.
    """
    lengths, variations, counts = [], [], []
    for name in planes.with_filters(axes):
        about = sum(weights[name].double() for weights in path) / len(path) if centred else path[-1][name].double()
        variation = torch.stack([(weights[name].double() - about).square() for weights in path]).sum(0)
        square, axis = theta[name].double().square(), axes[name]
        rest = [d for d in range(square.ndim) if normalize != "filter" or d != axis]
        lengths.append(square.sum(rest).reshape(-1))
        variations.append(variation.sum(rest).reshape(-1))
        counts.append(torch.full_like(lengths[-1], square.numel() / lengths[-1].numel()))
    length, variation, count = map(torch.cat, (lengths, variations, counts))
    if normalize in ("model", "none"):
        return float(1 / count.sum())
    return float((length * variation / count).sum() / (length.sum() * variation.sum()))


def _shares(plane: Plane, found: Mapping[str, np.ndarray], products: np.ndarray, expected: float) -> dict[str, Any]:
    """Make the variables over the axes; `expected` is the share of a random axis."""
    path = np.stack([found["first"], found["second"]], 1)
    path = path - (path.mean(0) if plane.centred else path[-1])
    whole = planes.variation(products, centred=plane.centred)
    walk = np.full(2, np.nan)
    if plane.directions == "pca":
        walk[:] = planes.walk_shares(planes.step_norms(products), centred=plane.centred)[:2]
    columns = {
        "share": (path**2).sum(0) / (whole or np.nan),
        "random_walk_share": walk,
        "expected_share": np.where([plane.directions == "random", plane.has_random_axis], expected, np.nan),
    }
    there = np.array([1.0, np.nan if plane.is_line else 1.0])
    of = "variation about its mean" if plane.centred else "sum of squared distances to its end"
    return {
        name: ("axis", values * there, {"long_name": _AXES[name].format(of), "units": "1"})
        for name, values in columns.items()
    }


def _metric(theta: Weights, names: Sequence[str], filters: Sequence[str]) -> dict[str, Any]:
    """Name the parameters that coordinates and distances are over, and their number."""
    return {
        "measured_over": "parameters with filters" if list(names) == list(filters) else "all parameters",
        "parameters": sum(theta[name].numel() for name in names),
    }
