"""The scale of a loss in a figure: the ends of its colours and heights, and its level lines.

Logarithms of probabilities have one scale in all figures, 0.01 to 100. The scale of any other loss follows from its values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from landscape import geometry
from landscape.figures.shared import style
from landscape.lazy import mpl, np, xr
from landscape.objective import meanings

LEVELS = {
    "log": (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
    "paper": tuple(0.1 + 0.5 * k for k in range(20)),
}
_THICK = (0.1, 1.0)
_LABELLED = (0.1, 1.0, 10.0)
_LEAST = 1e-9  # lower bound of values on a logarithmic scale
_DECADES = 4  # of a scale from values, at most
_ALMOST_A_DECADE = 8
_NUMBERS = 6  # beside a colour bar without powers of ten, at most


@dataclass(frozen=True)
class LossScale:
    """Colours from `low` to `high`, and level lines.

    Attributes:
        logarithmic: False for a loss with negative values, and for one that varies little.
        nats: whether this is the one scale of logarithms of probabilities.
    """

    low: float
    high: float
    levels: tuple[float, ...]
    logarithmic: bool = True
    nats: bool = True

    @property
    def norm(self) -> mpl.colors.Normalize:
        return (mpl.colors.LogNorm if self.logarithmic else mpl.colors.Normalize)(self.low, self.high)

    @property
    def steps(self) -> np.ndarray:
        """Boundaries of the pale fill's colours."""
        low, high = self.height(np.array([self.low, self.high]))
        return np.asarray(self.of_height(np.linspace(low, high, 41)))

    @property
    def ticks(self) -> dict[float, str]:
        """Values with numbers beside the colour bar."""
        if self.nats:
            return style.LOSS_TICKS
        powers = [level for level in self.levels if _is_power(level)]
        every = self.levels[:: -(-len(self.levels) // _NUMBERS)]
        return {at: f"{at:g}" for at in (powers if self.logarithmic and len(powers) > 1 else every)}

    def height(self, values: np.ndarray) -> np.ndarray:
        """Return log10 of a loss, or the loss itself on a linear scale."""
        return np.log10(values) if self.logarithmic else values

    def of_height(self, heights: np.ndarray) -> np.ndarray:
        return np.asarray(10.0**heights if self.logarithmic else heights)

    def drawable(self, surface: xr.Dataset, variable: str) -> tuple[np.ndarray, np.ndarray, Any]:
        """Return coordinates and loss, (beta, alpha): non-finite values masked, the rest above 0 for a logarithm."""
        z = surface[variable].transpose("beta", "alpha")
        values = np.ma.masked_invalid(z.values)
        return z.alpha.values, z.beta.values, values.clip(_LEAST * self.low / 0.01) if self.logarithmic else values

    def is_thick(self, level: float) -> bool:
        return is_in(level, _THICK) if self.nats else self.logarithmic and _is_power(level)

    @property
    def labelled(self) -> list[float]:
        """Levels with numbers: 0.1, 1 and 10, or the powers of ten; the first and last if fewer than two of these occur."""
        usual = [level for level in self.levels if (is_in(level, _LABELLED) if self.nats else self.is_thick(level))]
        return usual if len(usual) > 1 else sorted({self.levels[0], *usual, self.levels[-1]})

    @property
    def listed(self) -> str:
        return ", ".join(f"{level:g}" for level in self.levels)

    @property
    def thick_ones(self) -> str:
        """Say which levels are thick; empty if none is."""
        if self.nats:
            return "; those at 0.1 and 1 are thick"
        return "; powers of ten are thick" if any(map(self.is_thick, self.levels)) else ""

    @property
    def colour_kind(self) -> str:
        """Write `one logarithmic colour scale`."""
        return f"one {'logarithmic' if self.logarithmic else 'linear'} colour scale"


def scale_of(
    surfaces: Sequence[xr.Dataset], variables: Sequence[str], levels: str | Sequence[float] = "log"
) -> LossScale:
    """Choose the scale that all panels of a figure share.

    Args:
        levels: a name in `LEVELS`, or levels of the user's own. `log` stands for levels from the values, if the loss is
            not a logarithm of probabilities.
    """
    own = tuple(LEVELS[levels] if isinstance(levels, str) else levels)
    if all(meanings.in_nats(surface.attrs) for surface in surfaces):
        return LossScale(style.LOWEST, style.HIGHEST, own)
    values = np.concatenate([geometry.values_of(s, name).ravel() for s in surfaces for name in variables if name in s])
    found = _from_values(values[np.isfinite(values)])
    return found if levels == "log" else replace(found, levels=own)


def dashed(surfaces: Iterable[xr.Dataset], text: str) -> str:
    """Return the text on the level of guessing, `{}` for its classes; empty if no loss is the cross-entropy of classes."""
    classes = dict.fromkeys(str(meanings.classes_in(s.attrs)) for s in surfaces if not math.isnan(geometry.guessing(s)))
    return text.format(" / ".join(classes)) if classes else ""


def is_in(level: float, levels: Iterable[float]) -> bool:
    return any(math.isclose(level, other) for other in levels)


def usual_top(values: np.ndarray) -> float:
    """Return the largest value, or if it lies far above the middle one that of nine tenths."""
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return float(high if high - low <= 100 * (middle - low) else np.quantile(values, 0.9))


def _from_values(known: np.ndarray) -> LossScale:
    """Choose a scale from finite values: logarithmic from almost a decade on, with levels at 1, 2 and 5 times its powers."""
    least, most = (float(known.min()), usual_top(known)) if known.any() else (0.1, 1.0)
    if least >= 0 and most > _ALMOST_A_DECADE * least:
        wanted = max(least, most * 10**-_DECADES)
        exponents = range(math.floor(math.log10(wanted)), math.ceil(math.log10(most)) + 1)
        steps = [float(f"{step}e{exponent}") for exponent in exponents for step in (1, 2, 5)]
        low = max(step for step in steps if step <= wanted * (1 + 1e-9))
        high = min(step for step in steps if step >= most * (1 - 1e-9))
        return LossScale(low, high, tuple(step for step in steps if low <= step <= high), nats=False)
    ends = (least, most) if most > least else (least, least + (abs(least) or 1.0))
    steps = [float(at) for at in mpl.ticker.MaxNLocator(10, steps=[1, 2, 5, 10]).tick_values(*ends)]
    return LossScale(steps[0], steps[-1], tuple(steps), logarithmic=False, nats=False)


def _is_power(level: float) -> bool:
    return level > 0 and math.isclose(math.log10(level), round(math.log10(level)), abs_tol=1e-9)
