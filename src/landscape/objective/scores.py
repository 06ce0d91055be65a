"""Scores beside the loss: accuracy, R2, perplexity, or a function.

A score is a function of the mean over the examples of one number each, and of a constant of the targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landscape.data.examples import Examples
from landscape.objective.losses import IGNORED, class_first, fitted, per_example


@dataclass(frozen=True)
class Score:
    """A number that tells how well a network does, beside the loss.

    Attributes:
        name: its name in files: variables are `train_NAME` and `test_NAME`.
        each: a number of every example, (n,), from output and target; None if the loss is enough.
        constant: of a split's targets; 1 by default.
        of: the score from the mean loss, the mean of `each`, and the constant.
    """

    name: str
    each: Callable[[Any, Any], Tensor] | None
    constant: Callable[[Examples], float]
    of: Callable[[float, float, float], float]


def _one(examples: Examples) -> float:
    return 1.0


def accuracy(ignore_index: int = IGNORED, class_axis: int | None = None, binary: bool = False) -> Score:
    """Share of the targets that the largest logit names (for `binary`, that the logit's sign tells).

    An example with a NaN among its logits counts as wrong; positions with the target `ignore_index` do not count.
    """

    def each(output: Tensor, target: Tensor) -> Tensor:
        if binary:
            right = (output > 0) == (fitted(output, target) > 0.5)
            return per_example((right & ~output.isnan()).double())
        logits = class_first(output, target, class_axis)
        wanted = target.argmax(1) if target.is_floating_point() else target
        right = (logits.argmax(1) == wanted) & ~logits.isnan().any(1) & (wanted != ignore_index)
        return per_example(right.double())

    def counted(examples: Examples) -> float:
        target = examples.targets
        if binary or not isinstance(target, Tensor) or target.is_floating_point():
            return 1.0
        return float((target != ignore_index).double().mean())

    return Score(
        "accuracy",
        each,
        counted,
        lambda _, right, all_of_them: right / all_of_them if all_of_them else math.nan,
    )


def r2() -> Score:
    """R2, the share of the targets' variance that the network explains: 1 - sum (y - f)^2 / sum (y - mean y)^2.

    Sums are over examples and outputs; each output has its own mean.
    """

    def each(output: Tensor, target: Tensor) -> Tensor:
        return (
            (output - fitted(output, target)).square().flatten(1).sum(1)
            if output.ndim > 1
            else (output - fitted(output, target)).square()
        )

    def variance(examples: Examples) -> float:
        if not isinstance(examples.targets, Tensor):
            return math.nan
        values = examples.targets.double().reshape(len(examples), -1)
        return float((values - values.mean(0)).square().sum(1).mean())

    return Score(
        "r2",
        each,
        variance,
        lambda _, square, whole: 1 - square / whole if whole else math.nan,
    )


def perplexity() -> Score:
    """The exponential of the mean loss."""
    return Score(
        "perplexity",
        None,
        _one,
        lambda loss, _, __: math.exp(loss) if loss < 700 else math.inf if loss == loss else math.nan,
    )


def by_function(name: str, function: Callable[[Any, Any], Any]) -> Score:
    """A user's own score, averaged over the examples."""

    def each(output: Any, target: Any) -> Tensor:
        return per_example(torch.as_tensor(function(output, target)).double())

    return Score(name, each, _one, lambda _, mean, __: mean)
