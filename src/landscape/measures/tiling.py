"""Cut a plane into tiles and merge them again: coordinates, variables, and the status of each point.

A tile is a range of consecutive points in row-major order (alpha the slow axis).
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
    """Return `points` equally spaced coordinates from first to last.

    They are weighted means of the ends. So the zero of a range around zero is exact, and so are 0 and 1 on a grid.
    """
    first, last, points = axis
    if points == 1:
        return np.array([first])
    steps = np.arange(points)
    return np.asarray((first * (points - 1 - steps) + last * steps) / (points - 1))


def blank(plane: Plane, variables: Mapping[str, tuple[Any, str]], attrs: dict[str, Any]) -> xr.Dataset:
    """Make an empty surface: a plane's coordinates, the variables over them, and the status, all absent.

    Args:
        variables: initial value and meaning of each variable, by name.
    """
    alpha, beta = map(coordinates, plane.ranges)
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
    """Return the row-major indices of the points in tile `i` of `n` (counted from 1); sizes differ by at most one.

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
    """Refuse directions that lack an axis of the plane.

    Raises:
        InputError: if an axis is missing.
    """
    wanted = ["alpha", "beta"] if whole.sizes["beta"] > 1 or float(whole.beta[0]) else ["alpha"]
    if missing := [axis for axis in wanted if axis not in directions]:
        raise InputError(f"the directions are {', '.join(directions)}, and the plane needs {', '.join(missing)} too")


def blank_columns(whole: xr.Dataset, points: int) -> dict[str, np.ndarray]:
    """Make the initial variables of a tile, each (points,)."""
    return {str(name): np.full(points, variable.values.flat[0]) for name, variable in whole.items()}


def as_tile(whole: xr.Dataset, index: np.ndarray, columns: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Make a tile: variables of `whole` at the points with these row-major indices, over the dimension `point`."""
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
    """Merge tiles, in any order, into the surface.

    Args:
        whole: the plane's `template`, whose attributes the tiles must share.
        tiles: each with its name in error messages.

    Raises:
        InputError: if a tile does not fit the plane (its specification, coordinates or variables), or if a point occurs
            twice or is missing; the message names it.
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
    """Return the attributes of the tiles' surface: those of the first tile, without its number.

    Tiles may differ in device, versions, kernels or batch; then the attribute lists all values.
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
    """Convert a value to a NetCDF attribute: a number, ASCII text, or JSON for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text.encode("ascii", "backslashreplace").decode()


def attributes(values: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Convert values to NetCDF attributes; leave out None."""
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
