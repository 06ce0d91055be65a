"""What a network is measured by: the loss of each example, and the score beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from landscape.data.examples import Examples, call, shapes
from landscape.errors import InputError, one_of
from landscape.networks.import_function import function_named
from landscape.objective import scores
from landscape.objective.losses import Loss, named, per_example
from landscape.objective.meanings import PARTS
from landscape.objective.objective_section import CROSS_ENTROPY, NamedLoss, ObjectiveKeys
from landscape.objective.scores import Score


@dataclass(frozen=True)
class Objective:
    """A loss of each example, as a function of the network; and a score.

    Attributes:
        name: the loss's name in files and captions.
        unit: of its values; empty if it has none.
        loss: a loss of the output; None with `function`.
        function: (network, batch) to the losses of its examples.
        output: the part of the network's output that the loss takes.
        score: the score beside the loss, or None.
        parts: whether the score is an accuracy over several targets of each example: pixels, tokens, labels.
        classes: of the targets that count, if they are classes.
        per_example: whether there is a loss for each example; if there is one a batch, it counts for all of them.
        batch: approximate number of examples in a batch if the loss depends on the batches; None if it does not.
        remembers: whether a pass changes the outputs of the next one, so that each batch needs a fresh copy of the network.
        outputs: logits of each example, if the targets are classes.
    """

    name: str
    unit: str
    loss: Loss | None
    function: Callable[[nn.Module, Any], Any] | None
    output: str | int | None
    score: Score | None
    per_example: bool = True
    batch: int | None = None
    remembers: bool = False
    outputs: int | None = None
    parts: bool = False
    classes: int | None = None

    def values(self, network: nn.Module, batch: Examples) -> tuple[Tensor, Tensor | None]:
        """Compute the loss s and the score's number of every example, each float64 (n,).

        The output is cast to float64 first. A loss for a whole batch stands at each of its examples.
        """
        if self.loss is None:
            return self._spread(self.of_network(network, batch), len(batch)), None
        output, targets = in_double(self.output_of(network, batch)), self.loss.targets(batch)
        loss = self._spread(self.loss.each(output, targets), len(batch))
        if self.score is None or self.score.each is None:
            return loss, None
        return loss, self.score.each(output, targets)

    def total(self, network: nn.Module, batch: Examples) -> Tensor:
        """Sum the losses s of a batch in float64, to be differentiated, ()."""
        return self.values_of_loss(network, batch).sum()

    def values_of_loss(self, network: nn.Module, batch: Examples) -> Tensor:
        """Compute the loss s of every example, float64 (n,), without the score."""
        return replace(self, score=None).values(network, batch)[0]

    def training(self, network: nn.Module, batch: Examples, cast: Any) -> Tensor:
        """Compute the loss of a batch as torch does in training: its mean, in float32, ().

        Args:
            cast: the context in which the network runs, such as `torch.autocast`.
        """
        if self.loss is None:
            with cast:
                return self.of_network(network, batch).float().mean()
        with cast:
            output = self.output_of(network, batch)
        return self.loss.mean(output.float() if isinstance(output, Tensor) else output, self.loss.targets(batch))

    def counts(self, examples: Examples) -> Tensor | None:
        """Return c of every example, float64 (n,); None if it is 1 for all. The loss is sum s / sum c."""
        return self.loss.counts(examples) if self.loss else None

    def constant(self, examples: Examples) -> float:
        """Return the constant of the score, from the targets of a split; 1 without a score."""
        if self.score is None:
            return 1.0
        targets = examples.targets if self.loss is None else self.loss.targets(examples)
        return self.score.constant(Examples(examples.inputs, targets))

    def weight(self, examples: Examples) -> float:
        """Sum c over some examples."""
        counts = self.counts(examples)
        total = float(len(examples)) if counts is None else float(counts.sum())
        if not total > 0:
            raise InputError("no target counts in the loss: all are ignored, or their classes have weight 0")
        return total

    def output_of(self, network: nn.Module, batch: Examples) -> Any:
        """Return the part of the network's output that the loss takes."""
        return picked(call(network, batch.inputs), self.output)

    def facts(self) -> dict[str, Any]:
        """State in attributes of a file what its loss and score are."""
        return {
            "loss": self.name,
            "loss_unit": self.unit or None,
            "loss_of": "each example" if self.per_example else "a batch",
            "loss_depends_on_batches_of": self.batch,
            "loss_classes": self.classes,
            "score": self.score.name if self.score else None,
            "score_of": PARTS if self.parts else None,
        }

    def of_network(self, network: nn.Module, batch: Examples) -> Tensor:
        """Call the function of an objective that is one; it returns the losses of the examples."""
        assert self.function is not None
        whole = batch.inputs if batch.targets is None else (batch.inputs, batch.targets)
        losses = self.function(network, whole)
        if not isinstance(losses, Tensor):
            raise InputError(f"it returned {shapes(losses)}; it must return a tensor with a number for each example")
        return losses

    def _spread(self, losses: Tensor, n: int) -> Tensor:
        losses = losses.double()
        return per_example(losses) if losses.ndim else losses.expand(n)


