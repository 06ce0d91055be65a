"""Measurements at one point: a file for each `measure:` of a probe, with its keys, variables, computation and cost.

To add one, write a subclass of `probe.Probe`, or of `probe.HessianProbe` if it takes products with the Hessian, in a file
of its own, and name it in `PROBES`; docs/extending.md walks through one. Reading a configuration imports these files, so
they import torch, and our modules that need it, only inside the functions that compute.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from landscape.config.section import one_of_kinds
from landscape.probes.activations import ActivationsProbe
from landscape.probes.eigenpairs import EigenpairsProbe
from landscape.probes.probe import Probe
from landscape.probes.saddle import SaddleProbe
from landscape.probes.spectrum import SpectrumProbe
from landscape.probes.trace import TraceProbe

__all__ = ["PROBES", "AnyProbe", "probe_of"]

PROBES: tuple[type[Probe], ...] = (EigenpairsProbe, SpectrumProbe, TraceProbe, ActivationsProbe, SaddleProbe)
"""Every kind of probe; add a new one here."""

if TYPE_CHECKING:
    AnyProbe = Probe
else:
    AnyProbe = one_of_kinds("measure", PROBES)


def probe_of(keys: Mapping[str, Any]) -> Any:
    """Make the probe that the keys of a configuration describe.

    Raises:
        pydantic.ValidationError: if they do not describe one.
    """
    return TypeAdapter(AnyProbe).validate_python(keys)
