"""Surfaces made of a formula."""

import json
from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import ndimage

from landscape.measures import plane_of

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def surface(
    loss: Loss,
    alpha: tuple[float, float, int] = (-1, 1, 21),
    beta: tuple[float, float, int] | None = (-1, 1, 31),
    state: str = "net",
    classes: int = 10,
) -> xr.Dataset:
    plane = plane_of({"alpha": alpha, "beta": beta})
    a, b = np.linspace(*alpha), np.linspace(*beta) if beta else np.zeros(1)
    return xr.Dataset(
        {"train_loss": (("alpha", "beta"), loss(*np.meshgrid(a, b, indexing="ij")))},
        {"alpha": a, "beta": b},
        {"state": state, "classes": classes, "spec": json.dumps(plane.model_dump(mode="json"))},
    )


def line(loss: Callable[[np.ndarray], np.ndarray], alpha: tuple[float, float, int], **plane: object) -> xr.Dataset:
    """A line between two runs, `other` at 1."""
    seen = surface(lambda a, b: loss(a), alpha, None)
    spec = plane_of({"directions": "to", "run": "other", "alpha": alpha} | plane)
    return seen.assign_attrs(spec=json.dumps(spec.model_dump(mode="json")), plane="towards")


def bowl(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 3 * a**2 + 4 * b**2


def hills(seed: int, smooth: float = 6.0) -> Loss:
    """A smooth random landscape of mean 0 and deviation 1, on whatever grid it is asked for."""

    def loss(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(size=a.shape)
        smoothed = ndimage.gaussian_filter(noise, smooth)
        return np.asarray((smoothed - smoothed.mean()) / smoothed.std())

    return loss
