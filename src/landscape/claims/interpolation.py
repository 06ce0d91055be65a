"""The claim about the lines between small-batch and large-batch minimisers."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator

import xarray as xr

from landscape import geometry
from landscape.claims.evidence import Evidence, Judgement, Run, Verdict, confounded


def order_flips(evidence: Evidence) -> Iterator[Judgement]:
    """Claim 2: with w(x) the length of the interval around x with L < L(x) + 0.5, the sign of log(w_small / w_large)
    differs between no decay and decay in every seed."""
    claim = "2. without normalisation, whether the small or the large batch looks sharper flips with weight decay"
    by_name = {run.name: run for run in evidence.runs}
    signs: dict[tuple[str, ...], dict[bool, float]] = defaultdict(dict)
    told, reasons = [], []
    for run in evidence.runs:
        for plane in evidence.spec.interpolations or ():
            if plane not in run.surfaces:
                continue
            line = run.surfaces[plane]
            other = by_name[geometry.other_end(line)]
            if reason := confounded(run, other):
                reasons.append(f"{run.name}, {other.name}: {reason}")
                continue
            small_first = run.factors["batch_size"] < other.factors["batch_size"]
            widths = geometry.end_widths(line)
            small, large = widths if small_first else widths[::-1]
            if math.isnan(small) or math.isnan(large):
                reasons.append(f"{run.name}, {other.name}: a width is not defined")
                continue
            decay = run.factors["weight_decay"]
            told.append(
                f"seed {run.factors['seed']}, decay {decay:g}: w {small:.3g} (small batch), {large:.3g} (large)"
            )
            signs[_case(run, line)][decay > 0] = math.log(small / large)
    complete = [each for each in signs.values() if len(each) == 2]
    text = "; ".join([*told, *reasons])
    if not complete:
        yield Judgement(
            claim, "confounded" if reasons else "not tested", text or "no pair of lines with and without decay"
        )
        return
    flips = sum(each[False] * each[True] < 0 for each in complete)
    word: Verdict = "reproduced" if flips == len(complete) else "not reproduced"
    yield Judgement(claim, word, f"flips in {flips} of {len(complete)} seeds; {text}")


def _case(run: Run, line: xr.Dataset) -> tuple[str, ...]:
    """What the two lines that are compared, without and with decay, have in common."""
    factors = [f"{key}={value}" for key, value in run.factors.items() if key not in ("weight_decay", "batch_size")]
    return (str(json.loads(line.attrs["spec"]).get("batchnorm")), *sorted(factors))
