"""A plane cut into tiles and put together again: coordinates, variables, and what became of each point.

A tile is a run of a plane's points in row-major order (alpha the slow axis).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape.errors import InputError
from landscape.geometry.grid import Status, points_of
from landscape.lazy import np, xr

if TYPE_CHECKING:
    from landscape.directions import Directions
    from landscape.measures.plane import Plane


def coordinates(axis: tuple[float, float, int]) -> np.ndarray:
    """The `points` equally spaced coordinates from first to last.

    Weighted means of the ends, so that a range around zero has an exact zero and 0 and 1 on a grid are exact.
    """
    first, last, points = axis
    if points == 1:
        return np.array([first])
    steps = np.arange(points)
    return np.asarray((first * (points - 1 - steps) + last * steps) / (points - 1))


def blank(plane: Plane, variables: Mapping[str, tuple[Any, str]], attrs: dict[str, Any]) -> xr.Dataset:
    """A plane's coordinates, variables over them, and their status, all absent.

    Args:
        variables: by name what stands there before anything is computed, and what it means.
    """
    alpha = coordinates(plane.alpha)
    beta = coordinates(plane.beta) if plane.beta else np.array([0.0])
    dims, shape = ("alpha", "beta"), (alpha.size, beta.size)
    unit = (
        "100 % of each filter's norm"
        if plane.directions == "random" and plane.normalize == "filter"
        else "multiple of the direction"
    )
    made: dict[str, Any] = {
        name: (dims, np.full(shape, value), {"long_name": text, "units": "1"})
        for name, (value, text) in variables.items()
    }
    made["status"] = (dims, np.full(shape, Status.absent, np.int8), _status_attrs())
    coords = {
        "alpha": ("alpha", alpha, {"long_name": f"step along the first direction (1 = {unit})", "units": "1"}),
        "beta": ("beta", beta, {"long_name": f"step along the second direction (1 = {unit})", "units": "1"}),
    }
    return xr.Dataset(made, coords, attrs)


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


def check_axes(whole: xr.Dataset, directions: Directions) -> None:
    """Refuse directions that lack an axis along which the plane goes.

    Raises:
        InputError: if one is missing.
    """
    wanted = ["alpha", "beta"] if whole.sizes["beta"] > 1 or float(whole.beta[0]) else ["alpha"]
    if missing := [axis for axis in wanted if axis not in directions]:
        raise InputError(f"the directions are {', '.join(directions)}, and the plane needs {', '.join(missing)} too")


def blank_columns(whole: xr.Dataset, points: int) -> dict[str, np.ndarray]:
    """The variables of a tile of so many points before anything is computed, each (points,)."""
    return {str(name): np.full(points, variable.values.flat[0]) for name, variable in whole.items()}


def as_tile(whole: xr.Dataset, index: np.ndarray, columns: Mapping[str, np.ndarray]) -> xr.Dataset:
    """A tile: variables of `whole` at the points with these row-major indices, over the dimension `point`."""
    alpha, beta = points_of(whole, index)
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


def shared_attributes(tiles: Sequence[xr.Dataset]) -> dict[str, Any]:
    """The attributes of the surface that tiles belong to: those of the first, less what numbers a tile.

    Tiles may come from several devices or versions, with other kernels or batches; then all of them are named.
    """
    attrs = {key: value for key, value in tiles[0].attrs.items() if key != "tile"}
    for key in ("device", "versions", "kernels", "batch", "batch_norms_folded"):
        found = list(dict.fromkeys(tile.attrs.get(key) for tile in tiles))
        if found != [None]:
            attrs[key] = found[0] if len(found) == 1 else "; ".join(map(str, found))
    if "precision_points" in attrs:
        attrs["precision_points"] = sum(tile.attrs.get("precision_points", 0) for tile in tiles)
        attrs["precision_deviation"] = max(tile.attrs.get("precision_deviation", 0.0) for tile in tiles)
    return attrs


def attribute(value: Any) -> str | int | float:
    """A value as a NetCDF attribute: a number, or ASCII text, of anything else JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.encode("ascii", "backslashreplace").decode()


def attributes(values: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Values as NetCDF attributes; one that is None is left out."""
    return {key: attribute(value) for key, value in values.items() if value is not None}


def _status_attrs() -> dict[str, Any]:
    return {
        "long_name": "what became of the point",
        "flag_values": np.array([s.value for s in Status], np.int8),
        "flag_meanings": " ".join(s.name for s in Status),
    }


_SHARED = ("spec_hash", "stage", "weights_hash", "directions_hash", "data_hash", "precision")


def _check_fit(name: str, tile: xr.Dataset, whole: xr.Dataset) -> None:
    for key in _SHARED:
        if tile.attrs.get(key) != whole.attrs.get(key):
            raise InputError(
                f"{name} has {key} {tile.attrs.get(key)!r}, and the plane has {whole.attrs.get(key)!r}; make it anew"
            )
    missing = [variable for variable in (*whole, "index", *whole.dims) if variable not in tile]
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
