"""The claim about the lines between small-batch and large-batch minimisers."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator

import xarray as xr

from landscape import geometry
from landscape.analysis.claims.evidence import Case, Evidence, Judgement, of_single_runs
from landscape.geometry.grid import NOT_RESOLVED
from landscape.training.seed_groups import JudgedRun, SeedGroup, confounded


def order_flips(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 2: the sign of log(w_small / w_large) differs between no decay and decay in every seed.

    w(x) is the length of the interval around x with L < L(x) + 0.5.
    """
    claim = "2. without normalisation, weight decay flips which batch size looks sharper, the small or the large"
    by_name = {run.name: run for run in evidence.runs}
    signs: dict[tuple[str, ...], dict[bool, float]] = defaultdict(dict)
    told: dict[tuple[str, ...], list[str]] = defaultdict(list)
    cases = []
    for run in evidence.runs:
        for plane in evidence.spec.interpolations or ():
            if plane not in run.surfaces:
                continue
            line = run.surfaces[plane]
            other = by_name[geometry.other_end(line)]
            named, case, decay = f"{run.name}, {other.name}", _case(run, line), run.factors["weight_decay"]
            small_first = run.factors["batch_size"] < other.factors["batch_size"]
            wells = [geometry.well(line, x) for x in (0, 1)]
            small, large = wells if small_first else wells[::-1]
            if reason := confounded(SeedGroup((run, other))):
                cases.append(Case(f"{named}: {reason}", "confounded"))
            elif wells[0].high >= 1:
                cases.append(Case(f"{named}: one well holds both ends", "unknown"))
            elif math.isnan(sign := _sign(small, large)):
                cases.append(Case(f"{named}: a width is not defined", "unknown"))
            else:
                signs[case][decay > 0] = sign
                told[case].append(
                    f"seed {run.factors['seed']}, decay {decay:g}: w {_said(small)} (small batch), {_said(large)} (large)"
                )
    for case, each in signs.items():
        text = "; ".join(told[case])
        if len(each) == 2:
            cases.append(Case(text, "held" if each[False] * each[True] < 0 else "against"))
        else:
            cases.append(Case(f"{text}; no such pair with the other decay", "unknown"))
    yield of_single_runs(claim, cases)


def _sign(small: geometry.Well, large: geometry.Well) -> float:
    """Return the sign of log(w_small / w_large); NaN if both wells are too narrow for the grid, or an end has no loss.

    A well too narrow for the grid is narrower than one that is not. A well also ends where a negative variance leaves no
    loss, since the loss grows towards such a point.
    """
    defined = [not math.isnan(each.width.value) for each in (small, large)]
    if all(defined):
        return math.copysign(1, small.width.value - large.width.value)
    if any(defined) and all(_is_narrow(each) for each, known in zip((small, large), defined, strict=True) if not known):
        return 1.0 if defined[0] else -1.0
    return math.nan


def _is_narrow(well: geometry.Well) -> bool:
    return well.width.reason == NOT_RESOLVED


def _said(well: geometry.Well) -> str:
    return f"under {geometry.CELLS * well.width.step:.3g}" if _is_narrow(well) else f"{well.width.value:.3g}"


def _case(run: JudgedRun, line: xr.Dataset) -> tuple[str, ...]:
    """Identify a pair of lines, without and with decay, by everything else they have in common."""
    factors = [f"{key}={value}" for key, value in run.factors.items() if key not in ("weight_decay", "batch_size")]
    return (str(json.loads(line.attrs["spec"]).get("batchnorm")), *sorted(factors))
