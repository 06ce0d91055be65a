"""The words of a figure: axis labels, the notes below a panel, the caption."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from landscape import geometry
from landscape.figures.shared import direction_words
from landscape.figures.shared.direction_words import each as each
from landscape.figures.shared.direction_words import escape as escape
from landscape.figures.shared.direction_words import over as over
from landscape.figures.shared.members import Member
from landscape.figures.shared.value_words import HOLD, loss, minus, tested
from landscape.lazy import xr
from landscape.measures import plane_of
from landscape.objective import meanings

DAGGER = "\N{DAGGER}"
NAMES = {"train_loss": "train loss", "test_loss": "test loss"}
_UNITS = {
    "to": "0 = the run, 1 = {run}",
    "of": "in the directions of {plane} around {run}",
    "through": "1 = the distance to {runs[0]}",
    "pca": "1 = the path's largest coordinate",
    "eigenvectors": "1 = a step of length 1",
    "filter": "1 = 100 % of each filter's norm",
    "layer": "1 = 100 % of each layer's norm",
    "model": "1 = 100 % of the network's norm",
    "none": "1 = a step N(0, 1) of each weight",
}
"""Length of a step of 1 along an axis, by the plane's `directions`, or its `normalize` where the direction is random."""


def axis(surface: xr.Dataset, name: str) -> str:
    """Label an axis of a plane, with its unit."""
    return f"{name} ({unit(surface, name)})"


def beta(surface: xr.Dataset) -> str:
    """Label beta beside alpha; leave out the unit if alpha's label says the same one."""
    return "beta (same unit)" if unit(surface) == unit(surface, "beta") else axis(surface, "beta")


def unit(surface: xr.Dataset, name: str = "alpha") -> str:
    """Say the length of a step of 1 along an axis."""
    spec = plane(surface)
    if spec["directions"] == "start" and name == "alpha":
        return "0 = the run, 1 = its initial weights"
    how = spec["directions"] if spec["directions"] in _UNITS else spec["normalize"]
    return _UNITS[how].format(**spec)


def units(surface: xr.Dataset) -> str:
    """Say the length of a step of 1 along both axes."""
    alpha, beta = unit(surface), unit(surface, "beta")
    return f"alpha, beta: {alpha}" if alpha == beta else f"alpha: {alpha}; beta: {beta}"


def plane(surface: xr.Dataset) -> dict[str, Any]:
    """Return the plane's specification with every key stated."""
    spec: dict[str, Any] = json.loads(surface.attrs["spec"])
    return spec


def notes(member: Member) -> list[str]:
    """Write two lines for below a member's panel: test error, or another score, and train loss."""
    return [*tested(member.history.attrs, member.row), _at_centre(member.seen)]


def title(member: Member, ring: str | None = None) -> str:
    """Label a member above its panel, with a dagger if the caption has a warning.

    Args:
        ring: the loss whose level lines are drawn, as in `member_item`.
    """
    return with_care(member.label, bool(member.findings) or bool(no_ring(member, ring)))


def with_care(label: str, care: bool) -> str:
    """Add a dagger to a label if the panel has a warning."""
    return f"{label}{HOLD}{DAGGER}" if care else label


def no_ring(member: Member, variable: str | None) -> list[str]:
    """Write a sentence if the level lines of a loss have no first ring around the centre."""
    known = variable is not None and meanings.in_nats(member.seen.attrs)
    here = geometry.centre(member.seen, str(variable)) if known else math.nan
    if not here >= geometry.FIRST_LEVEL:
        return []
    elsewhere = bool((member.seen[variable] < geometry.FIRST_LEVEL).any())
    ring = "No 0.1 ring around the centre" if elsewhere else "No 0.1 ring: centre"
    return [f"{ring} {loss(here)}."]


def sentences(*said: str | bool) -> str:
    """Join sentences; leave out those that are empty or False."""
    return " ".join(str(of) for of in said if of)


