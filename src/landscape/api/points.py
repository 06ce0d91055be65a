"""Measurements at one point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr
from torch import nn

from landscape.api.inputs import (
    AnyData,
    AnyWeights,
    Minimised,
    directions_of,
    entry_of,
    facts_of,
    plain,
    ready,
    weights_of,
)
from landscape.directions import Directions
from landscape.errors import InputError
from landscape.experiment.signatures import keywords, minimised
from landscape.measures import tiling
from landscape.networks.building import filter_axes
from landscape.probes.probe import Probe
from landscape.store.weights import Weights


@minimised
@keywords("probes")
def probe(
    network: nn.Module,
    data: AnyData,
    spec: Probe | None = None,
    /,
    *,
    around: AnyWeights | None = None,
    along: Directions | None = None,
    attributes: Mapping[str, Any] | None = None,
    **keys: Any,
) -> tuple[xr.Dataset, Weights]:
    """Measure at one point: the network's weights, or (`alpha`, `beta`) of the plane `along` two directions around them.

    Args:
        network: is left as it is; it is measured in eval mode.
        data: the training split, as in `plane`.
        spec: a probe of a configuration, instead of keywords.
        minimised: as in `plane`.
        around: the weights to measure at, or around; by default those of the network.
        along: directions from `basis`, of the plane with the coordinates `alpha` and `beta`.
        attributes: further attributes of the result.
        keys: of the section `probes`.

    Returns:
        The numbers, and their vectors (`largest-1/NAME` for eigenpairs), on the CPU.

    Raises:
        InputError: if a key, the data, or other weights do not fit.
    """
    network = plain(network)
    objective, keys = Minimised.split(keys)
    theta = weights_of(around if around is not None else network, network, "around")
    pair = {} if along is None else directions_of(along, network)
    if along is None and (places := [axis for axis in ("alpha", "beta") if axis in keys]):
        raise InputError(
            f"{' and '.join(places)} without along: state the directions of the plane, landscape.basis(...)"
        )
    if spec is None:
        spec = entry_of("probes", keys, {"plane": "given"} if along is not None else {})
    with ready(network, data, None) as used:
        measured = objective.tried(network, used, theta)
        found, vectors = spec.measured(network, theta, pair, filter_axes(network), used, measured)
    known = {**facts_of(network, used, spec, measured), "probe": spec.measure, **(attributes or {})}
    return found.assign_attrs(tiling.attributes(known)), vectors


@keywords("probes", "eigenpairs", like=probe)
def eigenpairs(network: nn.Module, data: AnyData, **keys: Any) -> xr.Dataset:
    """Find the largest and the smallest eigenvalues of the Hessian of the training loss, plain and filter-scaled.

    Args:
        network: as in `probe`, and so are the other arguments.
        keys: of the section `probes`.

    Returns:
        Over `pair` the eigenvalues with residuals, and bounds beyond which none lies with a stated probability. `probe` with
        `measure="eigenpairs"` gives the vectors too.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> found = ls.eigenpairs(ls.network("resnet", digits, depth=8, width=2), digits, pairs=1, examples=20)
        >>> bool(found.eigenvalue_largest[0] > found.eigenvalue_smallest[0])
        True
    """
    return _only("eigenpairs", network, data, keys)


@keywords("probes", "spectrum", like=probe)
def spectrum(network: nn.Module, data: AnyData, **keys: Any) -> xr.Dataset:
    """Estimate the density of the Hessian's eigenvalues by stochastic Lanczos quadrature, plain and filter-scaled.

    Args:
        network: as in `probe`, and so are the other arguments.
        keys: of the section `probes`.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> found = ls.spectrum(ls.network("resnet", digits, depth=8, width=2), digits, vectors=2, steps=5, examples=20)
        >>> found.node_value.shape
        (2, 5)
    """
    return _only("spectrum", network, data, keys)


@keywords("probes", "trace", like=probe)
def trace(network: nn.Module, data: AnyData, **keys: Any) -> xr.Dataset:
    """Estimate the trace of the Hessian, and the mean curvature along random directions, with standard errors.

    Args:
        network: as in `probe`, and so are the other arguments.
        keys: of the section `probes`.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> found = ls.trace(ls.network("resnet", digits, depth=8, width=2), digits, vectors=2, draws=2, examples=20)
        >>> found.trace_sample.shape
        (2,)
    """
    return _only("trace", network, data, keys)


@keywords("probes", "activations", like=probe)
def activations(network: nn.Module, data: AnyData, **keys: Any) -> xr.Dataset:
    """Measure the scale of every layer's activations and gradients, over `layer` in the order of the forward pass.

    Args:
        network: as in `probe`, and so are the other arguments.
        keys: of the section `probes`.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> found = ls.activations(ls.network("resnet", digits, depth=8, width=2), digits, examples=20)
        >>> str(found.layer.values[0])
        'conv1'
    """
    return _only("activations", network, data, keys)


@keywords("probes", "saddle", like=probe)
def saddle(network: nn.Module, data: AnyData, **keys: Any) -> xr.Dataset:
    """Look for a saddle point near the weights of a small smooth network, in float64.

    Args:
        network: as in `probe`, and so are the other arguments.
        keys: of the section `probes`.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> net = ls.network("mlp", digits, hidden=[2], activation="tanh", linear_std=0.01)
        >>> found = ls.saddle(net, digits, examples=20, points=5)
        >>> found.eigenvalue.size == sum(p.numel() for p in net.parameters())
        True
    """
    return _only("saddle", network, data, keys)


def _only(measure: str, network: nn.Module, data: AnyData, keys: Mapping[str, Any]) -> xr.Dataset:
    """Return the numbers of a probe whose measure is named by the function."""
    if "measure" in keys:
        raise InputError(f"landscape.{measure} takes no measure; landscape.probe does")
    return probe(network, data, measure=measure, **keys)[0]
