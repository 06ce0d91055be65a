"""Claims about the paths of trainings."""

import json
from collections.abc import Iterator

import xarray as xr

from landscape.analysis.claims.evidence import Case, Evidence, Judgement, of_single_runs
from landscape.training.seed_groups import JudgedRun

NEARLY_NONE = 0.01
"""Random directions hold almost none of a path if they hold at most this share."""

EPOCHS = 10
"""Least number of kept epochs that tell the dimension of a path."""


def low_dimensional(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 6: two principal components hold a large share of a path, and more than of a random walk."""
    cases = []
    for run, path in _paths(evidence, "pca"):
        share, walk = float(path.share.sum()), float(path.random_walk_share.sum())
        text = f"{run.name}: {100 * share:.0f} % (random walk {100 * walk:.0f} %)"
        if path.sizes["epoch"] < EPOCHS:
            cases.append(Case(f"{text}: two axes hold much of any path of {path.sizes['epoch']} points", "unknown"))
        else:
            holds = share >= evidence.spec.share and share > walk
            cases.append(Case(text, "held" if holds else "against"))
    claim = f"6. two directions hold at least {100 * evidence.spec.share:.0f} % of a path, more than of a random walk"
    yield of_single_runs(claim, cases)


def random_directions(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 13: two random directions hold almost none of a path."""
    cases = []
    for run, path in _paths(evidence, "random"):
        share, expected = float(path.share.sum()), float(path.expected_share.sum())
        text = f"{run.name}: {share:.2g} of the path ({expected:.2g} expected)"
        cases.append(Case(text, "held" if share <= NEARLY_NONE else "against"))
    yield of_single_runs("13. two random directions hold almost none of a path", cases)


def _paths(evidence: Evidence, directions: str) -> Iterator[tuple[JudgedRun, xr.Dataset]]:
    """Yield every run with each of its paths on a plane of these directions."""
    for run in evidence.runs:
        for path in run.trajectories.values():
            if json.loads(path.attrs["spec"])["directions"] == directions:
                yield run, path