def objective_of(keys: ObjectiveKeys | Mapping[str, Any]) -> Objective:
    """Make the objective that a run's keys state.

    Raises:
        InputError: if a function is missing.
    """
    section = keys if isinstance(keys, ObjectiveKeys) else ObjectiveKeys(**keys)
    if section.objective is not None:
        return _by_objective(_imported(section.objective), section.score)
    return of_loss(section.loss, section.output, section.score)


def _by_objective(function: Callable[..., Any], score: str | None) -> Objective:
    if score not in (None, "none", "perplexity"):
        raise InputError(f"score is {score!r}; with an objective, which has no output, allowed are perplexity and none")
    return Objective(
        _name(function),
        "",
        None,
        function,
        None,
        scores.perplexity() if score == "perplexity" else None,
    )


def of_loss(
    loss: NamedLoss | Callable[..., Any],
    output: str | int | None = None,
    score: str | Callable[..., Any] | None = None,
) -> Objective:
    """Make the objective of a loss by name or a function, with a score by name or a function; None for the loss's own."""
    if isinstance(loss, NamedLoss) and ":" not in loss.name:
        found, of, args = named(loss.name, loss.args), loss.name, loss.args
    else:
        given = _imported(loss.name) if isinstance(loss, NamedLoss) else loss
        args = loss.args if isinstance(loss, NamedLoss) else {}

        def own(output: Any, target: Any) -> Any:
            return given(output, target, **args)

        found, of = Loss(_name(given), "", own, lambda o, t: own(o, t).mean(), lambda _: None, "none"), ""
    return Objective(
        found.name, found.unit, found, None, output, _score(found.score if score is None else score, of, args),
    )  # fmt: skip


def by_function(function: Callable[..., Any], score: str | None = None) -> Objective:
    """Make the objective of a function of (network, batch)."""
    return _by_objective(function, score)


def picked(output: Any, part: str | int | None) -> Any:
    """Take a part of a network's output: an attribute, an entry or a position.

    Without a stated part, an output with `logits` gives these, as the models of transformers do; a tensor is taken as it is.

    Raises:
        InputError: if there is no such part.
    """
    if part is None:
        if isinstance(output, Tensor):
            return output
        if isinstance(output, Mapping) and "logits" in output:
            return output["logits"]
        return getattr(output, "logits", output) if not isinstance(output, tuple | list) else output
    try:
        if isinstance(part, int):
            return output[part]
        return output[part] if isinstance(output, Mapping) else getattr(output, part)
    except (KeyError, IndexError, AttributeError, TypeError):
        raise InputError(f"output is {part!r}, and the network returns {_parts_of(output)}") from None


def in_double(output: Any) -> Any:
    """Cast a floating-point output to float64; leave others as they are."""
    return output.double() if isinstance(output, Tensor) and output.is_floating_point() else output


def _parts_of(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"one tensor, {shapes(output)}"
    if isinstance(output, Mapping):
        return f"{type(output).__name__} with {one_of(list(output))}"
    if isinstance(output, tuple | list):
        return f"{type(output).__name__} of {len(output)}: 0 to {len(output) - 1}"
    return f"{type(output).__name__} with {one_of([name for name in vars(output) if not name.startswith('_')])}"


def _score(score: str | Callable[..., Any], loss: str, args: Mapping[str, Any]) -> Score | None:
    if callable(score):
        return scores.by_function(_name(score), score)
    match score:
        case "none":
            return None
        case "accuracy":
            known = {key: args[key] for key in ("ignore_index", "class_axis") if key in args}
            known |= {"class_axis": -1} if loss == "next_token" else {}
            return scores.accuracy(**known, binary=loss == "bce")
        case "r2":
            return scores.r2()
        case "perplexity":
            return scores.perplexity()
    function = _imported(score)
    return scores.by_function(_name(function), function)


def _imported(name: str) -> Callable[..., Any]:
    with function_named(name) as function:
        return function


def _name(function: Callable[..., Any]) -> str:
    """The name of a user's function, fit for a variable of a file."""
    name = getattr(function, "__name__", type(function).__name__)
    return re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "function"


CLASSIFICATION = of_loss(CROSS_ENTROPY)
"""Cross-entropy of logits with the accuracy: the paper's."""
