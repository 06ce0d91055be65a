"""All numbers about a surface, by name."""

from __future__ import annotations

import math

from landscape.geometry.convexity import convex_height, convex_share
from landscape.geometry.grid import (
    CELLS,
    NO_NATS,
    NO_UNIT,
    NOT_RESOLVED,
    Number,
    centre,
    coarser_step,
    guessing,
    rise_unit,
    step_of,
    undefined,
    without_component,
)
from landscape.geometry.levels import QUANTITIES, shape
from landscape.geometry.minima import minima
from landscape.geometry.slice_rises import slice_rise
from landscape.lazy import xr
from landscape.objective import meanings

RISES = (0.1, 0.5, 1.0)
"""Rises over the loss at the centre, on which claims are judged, in units of `grid.rise_unit`."""

LEVELS = (0.1, 1.0)
"""Absolute levels, beside ln(classes). They mix how well a network fits with how sharp its minimum is."""

RADII = (0.1, 0.25, 0.5)

_WORDS = {f"level_{level:g}": f"below {level:g}" for level in LEVELS}
_WORDS |= {"level_guessing": "below ln(classes)"}
_WORDS |= {f"rise_{rise:g}": f"within {rise:g} of the centre" for rise in RISES}

NAMES: dict[str, str] = {
    **{
        f"{quantity}_{at}": f"{quantity.replace('_', ' ')} {word}"
        for at, word in _WORDS.items()
        for quantity in QUANTITIES
    },
    "convex_share": "share of the points below ln(classes) with convex curvature",
    "convex_height": "level up to which the level lines are convex",
    "touches_border_convex_height": "touches border at the convex height",
    "minima": "minima inside the grid",
    **{f"slice_rise_{of}_{r:g}": f"{of} rise at distance {r:g}" for r in RADII for of in ("mean", "max")},
    "step_alpha": "grid step along alpha",
    "step_beta": "grid step along beta",
}
"""Names of the numbers that `numbers` returns, with a description for a loss in natural logarithms."""


def named(name: str, surface: xr.Dataset) -> str:
    """Describe a number of a surface, whatever its loss is: `width below 1.5 times the loss at the centre`."""
    rise = next((rise for rise in RISES if name.endswith(f"_rise_{rise:g}")), None)
    if rise is None or meanings.in_nats(surface.attrs):
        return NAMES[name]
    return NAMES[name].partition(" within ")[0] + f" below {1 + rise:g} times the loss at the centre"


def numbers(surface: xr.Dataset, variable: str = "train_loss") -> dict[str, float]:
    """Measure the numbers of a surface by the names in `NAMES`; NaN where undefined (`reasons` says why).

    Lengths are multiples of the directions, areas their products. `width_rise_0.5` is the width of the part of the
    plane that holds the centre and lies at most 0.5 above it (`levels.shape`); of a loss that is not in natural logarithms, at
    most 0.5 times the loss at the centre (`grid.rise_unit`). `level_` names an absolute level, of a loss in natural
    logarithms; `level_guessing` is ln(classes), and undefined if the loss is not the cross-entropy of classes. `touches_border_` is 1 or 0. `minima` is their number. The modules `convexity`,
    `minima` and `slice_rises` define the others. `step_alpha` and `step_beta` are the steps of the grid.
    """
    return {name: number.value for name, number in _measured(surface, variable).items()}


def reasons(surface: xr.Dataset, variable: str = "train_loss") -> dict[str, str]:
    """Say why numbers of a surface are undefined, by the names of the undefined ones."""
    return {name: number.reason for name, number in _measured(surface, variable).items() if number.reason}


def _measured(surface: xr.Dataset, variable: str) -> dict[str, Number]:
    here, step = centre(surface, variable), coarser_step(surface)
    unit, without = rise_unit(surface, here), without_component(surface, math.inf, variable)
    no_level = "" if without or meanings.in_nats(surface.attrs) else NO_NATS
    no_unit = "" if without or unit > 0 else NO_UNIT
    levels = {f"level_{level:g}": (level, no_level) for level in LEVELS} | {"level_guessing": (guessing(surface), "")}
    levels |= {f"rise_{rise:g}": (here + rise * unit, no_unit) for rise in RISES}
    found: dict[str, Number] = {}
    for at, (level, reason) in levels.items():
        missing = dict.fromkeys(QUANTITIES, undefined(step, reason))
        found |= {f"{name}_{at}": n for name, n in (missing if reason else shape(surface, level, variable)).items()}
    found["convex_share"] = convex_share(surface, variable)
    found["convex_height"], found["touches_border_convex_height"] = convex_height(surface, variable)
    found["minima"] = undefined(step, no_unit) if no_unit else _count(surface, variable, step)
    for r in RADII:
        found[f"slice_rise_mean_{r:g}"], found[f"slice_rise_max_{r:g}"] = slice_rise(surface, r, variable)
    for axis in ("alpha", "beta"):
        own = step_of(surface[axis].values)
        found[f"step_{axis}"] = Number(own, own, "" if surface.sizes[axis] > 1 else "a single point")
    return found


def _count(surface: xr.Dataset, variable: str, step: float) -> Number:
    """Count the minima; a grid with too few cells for a single feature does not resolve them."""
    if any(1 < surface.sizes[axis] <= CELLS for axis in ("alpha", "beta")) or max(surface.sizes.values()) == 1:
        return undefined(step, NOT_RESOLVED)
    return Number(float(len(minima(surface, variable))), step)