def caption(about: str | None, seen: str, made: Iterable[str], members: Iterable[str]) -> str:
    """Write a caption in reStructuredText: the content, how it was made, and an item per member."""
    members = list(members)
    if any(DAGGER in item for item in members):
        seen = f"{seen} {DAGGER} behind a title: the entry below says what to beware of."
    paragraphs = [] if about is None else [escape(about)]
    paragraphs += [seen, " ".join(made), "\n".join(f"- {item}" for item in members)]
    return "\n\n".join(paragraphs) + "\n"


def surface_made(members: Sequence[Member]) -> list[str]:
    """Explain in sentences how the surfaces of a figure were made, all on one plane."""
    first = members[0].seen
    return [directions_made(first, seeds(members)), f"Grid: {grids(members)}.", *losses_made(members)]


def seeds(members: Sequence[Member]) -> list[int]:
    """List the seeds of the members' planes, if they have some."""
    return [member.seen.attrs["seed"] for member in members if "seed" in member.seen.attrs]


def losses_made(members: Sequence[Member]) -> list[str]:
    """Explain in sentences the losses of a figure's surfaces, and its test errors."""
    surfaces = [member.seen for member in members]
    splits = [f"{each(s.attrs['train_examples'] for s in surfaces)} training"]
    if any("test_loss" in s for s in surfaces):
        splits.append(f"{each(s.attrs['test_examples'] for s in surfaces if 'test_loss' in s)} test")
    return [
        f"The loss is the {mean_loss(surfaces)} without weight decay, in eval mode, over {' and '.join(splits)} examples, not augmented; batch-norm statistics {_statistics(surfaces[0])}; "
        f"precision {each(_precision(s) for s in surfaces)}.",
        *errors_made(members),
    ]


def mean_loss(datasets: Iterable[xr.Dataset]) -> str:
    """Write `mean cross-entropy (natural logarithm)`, or what the loss of the files is."""
    return each(meanings.mean_loss(of.attrs) + meanings.batches(of.attrs) for of in datasets)


def loss_label(datasets: Iterable[xr.Dataset], label: str = "loss") -> str:
    """Label an axis: `loss`, and behind it the name of a loss other than the cross-entropy."""
    attrs = [of.attrs for of in datasets]
    if all(map(meanings.is_cross_entropy, attrs)):
        return label
    return f"{label} ({' / '.join(dict.fromkeys(map(meanings.loss_name, attrs)))})"


def _statistics(surface: xr.Dataset) -> str:
    seen = plane_of(plane(surface))
    return {
        "stored": "as stored with the weights",
        "interpolated": "interpolated with the weights",
        "recalibrated": f"recalibrated at every point on {surface.attrs.get('recalibration_examples', 0):,} training examples",
    }[seen.statistics]


def _precision(surface: xr.Dataset) -> str:
    attrs = surface.attrs
    if "precision_deviation" not in attrs:
        return str(attrs["precision"])
    return (
        f"{attrs['precision']} (at {attrs['precision_points']} points the loss deviates from fp32 by at most "
        f"{100 * attrs['precision_deviation']:.2g} %)"
    )


def errors_made(members: Iterable[Member]) -> list[str]:
    """Explain the brackets behind a test error, if there is one."""
    counted = [member for member in members if meanings.counts_examples(member.history.attrs)]
    return ["In brackets, the 95 % Wilson interval."] * any("test_accuracy" in member.row for member in counted)


def member_item(member: Member, variables: Sequence[str], ring: str | None = None, care: bool = False) -> str:
    """Write a member's numbers and warnings, in a sentence or more.

    Args:
        care: True if a further warning follows.
        ring: the loss whose level lines are drawn; a sentence says if its first ring is missing.
    """
    surface = member.seen
    parts = [*_tested(member), _at_centre(surface, " at the centre"), *cosine(surface), *_seed(member)]
    beware = [*(finding.advice for finding in member.findings), *no_ring(member, ring)]
    name = with_care(escape(member.label), care or bool(beware))
    return " ".join([f"{name}: {', '.join(parts)}; {_not_finite(surface, variables)}.", *beware])


