"""What tells one training from another, whether two can be compared, and how many test images they get wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landscape import geometry
from landscape.config.fields import INCIDENTAL, INERT, with_trait
from landscape.lazy import xr
from landscape.networks import code
from landscape.training.run_section import Run

FAR = 10.0
"""Networks whose train losses differ by more than this factor are not compared."""


def factors(history: xr.Dataset) -> dict[str, Any]:
    """What a training is told apart by: keys of its specification, all arguments of its network as `args.NAME`."""
    spec: Mapping[str, Any] = json.loads(history.attrs["spec"])
    network, args = code.plain(spec["network"], spec.get("args", {}))
    aside = {"network", "args", *with_trait(Run, INERT, INCIDENTAL)}
    told = {key: value for key, value in spec.items() if key not in aside}
    return {"network": network, **{f"args.{key}": value for key, value in args.items()}, **told}


def epochs(spec: Mapping[str, Any]) -> int | str:
    """How many epochs a training has; of a run that is not trained, what it is instead."""
    return int(spec["epochs"]) if "epochs" in spec else "rescaled" if spec.get("rescaled") else "adopted"


def trained(loss: float, classes: int) -> bool:
    """Whether a train loss is that of a minimiser at all (`geometry.UNTRAINED`)."""
    return loss <= geometry.UNTRAINED * math.log(classes)


def confounded(losses: Mapping[str, float], classes: int) -> str:
    """Why networks cannot be compared, from the train loss of each: one did not train, or they are far apart.

    Empty if they can.
    """
    if untrained := [name for name, loss in losses.items() if not trained(loss, classes)]:
        return f"{', '.join(untrained)} did not train"
    low, high = min(losses.values(), default=0.0), max(losses.values(), default=0.0)
    return f"train losses from {low:.2g} to {high:.2g}" if high > FAR * max(low, 1e-12) else ""


@dataclass(frozen=True)
class Errors:
    """Test images that are not classified correctly, of how many."""

    wrong: int
    images: int

    @property
    def percent(self) -> float:
        return 100 * self.wrong / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the error in percent (Wilson)."""
        low, high = geometry.wilson(self.wrong, self.images)
        return 100 * low, 100 * high


def errors(history: xr.Dataset, row: xr.Dataset | None = None) -> Errors | None:
    """Those at a row of a history, by default its last; None without a test split."""
    if "test_accuracy" not in history:
        return None
    accuracy = float((history.isel(epoch=-1) if row is None else row).test_accuracy)
    images = int(history.attrs["test_images"])
    return Errors(round((1 - accuracy) * images), images)
