"""The loss over a plane: f(alpha, beta) = L(theta + alpha d1 + beta d2) (Li et al. 2018, section 2).

A plane is cut into tiles, each a run of its points in row-major order (alpha the slow axis). A tile is evaluated by
`evaluate`, and `merge` puts tiles back together.
"""

import copy
import json
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from landscape.config import Plane
from landscape.data import DataSet, Split, memory_format, subset
from landscape.directions import Directions
from landscape.errors import InputError
from landscape.folding import fold
from landscape.progress import progress
from landscape.weights import Weights

BATCH = 256
"""Images in one forward pass. Part of the code, not of the configuration, because it alters bits."""


_EXAMPLES = 4  # images on which a folded network is compared with the whole one before it is used


class Status(IntEnum):
    """What became of a grid point: the values of the variable `status`."""

    absent = 0
    computed = 1
    non_finite = 2
    not_converged = 3
    negative_variance = 4


_MEASURED = {
    "train_loss": "mean cross-entropy over the training images (natural logarithm)",
    "train_accuracy": "share of the training images classified correctly",
    "test_loss": "mean cross-entropy over the test images (natural logarithm)",
    "test_accuracy": "share of the test images classified correctly",
}


def coordinates(axis: tuple[float, float, int]) -> np.ndarray:
    """The `points` equally spaced coordinates from first to last.

    Weighted means of the ends, so that a range around zero has an exact zero and 0 and 1 on a grid are exact.
    """
    first, last, points = axis
    if points == 1:
        return np.array([first])
    steps = np.arange(points)
    return np.asarray((first * (points - 1 - steps) + last * steps) / (points - 1))


def template(plane: Plane, *, test: bool, attrs: dict[str, Any]) -> xr.Dataset:
    """The surface of a plane before anything is computed: coordinates, variables, units, every status absent.

    Dimensions (alpha, beta); float64 coordinates in multiples of the directions.
    """
    alpha = coordinates(plane.alpha)
    beta = coordinates(plane.beta) if plane.beta else np.array([0.0])
    shape = (alpha.size, beta.size)
    dims = ("alpha", "beta")
    unit = (
        "100 % of each filter's norm"
        if plane.directions == "random" and plane.normalize == "filter"
        else "multiple of the direction"
    )
    variables: dict[str, Any] = {
        name: (dims, np.full(shape, np.nan), {"long_name": text, "units": "1"})
        for name, text in _MEASURED.items()
        if test or not name.startswith("test")
    }
    if plane.statistics == "interpolated":
        text = "batch-norm channels whose interpolated variance is negative"
        variables["negative_variances"] = (dims, np.zeros(shape, np.int32), {"long_name": text, "units": "1"})
    variables["status"] = (dims, np.full(shape, Status.absent, np.int8), _status_attrs())
    coords = {
        "alpha": ("alpha", alpha, {"long_name": f"step along the first direction (1 = {unit})", "units": "1"}),
        "beta": ("beta", beta, {"long_name": f"step along the second direction (1 = {unit})", "units": "1"}),
    }
    return xr.Dataset(variables, coords, attrs)


