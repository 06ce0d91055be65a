"""What names of losses and scores in files mean, for readers without torch."""

from collections.abc import Mapping
from typing import Any

CLASSIFICATION = {"loss": "cross-entropy", "loss_unit": "natural logarithm", "score": "accuracy"}
"""The loss of a file that names none."""

MEANINGS = {
    "accuracy": "share of the {} classified correctly",
    "r2": "R2 over the {}: the share of the targets' variance that the network explains",
    "perplexity": "perplexity of the {}: the exponential of the mean loss",
}


def loss_meaning(attrs: Mapping[str, Any]) -> str:
    """Return the long name of the loss from the attributes of a file, with `{}` for the examples it is over."""
    said = attrs if "loss" in attrs else CLASSIFICATION
    unit = said.get("loss_unit")
    return f"mean {said['loss']} over the {{}}" + (f" ({unit})" if unit else "")


def score_in(attrs: Mapping[str, Any]) -> str | None:
    """Return the name of the score from the attributes of a file; None if there is none."""
    return (attrs if "loss" in attrs else CLASSIFICATION).get("score")


def score_meaning(name: str) -> str:
    """Return the long name of a score, with `{}` for the examples it is over; a user's own is a mean over them."""
    return MEANINGS.get(name, f"mean {name} over the {{}}")
