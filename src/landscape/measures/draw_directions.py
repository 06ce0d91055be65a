"""Draw the directions of a plane by its key `directions`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from landscape.config.values import PATH_EPOCHS
from landscape.data.arrays import not_finite
from landscape.directions.eigenvectors import eigenvectors
from landscape.directions.gaussian import Axes, Directions, random_axis, random_pair, restricted, with_filters
from landscape.directions.pairs import borrowed
from landscape.directions.path import pca
from landscape.directions.states import through_one, through_two, towards
from landscape.errors import InputError
from landscape.measures.plane import DirectionKeys
from landscape.store.weights import Weights, check_fit, cosine

_PARALLEL = 1e-10
"""Least difference of a cosine from 1, an angle of 1e-5, beyond the rounding of float32 weights."""


def drawn(
    spec: DirectionKeys,
    theta: Weights,
    axes: Axes,
    others: Mapping[str, Weights] | None = None,
    epochs: Mapping[int, Weights] | None = None,
    tensors: Weights | None = None,
) -> tuple[Directions, dict[str, Any]]:
    """Draw the directions of a plane around `theta`.

    With `parameters`, a regular expression, they are zero outside the tensors in whose name it is found: other states are
    taken to have the values of `theta` there.

    Args:
        axes: for each parameter the dimension that counts its filters (`networks.building.filter_axes`).
        others: the states that `to`, `through` and `start` lead to, by name.
        epochs: the weights of the path for `pca`, by epoch.
        tensors: for `eigenvectors` the eigenvectors, keys `largest-1/NAME`; for `of` the other plane's directions, keys
            `alpha/NAME`.

    Returns:
        The directions, and how they were made: the seed, the coordinates of other states, the shares of a path.

    Raises:
        InputError: if an input of the directions is missing or does not fit `theta`, a weight is not finite, a direction has
            length zero, or the two are parallel.
    """
    _check_finite({"the centre": theta, **(others or {})}, axes)
    pattern = spec.pattern
    if pattern is not None:
        axes = restricted(axes, pattern)
        others = {name: _mixed(state, theta, pattern) for name, state in (others or {}).items()}
    pair, facts = _laid(spec, theta, axes, others or {}, epochs or {}, tensors or {})
    if pattern is not None:
        pair = {axis: _still(direction, axes, pattern) for axis, direction in pair.items()}
    steps = {axis: {name: direction[name] for name in axes if name in direction} for axis, direction in pair.items()}
    for axis, step in steps.items():
        if not any(bool(tensor.any()) for tensor in step.values()):
            raise InputError(f"the direction {axis} has length zero: {_why_zero(spec, theta, axes, axis)}")
    if len(steps) == 2 and 1 - abs(cosine(steps["alpha"], steps["beta"])) < _PARALLEL:
        raise InputError(
            "the directions alpha and beta are parallel, which makes a line and no plane; leave beta out, or let more "
            "parameters move"
        )
    return pair, facts


def _check_finite(states: Mapping[str, Weights], axes: Axes) -> None:
    """Refuse parameters that are not finite; a buffer may be a mask of infinities."""
    for state, weights in states.items():
        for name in axes:
            if name in weights and (problem := not_finite(weights[name], name)):
                raise InputError(
                    f"the weights of {state} are not finite, so no direction starts or ends there: {problem}"
                )


def _laid(
    spec: DirectionKeys,
    theta: Weights,
    axes: Axes,
    others: Mapping[str, Weights],
    epochs: Mapping[int, Weights],
    tensors: Weights,
) -> tuple[Directions, dict[str, Any]]:
    states = list(others.values())
    needed = len(spec.runs or ()) if spec.directions == "through" else int(spec.directions in ("to", "start"))
    if len(states) != needed:
        raise InputError(f"directions: {spec.directions} needs {needed} other states, and there are {len(states)}")
    line, moving = spec.is_line, spec.statistics == "interpolated"
    if spec.directions == "pca":
        path = _path(epochs, theta)
        pair, facts = pca(theta, path, axes, centred=spec.centred)
        return pair, {**facts, "kept_epochs": list(path)}
    if spec.directions == "eigenvectors":
        chosen = spec.vectors[:1] if line else spec.vectors
        return eigenvectors(tensors, chosen, theta, axes), {"probe": spec.probe, "vectors": chosen}
    facts = {"others": list(others), "seed": spec.seed if spec.has_random_axis else None}
    if spec.directions == "random":
        return random_pair(theta, axes, spec.seed, spec.normalize, line=line), facts
    if spec.directions == "of":
        return borrowed(tensors, theta, axes, line=line, buffers=moving), facts
    if spec.directions == "start":
        pair = towards(theta, states[0], axes, buffers=False)
        return pair if line else {**pair, "beta": _random_beta(spec, theta, axes)}, facts
    pair, places = _through(spec, theta, axes, states, moving)
    return pair, {**facts, "places": dict(zip(others, places, strict=True))}


def _through(
    spec: DirectionKeys, theta: Weights, axes: Axes, states: Sequence[Weights], moving: bool
) -> tuple[Directions, list[tuple[float, float]]]:
    """Make the line or the plane through other states, and return their coordinates on it."""
    if len(states) == 2:
        return through_two(theta, states, axes, buffers=moving)
    if not spec.is_line:
        return through_one(theta, states[0], _random_beta(spec, theta, axes), axes, buffers=moving)
    return towards(theta, states[0], axes, buffers=moving), [(1.0, 0.0)]


def _random_beta(spec: DirectionKeys, theta: Weights, axes: Axes) -> Weights:
    return random_axis(theta, axes, spec.seed, spec.normalize, "beta")


def _mixed(state: Weights, theta: Weights, pattern: str) -> Weights:
    """Return `theta` with the tensors of another state in whose name the expression is found."""
    check_fit(state, theta)
    return {name: tensor if re.search(pattern, name) else theta[name] for name, tensor in state.items()}


def _still(direction: Weights, axes: Axes, pattern: str) -> Weights:
    """Set a direction to zero outside the chosen parameters, and leave the other buffers out."""
    found = {name: bool(re.search(pattern, name)) for name in direction}
    return {
        name: step if found[name] else torch.zeros_like(step)
        for name, step in direction.items()
        if found[name] or name in axes
    }


def no_filters(pattern: str | None) -> str:
    """Say that a network has no parameter that a random direction moves."""
    return f"there is no parameter with filters{_among(pattern)} (biases, norm layers and single numbers have none)"


def _among(pattern: str | None) -> str:
    return "" if pattern is None else f" among those that parameters: {pattern} finds"


def _why_zero(spec: DirectionKeys, theta: Weights, axes: Axes, axis: str) -> str:
    among = _among(spec.pattern)
    if spec.directions == "random" or axis == "beta":
        filters = with_filters(axes)
        if not filters:
            return no_filters(spec.pattern)
        if not any(bool(theta[name].any()) for name in filters):
            return f"all filters are zero{among}, and a random direction has their norms"
    if spec.directions in ("to", "through", "start"):
        return f"the other state has the parameters of the centre{among}"
    if spec.directions == "eigenvectors":
        return f"the eigenvector is zero{among}"
    return f"the other plane's is zero{among}"


def _path(epochs: Mapping[int, Weights], theta: Weights) -> Mapping[int, Weights]:
    if len(epochs) < PATH_EPOCHS:
        raise InputError(f"a path needs {PATH_EPOCHS} epochs, and there are {len(epochs)}: {list(epochs)}")
    for kept in epochs.values():
        check_fit(kept, theta)
    return epochs
