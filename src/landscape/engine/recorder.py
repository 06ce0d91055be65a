"""The loss and score of a network during its training, as a plane would measure them at its centre."""

import torch
from torch import nn

from landscape.data.datasets import DataSet
from landscape.engine.engine import Engine
from landscape.networks.copying import duplicate, tensors_of
from landscape.objective.objective import CLASSIFICATION, Objective


class Recorder:
    """Measures a network as it is, in eval mode: on the CPU to the bit what a plane holds at (0, 0).

    It keeps the engine of an architecture and a data set for the next call, as long as that follows the network. The
    network itself is left alone: a copy is measured.
    """

    def __init__(self, objective: Objective = CLASSIFICATION) -> None:
        self._objective = objective
        self._kept: tuple[DataSet, Engine] | None = None

    def __call__(self, network: nn.Module, data: DataSet) -> dict[str, float]:
        """`train_loss`, the score as `train_NAME`, and, with a test split, `test_loss` and `test_NAME`."""
        theta = tensors_of(network)
        splits = {"train": data.train} | ({"test": data.test} if data.test else {})
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as for a tile: a training may use more, and that alters bits
        try:
            if (
                self._kept is None
                or self._kept[0] is not data
                or not self._kept[1].follows(duplicate(network).eval(), theta)
            ):
                self._kept = data, Engine(network, theta, {}, splits, self._objective)
            found = self._kept[1].centre()
        finally:
            torch.set_num_threads(threads)
        measured = {f"{name}_loss": found[name].loss for name in splits}
        if (score := self._objective.score) is not None:
            measured |= {f"{name}_{score.name}": found[name].score for name in splits}
        return measured
