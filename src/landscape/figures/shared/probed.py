"""Shared parts of figures of measurements at single points: their origin in words, and their axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from landscape.figures.shared import ticks, value_words, words
from landscape.figures.shared.members import Member
from landscape.lazy import mpl, np, xr

SCALES = {"_scaled": "filter-scaled", "": "raw"}
"""The two Hessians of a probe, D H D and H, by the suffixes of their variables."""

End = Literal["min", "max"]

ENDS: tuple[End, ...] = ("min", "max")
LAMBDA = {end: f"\N{GREEK SMALL LETTER LAMDA} {end}" for end in ENDS}


def extreme(probe: xr.Dataset, end: End, suffix: str) -> tuple[float, float]:
    """Return lambda_min or lambda_max and its residual, from a probe of eigenpairs or of the spectrum."""
    if "pair" not in probe.dims:
        return float(probe[f"eigenvalue_{end}{suffix}"]), float(probe[f"residual_{end}{suffix}"])
    name = {"min": "smallest", "max": "largest"}[end]
    first = probe.isel(pair=0)
    return float(first[f"eigenvalue_{name}{suffix}"]), float(first[f"residual_{name}{suffix}"])


def made(members: Sequence[Member]) -> list[str]:
    """Explain in sentences where and on which examples the measurements were made."""
    probes = [member.measured for member in members]
    spec = words.plane(probes[0])
    at = "the states themselves"
    if spec["plane"] is not None:
        place = value_words.minus(f"({spec['alpha']:g}, {spec['beta']:g})")
        at = f"the point {place} of the plane {words.escape(spec['plane'])} around each state"
    examples = words.each(probe.attrs["train_examples"] for probe in probes)
    said = [
        f"Measured at {at}, of the {words.mean_loss(probes)} over {examples} training examples, not augmented, in "
        "eval mode, without weight decay."
    ]
    if spec["measure"] != "activations":
        said.append(
            f"The Hessian H is over {words.over(spec['parameters'])}, in {spec['precision']}; filter-scaled is D H D, D holding for every weight of a "
            "filter the filter's norm over the square root of its size: unlike H it is the same for networks whose filters "
            "before batch normalisation differ in scale alone, so only it is compared between networks. Autograd's Hessian "
            "leaves the kinks of ReLU out."
        )
    return said


def problems(member: Member) -> str:
    """Return the problems stated in the file; empty if there are none."""
    status = str(member.measured.attrs.get("status", "computed"))
    return "" if status == "computed" else f" {words.escape(status.replace('_', ' ').capitalize())}."


def log_axis(ax: mpl.axes.Axes) -> None:
    """Set a logarithmic y axis with few and plain ticks, also within a decade."""
    ax.set_yscale("log")
    ticks.short_powers(ax.yaxis)
    low, high = ax.get_ylim()
    if high > 50 * low:
        ax.yaxis.set_major_locator(mpl.ticker.LogLocator(numticks=5))
    else:
        ticks.within_decade(ax.yaxis)


def positive(values: np.ndarray) -> np.ndarray:
    """Keep values that a logarithmic axis can show; NaN for the others."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)