def cosine(of: xr.Dataset) -> list[str]:
    """Write the cosine of a plane's directions; empty for a line, and for directions that are made orthogonal."""
    if "cosine" not in of.attrs or plane(of)["directions"] in ("through", "pca", "eigenvectors"):
        return []
    return [minus(f"cosine of the directions {of.attrs['cosine']:.2g}")]


def run_item(member: Member, care: bool = False) -> str:
    """Write a run's final numbers in a sentence, with a dagger if a warning follows."""
    parts = [*_tested(member), f"train loss {loss(float(member.row.train_loss))}", *_seed(member)]
    return f"{with_care(escape(member.label), care)}: {', '.join(parts)}."


def _tested(member: Member) -> list[str]:
    attrs = member.history.attrs
    said = tested(attrs, member.row)
    return [f"{said[0]} of {attrs['test_examples']:,} examples"] if said else []


def _at_centre(surface: xr.Dataset, place: str = "") -> str:
    on_grid = geometry.centre_index(surface) is not None
    return f"train loss {loss(geometry.centre(surface, 'train_loss'))}{place}" if on_grid else "centre not on the grid"


def _seed(member: Member) -> list[str]:
    """Name the origin of the weights: the seed of a training, or the run they are rescaled from."""
    attrs = member.history.attrs
    if rescaled := json.loads(attrs["spec"]).get("rescaled"):
        return [
            f"{escape(rescaled['run'])} with filters multiplied by {rescaled['by']:g}, which leaves its function as it is"
        ]
    return [f"trained with seed {attrs['seed']}"] if "seed" in attrs else []


def _not_finite(surface: xr.Dataset, variables: Sequence[str]) -> str:
    missing = max(geometry.non_finite(surface, variable) for variable in variables)
    wrong = surface.attrs.get("points_wrong_derivatives", 0)
    if not missing and not wrong:
        return "all points finite"
    if wrong:
        return f"{missing:,} of {surface[variables[0]].size:,} points not finite, the derivatives wrong at {wrong:,}"
    negative = surface.attrs.get("points_negative_variance", 0)
    why = f", at {negative:,} because an interpolated variance is negative" if negative else ""
    return f"{missing:,} of {surface[variables[0]].size:,} points not finite{why}"


def directions_made(of: xr.Dataset, seeds: Sequence[int]) -> str:
    """Explain in a sentence how the directions of a surface's or a trajectory's plane were made."""
    spec = plane(of)
    if (moved := spec.get("parameters", "all")) in ("filters", "all"):
        return direction_words.made(spec, seeds, line=of.sizes.get("beta") == 1)
    return (
        f"{direction_words.made(spec, seeds, line=of.sizes.get('beta') == 1)} They move {over(moved)}; the others stay."
    )


def grids(members: Sequence[Member]) -> str:
    """Write the grid of members; of a plane whose range was found for each, the grids by member and how they were found."""
    found: dict[str, list[str]] = {}
    for member in members:
        found.setdefault(grid(member.seen), []).append(escape(member.label))
    said = next(iter(found))
    if len(found) > 1:
        said = "; ".join(f"of {', '.join(dict.fromkeys(labels))} {which}" for which, labels in found.items())
    rises = [member.seen.attrs["rise"] for member in members if "rise" in member.seen.attrs]
    if rises:
        said += f"; the range was found, at whose ends the train loss is at least {each(map(loss, rises))} above the centre's"
    return said


def grid(surface: xr.Dataset) -> str:
    """Write `51 x 41 points, alpha in [-1, 1], beta in [-0.8, 0.8]`."""
    axes = [name for name in ("alpha", "beta") if surface.sizes[name] > 1]
    ranges = [f"{name} in [{float(surface[name][0]):g}, {float(surface[name][-1]):g}]" for name in axes]
    return f"{' x '.join(str(surface.sizes[name]) for name in axes)} points, {', '.join(ranges)}"
