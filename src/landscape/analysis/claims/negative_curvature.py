"""Claims about negative curvature (Figure 7) and about the direction of descent.

A plane looks convex at a point if its own Hessian, P'HP, has no negative eigenvalue there. The claims compare this with
the extreme eigenvalues of the whole Hessian. Every network counts once: the mean over directions, then over seeds.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import xarray as xr

from landscape import geometry
from landscape.analysis.claims.evidence import Case, Evidence, Judgement, at_least, every, ordered, verdict
from landscape.analysis.claims.trainability import SHALLOW
from landscape.training import run_factors
from landscape.training.seed_groups import SeedGroup, confounded, pairs

PAPER = 0.01
"""Limit that the paper reports for DenseNet: negative eigenvalues below 1 % of the positive ones."""

FEW = f"fewer than {geometry.CELLS} points"


def convex_regions(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 5 by |min(lambda_min, 0)| + r_min, since a Ritz value of lambda_min errs towards convexity."""
    spec = evidence.spec

    def judged(network: SeedGroup) -> Case:
        share, strict = (
            network.mean(partial(_share_within, limit=limit), spec.curvature) for limit in (spec.insignificant, PAPER)
        )
        if not share.known:
            return Case(f"{network.label}: {FEW} look convex", "unknown")
        seen = _surfaces(network, spec.curvature)
        points = sum(_bound_where_convex(surface).size for surface in seen)
        said = f"a share of {share} of {points:,} points; of {strict} at most {_percent(PAPER)} of lambda_max"
        return at_least(f"{network.label}: {said}{_drift(seen)}", share, spec.most)

    claim = (
        "5. where the plane looks convex around the minimiser, negative curvature is insignificant (with its residual at "
        f"most {_percent(spec.insignificant)} of the largest eigenvalue, on at least {_percent(spec.most)} of the points)"
    )
    yield _judged(claim, evidence, "curvature", "curvature", judged)


def chaotic_regions(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 10 by |min(lambda_min, 0)| alone, a lower bound of the negative curvature."""
    spec = evidence.spec

    def judged(network: SeedGroup) -> Case:
        chaotic, convex = (
            network.mean(partial(_median_ratio, looks_convex=looks), spec.curvature) for looks in (False, True)
        )
        if not chaotic.known:
            return Case(f"{network.label}: {FEW} do not look convex", "unknown")
        beside = f", {convex} where it looks convex" if convex.known else ""
        text = f"{network.label}: {chaotic}{beside}{_drift(_surfaces(network, spec.curvature))}"
        large = at_least(text, chaotic, spec.large)
        return every(text, [large, ordered("", convex, chaotic, 0.0)]) if convex.known else large

    claim = (
        "10. where the plane does not look convex, negative curvature is large (median of its ratio to the largest "
        f"eigenvalue at least {spec.large:g}, and above that where it looks convex)"
    )
    yield _judged(claim, evidence, "curvature", "curvature", judged)


def pointing_away(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 12: in deep networks without shortcuts, descent often points away from the minimiser."""
    spec = evidence.spec
    partners = {without.label: shortcut for without, shortcut, _ in pairs(evidence.networks, "args.shortcut")}

    def judged(network: SeedGroup) -> Case:
        share, other = network.mean(_away, spec.gradients), partners.get(network.label)
        if not share.known:
            return Case(f"{network.label}: no gradient is known", "unknown")
        beside = other.mean(_away, spec.gradients) if other else None
        known = f" ({other.label} with shortcuts {beside})" if other and beside and beside.known else ""
        return at_least(f"{network.label}: a share of {share}{known}", share, spec.away)

    claim = (
        f"12. in networks of more than {SHALLOW} layers without shortcuts the descent direction points away from the "
        f"minimiser on a large share of the plane (at least {_percent(spec.away)})"
    )
    yield _judged(claim, evidence, "gradients", "gradients or curvature", judged, _is_deep_without_shortcuts)


def _judged(
    claim: str,
    evidence: Evidence,
    key: str,
    measure: str,
    judged: Callable[[SeedGroup], Case],
    wanted: Callable[[SeedGroup], bool] = lambda network: True,
) -> Judgement:
    """Judge the wanted networks by their surfaces on the planes under `claims.KEY`."""
    planes = getattr(evidence.spec, key)
    if planes is None:
        return Judgement(claim, "not tested", f"needs planes with measure: {measure}, named under claims.{key}")
    cases = []
    for network in evidence.networks:
        if network.surfaces(planes) and wanted(network):
            reason = confounded(network)
            cases.append(Case(f"{network.label}: {reason}", "confounded") if reason else judged(network))
    return verdict(claim, cases)


def _surfaces(network: SeedGroup, planes: Sequence[str] | None) -> list[xr.Dataset]:
    return [surface for *_, surface in network.surfaces(planes)]


def _bound_where_convex(surface: xr.Dataset) -> np.ndarray:
    """Return `ratio_bound` at the points around the centre, below ln(classes), that look convex."""
    around = geometry.basin(surface, geometry.guessing(surface))
    bound = geometry.ratio_bound(surface)
    return bound[around & geometry.slice_is_convex(surface) & np.isfinite(bound)]


def _share_within(surface: xr.Dataset, limit: float) -> float:
    return _share(_bound_where_convex(surface) <= limit)


def _median_ratio(surface: xr.Dataset, looks_convex: bool) -> float:
    """Return the median negative ratio where the plane looks convex, or does not; NaN for fewer than `CELLS` points."""
    ratio = geometry.values_of(surface, geometry.RATIOS["negative"])
    known = ratio[np.isfinite(ratio) & (geometry.slice_is_convex(surface) == looks_convex)]
    return float(np.median(known)) if known.size >= geometry.CELLS else math.nan


def _away(surface: xr.Dataset) -> float:
    towards = geometry.values_of(surface, "gradient_towards_centre")
    return _share(towards[np.isfinite(towards)] < 0)


def _share(true: np.ndarray) -> float:
    return float(true.mean()) if true.size >= geometry.CELLS else math.nan


def _is_deep_without_shortcuts(network: SeedGroup) -> bool:
    factors = network.factors
    return factors.get("args.shortcut") is False and run_factors.depth(factors) > SHALLOW


def _drift(seen: Sequence[xr.Dataset]) -> str:
    """Report the ratio with more examples at the points where they were tried; empty if they were tried nowhere."""
    points = [point for surface in seen for point in json.loads(surface.attrs["drift"])]
    found = []
    for point in points:
        values = zip(point["examples"], point["eigenvalue_min"], point["eigenvalue_max"], strict=True)
        ratios = [(n, abs(min(low, 0)) / high) for n, low, high in values if low is not None and high and high > 0]
        if len(ratios) > 1:
            found.append((ratios[0], ratios[-1]))
    if not found:
        return ""
    (few, _), (many, _) = found[0]
    before, after = (np.median([pair[k][1] for pair in found]) for k in (0, 1))
    return f" (at {len(found)} points a median of {before:.2g} on {few:,} examples, {after:.2g} on {many:,})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
