"""Compare published test errors with the measured ones."""

from collections.abc import Iterator

from landscape.analysis.claims.evidence import Evidence, Judgement
from landscape.experiment.analysis_sections import Published
from landscape.training.seed_groups import JudgedRun

EPOCHS = 300
"""Epochs of the published networks (Li et al. 2018, section 4)."""


def test_errors(evidence: Evidence) -> Iterator[Judgement]:
    """Judge every published test error: reproduced if the measured one lies within the tolerance."""
    by_name = {run.name: run for run in evidence.runs}
    for name, known in evidence.published.items():
        yield _judged(name, known, by_name.get(name), evidence.spec.tolerance)


def _judged(name: str, known: Published, run: JudgedRun | None, tolerance: float) -> Judgement:
    word = "" if known.verified else ", unverified"
    claim = f"test error of {name}: {known.test_error:g} % ({known.source}{word})"
    if run is None or run.errors is None:
        return Judgement(claim, "not tested", "no test error was measured")
    low, high = run.errors.interval
    because = f"measured {run.errors.percent:.2f} % ({low:.2f} to {high:.2f}), tolerance {tolerance:g} points"
    epochs = run.factors.get("epochs")
    if isinstance(epochs, int) and epochs < EPOCHS:
        return Judgement(claim, "confounded", f"{because}; trained for {epochs} epochs instead of {EPOCHS}")
    near = abs(run.errors.percent - known.test_error) <= tolerance
    return Judgement(claim, "reproduced" if near else "not reproduced", because)
