"""The losses known by name: for each a number per example, and what torch's own mean divides by.

Every loss is L = sum_i s_i / sum_i c_i over the examples i. For one class an example and no weights c_i is 1. Otherwise s_i
is the sum over the positions of example i, and c_i the weight of its targets that count, as in torch's `reduction="mean"`:
L is what `torch.nn.CrossEntropyLoss(weight=..., ignore_index=...)` returns for all examples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from landscape.data.class_labels import Labels, problem
from landscape.data.examples import Examples, shapes
from landscape.errors import InputError

IGNORED = -100
"""Targets of this value do not count, unless `ignore_index` says another: torch's default."""


@dataclass(frozen=True)
class Loss:
    """A loss of the network's output and the targets.

    Attributes:
        name: its name in files and captions.
        unit: of its values; empty if it has none.
        each: s of every example, (n,), from output and target.
        mean: the loss of a batch in training, (), as torch computes it.
        counts: c of every example, (n,); None if it is 1 for all.
        score: the score by default.
        classes: of targets that are classes, one more than the largest that counts; None for other targets.
        targets: what it compares the output with.
        check_labels: raises InputError if labels, by split, are likely meant otherwise than as its classes.
    """

    name: str
    unit: str
    each: Callable[[Any, Any], Tensor]
    mean: Callable[[Any, Any], Tensor]
    counts: Callable[[Examples], Tensor | None]
    score: str
    classes: Callable[[Examples], int | None] = lambda _: None
    targets: Callable[[Examples], Any] = lambda examples: examples.targets
    check_labels: Callable[[Labels], None] = lambda _: None


def named(name: str, args: Mapping[str, Any]) -> Loss:
    """Make a loss from its name in the configuration and its arguments."""
    if name in ("cross_entropy", "nll"):
        return _of_classes(name, **args)
    if name == "bce":
        return _binary(**args)
    if name == "next_token":
        return _next_token()
    return _regression(name, **args)


