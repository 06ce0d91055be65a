"""Claims about the paths of trainings."""

import json
from collections.abc import Iterator

import xarray as xr

from landscape.analysis.claims.evidence import Evidence, JudgedRun, Judgement, verdict

NEARLY_NONE = 0.01
"""Random directions hold almost none of a path if they hold at most this share."""

EPOCHS = 10
"""Least number of kept epochs that tell the dimension of a path."""


def low_dimensional(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 6: two principal components hold a large share of a path, and more than of a random walk."""
    held, reasons, told = [], [], []
    for run, path in _paths(evidence, "pca"):
        if path.sizes["epoch"] < EPOCHS:
            reasons.append(f"{run.name}: two directions hold much of any path of {path.sizes['epoch']} points")
            continue
        share, walk = float(path.share.sum()), float(path.random_walk_share.sum())
        held.append(share >= evidence.spec.share and share > walk)
        told.append(f"{run.name} {100 * share:.0f} % (random walk {100 * walk:.0f} %)")
    claim = f"6. two directions hold at least {100 * evidence.spec.share:.0f} % of a path, more than of a random walk"
    if reasons and not held:
        yield Judgement(claim, "not tested", "; ".join(reasons))
    else:
        yield verdict(claim, held, reasons, told)


def random_directions(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 13: two random directions hold almost none of a path."""
    held, told = [], []
    for run, path in _paths(evidence, "random"):
        share, expected = float(path.share.sum()), float(path.expected_share.sum())
        held.append(share <= NEARLY_NONE)
        told.append(f"{run.name} {share:.2g} of the path ({expected:.2g} expected)")
    yield verdict("13. two random directions hold almost none of a path", held, [], told)


def _paths(evidence: Evidence, directions: str) -> Iterator[tuple[JudgedRun, xr.Dataset]]:
    """Yield every run with each of its paths on a plane of these directions."""
    for run in evidence.runs:
        for path in run.trajectories.values():
            if json.loads(path.attrs["spec"])["directions"] == directions:
                yield run, path