def tile_of(shape: tuple[int, int], i: int, n: int) -> range:
    """Row-major indices of the points in tile `i` of `n` (counted from 1), sizes differing by at most one.

    Raises:
        InputError: if there is no such tile.
    """
    points = shape[0] * shape[1]
    if not 1 <= i <= n:
        raise InputError(f"tile {i} of {n}: tiles are counted from 1 to {n}")
    if n > points:
        raise InputError(f"tile {i} of {n}: a grid of {shape[0]} x {shape[1]} has only {points} points")
    return range(points * (i - 1) // n, points * i // n)


def evaluate(
    whole: xr.Dataset,
    indices: Sequence[int],
    network: nn.Module,
    theta: Weights,
    directions: Directions,
    data: DataSet,
    images: int | None = None,
) -> xr.Dataset:
    """Measure the points `indices` of a plane.

    Every point is set by two additions from the centre, with coordinates taken from the whole plane, so a point has the
    same bits in whatever tile it is computed.

    Args:
        whole: the plane's `template`.
        images: size of the stratified subset of each split; None for all.

    Returns:
        A tile: the variables of `whole` over the dimension `point`, with the point's row-major `index`.
    """
    wanted = ["alpha", "beta"] if whole.sizes["beta"] > 1 or float(whole.beta[0]) else ["alpha"]
    if missing := [axis for axis in wanted if axis not in directions]:
        raise InputError(f"the directions are {', '.join(directions)}, and the plane needs {', '.join(missing)} too")
    alpha, beta = np.meshgrid(whole.alpha.values, whole.beta.values, indexing="ij")
    index = np.asarray(indices, np.int64)
    alpha, beta = alpha.ravel()[index], beta.ravel()[index]
    splits = {"train": subset(data.train, images)}
    if data.test is not None and "test_loss" in whole:
        splits["test"] = subset(data.test, images)
    here = _movable(network, theta, directions, data.train.images)
    columns: dict[str, np.ndarray] = {name: np.full(index.size, np.nan) for name in whole if name in _MEASURED}
    status = np.full(index.size, Status.computed, np.int8)
    negative = np.zeros(index.size, np.int32)
    for k in progress(range(index.size), index.size, "points"):
        here.move(float(alpha[k]), float(beta[k]))
        negative[k] = here.negative_variances()
        if negative[k]:
            status[k] = Status.negative_variance
            continue
        for name, split in splits.items():
            columns[f"{name}_loss"][k], columns[f"{name}_accuracy"][k] = here.measure(split)
        if not all(np.isfinite(columns[f"{name}_loss"][k]) for name in splits):
            status[k] = Status.non_finite
    columns["status"] = status
    if "negative_variances" in whole:
        columns["negative_variances"] = negative
    return xr.Dataset(
        {name: ("point", values, whole[name].attrs) for name, values in columns.items()},
        {
            "index": ("point", index, {"long_name": "row-major index of the point in its plane", "units": "1"}),
            "alpha": ("point", alpha, whole.alpha.attrs),
            "beta": ("point", beta, whole.beta.attrs),
        },
        whole.attrs,
    )


def merge(whole: xr.Dataset, tiles: Iterable[tuple[str, xr.Dataset]]) -> xr.Dataset:
    """The surface made of tiles, in any order.

    Args:
        whole: the plane's `template`, whose attributes the tiles must share.
        tiles: each with the name an error calls it by.

    Raises:
        InputError: if a tile does not fit the plane (its specification, coordinates or variables), if a point is
            there twice, or if one is missing; it says which.
    """
    merged = whole.copy(deep=True)
    shape = (whole.sizes["alpha"], whole.sizes["beta"])
    source = np.full(shape[0] * shape[1], -1)
    names: list[str] = []
    for name, tile in tiles:
        _check_fit(name, tile, whole)
        index = tile["index"].values
        for other in {names[k] for k in source[index] if k >= 0}:
            raise InputError(f"{name} and {other} both hold points of the plane; only one tile may")
        source[index] = len(names)
        names.append(name)
        for variable in whole:
            merged[variable].values.reshape(-1)[index] = tile[variable].values
    missing = np.flatnonzero(source < 0)
    if missing.size:
        raise InputError(
            f"{missing.size} of {source.size} points are in no tile, the first (alpha, beta) = "
            f"({whole.alpha.values[missing[0] // shape[1]]:g}, {whole.beta.values[missing[0] % shape[1]]:g}); "
            f"the tiles are {', '.join(names) or 'none'}"
        )
    status = merged["status"].values
    merged.attrs["points_non_finite"] = int((status == Status.non_finite).sum())
    merged.attrs["points_negative_variance"] = int((status == Status.negative_variance).sum())
    return merged


def loss_and_accuracy(network: nn.Module, split: Split) -> tuple[float, float]:
    """Mean loss and accuracy of a network as it is, in eval mode: exactly what a plane holds at (0, 0)."""
    theta = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as for a tile: a training may use more, and that alters bits
    try:
        return _movable(network, theta, {}, split.images).measure(split)
    finally:
        torch.set_num_threads(threads)


def _movable(network: nn.Module, theta: Weights, directions: Directions, images: Tensor) -> "_Movable":
    """The network, its batch norms folded where the directions leave them alone; the answer is the same to rounding."""
    whole = copy.deepcopy(network)
    whole.load_state_dict(theta, strict=True)
    folded = fold(whole, images[:_EXAMPLES])
    if folded is not None and all(folded.leaves_norms_alone(direction) for direction in directions.values()):
        directions = {axis: folded.direction(direction, theta) for axis, direction in directions.items()}
        return _Movable(folded.network, folded.centre(theta), directions, images.shape)
    return _Movable(whole, theta, directions, images.shape)


class _Movable:
    """A copy of a network whose moving tensors are views of one flat buffer, set to theta + alpha d1 + beta d2."""

    def __init__(self, network: nn.Module, theta: Weights, directions: Directions, shape: torch.Size):
        self.device = next((p.device for p in network.parameters()), torch.device("cpu"))
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.network.load_state_dict(theta, strict=True)
        self.channels_last = memory_format((shape[1], shape[2], shape[3])) is torch.channels_last
        tensors = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        parameters = [name for name, _ in self.network.named_parameters()]
        moving = parameters + [
            name for name in tensors if name not in parameters and any(name in d for d in directions.values())
        ]
        self.centre = self._flat(tensors[name] for name in moving)
        self.steps = [self._flat(d[name].to(self.device) for name in moving) for d in directions.values()]
        self.point = self.centre.clone()
        self.variances: list[Tensor] = []
        start = 0
        for name in moving:
            tensor = tensors[name]
            view = self._view(self.point[start : start + tensor.numel()], tensor.shape)
            start += tensor.numel()
            tensor.data = view
            if name.endswith("running_var"):
                self.variances.append(view)

    def move(self, alpha: float, beta: float) -> None:
        for k, (step, a) in enumerate(zip(self.steps, (alpha, beta), strict=False)):
            if k == 0:
                torch.add(self.centre, step, alpha=a, out=self.point)
            else:
                self.point.add_(step, alpha=a)

    def negative_variances(self) -> int:
        return sum(int((variance < 0).sum()) for variance in self.variances)

    def measure(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy: logits in float64 before the log-softmax, sums in float64.

        An image with a NaN among its logits counts as wrong.
        """
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        with torch.inference_mode():
            for images, labels in zip(split.images.split(BATCH), split.labels.split(BATCH), strict=True):
                if self.channels_last:
                    images = images.contiguous(memory_format=torch.channels_last)
                logits = self._logits(images).double()
                total += nn.functional.cross_entropy(logits, labels, reduction="sum")
                correct += ((logits.argmax(1) == labels) & ~logits.isnan().any(1)).sum()
        return float(total) / len(split.labels), float(correct) / len(split.labels)

    def _logits(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(
                f"the network returned {found} for {len(images)} images; it must return one row of logits for each"
            )
        return logits

    def _flat(self, tensors: Iterable[Tensor]) -> Tensor:
        return torch.cat(
            [self._layout(tensor).reshape(-1) for tensor in tensors] or [torch.empty(0, device=self.device)]
        )

    def _layout(self, tensor: Tensor) -> Tensor:
        return tensor.permute(0, 2, 3, 1) if self.channels_last and tensor.ndim == 4 else tensor

    def _view(self, flat: Tensor, shape: torch.Size) -> Tensor:
        if self.channels_last and len(shape) == 4:
            return flat.view(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)
        return flat.view(shape)


def shared_attributes(tiles: Sequence[xr.Dataset]) -> dict[str, Any]:
    """The attributes of the surface that tiles belong to: those of the first, less what numbers a tile.

    Tiles may come from several devices or versions; then all of them are named.
    """
    attrs = {key: value for key, value in tiles[0].attrs.items() if key != "tile"}
    for key in ("device", "versions"):
        attrs[key] = "; ".join(dict.fromkeys(str(tile.attrs.get(key)) for tile in tiles))
    return attrs


def attribute(value: Any) -> str | int | float:
    """A value as a NetCDF attribute: a number, or ASCII text, of anything else JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.encode("ascii", "backslashreplace").decode()


def _status_attrs() -> dict[str, Any]:
    return {
        "long_name": "what became of the point",
        "flag_values": np.array([s.value for s in Status], np.int8),
        "flag_meanings": " ".join(s.name for s in Status),
    }


_SHARED = ("spec_hash", "stage", "weights_hash", "directions_hash", "data_hash", "precision", "batch")


def _check_fit(name: str, tile: xr.Dataset, whole: xr.Dataset) -> None:
    for key in _SHARED:
        if tile.attrs.get(key) != whole.attrs.get(key):
            raise InputError(
                f"{name} has {key} {tile.attrs.get(key)!r}, and the plane has {whole.attrs.get(key)!r}; make it anew"
            )
    missing = [variable for variable in whole if variable not in tile]
    extra = [variable for variable in tile if variable not in whole]
    if missing or extra:
        raise InputError(f"{name} lacks the variables {missing} and has {extra} that the plane has not")
    shape = (whole.sizes["alpha"], whole.sizes["beta"])
    index = tile["index"].values
    if index.size and not (index.min() >= 0 and index.max() < shape[0] * shape[1]):
        raise InputError(
            f"{name} has points up to index {index.max()}, and the plane has {shape[0]} x {shape[1]} points"
        )
    if len(set(index.tolist())) != index.size:
        raise InputError(f"{name} holds a point twice")
    same = np.array_equal(tile.alpha.values, whole.alpha.values[index // shape[1]]) and np.array_equal(
        tile.beta.values, whole.beta.values[index % shape[1]]
    )
    if not same:
        raise InputError(f"{name} has other coordinates than the plane at its indices")
    if bool((tile["status"].values == Status.absent).any()):
        raise InputError(f"{name} has points that were not computed")
