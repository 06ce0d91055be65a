"""Data sets, networks, and how they are trained or adopted."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from landscape.api.inputs import Given, Point, ready, weights_of
from landscape.data import datasets
from landscape.data.data_section import Data
from landscape.data.datasets import DataSet
from landscape.engine.recorder import Recorder
from landscape.errors import InputError
from landscape.experiment.reading import entry
from landscape.networks.building import build
from landscape.store import checkpoint, files
from landscape.training import loop, rescaling
from landscape.training.history import history_of
from landscape.training.loop import Trained
from landscape.training.run_section import Run


def dataset(source: str = "digits", **keys: Any) -> DataSet:
    """Fetch or read a data set, with the mean and the standard deviation of its training images taken off.

    Args:
        source: as the key of the configuration: `digits`, `cifar10`, an .npz file, a folder of images, a function.
        keys: further keys of the section `data`.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> digits.train.images.shape
        torch.Size([100, 1, 8, 8])
    """
    spec: Data = entry("data", {"source": source, **keys})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.safetensors"
        datasets.make(spec, path, {"name": source, **files.provenance("dataset")})
        return datasets.read(path)


def network(name: str, data: DataSet, *, seed: int = 0, **args: Any) -> nn.Module:
    """Build a network by its name, as the key `network` of a run does, with initial weights from `seed`.

    Example:
        >>> net = ls.network("resnet", ls.dataset("digits", images=100), depth=8, width=2)
        >>> sum(p.numel() for p in net.parameters())
        1384
    """
    return build(name, args, seed=seed, images=data.shape, classes=data.classes)


def train(
    network: nn.Module,
    data: Given,
    spec: Run | None = None,
    /,
    *,
    test: Given = None,
    work: str | Path | None = None,
    identity: str = "given",
    name: str = "",
    until: int | None = None,
    **keys: Any,
) -> Trained:
    """Train a network in place, by the paper's recipe unless `keys` say otherwise (Li et al. 2018, section 4).

    Args:
        work: a folder from which an interrupted training goes on; without it nothing is kept.
        identity: what tells trainings in one folder apart; another one is set aside.
        until: the epoch to end with.
        keys: of the section `runs`: epochs, optimizer, learning_rate, weight_decay, keep, ...

    Returns:
        `weights`, the `history` with a row for each epoch and one before, and the `epochs` that are kept, by number.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> trained = ls.train(ls.network("resnet", digits, depth=8, width=2), digits, epochs=2, batch_size=50)
        >>> trained.history.sizes["epoch"]
        3
    """
    spec = spec or entry("runs", {"network": "given", "data": "given", **keys})
    with ready(network, data, test, spec.threads) as used, contextlib.ExitStack() as stack:
        folder = Path(work or stack.enter_context(tempfile.TemporaryDirectory()))
        return loop.train(spec, network, used, folder, identity, Recorder(), name, until)


def adopt(network: nn.Module, weights: Point, data: Given, *, test: Given = None) -> Trained:
    """Put weights that were made elsewhere into a network, and measure its losses and errors.

    Returns:
        `weights`, a `history` of one row, and no `epochs`.

    Raises:
        InputError: if they do not fit; each tensor is named.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> one, other = (ls.network("resnet", digits, depth=8, width=2, seed=seed) for seed in (0, 1))
        >>> ls.adopt(one, other, digits).history.train_loss.shape
        (1,)
    """
    theta = weights_of(weights)
    if misfits := checkpoint.misfits(theta, network):
        of = weights if isinstance(weights, str | Path) else "the weights"
        raise InputError(f"{of} does not fit the network: {misfit}" for misfit in misfits)
    network.load_state_dict(theta, strict=False)
    with ready(network, data, test) as used:
        kept = {name: tensor.clone() for name, tensor in weights_of(network).items()}
        return Trained(kept, history_of(network, used, Recorder()), {})


def rescale(network: nn.Module, data: Given, *, by: float, around: Point | None = None) -> rescaling.Twin:
    """Make a network's twin: filters times `by`, so that it computes the same from other weights (Li et al. 2018, section 4).

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> twin = ls.rescale(ls.network("resnet", digits, depth=8, width=2), digits, by=10)
        >>> len(twin.normed) + len(twin.joined)
        9
    """
    with ready(network, data, None) as used:
        theta = weights_of(around if around is not None else network)
        return rescaling.twin(network, theta, by, used.train.images[: rescaling.EXAMPLES])
