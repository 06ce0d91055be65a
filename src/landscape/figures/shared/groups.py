"""Members that share a panel: the lines of one run, or runs that differ in their seed; and the words about them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, TypeVar

from landscape import geometry
from landscape.config.fields import INCIDENTAL, INERT, with_trait
from landscape.figures.shared import value_words, words
from landscape.figures.shared.members import Member
from landscape.lazy import np, xr
from landscape.training.run_section import Run
from landscape.training.seed_groups import JudgedRun

Item = TypeVar("Item")


@dataclass(frozen=True)
class Group:
    """Members that share a panel, in order, and the label above it."""

    label: str
    members: tuple[Member, ...]

    @property
    def first(self) -> Member:
        return self.members[0]

    @property
    def surfaces(self) -> list[xr.Dataset]:
        return [member.seen for member in self.members]

    @property
    def states(self) -> list[tuple[Member, ...]]:
        """The members of each state."""
        return [tuple(members) for members in by(self.members, lambda member: member.state).values()]


def by(members: Sequence[Item], key: Callable[[Item], Any]) -> dict[Any, list[Item]]:
    """Group things by a key, in the order of their first."""
    found: dict[Any, list[Item]] = {}
    for member in members:
        found.setdefault(key(member), []).append(member)
    return found


def group(members: Sequence[Member], over: str | None = None) -> list[Group]:
    """Make one group per state; over `seed` one for all states whose runs differ only in their seed."""
    found = by(members, (lambda member: member.state) if over is None else _but_for_seed)
    return [Group(_label(together), tuple(together)) for together in found.values()]


def judged(members: Sequence[Member]) -> JudgedRun:
    """Return a run with its surfaces as a comparison takes it, a state `RUN@EPOCH` by that epoch."""
    first = members[0]
    row = None if first.epoch is None else first.row
    return JudgedRun(first.history, {of.plane or "": of.seen for of in members}, row=row)


def descriptions(members: Sequence[Member]) -> list[str]:
    """Describe the recipes by their differences, `decay 0, batch 128`; by labels where recipes do not differ."""
    recipes = [json.loads(member.history.attrs["spec"]) for member in members]
    differing = [key for key in _RECIPE if len({recipe.get(key) for recipe in recipes}) > 1]
    said = [
        ", ".join(_RECIPE[key].format(of[key]).replace(" ", "\N{NO-BREAK SPACE}") for key in differing if key in of)
        for of in recipes
    ]
    return said if len(set(said)) == len(said) and all(said) else [member.label for member in members]


def errors(group: Group) -> list[str]:
    """Write the test error with its Wilson interval, or another score; the extremes of several runs; empty if not measured."""
    found = [value_words.outcome(group.first.history.attrs, members[0].row) for members in group.states]
    known = [of for of in found if of is not None]
    if len(known) < len(found):
        return []
    if len(found) == 1:
        return value_words.tested(group.first.history.attrs, group.first.row)
    name, unit = known[0][0], " %" if known[0][0] == "error" else ""
    values = [value.split("\N{NO-BREAK SPACE}")[0] for _, value in known]
    numbers = [float(value.replace(",", "").replace("\N{MINUS SIGN}", "-")) for value in values]
    low, high = values[int(np.argmin(numbers))], values[int(np.argmax(numbers))]
    return [f"test {name} {low} to {high}{unit}"]


def notes(group: Group) -> list[str]:
    """Write two lines for below a panel: the test errors and the train losses of its runs."""
    if len(group.members) == 1:
        return words.notes(group.first)
    losses = [float(members[0].row.train_loss) for members in group.states]
    ends = dict.fromkeys([value_words.loss(min(losses)), value_words.loss(max(losses))])
    return [*errors(group), f"train loss {' to '.join(ends)}"]


def title(group: Group, ring: str | None = None) -> str:
    """Return the label, with a dagger if the caption has a warning."""
    return words.with_care(group.label, bool(beware(group.members, ring)))


def beware(members: Sequence[Member], ring: str | None = None) -> list[str]:
    """Write warnings in sentences; a warning that several members share stands once.

    Args:
        ring: the loss whose level lines are drawn, as in `words.member_item`.
    """
    said = []
    findings = [finding for member in members for finding in member.findings]
    for found in by(findings, lambda finding: re.sub("[0-9.]+", "", finding.advice)).values():  # but for their numbers
        same = len(found) == len(members) and len(set(found)) == 1
        said.append("" if same else f"On {len(found)} of them, for instance: ")
        said[-1] += found[0].advice
    planes = [member for member in members if member.seen.sizes["beta"] > 1]
    return said + [sentence for member in planes for sentence in words.no_ring(member, ring)]


def items(groups: Sequence[Group], ring: str | None = None) -> list[str]:
    """Write one item of the caption per state: its numbers, and the warnings on each of its lines and planes."""
    return [_item(members, ring) for of in groups for members in of.states]


def counted(groups: Sequence[Group]) -> str:
    """Say how many lines a panel shows and how; empty if one each."""
    counts = [len(of.members) for of in groups]
    if max(counts) == 1:
        return ""
    n = words.each(sorted(counts))
    own = ", each along a direction of its own," if any(len(state) > 1 for of in groups for state in of.states) else ""
    return (
        f" Each panel shows the median of {n} lines{own} and a band between their extremes; where one of them is not "
        "finite, those of the others."
    )


def loss_names(surfaces: Sequence[xr.Dataset]) -> list[str]:
    """List the losses that all surfaces have."""
    return [name for name in words.NAMES if all(name in surface for surface in surfaces)]


def not_finite(surfaces: Sequence[xr.Dataset]) -> int:
    """Count the points of the surfaces at which a loss is not finite."""
    return sum(max(geometry.non_finite(surface, name) for name in loss_names([surface])) for surface in surfaces)


_RECIPE = {"network": "{}", "optimizer": "{}", "weight_decay": "decay {:g}", "batch_size": "batch {}"}


def _but_for_seed(member: Member) -> tuple[str, int | None]:
    recipe = json.loads(member.history.attrs["spec"])
    aside = {"seed", *with_trait(Run, INERT, INCIDENTAL)}
    same = {key: value for key, value in recipe.items() if key not in aside}
    return json.dumps(same, sort_keys=True), member.epoch


def _label(members: Sequence[Member]) -> str:
    """Return the state's label; for several states the common part of their runs' names, and their number."""
    labels = dict.fromkeys(member.label for member in members)
    if len(labels) == 1:
        return members[0].label
    run = _common([member.state.partition("@")[0] for member in members])
    epoch = "" if members[0].epoch is None else f", epoch {members[0].epoch}"
    return f"{run}{epoch} ({len(labels)} seeds)"


def _common(names: Sequence[str]) -> str:
    """Find the common beginning and end of names, in whole parts between hyphens, dots and underscores."""
    parts = [re.split("([-_.])", name) for name in names]
    head = commonprefix(parts)
    tail = commonprefix([part[len(head) :][::-1] for part in parts])[::-1]
    return re.sub("[-_.]+(?=[-_.])", "", "".join([*head, *tail])).strip("-_.") or names[0]


def _item(members: Sequence[Member], ring: str | None) -> str:
    if len(members) == 1:
        return words.member_item(members[0], loss_names([members[0].seen]), ring)
    surfaces = [member.seen for member in members]
    what = "lines" if all(surface.sizes["beta"] == 1 for surface in surfaces) else "lines and planes"
    missing = not_finite(surfaces)
    points = f"{missing:,} of {sum(surface.train_loss.size for surface in surfaces):,}" if missing else "no"
    said = beware(members, ring)
    of_run = words.run_item(members[0], care=bool(said))
    return " ".join([of_run, f"{len(members)} {what}, {points} points not finite.", *said])
