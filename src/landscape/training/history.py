"""The history of a training: one row per epoch."""

import math
import time
from collections.abc import Callable

import numpy as np
import xarray as xr
from torch import nn

from landscape.data.datasets import DataSet
from landscape.objective.meanings import loss_meaning, score_meaning
from landscape.objective.objective import CLASSIFICATION, Objective
from landscape.store.weights import norm

Evaluate = Callable[[nn.Module, DataSet], dict[str, float]]
"""Measures a network in eval mode: `train_loss`, the score as `train_NAME` and, with a test split, `test_loss` and
`test_NAME`."""

History = dict[str, list[float]]
"""One list per column, one number per epoch."""

COLUMNS = {
    "running_loss": ("loss while training, train mode, augmented as the run says", "1"),
    "learning_rate": ("learning rate at the last step of the epoch", "1"),
    "weight_norm": ("L2 norm of all parameters", "1"),
    "gradient_norm": (
        "mean over steps of the L2 norm of the loss gradient, before clipping, without weight decay",
        "1",
    ),
    "seconds": ("time since the start of training, pauses between processes left out", "s"),
    "examples_per_second": (
        "training examples over the time of the training passes of the epoch, without evaluation",
        "s-1",
    ),
}
"""Long name and unit of the columns beside those that are measured: losses and scores on both splits."""

_SPLITS = {
    "train": ("training examples", "in eval mode, not augmented"),
    "test": ("test examples", "in eval mode"),
}


def _columns(objective: Objective) -> dict[str, tuple[str, str]]:
    meanings = {"loss": loss_meaning(objective.facts())}
    if objective.score is not None:
        meanings[objective.score.name] = score_meaning(objective.score.name)
    found = {
        f"{split}_{name}": (f"{meaning.format(examples)}, {how}", "1")
        for name, meaning in meanings.items()
        for split, (examples, how) in _SPLITS.items()
    }
    return found | COLUMNS


def history_of(
    network: nn.Module, data: DataSet, evaluate: Evaluate, objective: Objective = CLASSIFICATION
) -> xr.Dataset:
    """Measure a network that is not trained here: a history with the row of epoch 0.

    Dimension `epoch`; variables `train_loss`, `test_loss` and the score, such as `train_accuracy` and `test_accuracy` (of
    test absent without a test split), `running_loss`, `learning_rate`, `gradient_norm`, `examples_per_second` (these four
    NaN at epoch 0), `weight_norm`, `seconds`.
    """
    start = time.monotonic()
    row = measure(network, data, evaluate)
    return dataset(
        {column: [value] for column, value in {**row, "seconds": time.monotonic() - start}.items()}, objective
    )


def measure(network: nn.Module, data: DataSet, evaluate: Evaluate) -> dict[str, float]:
    """Measure a row of the history; columns of a trained epoch are NaN."""
    measured = evaluate(network, data)
    row = measured | dict.fromkeys(COLUMNS, math.nan)
    row["weight_norm"] = norm({name: parameter.detach() for name, parameter in network.named_parameters()})
    return row


def dataset(history: History, objective: Objective = CLASSIFICATION) -> xr.Dataset:
    """Turn a history into a Dataset along the dimension `epoch`; its attributes name the loss and the score."""
    epochs, told = np.arange(len(history["seconds"])), _columns(objective)
    columns = {
        column: ("epoch", np.array(values, np.float64), dict(zip(("long_name", "units"), told[column], strict=True)))
        for column, values in history.items()
    }
    number = ("epoch", epochs, {"long_name": "epochs trained (0: before training)", "units": "1"})
    stated = {key: value for key, value in objective.facts().items() if value is not None}
    return xr.Dataset(columns, {"epoch": number}, stated)


def with_predictions(history: xr.Dataset, correct: np.ndarray | None) -> xr.Dataset:
    """Add to a history whether each test example is classified rightly after the last epoch, uint8 (test_example); or nothing."""
    if correct is None:
        return history
    told = {
        "long_name": "1 where the test example is classified rightly after the last epoch, 0 elsewhere",
        "units": "1",
    }
    return history.assign(test_correct=("test_example", correct.astype(np.uint8), told))
