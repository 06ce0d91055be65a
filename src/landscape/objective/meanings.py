"""What the loss and the score of a file mean, from its attributes, for readers without torch."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

NATS = "natural logarithm"
PARTS = "parts of examples"
"""What an accuracy over pixels, tokens or labels counts: the attribute `score_of`, absent for one over examples."""

CLASSIFICATION = {"loss": "cross-entropy", "loss_unit": NATS, "score": "accuracy"}
"""The loss of a file that names none."""

MEANINGS = {
    "accuracy": "share of the {} classified correctly",
    "r2": "R2 over the {}: the share of the targets' variance that the network explains",
    "perplexity": "perplexity of the {}: the exponential of the mean loss",
}
_OF_CLASSES = ("cross-entropy", "negative log-likelihood")
_WORDS = {"r2": "R2"}


def mean_loss(attrs: Mapping[str, Any]) -> str:
    """Write `mean cross-entropy (natural logarithm)` from the attributes of a file."""
    return loss_meaning(attrs).replace(" over the {}", "")


def loss_meaning(attrs: Mapping[str, Any]) -> str:
    """Return the long name of the loss from the attributes of a file, with `{}` for the examples it is over."""
    said = _said(attrs)
    unit = said.get("loss_unit")
    return f"mean {said['loss']} over the {{}}" + (f" ({unit})" if unit else "")


def batches(attrs: Mapping[str, Any]) -> str:
    """Write `, which depends on the batches, of about 128 examples`; empty if the loss of an example is its own."""
    size = attrs.get("loss_depends_on_batches_of")
    return f", which depends on the batches, of about {size} examples" if size else ""


def loss_name(attrs: Mapping[str, Any]) -> str:
    """Return the name of the loss from the attributes of a file: `cross-entropy`, `squared error`."""
    return str(_said(attrs)["loss"])


def is_cross_entropy(attrs: Mapping[str, Any]) -> bool:
    """Say if the loss is the one that figures and tables need not name."""
    return loss_name(attrs) == CLASSIFICATION["loss"]


def in_nats(attrs: Mapping[str, Any]) -> bool:
    """Say if the loss is a logarithm of probabilities, so that 0.1, 1 and 10 mean the same for every network."""
    return bool(_said(attrs).get("loss_unit") == NATS)


def guessing(attrs: Mapping[str, Any]) -> float:
    """Return the loss of guessing, ln(classes); NaN if the loss is not the cross-entropy of classes."""
    classes = classes_in(attrs)
    return math.log(classes) if classes and loss_name(attrs) in _OF_CLASSES else math.nan


def classes_in(attrs: Mapping[str, Any]) -> int | None:
    """Return the number of classes that count in the loss, from the attributes of a file; None if there are none."""
    found = attrs.get("loss_classes", attrs.get("classes"))
    return None if found is None else int(found)


def score_in(attrs: Mapping[str, Any]) -> str | None:
    """Return the name of the score from the attributes of a file; None if there is none."""
    return _said(attrs).get("score")


def common_score(attrs: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the score that all files have; None if they have none, or different ones."""
    names = {score_in(each) for each in attrs}
    return names.pop() if len(names) == 1 else None


def counts_examples(attrs: Mapping[str, Any]) -> bool:
    """Say if the score is the share of examples that are right, so that it has an interval."""
    return score_in(attrs) == "accuracy" and attrs.get("score_of") != PARTS


def score_word(name: str) -> str:
    """Write the name of a score in a text."""
    return _WORDS.get(name, name)


def score_meaning(name: str) -> str:
    """Return the long name of a score, with `{}` for the examples it is over; a user's own is a mean over them."""
    return MEANINGS.get(name, f"mean {name} over the {{}}")


def _said(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    return attrs if "loss" in attrs else CLASSIFICATION
