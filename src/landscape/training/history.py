"""The history of a training: one row per epoch."""

import math
import time
from collections.abc import Callable

import numpy as np
import xarray as xr
from torch import nn

from landscape.data.datasets import DataSet
from landscape.store.weights import norm

Evaluate = Callable[[nn.Module, DataSet], dict[str, float]]
"""Measures a network in eval mode: `train_loss`, `train_accuracy` (a fraction) and, with a test split, `test_loss`,
`test_accuracy`."""

History = dict[str, list[float]]
"""One list per column, one number per epoch."""

COLUMNS = {
    "train_loss": ("mean cross-entropy (natural logarithm) over the training images, eval mode, not augmented", "1"),
    "train_accuracy": ("share of the training images classified correctly, eval mode, not augmented", "1"),
    "test_loss": ("mean cross-entropy (natural logarithm) over the test images, eval mode", "1"),
    "test_accuracy": ("share of the test images classified correctly, eval mode", "1"),
    "running_loss": (
        "mean cross-entropy (natural logarithm) while training, train mode, augmented as the run says",
        "1",
    ),
    "learning_rate": ("learning rate at the last step of the epoch", "1"),
    "weight_norm": ("L2 norm of all parameters", "1"),
    "gradient_norm": (
        "mean over steps of the L2 norm of the loss gradient, before clipping, without weight decay",
        "1",
    ),
    "seconds": ("time since the start of training, pauses between processes left out", "s"),
    "images_per_second": (
        "training images over the time of the training passes of the epoch, without evaluation",
        "s-1",
    ),
}
"""Long name and unit of each column."""

MEASURED = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


def history_of(network: nn.Module, data: DataSet, evaluate: Evaluate) -> xr.Dataset:
    """Measure a network that is not trained here: a history with the row of epoch 0.

    Dimension `epoch`; variables `train_loss`, `train_accuracy`, `test_loss`, `test_accuracy` (absent without a test
    split), `running_loss`, `learning_rate`, `gradient_norm`, `images_per_second` (these four NaN at epoch 0),
    `weight_norm`, `seconds`.
    """
    start = time.monotonic()
    row = measure(network, data, evaluate)
    return dataset({column: [value] for column, value in {**row, "seconds": time.monotonic() - start}.items()})


def measure(network: nn.Module, data: DataSet, evaluate: Evaluate) -> dict[str, float]:
    """Measure a row of the history; columns of a trained epoch are NaN."""
    measured = evaluate(network, data)
    row = {column: math.nan for column in COLUMNS if column in measured or column not in MEASURED} | measured
    row["weight_norm"] = norm({name: parameter.detach() for name, parameter in network.named_parameters()})
    return row


def dataset(history: History) -> xr.Dataset:
    """Turn a history into a Dataset along the dimension `epoch`."""
    epochs = np.arange(len(history["seconds"]))
    columns = {
        column: ("epoch", np.array(values, np.float64), dict(zip(("long_name", "units"), COLUMNS[column], strict=True)))
        for column, values in history.items()
    }
    number = ("epoch", epochs, {"long_name": "epochs trained (0: before training)", "units": "1"})
    return xr.Dataset(columns, {"epoch": number})
