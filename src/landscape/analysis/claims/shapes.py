"""Claims about the shapes of surfaces. Sharpness is measured at rises over the centre, never at absolute levels."""

import json
import math
from collections.abc import Iterator

import xarray as xr

from landscape.analysis.claims.evidence import (
    Case,
    Evidence,
    Judgement,
    Verdict,
    alike,
    at_least,
    ordered,
    together,
    verdict,
    without_confounded,
)
from landscape.geometry import comparisons
from landscape.geometry.error_rates import SURE
from landscape.training.seed_groups import SeedGroup, compare, pairs, valued

SHARPNESS = "width_rise_0.5"

CHAOS = ("minima", "total_persistence", "descends_away_10")
"""Numbers that grow with chaos; `convex_height` falls with it."""

RATE = ("learning_rate",)
"""What a pair may differ in beside its factor: the paper's deep networks without shortcuts have a rate of their own."""


def sharpness_and_error(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 1: sharper minima have higher test errors."""
    claim = "1. the sharper a minimum (filter-normalised), the higher the test error"
    yield _correlation(claim, compare(evidence.networks, SHARPNESS, evidence.planes, evidence.spec.margin))


def depth(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 3: depth makes networks without shortcuts chaotic (3a), and hardly changes others (3b)."""
    planes, margin, similar = evidence.planes, evidence.spec.margin, evidence.spec.similar

    def chaos(named: str, shallow: SeedGroup, deep: SeedGroup) -> Case:
        found = {name: (shallow.estimate(name, planes), deep.estimate(name, planes)) for name in CHAOS}
        height = (shallow.estimate("convex_height", planes), deep.estimate("convex_height", planes))
        told = [f"{name} {one}, {other}" for name, (one, other) in {**found, "convex_height": height}.items()]
        signs = [ordered("", *both, margin) for both in found.values()] + [ordered("", *height[::-1], margin)]
        return together(f"{named}: {', '.join(told)}", signs)

    def widths(named: str, shallow: SeedGroup, deep: SeedGroup) -> Case:
        both = shallow.estimate("width_rise_0.1", planes), deep.estimate("width_rise_0.1", planes)
        return alike(f"{named}: {both[0]}, {both[1]}", *both, similar)

    deeper = list(pairs(evidence.networks, "args.depth", RATE))
    by_shortcut = {
        shortcut: [pair for pair in deeper if pair[0].factors.get("args.shortcut") is shortcut]
        for shortcut in (False, True)
    }
    yield verdict(
        "3a. without shortcuts, deeper networks are more chaotic (minima, total_persistence, descends_away and "
        "convex_height together)",
        without_confounded(by_shortcut[False], chaos),
    )
    yield verdict(
        f"3b. with shortcuts, the width at a rise of 0.1 hardly changes with depth (within {100 * similar:.0f} %)",
        without_confounded(by_shortcut[True], widths),
    )


def width(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 4: wider networks are flatter."""

    def flatter(named: str, narrow: SeedGroup, wide: SeedGroup) -> Case:
        both = narrow.estimate(SHARPNESS, evidence.planes), wide.estimate(SHARPNESS, evidence.planes)
        return ordered(f"{named}: {both[0]}, {both[1]}", *both, evidence.spec.margin)

    yield verdict(
        "4. wider networks are flatter (width at a rise of 0.5)",
        without_confounded(list(pairs(evidence.networks, "args.width")), flatter),
    )


def shortcuts_at_20(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 9: at depth 20 shortcuts hardly matter."""
    similar = evidence.spec.similar

    def close(named: str, without: SeedGroup, shortcut: SeedGroup) -> Case:
        both = without.estimate(SHARPNESS, evidence.planes), shortcut.estimate(SHARPNESS, evidence.planes)
        return alike(f"{named}: {both[0]}, {both[1]}", *both, similar)

    at_20 = [p for p in pairs(evidence.networks, "args.shortcut") if p[0].factors.get("args.depth") == 20]
    yield verdict(
        f"9. at depth 20 shortcuts hardly matter (width at a rise of 0.5, within {100 * similar:.0f} %)",
        without_confounded(at_20, close),
    )


def normalisations(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 7: filter normalisation orders networks by test error best, then layer normalisation, then none."""
    claim = "7. filter normalisation orders networks by test error better than layer, layer better than none"
    lines: dict[str, list[str]] = {"filter": [], "layer": [], "none": []}
    for run in evidence.runs:
        for plane in evidence.spec.lines or ():
            if plane in run.surfaces and plane not in (of := lines[_normalised(run.surfaces[plane])]):
                of.append(plane)
    if missing := [name for name, of in lines.items() if not of]:
        yield Judgement(claim, "not tested", f"no lines with normalize: {', '.join(sorted(missing))}")
        return
    margin = evidence.spec.margin
    found = {name: compare(evidence.networks, SHARPNESS, of, margin) for name, of in lines.items()}
    if untested := next((each.untested for each in found.values() if each.untested), ""):
        yield Judgement(claim, "not tested", untested)
        return
    if any(math.isnan(each.tau) for each in found.values()):
        yield Judgement(claim, "not tested", f"fewer than {comparisons.FEW} networks, or an order that is constant")
        return
    orders = {
        name: comparisons.Orders.of(valued(evidence.networks, SHARPNESS, of), margin) for name, of in lines.items()
    }
    cases = [
        at_least(f"tau of {better} above that of {worse} by {gain}", gain, 0.0)
        for better, worse in (("filter", "layer"), ("layer", "none"))
        for gain in [comparisons.gain(orders[better], orders[worse])]
    ]
    judged = verdict(claim, cases)
    taus = ", ".join(f"{name} {each.tau:.2f}" for name, each in found.items())
    yield Judgement(claim, judged.verdict, f"tau: {taus}", judged.evidence)


def _normalised(surface: xr.Dataset) -> str:
    return str(json.loads(surface.attrs["spec"])["normalize"])


def _correlation(claim: str, found: comparisons.Comparison) -> Judgement:
    """Judge an order of all networks by its tau."""
    details = [f"order agrees in {found.agree} of {found.decided} pairs that are decided"] if found.decided else []
    details += [f"pairs that differ in one factor alone: {found.alone}"] * bool(found.by_factor)
    details += [f"{family}: tau {tau:.2f} over {n} pairs" for family, (tau, n) in found.families.items()]
    details += [f"left out: {found.reasons}"] * bool(found.left_out)
    if found.untested:
        return Judgement(claim, "confounded" if found.left_out else "not tested", found.untested)
    if math.isnan(found.tau):
        few = f"{found.networks} networks; an order needs {comparisons.FEW}"
        why = few if found.networks < comparisons.FEW else "one of the orders is constant"
        return Judgement(claim, "not tested", why, tuple(details))
    word: Verdict = "reproduced" if found.holds else "not reproduced" if found.p < SURE else "undecided"
    return Judgement(
        claim, word, f"{found.correlation}, {found.networks} networks, {found.pairs} pairs", tuple(details)
    )
