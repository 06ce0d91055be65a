"""Measurements at one point."""

from collections.abc import Mapping
from typing import Any

import xarray as xr
from torch import nn

from landscape.api.inputs import Given, Point, facts_of, ready, weights_of
from landscape.directions import Directions
from landscape.experiment.reading import entry
from landscape.measures import tiling
from landscape.networks.building import filter_axes
from landscape.probes.probe import Probe
from landscape.store.weights import Weights


def probe(
    network: nn.Module,
    data: Given,
    spec: Probe | None = None,
    /,
    *,
    test: Given = None,
    around: Point | None = None,
    along: Directions | None = None,
    attributes: Mapping[str, Any] | None = None,
    **keys: Any,
) -> tuple[xr.Dataset, Weights]:
    """Measure at one point, the network's weights or (`alpha`, `beta`) of the plane `along` two directions around them.

    Args:
        spec: a probe of a configuration, instead of `keys`.
        keys: of the section `probes`; `measure` says what.

    Returns:
        The numbers, and the vectors that belong to them (`largest-1/NAME` of eigenpairs), on the CPU.
    """
    on_plane = {"plane": "given"} if along is not None else {}
    spec = spec or entry("probes", {**on_plane, **keys})
    with ready(network, data, test) as used:
        theta = weights_of(around if around is not None else network)
        found, vectors = spec.measured(network, theta, along or {}, filter_axes(network), used)
    known = {**facts_of(network, used, spec), "probe": spec.measure, **(attributes or {})}
    return found.assign_attrs(tiling.attributes(known)), vectors


def eigenpairs(network: nn.Module, data: Given, **keys: Any) -> xr.Dataset:
    """Find the largest and the smallest eigenvalues of the Hessian of the training loss, plain and filter-scaled.

    Returns:
        Over `pair` the eigenvalues with residuals, and bounds beyond which none lies with a stated probability. `probe` with
        `measure="eigenpairs"` gives the vectors too.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> found = ls.eigenpairs(ls.network("resnet", digits, depth=8, width=2), digits, pairs=1, images=20)
        >>> bool(found.eigenvalue_largest[0] > found.eigenvalue_smallest[0])
        True
    """
    return probe(network, data, measure="eigenpairs", **keys)[0]


def spectrum(network: nn.Module, data: Given, **keys: Any) -> xr.Dataset:
    """Estimate the density of the Hessian's eigenvalues by stochastic Lanczos quadrature, plain and filter-scaled.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> found = ls.spectrum(ls.network("resnet", digits, depth=8, width=2), digits, vectors=2, steps=5, images=20)
        >>> found.node_value.shape
        (2, 5)
    """
    return probe(network, data, measure="spectrum", **keys)[0]


def trace(network: nn.Module, data: Given, **keys: Any) -> xr.Dataset:
    """Estimate the trace of the Hessian, and the mean curvature along random directions, with standard errors.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> found = ls.trace(ls.network("resnet", digits, depth=8, width=2), digits, vectors=2, draws=2, images=20)
        >>> found.trace_sample.shape
        (2,)
    """
    return probe(network, data, measure="trace", **keys)[0]


def activations(network: nn.Module, data: Given, **keys: Any) -> xr.Dataset:
    """Measure the scale of every layer's activations and gradients, over `layer` in the order of the forward pass.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> found = ls.activations(ls.network("resnet", digits, depth=8, width=2), digits, images=20)
        >>> str(found.layer.values[0])
        'conv1'
    """
    return probe(network, data, measure="activations", **keys)[0]


def saddle(network: nn.Module, data: Given, **keys: Any) -> xr.Dataset:
    """Look for a saddle point near the weights of a small smooth network, in float64.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> net = ls.network("mlp", digits, hidden=[2], activation="tanh", linear_std=0.01)
        >>> found = ls.saddle(net, digits, images=20, points=5)
        >>> found.eigenvalue.size == sum(p.numel() for p in net.parameters())
        True
    """
    return probe(network, data, measure="saddle", **keys)[0]
