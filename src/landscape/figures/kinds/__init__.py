"""Kinds of figures, one file for each `draw:`: its keys, the results it needs, the drawing, the caption.

To add one, write a subclass of `kind.FigureKind` in a file of its own, and name it in `KINDS`; docs/extending.md walks
through one.
"""

from typing import TYPE_CHECKING

from landscape.config.section import by_name, one_of_kinds
from landscape.figures.kind import FigureKind
from landscape.figures.kinds.bundles import Bundles
from landscape.figures.kinds.contours import Contours
from landscape.figures.kinds.curvature import Curvature
from landscape.figures.kinds.gradients import Gradients
from landscape.figures.kinds.interpolation import Interpolation
from landscape.figures.kinds.layers import Layers
from landscape.figures.kinds.lines import Lines
from landscape.figures.kinds.overlay import Overlay
from landscape.figures.kinds.profiles import Profiles
from landscape.figures.kinds.rings import Rings
from landscape.figures.kinds.saddle import Saddle
from landscape.figures.kinds.sharpening import Sharpening
from landscape.figures.kinds.sharpness import Sharpness
from landscape.figures.kinds.spectra import Spectra
from landscape.figures.kinds.surfaces import Surfaces
from landscape.figures.kinds.training import Training
from landscape.figures.kinds.trajectories import Trajectories

__all__ = ["DRAWN", "KINDS", "Figure"]

KINDS: tuple[type[FigureKind], ...] = (
    Contours,
    Surfaces,
    Lines,
    Overlay,
    Training,
    Interpolation,
    Profiles,
    Trajectories,
    Bundles,
    Rings,
    Sharpness,
    Curvature,
    Gradients,
    Spectra,
    Layers,
    Sharpening,
    Saddle,
)
"""Every kind of figure; add a new one here."""

DRAWN = by_name("draw", KINDS)
"""The kinds by their value of `draw`."""

if TYPE_CHECKING:
    Figure = FigureKind
else:
    Figure = one_of_kinds("draw", KINDS)
