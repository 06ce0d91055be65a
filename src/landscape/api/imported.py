"""Surfaces and directions of the paper's own code (github.com/tomgoldstein/loss-landscape), read from its HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from landscape.api.inputs import entry_of, plain
from landscape.directions import Directions
from landscape.errors import InputError
from landscape.geometry.grid import Status
from landscape.lazy import netCDF4
from landscape.measures import tiling
from landscape.measures.plane import Plane
from landscape.store import files
from landscape.store.weights import Weights, tensors_of

_NOT_COMPUTED = -1.0
_QUANTITIES = {
    "train_loss": ("train_loss", 1.0),
    "test_loss": ("test_loss", 1.0),
    "train_accuracy": ("train_acc", 0.01),
    "test_accuracy": ("test_acc", 0.01),
}
"""Our variables: the name in their files, and the factor; their accuracies are in percent."""


def import_surface(
    path: str | Path,
    *,
    name: str | None = None,
    train_examples: int = 50_000,
    test_examples: int = 10_000,
    classes: int = 10,
) -> xr.Dataset:
    """Read a surface that the paper's own code measured.

    Their files do not say on what the losses were measured; the defaults are CIFAR-10's.

    Args:
        path: a file with `xcoordinates`, perhaps `ycoordinates`, and `train_loss`.
        name: name of the network; by default that of the file.
        train_examples: examples that the training loss is over.
        test_examples: examples that the test loss is over.
        classes: classes of the data.

    Returns:
        As `plane` with `measure="loss"`, without standard errors. A point that was not computed (-1 there) is NaN, and its
        `status` is absent.

    Raises:
        InputError: if it is no such file, or its arrays do not fit each other.

    Example:
        >>> theirs = xr.Dataset({"xcoordinates": ("x", [-1, 0, 1]), "train_loss": ("x", [2.0, 0.5, -1.0])})
        >>> _ = theirs.to_netcdf("theirs.h5")
        >>> ls.import_surface("theirs.h5").train_loss.values.ravel().tolist()
        [2.0, 0.5, nan]
    """
    found = _read(path)
    if "xcoordinates" not in found or "train_loss" not in found:
        held = ", ".join(sorted(found)) or "nothing"
        raise InputError(
            f"{path} is no surface of loss-landscape: it holds {held}; it needs xcoordinates and train_loss"
        )
    alpha, beta = found["xcoordinates"], found.get("ycoordinates")
    axes = {"alpha": _axis(path, "xcoordinates", alpha)}
    if beta is not None:
        axes["beta"] = _axis(path, "ycoordinates", beta)
    name = name or Path(path).name.partition(".h5")[0]
    with_states = "_states" in Path(str(found.get("dir_file", path))).name
    statistics = {"batchnorm": "interpolated" if with_states else "stored"}
    spec: Plane = entry_of("planes", axes, {"directions": "of", "run": "given", "plane": "given", **statistics})
    surface = spec.template(test="test_loss" in found, attrs=_attributes(path, name, spec, found))
    surface = surface.drop_vars([each for each in surface if str(each).endswith("standard_error")])
    surface = surface.assign_coords(alpha=("alpha", alpha, surface.alpha.attrs))
    if beta is not None:
        surface = surface.assign_coords(beta=("beta", beta, surface.beta.attrs))
    computed, is_finite = np.ones(spec.shape, bool), np.ones(spec.shape, bool)
    for variable, (theirs, factor) in _QUANTITIES.items():
        if theirs not in found:
            surface = surface.drop_vars(variable, errors="ignore")
            continue
        values = found[theirs].reshape(spec.shape) if found[theirs].size == computed.size else found[theirs]
        if values.shape != spec.shape:
            raise InputError(f"{path}: {theirs} has the shape {values.shape}, and the coordinates {spec.shape}")
        there = values != _NOT_COMPUTED
        surface[variable].values[:] = np.where(there, values * factor, np.nan)
        surface[variable].attrs["ancillary_variables"] = "status"
        if variable.endswith("_loss"):
            computed &= there
            is_finite &= np.isfinite(values)
    status = np.where(is_finite, Status.computed, Status.non_finite)
    surface["status"].values[:] = np.where(computed, status, Status.absent)
    split = {"train_examples": train_examples, "test_examples": test_examples if "test_loss" in surface else None}
    counts = {"points_non_finite": int((surface.status == Status.non_finite).sum()), "points_negative_variance": 0}
    return surface.assign_attrs(tiling.attributes({**split, "classes": classes, **counts}))


def import_directions(path: str | Path, network: nn.Module) -> Directions:
    """Read the directions that the paper's own code drew or laid between networks, for `along` of `plane`.

    Args:
        path: a file with the groups `xdirection` and perhaps `ydirection`, whose arrays 0, 1, ... are in the order of the
            network's parameters (`dir_type` weights) or of its state dict (states).
        network: the network that they are of.

    Returns:
        As `basis`. Running statistics of batch norm are among them only where they move.

    Raises:
        InputError: if there are no directions, or they do not fit the network.

    Example:
        >>> net = torch.nn.Linear(2, 1)
        >>> theirs = xr.Dataset({"0": (("i", "j"), [[1.0, 2.0]]), "1": ("k", [0.0])})
        >>> theirs.to_netcdf("directions.h5", group="xdirection")
        >>> ls.import_directions("directions.h5", net)["alpha"]["weight"]
        tensor([[1., 2.]])
    """
    network = plain(network)
    found = _read(path)
    axes = {"alpha": "xdirection", "beta": "ydirection"}
    if "xdirection" not in found:
        held = ", ".join(sorted(found)) or "nothing"
        raise InputError(f"{path} holds no directions of loss-landscape: it holds {held}; it needs xdirection")
    return {axis: _direction(path, group, found[group], network) for axis, group in axes.items() if group in found}


def _direction(path: str | Path, group: str, arrays: dict[str, np.ndarray], network: nn.Module) -> Weights:
    """Name the arrays of a direction, which are in the order of the parameters or of the state dict."""
    parameters: Weights = dict(network.named_parameters())
    states = tensors_of(network)
    without_counts = {
        name: tensor for name, tensor in states.items() if tensor.is_floating_point()
    }  # torch before 0.4.1
    orders = {len(named): list(named) for named in (states, without_counts, parameters)}
    if len(arrays) not in orders:
        raise InputError(
            f"{path}: {group} has {len(arrays)} arrays; the network has {len(parameters)} parameters, and {len(states)} "
            "tensors in its state dict"
        )
    direction: Weights = {}
    for k, name in enumerate(orders[len(arrays)]):
        array, own = arrays.get(str(k)), states[name]
        if array is None or array.shape != tuple(own.shape):
            has = "missing" if array is None else f"of shape {array.shape}"
            raise InputError(f"{path}: {group}/{k} is {has}, and {name} of the network is of shape {tuple(own.shape)}")
        if own.is_floating_point() and (name in parameters or array.any()):
            direction[name] = torch.from_numpy(np.array(array)).to(own.dtype)
    return direction


def _attributes(path: str | Path, name: str, spec: Plane, found: dict[str, Any]) -> dict[str, Any]:
    """Attributes of our surfaces, as far as their file tells."""
    return tiling.attributes(
        {
            "title": f"{spec.measure} of {name}, measured by loss-landscape",
            "run": name,
            "state": name,
            "plane": "given",
            "spec": spec.in_full(),
            "precision": "fp32",
            "source": "github.com/tomgoldstein/loss-landscape",
            "source_file": Path(path).name,
            "source_hash": files.checksum(path),
            "source_directions": found.get("dir_file"),
            **files.provenance("import"),
        }
    )


def _axis(path: str | Path, name: str, coordinates: np.ndarray) -> tuple[float, float, int]:
    even = np.linspace(coordinates[0], coordinates[-1], coordinates.size)
    if coordinates.ndim != 1 or not np.allclose(coordinates, even, rtol=0, atol=1e-6 * np.ptp(coordinates)):
        raise InputError(f"{path}: {name} are not evenly spaced: {coordinates.ravel()[:5].tolist()}, ...")
    return float(coordinates[0]), float(coordinates[-1]), coordinates.size


def _read(path: str | Path) -> dict[str, Any]:
    """Read every array and text of an HDF5 file, and of its groups."""
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        with netCDF4.Dataset(str(path)) as file:
            file.set_auto_mask(False)
            whole = {name: _value(variable) for name, variable in file.variables.items()}
            groups = {
                name: {key: _value(variable) for key, variable in group.variables.items()}
                for name, group in file.groups.items()
            }
            return {**whole, **groups}
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path} is no whole HDF5 file: {error}") from None


def _value(variable: Any) -> Any:
    value = variable[...]
    return (
        value if isinstance(value, str) else np.asarray(value) if np.ndim(value) or not _is_text(value) else str(value)
    )


def _is_text(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "OSU"
