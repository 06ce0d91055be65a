"""The experiment: what to train, what to look at, what to draw. Never imports torch."""

from landscape.config.lookup import State, impossible, plane, state
from landscape.config.read import read, resolve
from landscape.config.schema import Data, Directions, Experiment, Figure, Plane, Run, Summary

__all__ = [
    "Data",
    "Directions",
    "Experiment",
    "Figure",
    "Plane",
    "Run",
    "State",
    "Summary",
    "impossible",
    "plane",
    "read",
    "resolve",
    "state",
]
