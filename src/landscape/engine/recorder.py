"""The loss and accuracy of a network during its training, as a plane would measure them at its centre."""

import copy

import torch
from torch import nn

from landscape.data.datasets import DataSet
from landscape.engine.engine import Engine
from landscape.store.weights import Weights


class Recorder:
    """Measures a network as it is, in eval mode: on the CPU to the bit what a plane holds at (0, 0).

    It keeps the engine of an architecture and a data set for the next call, as long as that follows the network. The
    network itself is left alone: a copy is measured.
    """

    def __init__(self) -> None:
        self._kept: tuple[DataSet, nn.Module, Engine] | None = None

    def __call__(self, network: nn.Module, data: DataSet) -> dict[str, float]:
        """`train_loss`, `train_accuracy`, and, with a test split, `test_loss` and `test_accuracy`."""
        theta = {name: tensor.detach() for name, tensor in network.state_dict().items()}
        splits = {"train": data.train} | ({"test": data.test} if data.test else {})
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as for a tile: a training may use more, and that alters bits
        try:
            if self._kept is None or self._kept[0] is not data or not self._follows(*self._kept[1:], theta):
                self._kept = data, copy.deepcopy(network).eval(), Engine(network, theta, {}, splits)
            found = self._kept[2].centre()
        finally:
            torch.set_num_threads(threads)
        return {f"{name}_{of}": getattr(found[name], of) for name in splits for of in ("loss", "accuracy")}

    @staticmethod
    def _follows(network: nn.Module, engine: Engine, theta: Weights) -> bool:
        network.load_state_dict(theta)
        return engine.follows(network, theta)
