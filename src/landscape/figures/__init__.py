"""Figures: labelled data in; a vector figure, a preview, the numbers drawn and a caption out. Never imports torch."""

from collections.abc import Callable, Sequence
from typing import Any

from landscape.figures.kinds import (
    bundles,
    contours,
    curvature,
    gradients,
    interpolation,
    layers,
    lines,
    overlay,
    profiles,
    rings,
    saddle,
    sharpening,
    sharpness,
    spectra,
    surfaces,
    training,
    trajectories,
)
from landscape.figures.kinds.curvature_sections import Curvature, Gradients, Layers, Saddle, Sharpening, Spectra
from landscape.figures.kinds.sections import (
    Bundles,
    Contours,
    Interpolation,
    Lines,
    Overlay,
    Profiles,
    Rings,
    Sharpness,
    Surfaces,
    Training,
    Trajectories,
)
from landscape.figures.shared import style
from landscape.figures.shared.figure_section import Drawn
from landscape.figures.shared.members import Drawing, Member, members, save

__all__ = ["Drawing", "Member", "draw", "members", "save"]

_KINDS: dict[type, Callable[[Any, Sequence[Member]], Drawing]] = {
    Contours: contours.draw,
    Surfaces: surfaces.draw,
    Lines: lines.draw,
    Overlay: overlay.draw,
    Training: training.draw,
    Interpolation: interpolation.draw,
    Profiles: profiles.draw,
    Bundles: bundles.draw,
    Trajectories: trajectories.draw,
    Rings: rings.draw,
    Sharpness: sharpness.draw,
    Curvature: curvature.draw,
    Gradients: gradients.draw,
    Spectra: spectra.draw,
    Sharpening: sharpening.draw,
    Layers: layers.draw,
    Saddle: saddle.draw,
}


def draw(spec: Drawn, members: Sequence[Member]) -> Drawing:
    """Draw a figure of the configuration.

    Raises:
        InputError: if the plane does not fit the kind of figure (a line for contours, a plane for lines).
    """
    with style.context():
        return _KINDS[type(spec)](spec, members)
