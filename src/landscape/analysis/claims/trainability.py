"""Claims about training, judged by histories."""

import math
from collections.abc import Iterator

from landscape.analysis.claims.evidence import Evidence, Judgement, SeedGroup, confounded, pairs, verdict

DEEP = 150
SHALLOW = 20
"""Shortcuts hardly matter up to this depth (claim 9)."""


def weight_norms(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 8: the weight norm grows without decay (8a), and its order by batch size depends on decay (8b)."""
    growing = [run for run in evidence.runs if run.factors.get("weight_decay") == 0 and run.history.sizes["epoch"] > 1]
    norms = [(run, float(run.history.weight_norm[0]), float(run.last.weight_norm)) for run in growing]
    yield verdict(
        "8a. the weight norm grows without weight decay",
        [end > start for _, start, end in norms],
        [],
        [f"{run.name} {start:.3g} to {end:.3g}" for run, start, end in norms],
    )
    held, told = [], []
    for small, large in pairs(evidence.networks, "batch_size"):
        decay = small.factors.get("weight_decay")
        ends = _final_norm(small), _final_norm(large)
        held.append(ends[1] > ends[0] if decay else ends[1] < ends[0])
        told.append(f"decay {decay:g}: {small.label} {ends[0]:.3g}, {large.label} {ends[1]:.3g}")
    yield verdict(
        "8b. a large batch ends with smaller weights without weight decay, and with larger ones with it", held, [], told
    )


def very_deep(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 14: very deep networks without shortcuts do not train."""
    runs = [
        run
        for run in evidence.runs
        if run.factors.get("args.depth", 0) >= DEEP and run.factors.get("args.shortcut") is False
    ]
    yield verdict(
        f"14. a network of {DEEP} and more layers without shortcuts does not train",
        [not run.trained for run in runs],
        [],
        [f"{run.name} ends at a train loss of {run.train_loss:.3g}" for run in runs],
    )


def starts_outside(evidence: Evidence) -> Iterator[Judgement]:
    """Judge claim 11: `convex_height` is lower without shortcuts (11a), and training starts below it (11b)."""
    held, reasons, told = [], [], []
    for without, shortcut in pairs(evidence.networks, "args.shortcut"):
        if without.factors.get("args.depth", 0) <= SHALLOW:
            continue
        heights = [network.number("convex_height", evidence.planes) for network in (without, shortcut)]
        told.append(f"{without.label} {heights[0]:.3g}, {shortcut.label} {heights[1]:.3g}")
        if reason := confounded(without, shortcut):
            reasons.append(reason)
        elif not any(map(math.isnan, heights)):
            held.append(heights[0] < heights[1])
    yield verdict(
        f"11a. in networks of more than {SHALLOW} layers convex_height is lower without shortcuts", held, reasons, told
    )
    trained = [run for run in evidence.runs if run.trained and run.history.sizes["epoch"] > 1]
    below, told = [], []
    for run in trained:
        start, height = float(run.history.train_loss[0]), run.number("convex_height", evidence.planes)
        if math.isnan(height):
            continue
        cut = run.number("touches_border_convex_height", evidence.planes) > 0
        if start < height or not cut:  # a basin cut by the border is at least this high
            below.append(start < height)
        told.append(f"{run.name} starts at {start:.3g}, convex up to {'at least ' if cut else ''}{height:.3g}")
    yield verdict("11b. the loss at initialisation lies below convex_height in networks that train", below, [], told)


def _final_norm(network: SeedGroup) -> float:
    return sum(float(run.last.weight_norm) for run in network.runs) / len(network.runs)
