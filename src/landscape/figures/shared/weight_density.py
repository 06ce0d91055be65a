"""Norm of a run's weights during training, and density of its final weight values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from landscape.figures.shared.members import Member
from landscape.lazy import np, pd
from landscape.training.run_section import Run

BINS, REACH = 200, 4  # histogram bins, and their reach on both sides of 0 in standard deviations of the pooled weights
SMALL = 1e-2  # weights of smaller magnitude count as small


@dataclass(frozen=True)
class Densities:
    """Histograms of the weights of several runs in the same bins.

    Attributes:
        edges: of the bins, shape (bins + 1,).
        values: density per run, shape (run, bins); it integrates to the share of its weights in the bins.
        norms: L2 norm of the weights of each run.
        small: share of its weights below `SMALL` in magnitude.
        outside: share beyond the bins, or not finite.
    """

    edges: np.ndarray
    values: np.ndarray
    norms: list[float]
    small: list[float]
    outside: list[float]


def flat(member: Member) -> np.ndarray:
    """Flatten the weights of a state: all its parameters with more than one dimension."""
    assert member.weights is not None, member.state
    return np.concatenate([array.ravel() for array in member.weights.values() if array.ndim > 1])


def densities(weights: Sequence[np.ndarray]) -> Densities:
    pooled = np.concatenate(weights)
    spread = float(pooled[np.isfinite(pooled)].std(dtype=np.float64))
    edges = np.linspace(-REACH * spread, REACH * spread, BINS + 1)
    counts = [np.histogram(of, edges)[0] for of in weights]
    return Densities(
        edges,
        np.array([count / (of.size * np.diff(edges)) for of, count in zip(weights, counts, strict=True)]),
        [float(np.linalg.norm(of.astype(np.float64))) for of in weights],
        [float((np.abs(of) < SMALL).mean()) for of in weights],
        [1 - float(count.sum() / of.size) for of, count in zip(weights, counts, strict=True)],
    )


def norms(member: Member) -> pd.DataFrame:
    """Tabulate the norm of all parameters after each epoch: epoch, step, weight_norm, rate_drops (rate drops after it).

    Adopted and rescaled runs have no rows: their training is not known.
    """
    history = member.past
    run = Run.model_validate_json(member.history.attrs["spec"])
    epoch = history.epoch.values if run.made == "trained" else np.zeros(0, int)
    steps = math.ceil(int(member.history.attrs["train_examples"]) / run.batch_size)
    drops = run.drops if run.schedule == "step" else ()
    return pd.DataFrame(
        {
            "epoch": epoch,
            "step": epoch * steps,
            "weight_norm": history.weight_norm.values[: epoch.size],
            "rate_drops": np.isin(epoch, drops) & (epoch < epoch.max(initial=0)),
        }
    )
