"""Claims about the shapes of surfaces. Sharpness is measured at rises over the centre, never at absolute levels."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from landscape.analysis.claims.evidence import (
    Evidence,
    Judgement,
    SeedGroup,
    Verdict,
    compared,
    confounded,
    pairs,
    verdict,
)

SHARPNESS = "width_rise_0.5"
SURE = 0.05


def sharpness_and_error(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 1: sharper minima have higher test errors."""
    claim = "1. the sharper a minimum (filter-normalised), the higher the test error"
    yield _ordered(claim, evidence, evidence.planes)[0]


def depth(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 3: depth makes networks without shortcuts less convex (3a), and hardly changes others (3b)."""
    deeper = list(pairs(evidence.networks, "args.depth"))
    without = [pair for pair in deeper if pair[0].factors.get("args.shortcut") is False]
    yield _compared(
        "3a. without shortcuts, deeper networks are less convex (convex_share)",
        evidence,
        without,
        "convex_share",
        lambda shallow, deep: deep < shallow,
    )
    similar = evidence.spec.similar
    yield _compared(
        f"3b. with shortcuts, the width at a rise of 0.1 hardly changes with depth (within {100 * similar:.0f} %)",
        evidence,
        [pair for pair in deeper if pair[0].factors.get("args.shortcut") is True],
        "width_rise_0.1",
        lambda shallow, deep: abs(math.log(deep / shallow)) <= math.log(1 + similar),
    )


def width(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 4: wider networks are flatter."""
    yield _compared(
        "4. wider networks are flatter (width at a rise of 0.5)",
        evidence,
        list(pairs(evidence.networks, "args.width")),
        SHARPNESS,
        lambda narrow, wide: wide > narrow,
    )


def shortcuts_at_20(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 9: at depth 20 shortcuts hardly matter."""
    similar = evidence.spec.similar
    yield _compared(
        f"9. at depth 20 shortcuts hardly matter (width at a rise of 0.5, within {100 * similar:.0f} %)",
        evidence,
        [pair for pair in pairs(evidence.networks, "args.shortcut") if pair[0].factors.get("args.depth") == 20],
        SHARPNESS,
        lambda without, shortcut: abs(math.log(shortcut / without)) <= math.log(1 + similar),
    )


def normalisations(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 7: filter normalisation orders networks by test error best, then layer normalisation, then none."""
    claim = "7. filter normalisation orders networks by test error better than layer, layer better than none"
    lines: dict[str, dict[str, None]] = defaultdict(dict)
    for run in evidence.runs:
        for plane in evidence.spec.lines or ():
            if plane in run.surfaces:
                lines[json.loads(run.surfaces[plane].attrs["spec"])["normalize"]][plane] = None
    if missing := {"filter", "layer", "none"} - set(lines):
        yield Judgement(claim, "not tested", f"no lines with normalize: {', '.join(sorted(missing))}")
        return
    judged = {of: _ordered(claim, evidence, list(lines[of])) for of in ("filter", "layer", "none")}
    for each, tau in judged.values():
        if math.isnan(tau):
            why = each.because if each.verdict != "reproduced" else "too few networks for an order of all"
            yield Judgement(claim, "confounded" if each.verdict == "confounded" else "not tested", why)
            return
    taus = [tau for _, tau in judged.values()]
    told = [f"{of}: tau {tau:.2f}" for of, (_, tau) in judged.items()]
    yield verdict(claim, [taus[0] > taus[1] > taus[2]], [], told)


def _compared(
    claim: str,
    evidence: Evidence,
    of: Sequence[tuple[SeedGroup, SeedGroup]],
    number: str,
    holds: Callable[[float, float], bool],
) -> Judgement:
    """Judge whether a number of two networks is in the order claimed, for every pair that can be compared."""
    held, reasons, told = [], [], []
    for one, another in of:
        values = [network.number(number, evidence.planes) for network in (one, another)]
        told.append(f"{one.label} {values[0]:.3g}, {another.label} {values[1]:.3g}")
        if reason := confounded(one, another):
            reasons.append(f"not compared: {one.label}, {another.label}, since {reason}")
        elif all(map(math.isfinite, values)):
            held.append(holds(values[0], values[1]))
        else:
            reasons.append(f"not compared: {one.label}, {another.label}, where {number} is not defined")
    return verdict(claim, held, reasons, told)


def _ordered(claim: str, evidence: Evidence, planes: Sequence[str]) -> tuple[Judgement, float]:
    """Judge whether the sharper network has the higher test error; return Kendall's tau too, NaN without one."""
    networks = evidence.networks
    found = compared(
        networks, planes, lambda run, plane: -run.number(SHARPNESS, [plane]), lambda network: network.label
    )
    if found.untested:
        return Judgement(claim, "not tested", found.untested), math.nan
    if reason := confounded(*(network for network in networks if any(run.errors for run in network.runs))):
        return Judgement(claim, "confounded", reason), math.nan
    if not found.pairs:
        return Judgement(claim, "not tested", "no two test errors differ beyond their intervals"), math.nan
    if found.kendall is None:
        word: Verdict = "reproduced" if found.agree == found.pairs else "not reproduced"
        return Judgement(claim, word, str(found)), math.nan
    word = "reproduced" if found.kendall.tau > 0 and found.kendall.p < SURE else "not reproduced"
    return Judgement(claim, word, str(found)), found.kendall.tau
