"""Examine a network and a loss on a few examples before they are used: they fit, and the loss is a function of the weights.

A network is a function of its state dict if two passes over the same examples agree. Often an example alone has the output
that it has in a batch, too; where not, the loss depends on how examples are put in batches, and they are put in one way.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.data.examples import Examples, leaves, shapes
from landscape.errors import InputError
from landscape.networks.copying import Escapes, at_weights
from landscape.objective.objective import Objective, in_double
from landscape.store.weights import Weights, tensors_of

_log = logging.getLogger(__name__)

EXAMPLES = 4
"""Examples on which an objective is tried before use."""

BATCH = 128
"""Approximate number of examples in a batch where the loss depends on the batches."""

_ROUNDING = 1e-5
"""Difference of two outputs, as a share of the largest, that rounding explains: 2^-24 times the square root of some 10^4
operations."""
_LARGER = 1e-3
"""The same for a network that amplifies rounding, and does not run in float64, which would tell."""
_PASSES = 30
"""Passes over a network that draws random numbers; a block that is left out in one of twenty would show in four of five."""


def tried(
    objective: Objective,
    network: nn.Module,
    examples: Examples,
    classes: int | None = None,
    theta: Weights | None = None,
) -> Objective:
    """Try a network and a loss on a few examples; tell what kind of loss it is.

    Args:
        classes: of all examples of the data; by default those of `examples`.
        theta: weights at which the network is tried; by default its own.

    Raises:
        InputError: if the network does not take the inputs, or the loss its output; or if two passes differ.
    """
    few = examples[:EXAMPLES]
    theta = theta if theta is not None else _stirred(network)
    counted = objective.loss is not None and objective.loss.classes(few)
    classes = (classes or objective.loss.classes(examples)) if objective.loss is not None and counted else None
    whole = _judged(
        lambda: at_weights(network, theta), "the network, copied and set to weights by load_state_dict,", None
    )
    with torch.enable_grad():
        before = _random_state(few)
        output, losses = _first(objective, whole, few, classes)
        draws = not _equal_state(before, _random_state(few))
        first = [torch.atleast_1d(part).detach().clone() for part in (output, losses) if isinstance(part, Tensor)]
        remembers = _judged(
            lambda: _remembers(objective, network, theta, whole, few, _others(examples), first, draws),
            "the network, called again,",
            few,
        )
        objective = replace(
            objective,
            remembers=remembers,
            per_example=losses.ndim > 0,
            parts=_has_parts(objective, objective.loss.targets(few) if objective.loss else None),
            classes=classes,
            outputs=_logits(output, classes),
        )
        depends = not objective.per_example or _depends_on_batch(objective, network, theta, whole, few)
    return replace(objective, batch=BATCH) if depends else objective


def _first(objective: Objective, network: nn.Module, few: Examples, classes: int | None) -> tuple[Any, Tensor]:
    """Return a first pass's output, None for an objective that is a function, and its losses; mistakes in plain words."""
    batch, output = few.fresh(), None
    if objective.loss is None:
        losses = _judged(lambda: objective.of_network(network, batch), "its objective", few)
    else:
        output = _judged(lambda: objective.output_of(network, batch), "the network", few)
        loss, targets = objective.loss, objective.loss.targets(few)
        _check_classes(output, targets, classes)
        losses = _judged(
            lambda: loss.each(in_double(output), targets),
            f"the loss {objective.name}, of the output {shapes(output)} and targets {shapes(targets)},",
            None,
        )
        if (score := objective.score) is not None and (each := score.each) is not None:
            _judged(lambda: each(in_double(output), targets), f"the score {score.name}", None)
    if not isinstance(losses, Tensor) or (losses.ndim and len(losses) != len(few)):
        raise InputError(
            f"the loss {objective.name} returned {shapes(losses)} for {len(few)} examples; it must return a number for each"
        )
    return output, losses


