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
from landscape.analysis.claims.evidence import Evidence, Judgement, SeedGroup, confounded, mean_of_known, pairs, verdict
from landscape.analysis.claims.trainability import SHALLOW

PAPER = 0.01
"""Limit that the paper reports for DenseNet: negative eigenvalues below 1 % of the positive ones."""

Surfaces = list[list[xr.Dataset]]
"""Surfaces of a network, by run."""


def convex_regions(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 5 by |min(lambda_min, 0)| + r_min, since a Ritz value of lambda_min errs towards convexity."""
    spec = evidence.spec

    def judged(network: SeedGroup, seen: Surfaces) -> tuple[bool | None, str]:
        share, strict = (_mean(seen, partial(_share_within, limit=limit)) for limit in (spec.insignificant, PAPER))
        if math.isnan(share):
            return None, f"{network.label}: fewer than {geometry.CELLS} points look convex"
        points = sum(_bound_where_convex(surface).size for of in seen for surface in of)
        within = f"on {_percent(strict)} at most {_percent(PAPER)} of lambda_max"
        return share >= spec.most, f"{network.label} {_percent(share)} of {points:,} points, {within}{_drift(seen)}"

    claim = (
        "5. where the plane looks convex around the minimiser, negative curvature is insignificant (with its residual at "
        f"most {_percent(spec.insignificant)} of lambda_max, on at least {_percent(spec.most)} of the points)"
    )
    yield _judged(claim, evidence, "curvature", "curvature", judged)


def chaotic_regions(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 10 by |min(lambda_min, 0)| alone, a lower bound of the negative curvature."""
    spec = evidence.spec

    def judged(network: SeedGroup, seen: Surfaces) -> tuple[bool | None, str]:
        chaotic, convex = (_mean(seen, partial(_median_ratio, looks_convex=looks)) for looks in (False, True))
        if math.isnan(chaotic):
            return None, f"{network.label}: fewer than {geometry.CELLS} points do not look convex"
        beside = "" if math.isnan(convex) else f", {convex:.2g} where it looks convex"
        holds = chaotic >= spec.large and not convex >= chaotic
        return holds, f"{network.label} {chaotic:.2g}{beside}{_drift(seen)}"

    claim = (
        "10. where the plane does not look convex, negative curvature is large (median of |lambda_min| / lambda_max at least "
        f"{spec.large:g}, and above that where it looks convex)"
    )
    yield _judged(claim, evidence, "curvature", "curvature", judged)


def pointing_away(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 12: in deep networks without shortcuts, descent often points away from the minimiser."""
    spec = evidence.spec
    partners = {without.label: shortcut for without, shortcut in pairs(evidence.networks, "args.shortcut")}
    shares = {network.label: _mean(_surfaces(network, spec.gradients), _away) for network in evidence.networks}

    def judged(network: SeedGroup, seen: Surfaces) -> tuple[bool | None, str]:
        share, other = shares[network.label], partners.get(network.label)
        if math.isnan(share):
            return None, f"{network.label}: no gradient is known"
        known = other is not None and not math.isnan(shares[other.label])
        beside = f" ({other.label} with shortcuts {_percent(shares[other.label])})" if other and known else ""
        return share >= spec.away, f"{network.label} {_percent(share)}{beside}"

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
    judged: Callable[[SeedGroup, Surfaces], tuple[bool | None, str]],
    wanted: Callable[[SeedGroup], bool] = lambda network: True,
) -> Judgement:
    """Judge the wanted networks by their surfaces on the planes under `claims.KEY`; `judged` returns None if it cannot."""
    planes = getattr(evidence.spec, key)
    if planes is None:
        return Judgement(claim, "not tested", f"needs planes with measure: {measure}, named under claims.{key}")
    held, reasons, told = [], [], []
    for network in evidence.networks:
        seen = _surfaces(network, planes)
        if not seen or not wanted(network):
            continue
        if reason := confounded(network):
            reasons.append(f"{network.label}: {reason}")
            continue
        holds, text = judged(network, seen)
        told.append(text)
        held += [] if holds is None else [holds]
    return verdict(claim, held, reasons, told)


def _surfaces(network: SeedGroup, planes: Sequence[str] | None) -> Surfaces:
    by_run = [[run.surfaces[plane] for plane in planes or () if plane in run.surfaces] for run in network.runs]
    return [surfaces for surfaces in by_run if surfaces]


def _mean(seen: Surfaces, number: Callable[[xr.Dataset], float]) -> float:
    """Average a number over the planes of each run, then over runs, where it is defined; NaN if it nowhere is."""
    return mean_of_known(mean_of_known(map(number, surfaces)) for surfaces in seen)


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
    return factors.get("args.shortcut") is False and factors.get("args.depth", 0) > SHALLOW


def _drift(seen: Surfaces) -> str:
    """Report the ratio with more examples at the points where they were tried; empty if they were tried nowhere."""
    points = [point for of in seen for surface in of for point in json.loads(surface.attrs["drift"])]
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
