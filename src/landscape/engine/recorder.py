"""The loss and score of a network during its training, as a plane would measure them at its centre."""

import numpy as np
import torch
from torch import nn

from landscape.data.datasets import DataSet
from landscape.engine.engine import Engine
from landscape.networks.copying import at_weights, duplicate
from landscape.objective.objective import CLASSIFICATION, Objective
from landscape.store.weights import tensors_of


class Recorder:
    """Measures the weights of a network in eval mode: on the CPU to the bit what a plane holds at (0, 0).

    They are loaded into a copy of the network as it was at the first call: what is not in its state dict does not count. It
    keeps the engine of an architecture and a data set for the next call, as long as that follows such a copy.
    """

    def __init__(self, objective: Objective = CLASSIFICATION) -> None:
        self._objective = objective
        self._kept: tuple[DataSet, nn.Module, Engine] | None = None

    def __call__(self, network: nn.Module, data: DataSet) -> dict[str, float]:
        """`train_loss`, the score as `train_NAME`, and, with a test split, `test_loss` and `test_NAME`."""
        theta = tensors_of(network)
        splits = {"train": data.train} | ({"test": data.test} if data.test else {})
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as for a tile: a training may use more, and that alters bits
        try:
            built = self._kept[1] if self._kept and self._kept[0] is data else duplicate(network)
            if (
                not self._kept
                or built is not self._kept[1]
                or not self._kept[2].follows(at_weights(built, theta), theta)
            ):
                self._kept = data, built, Engine(built, theta, {}, splits, self._objective)
            found = self._kept[2].centre()
        finally:
            torch.set_num_threads(threads)
        measured = {f"{name}_loss": found[name].loss for name in splits}
        if (score := self._objective.score) is not None:
            measured |= {f"{name}_{score.name}": found[name].score for name in splits}
        return measured

    def correct(self, network: nn.Module, data: DataSet) -> np.ndarray | None:
        """Say of each test example whether it is classified rightly, bool (n,); None without such predictions."""
        score = self._objective.score
        if data.test is None or score is None or score.name != "accuracy" or self._objective.parts:
            return None
        self(network, data)
        assert self._kept is not None
        return self._kept[2].scores("test").cpu().numpy() > 0.5
