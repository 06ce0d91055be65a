"""All numbers about a surface, by name."""

from __future__ import annotations

import math

from landscape.geometry.convexity import convex_height, convex_share
from landscape.geometry.descent import basin_share, descends_away
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

BELOW = (5.0, 10.0, 100.0)
"""Levels below which the descent is looked at, beside ln(classes)."""

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
    "basin_share": "share of the plane in the basin below ln(classes)",
    "minima": "minima inside the grid",
    "total_persistence": "summed persistence of the minima beside the lowest",
    **{f"descends_away_{level:g}": f"share of the points below {level:g} where descent leads away" for level in BELOW},
    "descends_away_guessing": "share of the points below ln(classes) where descent leads away",
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

    Lengths are multiples of the directions, areas their products. `width_rise_0.5` is the width of the part of the plane
    that holds the centre and lies at most 0.5 above it (`levels.shape`); of a loss that is not in natural logarithms, at
    most 0.5 times the loss at the centre (`grid.rise_unit`). `level_` names an absolute level, of a loss in natural
    logarithms; `level_guessing` is ln(classes), and undefined if the loss is not the cross-entropy of classes.
    `touches_border_` is 1 or 0. `minima` is their number. The modules `convexity`, `descent`, `minima` and `slice_rises`
    define the others. `step_alpha` and `step_beta` are the steps of the grid.
    """
    return {name: number.value for name, number in measured(surface, variable).items()}


def reasons(surface: xr.Dataset, variable: str = "train_loss") -> dict[str, str]:
    """Say why numbers of a surface are undefined, by the names of the undefined ones."""
    return {name: number.reason for name, number in measured(surface, variable).items() if number.reason}


def measured(surface: xr.Dataset, variable: str = "train_loss") -> dict[str, Number]:
    """Measure the numbers of a surface with their reasons and bounds, by the names in `NAMES`."""
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
    found["convex_height"] = height = convex_height(surface, variable)
    found["touches_border_convex_height"] = (
        undefined(step, height.reason) if height.reason else Number(float(height.bound == 1), step)
    )
    found["basin_share"] = basin_share(surface, variable)
    none = undefined(step, no_unit or without)
    found["minima"], found["total_persistence"] = _minima(surface, variable, step) if unit > 0 else (none, none)
    for level in BELOW:
        away = undefined(step, no_level) if no_level else descends_away(surface, level, variable)
        found[f"descends_away_{level:g}"] = away
    found["descends_away_guessing"] = descends_away(surface, guessing(surface), variable)
    for r in RADII:
        found[f"slice_rise_mean_{r:g}"], found[f"slice_rise_max_{r:g}"] = slice_rise(surface, r, variable)
    for axis in ("alpha", "beta"):
        own = step_of(surface[axis].values)
        found[f"step_{axis}"] = Number(own, own, "" if surface.sizes[axis] > 1 else "a single point")
    return found


def _minima(surface: xr.Dataset, variable: str, step: float) -> tuple[Number, Number]:
    """Count the minima and add up their persistence; a grid with too few cells for a single feature resolves neither."""
    if any(1 < surface.sizes[axis] <= CELLS for axis in ("alpha", "beta")) or max(surface.sizes.values()) == 1:
        return undefined(step, NOT_RESOLVED), undefined(step, NOT_RESOLVED)
    found = minima(surface, variable)
    return Number(float(len(found)), step), Number(float(sum(each.persistence for each in found[1:])), step)
