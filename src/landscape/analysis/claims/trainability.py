"""Claims about training, judged by histories."""

from collections.abc import Iterator

from landscape.analysis.claims.evidence import (
    Case,
    Evidence,
    Judgement,
    of_single_runs,
    ordered,
    verdict,
    without_confounded,
)
from landscape.analysis.claims.shapes import RATE
from landscape.training import run_factors
from landscape.training.seed_groups import JudgedRun, SeedGroup, pairs

DEEP = 150
SHALLOW = 20
"""Shortcuts hardly matter up to this depth (claim 9)."""

LOW_RATE = 0.001
"""A rate that the paper calls very low."""


def weight_norms(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 8, of SGD: the weight norm grows without decay (8a), and its order by batch size depends on decay (8b)."""
    growing = [
        run
        for run in evidence.runs
        if _by_sgd(run) and run.factors.get("weight_decay") == 0 and run.history.sizes["epoch"] > 1
    ]
    norms = [(run, float(run.history.weight_norm[0]), float(run.last.weight_norm)) for run in growing]
    yield of_single_runs(
        "8a. the weight norm grows without weight decay (SGD)",
        [
            Case(f"{run.name}: {start:.3g} to {end:.3g}", "held" if end > start else "against")
            for run, start, end in norms
        ],
    )
    cases = []
    for small, large, _ in pairs([n for n in evidence.networks if _by_sgd(n.runs[0])], "batch_size"):
        decay = small.factors.get("weight_decay")
        ends = small.of_runs(_final_norm), large.of_runs(_final_norm)
        text = f"decay {decay:g}: {small.label} {ends[0]}, {large.label} {ends[1]}"
        cases.append(ordered(text, *(ends if decay else (ends[1], ends[0])), evidence.spec.margin))
    yield verdict(
        "8b. a large batch ends with smaller weights without weight decay, and with larger ones with it (SGD)", cases
    )


def very_deep(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 14: very deep networks without shortcuts do not train, even at very low rates."""
    runs = [
        run
        for run in evidence.runs
        if run_factors.depth(run.factors) >= DEEP and run.factors.get("args.shortcut") is False
    ]
    rates = {float(run.factors["learning_rate"]): run for run in runs if "learning_rate" in run.factors}
    cases = [
        Case(
            f"{run.name} (rate {run.factors.get('learning_rate', 'unknown')}) ends at a train loss of {run.train_loss:.3g}",
            "against" if run.trained else "held",
        )
        for run in runs
    ]
    claim = f"14. a network of {DEEP} and more layers without shortcuts does not train, even at very low rates"
    judged = of_single_runs(claim, cases)
    if judged.verdict == "reproduced" and not (len(rates) >= 3 and min(rates) <= LOW_RATE):
        said = f"no training at {', '.join(f'{rate:g}' for rate in sorted(rates, reverse=True)) or 'unknown rates'}"
        judged = Judgement(claim, "undecided", f"{said}; three rates down to {LOW_RATE:g} are needed", judged.evidence)
    yield judged


def starts_outside(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 11: `convex_height` is lower without shortcuts (11a), and training starts below it (11b).

    A censored height supports 11b by what was seen, and never contradicts it.
    """
    planes = evidence.planes

    def lower(named: str, without: SeedGroup, shortcut: SeedGroup) -> Case:
        heights = without.estimate("convex_height", planes), shortcut.estimate("convex_height", planes)
        return ordered(f"{named}: {heights[0]}, {heights[1]}", *heights, evidence.spec.margin)

    deep = [
        pair for pair in pairs(evidence.networks, "args.shortcut", RATE) if run_factors.depth(pair[0].factors) > SHALLOW
    ]
    yield verdict(
        f"11a. in networks of more than {SHALLOW} layers convex_height is lower without shortcuts",
        without_confounded(deep, lower),
    )
    cases = []
    for run in evidence.runs:
        height = run.estimate("convex_height", planes)
        if not (run.trained and run.history.sizes["epoch"] > 1 and height.known):
            continue
        start = float(run.history.train_loss[0])
        text = f"{run.name}: starts at {start:.3g}, convex up to {height}"
        cases.append(
            Case(
                text, "held" if start < height.value and height.bound >= 0 else "unknown" if height.bound else "against"
            )
        )
    yield of_single_runs("11b. the loss at initialisation lies below convex_height in networks that train", cases)


def _by_sgd(run: JudgedRun) -> bool:
    return run.factors.get("optimizer", "sgd") == "sgd"


def _final_norm(run: JudgedRun) -> float:
    return float(run.last.weight_norm)
