"""Measurements at one point, by the name of what is measured."""

from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr
from torch import nn

from landscape.data.datasets import DataSet
from landscape.directions import Axes, Directions
from landscape.probes import activations, eigenpairs, saddle, spectrum, trace
from landscape.probes.probe_section import Probe
from landscape.store.weights import Weights

Measure = Callable[[Any, nn.Module, Weights, Directions, Axes, DataSet], tuple[xr.Dataset, Weights]]

MEASURES: Mapping[str, Measure] = {
    "eigenpairs": eigenpairs.measure,
    "spectrum": spectrum.measure,
    "trace": trace.measure,
    "activations": activations.measure,
    "saddle": saddle.measure,
}


def measure(
    probe: Probe, network: nn.Module, theta: Weights, directions: Directions, axes: Axes, dataset: DataSet
) -> tuple[xr.Dataset, Weights]:
    """What the probe measures, at the centre `theta` or on the plane of `directions` around it.

    Args:
        directions: of the plane that the probe names; empty for the centre.
        axes: `networks.filter_axes` of the network.

    Returns:
        The numbers, and the vectors that belong to them; a kind of measurement may have none.
    """
    return MEASURES[probe.measure](probe, network, theta, directions, axes, dataset)
