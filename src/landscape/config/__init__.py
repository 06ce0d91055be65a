"""The experiment: what to train, what to look at, what to draw. Never imports torch."""

from landscape.config.lookup import State, impossible, plane, state
from landscape.config.read import read, resolve
from landscape.config.schema import (
    Contours,
    Data,
    Directions,
    Experiment,
    Figure,
    Lines,
    Plane,
    Run,
    Summary,
    Surfaces,
    Training,
)

__all__ = [
    "Contours",
    "Data",
    "Directions",
    "Experiment",
    "Figure",
    "Lines",
    "Plane",
    "Run",
    "State",
    "Summary",
    "Surfaces",
    "Training",
    "impossible",
    "plane",
    "read",
    "resolve",
    "state",
]
