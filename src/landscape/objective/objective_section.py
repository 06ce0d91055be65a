"""The keys of a run that say what is minimised: `loss`, `objective`, `output`, `score`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from landscape.config.section import Section
from landscape.config.values import Arguments
from landscape.errors import meant, one_of

LossName = Literal["cross_entropy", "bce", "mse", "mae", "huber", "nll", "next_token"]
ScoreName = Literal["accuracy", "r2", "perplexity", "none"]

ARGUMENTS = {
    "cross_entropy": ("weight", "label_smoothing", "ignore_index", "class_axis"),
    "nll": ("weight", "ignore_index", "class_axis"),
    "bce": ("weight", "pos_weight"),
    "mse": (),
    "mae": (),
    "huber": ("delta",),
    "next_token": (),
}
"""Arguments of the losses known by name; those of `file.py:function` are its own."""


class NamedLoss(Section):
    """A loss by name, or by the function that computes it."""

    name: str = Field(
        min_length=1,
        description=f"{', '.join(get_args(LossName))}, or file.py:function, a function of (output, target) that returns a "
        "number for each example",
    )
    args: Arguments = Field({}, description="arguments of the loss, e.g. weight, label_smoothing, ignore_index")

    @model_validator(mode="after")
    def _known(self) -> "NamedLoss":
        if ":" in self.name:
            return self
        if self.name not in ARGUMENTS:
            raise ValueError(
                f"{self.name!r} is no loss; allowed are {one_of([*ARGUMENTS, 'file.py:function'], self.name)}"
            )
        for key in self.args:
            if key not in ARGUMENTS[self.name]:
                allowed = ", ".join(ARGUMENTS[self.name]) or "no argument"
                raise ValueError(f"{self.name} takes no {key}; it takes {allowed}")
        return self

    @model_serializer(mode="wrap")
    def _short(self, whole: SerializerFunctionWrapHandler) -> Any:
        """Write a loss without arguments as its name."""
        return whole(self) if self.args else self.name


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _score(value: Any) -> Any:
    if value is None or value is False:
        return "none"
    if not isinstance(value, str) or (":" not in value and value not in get_args(ScoreName)):
        raise ValueError(
            f"must be {', '.join(get_args(ScoreName))}, or file.py:function{meant(get_args(ScoreName), value)}"
        )
    return value


def _output(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise ValueError("must be the name of an output, or its position")
    return value


LossKey = Annotated[NamedLoss, BeforeValidator(_by_name, json_schema_input_type=str | NamedLoss)]
ScoreKey = Annotated[str, BeforeValidator(_score)]

CROSS_ENTROPY = NamedLoss(name="cross_entropy")


class ObjectiveKeys(Section):
    """What is minimised, and the score beside it."""

    loss: LossKey = Field(
        CROSS_ENTROPY,
        description=f"the loss of an example: {', '.join(get_args(LossName))}, or file.py:function of (output, target), "
        "a number for each example; with arguments {name: cross_entropy, args: {label_smoothing: 0.1}}",
    )
    objective: str | None = Field(
        None,
        description="in the place of a loss: file.py:function of (network, batch), for what is no function of one output; "
        "batch is (inputs, targets), or the inputs alone where there are no targets",
    )
    output: Annotated[str | int | None, BeforeValidator(_output)] = Field(
        None, description="the part of the network's output that the loss takes: a name or a position, e.g. logits"
    )
    score: ScoreKey | None = Field(
        None,
        description="a second number beside the loss: accuracy, r2, perplexity, none, or file.py:function of (output, "
        "target); default by the loss",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "ObjectiveKeys":
        if self.objective is not None:
            if ":" not in self.objective:
                raise ValueError(f"objective: {self.objective} names no function; write file.py:function")
            stated = {"loss": self.loss != CROSS_ENTROPY, "output": self.output is not None}  # defaults are written out
            if extra := [key for key, own in stated.items() if own]:
                raise ValueError(f"objective: {self.objective} is in the place of the loss, so it takes no {extra[0]}")
        return self

    @property
    def own_functions(self) -> list[str]:
        """The user's own functions among them."""
        named = (self.loss.name, self.objective, self.score)
        return [name for name in named if name is not None and ":" in name]


def keys_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the keys of the objective from a run's specification."""
    return {key: given[key] for key in ObjectiveKeys.model_fields if given.get(key) is not None}
