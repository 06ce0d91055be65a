"""Words about measured curvature: below a panel, and in a caption."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal

from landscape import geometry
from landscape.figures.shared import words
from landscape.lazy import np, xr

RATIO = "|\N{GREEK SMALL LETTER LAMDA} min / \N{GREEK SMALL LETTER LAMDA} max|"
NOT_CONVERGED = 3  # of the variable `status`
_FEW = 0.01  # a ratio below which curvature counts as none in the paper


def not_converged(surface: xr.Dataset) -> np.ndarray:
    """Mask the points whose eigenvalues are not converged, shape (alpha, beta)."""
    return geometry.values_of(surface, "status") == NOT_CONVERGED


def notes(surface: xr.Dataset, kind: Literal["negative", "plain"]) -> list[str]:
    """Write two lines for below a map: its median, and the share of it below 1 %."""
    ratio = geometry.values_of(surface, geometry.RATIOS[kind])
    known = ratio[np.isfinite(ratio)]
    return [f"median {words.loss(float(np.median(known)))}", _below(known)] if known.size else ["no ratio anywhere"]


def made(surfaces: Sequence[xr.Dataset]) -> list[str]:
    """Explain, in sentences, how the eigenvalues of a figure were found."""
    first = surfaces[0].attrs
    solver = {
        "lanczos": "both from one Krylov space (Lanczos with full reorthogonalisation)",
        "eigsh": "by scipy's implicitly restarted Lanczos (eigsh), the paper's method",
    }[first["eigensolver"]]
    probability = f"{100 * first['probability_of_bounds']:g} %"
    beyond = {
        "lanczos": f", and when with a probability of {probability} none lay further below lambda_min or above lambda_max "
        "than that",
        "eigsh": "",
    }[first["eigensolver"]]
    over = {"filters": "the parameters that have filters", "all": "all parameters"}[first["parameters"]]
    return [
        f"The extreme eigenvalues are those of the Hessian over {over}, {solver}, stopped when the residual of lambda_max "
        f"was at most {100 * first['tolerance_max']:g} % of it and that of lambda_min at most "
        f"{100 * first['tolerance_min']:g} % of it or {100 * first['tolerance_min_of_max']:g} % of lambda_max{beyond}. A Ritz value "
        "of lambda_min lies above the eigenvalue, so it errs towards convexity. The Hessian is autograd's, which leaves the "
        "kinks of ReLU out."
    ]


def item(surface: xr.Dataset, kind: Literal["negative", "plain"]) -> str:
    """Write a member's eigenvalues, residuals, products, and drift with more examples, in sentences."""
    low, high = (geometry.values_of(surface, f"eigenvalue_{end}") for end in ("min", "max"))
    r_low, r_high = (geometry.values_of(surface, f"residual_{end}") for end in ("min", "max"))
    ratio = geometry.values_of(surface, geometry.RATIOS[kind])
    if not np.isfinite(low).any():
        return "No eigenvalue is known."
    known = ratio[np.isfinite(ratio)]
    median = f"median ratio {words.loss(float(np.median(known)))}, {_below(known)}; " if known.size else ""
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = [100 * float(np.nanmax(np.abs(r / high))) for r in (r_high, r_low)]
        lower = 100 * (low - geometry.values_of(surface, "bound_min")) / high
    count, size = int(not_converged(surface).sum()), ratio.size
    told = (
        f"Over the plane: {median}lambda_max from {number(np.nanmin(high))} to {number(np.nanmax(high))}, lambda_min from "
        f"{number(np.nanmin(low))} to {number(np.nanmax(low))}; residuals of at most {largest[0]:.2g} % (lambda_max) and "
        f"{largest[1]:.2g} % (lambda_min) of lambda_max; {f'{count:,} of {size:,}' if count else 'no'} points not "
        f"converged; {int(np.nanmedian(geometry.values_of(surface, 'products'))):,} Hessian products at the median point."
    )
    if np.isfinite(lower).any():
        probability = f"{100 * surface.attrs['probability_of_bounds']:g} %"
        told += (
            f" With a probability of {probability} at each point, no eigenvalue lies below lambda_min by more than "
            f"{np.nanmax(lower):.2g} % of lambda_max."
        )
    if count := int((np.isnan(ratio) & np.isfinite(geometry.values_of(surface, "train_loss"))).sum()):
        told += f" {count:,} of {size:,} points without a positive eigenvalue."
    if hidden := int(geometry.values_of(surface, "below_arithmetic").sum()):
        told += f" At {hidden:,} points lambda_min is below what the arithmetic can see."
    return f"{told}{_drift(surface)}"


def number(value: float) -> str:
    """Write three digits with a true minus sign: -0.0123, 845, 3,480, 1.2e-6."""
    text = f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
    return re.sub(r"e([+-])0*", r"e\1", text).replace("e+", "e").replace("-", "\N{MINUS SIGN}")


def _below(ratio: np.ndarray) -> str:
    return f"{100 * float((ratio < _FEW).mean()):.0f} % below {_FEW:g}".replace(" ", "\N{NO-BREAK SPACE}")


def _drift(surface: xr.Dataset) -> str:
    """Write how far the eigenvalues move from the examples used to the most tried; empty if no more were tried."""
    points = json.loads(surface.attrs["drift"])
    told = []
    for name, key in (("lambda_max", "eigenvalue_max"), ("lambda_min", "eigenvalue_min")):
        changes = [100 * (p[key][-1] / p[key][0] - 1) for p in points if len(p[key]) > 1 and p[key][0] and p[key][-1]]
        if changes:
            told.append(f"{name} by {number(min(changes))} to {number(max(changes))} %")
    if not told:
        return ""
    images = max(max(p["examples"]) for p in points)
    return f" On {images:,} examples, at {len(points)} of the points, {' and '.join(told)} of what it is here."