def _remembers(
    objective: Objective,
    network: nn.Module,
    theta: Weights,
    whole: nn.Module,
    few: Examples,
    others: Examples,
    first: list[Tensor],
    draws: bool,
) -> bool:
    """Say if a pass, over `others` in between, changes the outputs of the next one, though not those of a fresh copy.

    Raises:
        InputError: if fresh copies differ too.
    """
    with Escapes(network) as escapes:
        seen(objective, whole, others)
    if escapes.found:
        raise InputError(
            "the network cannot be copied: the copy computes with tensors of the network itself; the likely cause is a function "
            "or an object in the code that names a part of it, which a method of the module would not"
        )
    passes = [seen(objective, whole, few) for _ in range(_PASSES if draws else 1)]
    if all(apart(each, first) <= _ROUNDING for each in passes):
        if draws:
            _log.warning("the network draws random numbers in eval mode; %d passes over it agree", _PASSES)
        return False
    again = [seen(objective, at_weights(network, theta), few) for _ in range(2)]
    if not draws and all(apart(each, first) <= _ROUNDING for each in again):
        return True
    of_network = len(first) > 1 and any(apart(each[:1], first[:1]) > _ROUNDING for each in (*passes, *again))
    who, what = ("the network", "outputs") if of_network else (f"the loss {objective.name}", "losses")
    if not draws:
        cause = "and draws no random numbers from torch, numpy or Python; it must depend on weights and inputs alone"
    elif not of_network:
        cause = "since it draws random numbers; draw them from a torch.Generator that it seeds at each call"
    else:
        cause = (
            "since it draws random numbers; the likely cause is F.dropout without training=self.training, or torch.rand in "
            "forward"
        )
    raise InputError(
        f"{who} is no function of the weights: called twice in eval mode on the same examples, it gives different {what}, {cause}"
    )


def _others(examples: Examples) -> Examples:
    """Take the examples with the largest inputs among some: a network that keeps a maximum or a mean of them remembers these."""
    some = examples[:BATCH]
    sizes = torch.stack([tensor.double().abs().amax(1) for tensor in map(_rowwise, leaves(some.inputs))])
    return some[sizes.amax(0).topk(min(EXAMPLES, len(some))).indices]


def _rowwise(tensor: Tensor) -> Tensor:
    return tensor.reshape(len(tensor), -1)


def _depends_on_batch(
    objective: Objective, network: nn.Module, theta: Weights, whole: nn.Module, few: Examples
) -> bool:
    """Say if an example alone has another output than in a batch, as with the statistics of a batch.

    Kernels differ with the batch, and a network may amplify such rounding; then a pass in float64 tells, in which the
    difference would all but vanish.
    """
    if len(few) < 2:
        return False
    found = _alone(objective, lambda: at_weights(network, theta) if objective.remembers else whole, few)
    if found <= _ROUNDING:
        return False
    double = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in theta.items()}
    try:
        precise = at_weights(network, double, torch.float64)
        exact = _alone(
            objective,
            lambda: at_weights(network, double, torch.float64) if objective.remembers else precise,
            few.in_type(torch.float64),
        )
    except Exception:  # the network's own code may insist on float32
        exact = torch.inf
    return found > _LARGER if exact == torch.inf else exact > found / 100


def _alone(objective: Objective, network: Callable[[], nn.Module], few: Examples) -> float:
    """Return the largest difference of an example alone from the same in a batch; inf if it fails alone."""
    together, worst = seen(objective, network(), few), 0.0
    for k in range(len(few)):
        try:
            alone = seen(objective, network(), few[k : k + 1])
        except Exception:
            return torch.inf
        has_rows = len(together[0]) == len(few) and len(alone[0]) == 1
        pairs = list(zip(alone, together, strict=True))[0 if has_rows else -1 :]
        scales = [float(_finite(whole).abs().max()) for _, whole in pairs]
        worst = max(worst, apart([one[0] for one, _ in pairs], [whole[k] for _, whole in pairs], max(scales)))
    return worst


def seen(objective: Objective, network: nn.Module, few: Examples) -> list[Tensor]:
    """Return what tells two networks apart, which nothing writes into later (`observed`)."""
    return [part.detach().clone() for part in observed(objective, network, few.fresh())]