def _of_classes(
    name: str,
    weight: Any = None,
    ignore_index: int | None = None,
    class_axis: int | None = None,
    label_smoothing: float = 0.0,
) -> Loss:
    """Cross-entropy of logits, or the negative log-likelihood of log-probabilities."""
    weights = None if weight is None else torch.as_tensor(weight, dtype=torch.float64)
    ignored = IGNORED if ignore_index is None else ignore_index
    smooth: Any = {"label_smoothing": label_smoothing} if name == "cross_entropy" else {}
    function = functional.cross_entropy if name == "cross_entropy" else functional.nll_loss

    def taken(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        output, target = class_first(output, target, class_axis), _whole(output, target)
        found: Tensor = function(
            output,
            target,
            weight=None if weights is None else weights.to(output),
            ignore_index=ignored,
            reduction=reduction,
            **smooth,
        )
        return found

    def each(output: Tensor, target: Tensor) -> Tensor:
        losses = taken(output, target, "none")
        return losses if losses.ndim == 1 else losses.flatten(1).sum(1)

    def counts(examples: Examples) -> Tensor | None:
        target = examples.targets
        if not isinstance(target, Tensor):
            return None
        if target.is_floating_point():  # probabilities (n, classes, ...)
            positions = target[0, 0].numel()
            return None if positions == 1 else torch.full((len(target),), float(positions), dtype=torch.float64)
        counted = target != ignored
        if weights is None and target.ndim == 1 and bool(counted.all()):
            return None
        if weights is None:
            found = counted.double()
        else:
            found = weights.to(target.device)[target.long().where(counted, 0)] * counted
        return found if found.ndim == 1 else found.flatten(1).sum(1)

    def classes(examples: Examples) -> int | None:
        target = examples.targets
        if not isinstance(target, Tensor) or target.is_floating_point():
            return None
        counted = target[target != ignored]
        return 1 + int(counted.max()) if counted.numel() else None

    def check_labels(labels: Labels) -> None:
        if found := problem(labels, ignore_index):
            raise InputError(found)

    label = "cross-entropy" if name == "cross_entropy" else "negative log-likelihood"
    return Loss(
        label,
        "natural logarithm",
        each,
        lambda o, t: taken(o, t, "mean"),
        counts,
        "accuracy",
        classes,
        check_labels=check_labels,
    )


def _next_token() -> Loss:
    """Cross-entropy of each token's logits, (n, length, tokens), with the token after it."""
    plain = _of_classes("cross_entropy", class_axis=-1)
    return replace(
        plain,
        name="next-token cross-entropy",
        counts=lambda examples: plain.counts(Examples(examples.inputs, next_tokens(examples))),
        score="perplexity",
        classes=lambda examples: plain.classes(Examples(examples.inputs, next_tokens(examples))),
        targets=next_tokens,
        check_labels=lambda _: None,
    )


def next_tokens(examples: Examples) -> Tensor:
    """Return for each position the token after it, (n, length); IGNORED at the last position and where a mask is 0.

    The tokens are the targets or, without any, the inputs: a tensor, or `input_ids` of a dictionary. With an
    `attention_mask` a position counts if it and the next one are tokens, not padding.

    Raises:
        InputError: if there are no such tokens.
    """
    inputs = examples.inputs
    named = inputs if isinstance(inputs, dict) else {"input_ids": inputs}
    tokens = examples.targets if examples.targets is not None else named.get("input_ids")
    if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.is_floating_point():
        raise InputError(
            "next_token takes tokens, whole numbers (n, length), as the inputs or their input_ids; "
            f"the inputs are {shapes(inputs)} and the targets {shapes(examples.targets)}"
        )
    found = torch.full_like(tokens, IGNORED, dtype=torch.int64)
    found[:, :-1] = tokens[:, 1:]
    mask = named.get("attention_mask")
    if mask is not None:
        real = mask.to(tokens.device) != 0
        found[:, :-1].masked_fill_(~(real[:, :-1] & real[:, 1:]), IGNORED)
    return found


def class_first(output: Any, target: Any, class_axis: int | None) -> Tensor:
    """Bring the classes to dimension 1, where torch has them; language models have them last.

    Raises:
        InputError: if output and targets do not fit, or fit in both ways.
    """
    if not isinstance(output, Tensor) or not isinstance(target, Tensor):
        raise InputError(f"it takes one tensor of logits and one of targets: {shapes(output)} and {shapes(target)}")
    if target.is_floating_point():  # probabilities of the classes, in the output's shape
        if target.shape != output.shape:
            raise InputError(
                f"targets are {shapes(target)} and the output {shapes(output)}; floating-point targets are "
                "probabilities of the classes, in the shape of the output; labels are of an integer type. For a regression "
                "state loss: mse, mae or huber"
            )
        return output
    if output.ndim != target.ndim + 1 or len(output) != len(target):
        if target.ndim == 1:
            raise InputError(
                f"the network returned {tuple(output.shape)} for {len(target)} examples; it must return one row of logits "
                "for each"
            )
        raise InputError(f"the output is {shapes(output)} and the targets {shapes(target)}")
    ways = {1: output.shape[2:] == target.shape[1:], -1: output.shape[:-1] == target.shape}
    if class_axis is None and output.ndim > 2 and ways[1] and ways[-1]:
        raise InputError(
            f"the output is {shapes(output)} and the targets {shapes(target)}, so the classes may be in dimension 1 "
            "(torch) or last (language models): state loss: {name: cross_entropy, args: {class_axis: 1}}, or -1"
        )
    axis = class_axis if class_axis is not None else 1 if ways[1] else -1
    if not ways.get(axis, False):
        raise InputError(f"the output is {shapes(output)} and the targets {shapes(target)}")
    return output if axis == 1 or output.ndim == 2 else output.movedim(-1, 1)


def _whole(output: Tensor, target: Tensor) -> Tensor:
    return target.to(output) if target.is_floating_point() else target.long()


def _binary(weight: Any = None, pos_weight: Any = None) -> Loss:
    """Binary cross-entropy of logits, for one output or several labels."""
    given = {"weight": weight, "pos_weight": pos_weight}
    tensors: dict[str, Any] = {
        key: torch.as_tensor(of, dtype=torch.float64) for key, of in given.items() if of is not None
    }

    def taken(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        moved: Any = {key: of.to(output) for key, of in tensors.items()}
        target = fitted(output, target).to(output)
        if target.numel() and not bool(((target >= 0) & (target <= 1)).all()):
            raise InputError(f"targets are from {float(target.min()):g} to {float(target.max()):g}; bce takes 0 to 1")
        return functional.binary_cross_entropy_with_logits(output, target, reduction=reduction, **moved)

    return _plain("binary cross-entropy", "natural logarithm", taken, "accuracy")


_REGRESSION: dict[str, tuple[str, Any]] = {
    "mse": ("squared error", functional.mse_loss),
    "mae": ("absolute error", functional.l1_loss),
    "huber": ("Huber loss", functional.huber_loss),
}


def _regression(name: str, **args: Any) -> Loss:
    label, function = _REGRESSION[name]

    def taken(output: Tensor, target: Tensor, reduction: str) -> Tensor:
        found: Tensor = function(output, fitted(output, target).to(output), reduction=reduction, **args)
        return found

    return _plain(label, "", taken, "r2")


def _plain(name: str, unit: str, taken: Callable[[Any, Any, str], Tensor], score: str) -> Loss:
    def each(output: Any, target: Any) -> Tensor:
        return per_example(taken(output, target, "none"))

    return Loss(name, unit, each, lambda o, t: taken(o, t, "mean"), lambda _: None, score)


def fitted(output: Any, target: Any) -> Tensor:
    """Return the targets in the shape of the output; (n,) and (n, 1) are one.

    Broadcasting them would compare every example with every other.

    Raises:
        InputError: if the shapes differ otherwise.
    """
    if isinstance(output, Tensor) and isinstance(target, Tensor):
        if output.shape == target.shape:
            return target
        if len(output) == len(target) and output.numel() == len(output) == target.numel():
            return target.view(output.shape)
    raise InputError(f"the output is {shapes(output)} and the targets {shapes(target)}; they must have one shape")


def per_example(losses: Tensor) -> Tensor:
    """Average (n, ...) to (n,)."""
    return losses if losses.ndim == 1 else losses.flatten(1).mean(1)
