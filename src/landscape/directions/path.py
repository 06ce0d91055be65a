"""Directions along a training path: the principal components of its epochs (Li et al. 2018, section 7)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from landscape.directions.gaussian import Axes, Directions, with_filters
from landscape.errors import InputError
from landscape.store.weights import Weights

_BLOCK = 2**22
"""Numbers, of all epochs together, that are converted to float64 at once."""

_FLAT = 1e-12
"""Share of the first component's variance below which the second component is rounding of float32 weights."""


def pca(
    theta: Weights, epochs: Mapping[int, Weights], axes: Axes, *, centred: bool
) -> tuple[Directions, dict[str, Any]]:
    """Compute the first two principal components of the path theta_0, ..., theta_n, as directions around `theta`.

    Rows are theta_i - theta_n over the parameters with filters, minus their mean if `centred`. The components follow from
    the rows' inner products, a matrix of epochs x epochs. One factor scales both directions: the largest absolute
    coordinate of the path seen from `theta`, so that the path lies within [-1, 1] on both axes. The signs are such that
    the path starts at positive alpha, and its largest absolute beta is positive.

    Returns:
        The directions; and `shares`, the share of every component in the path's variance (if not centred, in the sum of
        squared distances to the end), with `random_walk_shares`, the same for a random walk with the path's step lengths.

    Raises:
        InputError: if weights are not finite, or if the epochs lie on one line.
    """
    names = with_filters(axes)
    kept = sorted(epochs)
    path = [epochs[epoch] for epoch in kept]
    products = gram(path, names)
    if not np.isfinite(products).all():
        broken = [epoch for epoch in kept if not all(bool(epochs[epoch][name].isfinite().all()) for name in names)]
        raise InputError(f"the weights of the epochs {broken} are not finite, so the path has no principal components")
    if not products.any():
        has = "did not move" if names else "has no parameters with filters, whose path it is"
        raise InputError(f"the direction alpha has length zero: over the epochs {kept} the network {has}")
    values, vectors = _components(products, centred)
    if not values[1] > _FLAT * values[0]:
        raise InputError(f"the weights of the epochs {kept} lie on one line, so the path has no second component")
    combinations = _centring(len(path), centred) @ vectors[:, :2] / np.sqrt(values[:2])
    components = [_combined(path, column, names) for column in combinations.T]
    centre = [_inner(component, theta, path[-1]) for component in components]
    places = products @ combinations - centre
    farthest = np.abs(places[:, 1]).argmax()
    signs = (places[0, 0] - places[-1, 0] < 0, places[farthest, 1] < 0)
    unit = float(np.abs(places).max())
    directions = {
        axis: {
            name: (component[name] * (-unit if turned else unit)).to(theta[name])
            if name in component
            else torch.zeros_like(theta[name])
            for name in axes
        }
        for axis, component, turned in zip(("alpha", "beta"), components, signs, strict=True)
    }
    walk = walk_shares(step_norms(products), centred=centred)
    return directions, {"shares": _shares(values), "random_walk_shares": walk}


def gram(path: Sequence[Weights], names: Iterable[str]) -> np.ndarray:
    """Compute the inner products of the rows theta_i - theta_n over the tensors `names`, float64, (epochs, epochs)."""
    products = np.zeros((len(path), len(path)))
    columns = max(1, _BLOCK // len(path))
    for name in names:
        for parts in zip(*(weights[name].reshape(-1).split(columns) for weights in path), strict=True):
            rows = torch.stack(parts).double()
            rows -= rows[-1].clone()
            products += (rows @ rows.T).numpy()
    return products


def step_norms(products: np.ndarray) -> np.ndarray:
    """Compute the lengths of the steps between epochs, shape (epochs - 1,), from the rows' inner products."""
    squares = np.diagonal(products)
    return np.sqrt(np.maximum(squares[1:] + squares[:-1] - 2 * np.diagonal(products, 1), 0))


def variation(products: np.ndarray, *, centred: bool) -> float:
    """Sum the squared distances of the epochs to their mean or, if not centred, to the last epoch."""
    centring = _centring(len(products), centred)
    return float(np.trace(centring @ products @ centring))


def walk_shares(steps: np.ndarray, *, centred: bool) -> list[float]:
    """Compute the variance shares of the principal components of a random walk, the largest first.

    The walk has these step lengths, in infinitely many dimensions. Its positions have inner products min(c_i, c_j), where
    c_i is the sum of the squared steps before i; they are taken from the walk's end, and centred as those of a path.
    """
    before = np.concatenate([[0.0], np.cumsum(steps**2)])
    return _shares(_components(before[-1] - np.maximum.outer(before, before), centred)[0])


def _components(products: np.ndarray, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, the largest first, and eigenvectors (columns) of the rows' inner products."""
    centring = _centring(len(products), centred)
    values, vectors = np.linalg.eigh(centring @ products @ centring)
    return np.maximum(values[::-1], 0), vectors[:, ::-1]


def _centring(n: int, centred: bool) -> np.ndarray:
    """The matrix that subtracts the mean from n rows or, if not centred, the identity."""
    return np.eye(n) - 1 / n if centred else np.eye(n)


def _shares(values: np.ndarray) -> list[float]:
    with np.errstate(invalid="ignore"):
        shares: list[float] = (values / values.sum()).tolist()
    return shares


def _combined(path: Sequence[Weights], factors: np.ndarray, names: Iterable[str]) -> Weights:
    """Sum factor_i (theta_i - theta_n) over the epochs, float64."""
    end = path[-1]
    combined = {name: torch.zeros_like(end[name], dtype=torch.float64) for name in names}
    for weights, factor in zip(path, factors.tolist(), strict=True):
        for name, tensor in combined.items():
            tensor += factor * (weights[name].double() - end[name].double())
    return combined


def _inner(direction: Weights, there: Weights, here: Weights) -> float:
    return sum(float((step * (there[name].double() - here[name].double())).sum()) for name, step in direction.items())
