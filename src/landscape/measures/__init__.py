"""The measures of a plane: a file for each `measure:`, with its keys, variables, computation and cost.

To add one, write a subclass of `plane.Plane` in a file of its own, and name it in `MEASURES`; docs/extending.md walks
through one. Reading a configuration imports these files, so they import torch, and our modules that need it, only inside the
functions that compute.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from landscape.config.section import one_of_kinds
from landscape.measures.curvature import CurvaturePlane
from landscape.measures.gradients import GradientsPlane
from landscape.measures.loss import LossPlane
from landscape.measures.plane import Plane

__all__ = ["MEASURES", "AnyPlane", "plane_of"]

MEASURES: tuple[type[Plane], ...] = (LossPlane, GradientsPlane, CurvaturePlane)
"""Every measure of a plane; add a new one here."""

if TYPE_CHECKING:
    AnyPlane = Plane
else:
    AnyPlane = one_of_kinds("measure", MEASURES, default="loss")


def plane_of(keys: Mapping[str, Any]) -> Plane:
    """Make the plane that the keys of a configuration describe.

    Raises:
        pydantic.ValidationError: if they do not describe one.
    """
    found: Plane = TypeAdapter(AnyPlane).validate_python(keys)
    return found