def observed(objective: Objective, network: nn.Module, batch: Examples) -> list[Tensor]:
    """Return a network's output, if it is a tensor, and the losses; at least one of both."""
    if objective.loss is None:
        return [torch.atleast_1d(objective.of_network(network, batch))]
    output = objective.output_of(network, batch)
    losses = torch.atleast_1d(objective.loss.each(in_double(output), objective.loss.targets(batch)))
    return [torch.atleast_1d(output), losses] if isinstance(output, Tensor) else [losses]


def apart(found: list[Tensor], expected: list[Tensor], scale: float = 0.0) -> float:
    """Return the largest difference of outputs and losses, as a share of the largest number up to there, or of `scale`.

    It is inf if numbers that are not finite stand in different places. Small losses follow from large outputs, so that a
    loss counts as a share of these, too.
    """
    worst = 0.0
    if [part.shape for part in found] != [part.shape for part in expected]:
        return torch.inf
    for one, other in zip(found, expected, strict=True):
        if not torch.equal(one.isfinite(), other.isfinite()):
            return torch.inf
        scale = max(scale, float(_finite(other).abs().max()))
        difference = float((_finite(one).double() - _finite(other).double()).abs().max())
        worst = max(worst, difference / max(scale, 1e-300))
    return worst


def _finite(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return tensor.where(tensor.isfinite(), 0) if tensor.numel() else tensor.new_zeros(1)


def _random_state(few: Examples) -> tuple[Any, ...]:
    """State of the random numbers that a network may draw: torch's, numpy's and Python's."""
    device = leaves(few.inputs)[0].device
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.empty(0)
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()


def _equal_state(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    numpys = all(np.array_equal(a, b) for a, b in zip(one[2], other[2], strict=True))
    return torch.equal(one[0], other[0]) and torch.equal(one[1], other[1]) and numpys and one[3] == other[3]


def _stirred(network: nn.Module) -> Weights:
    """Return a network's own weights, with small numbers for parameters that are zero, as a layer's before training may be."""
    found, parameters = tensors_of(network), dict(network.named_parameters())
    for name, tensor in found.items():
        if name in parameters and tensor.is_floating_point() and not tensor.any():
            found[name] = (0.1 * torch.arange(1, 1 + tensor.numel()).cos()).to(tensor).view(tensor.shape)
    return found


def _has_parts(objective: Objective, target: Any) -> bool:
    """Say if an accuracy is over several targets of each example; the probabilities of its classes are one target."""
    if objective.score is None or objective.score.name != "accuracy" or not isinstance(target, Tensor):
        return False
    of_classes = target.is_floating_point() and objective.loss is not None and objective.loss.name == "cross-entropy"
    return target[:1].numel() > 1 and not (of_classes and target.ndim == 2)


def _judged(work: Callable[[], Any], who: str, examples: Examples | None) -> Any:
    try:
        return work()
    except InputError as error:
        if who.startswith("the network"):
            raise
        raise InputError(f"{who} cannot be computed: {problem}" for problem in error.problems) from error
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        given = f" on examples {shapes(examples.inputs)}" if examples is not None else ""
        first = (str(error).strip() or "no message").splitlines()[0]
        raise InputError(f"{who} failed{given}: {type(error).__name__}: {first}") from error


def _check_classes(output: Any, target: Any, classes: int | None) -> None:
    """Refuse a network with fewer outputs than there are classes, before a loss fails on the first such example."""
    if classes is None or not isinstance(output, Tensor) or output.ndim < 2 or output.ndim != target.ndim + 1:
        return
    outputs = output.shape[1] if output.ndim == 2 else max(output.shape[1], output.shape[-1])
    if outputs < classes:
        raise InputError(f"the network returned {outputs} logits for each example; the data has {classes} classes")


def _logits(output: Any, classes: int | None) -> int | None:
    """Number of logits of each example, if they are over classes and in one row."""
    return output.shape[1] if classes is not None and isinstance(output, Tensor) and output.ndim == 2 else None
