"""Data sets, networks, and how they are trained or adopted."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from torch import nn

from landscape.api.inputs import (
    AnyData,
    AnyEpochs,
    AnyWeights,
    Minimised,
    entry_of,
    epochs_of,
    plain,
    ready,
    weights_of,
)
from landscape.data import datasets
from landscape.data.builtin_datasets import FETCHED
from landscape.data.data_section import Data
from landscape.data.datasets import DataSet
from landscape.data.handed_over import data_set
from landscape.engine.recorder import Recorder
from landscape.errors import InputError
from landscape.experiment.signatures import keywords, minimised
from landscape.networks.building import build
from landscape.networks.copying import load
from landscape.objective.objective import objective_of
from landscape.store import files
from landscape.training import loop, rescaling
from landscape.training.expected import checked, compare, sentence
from landscape.training.history import history_of, with_predictions
from landscape.training.loop import Trained
from landscape.training.run_section import Run

_log = logging.getLogger(__name__)


@keywords("data")
def dataset(source: str | Path = "digits", **keys: Any) -> DataSet:
    """Fetch or read a data set, with images of uint8 normalised by the mean and the standard deviation of those of training.

    Args:
        source: as the key of the configuration: `digits`, `cifar10`, an .npz or .safetensors file, a folder of images, a function.
        keys: of the section `data`.

    Raises:
        InputError: if there is no such source, or its content does not fit.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> digits.train.inputs.shape
        torch.Size([100, 1, 8, 8])
    """
    spec: Data = entry_of("data", keys, {"source": str(source)})
    if spec.kind in ("npz", "safetensors", "folder") and not Path(spec.source).exists():
        built_in = ", ".join(FETCHED)
        raise InputError(f"source is {spec.source!r}, and there is no such file or folder; built in are {built_in}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.safetensors"
        datasets.make(spec, path, {"name": spec.source, **files.provenance("dataset")})
        return datasets.read(path)


def network(name: str, data: AnyData, *, seed: int = 0, **args: Any) -> nn.Module:
    """Build a network by its name, as the key `network` of a run does, with initial weights from `seed`.

    Args:
        name: a built-in one, `package.module:function`, or `path/file.py:function`.
        data: whose images and classes the network is for, as in `plane`.
        args: arguments of the network's function.

    Raises:
        InputError: if there is no such network, or it cannot be built with these arguments.

    Example:
        >>> net = ls.network("resnet", ls.dataset("digits", examples=100), depth=8, width=2)
        >>> sum(p.numel() for p in net.parameters())
        1384
    """
    used = data_set(data, torch.device("cpu"))
    return build(name, args, seed=seed, images=used.image_shape, classes=used.classes)


@minimised
@keywords("runs")
def train(
    network: nn.Module,
    data: AnyData,
    spec: Run | None = None,
    /,
    *,
    test: AnyData = None,
    train: str | Mapping[str, Any] | Callable[..., Any] | None = None,
    work: str | Path | None = None,
    identity: str = "given",
    name: str = "",
    until: int | None = None,
    **keys: Any,
) -> Trained:
    """Train a network in place, by the paper's recipe unless keywords say otherwise (Li et al. 2018, section 4).

    Args:
        network: is trained from the weights that it has, and left in the modes that it was in, with its gradients.
        data: as in `plane`; images are cropped (`augment`) over zeros, black where `dataset` knows it.
        spec: a run of a configuration, instead of keywords.
        test: the test split, measured after every epoch.
        minimised: as in `plane`.
        train: a training of your own in the place of the recipe: a generator function of (network, data, seed) that yields
            after each epoch (docs/checkpoints.md), or its name, with arguments as {"name": ..., "args": ...}.
        work: folder from which an interrupted training resumes; without it nothing is kept.
        identity: tells trainings in one folder apart; a training with another one is set aside.
        name: the training's name in progress bars and logs.
        until: the epoch to end with.
        keys: of the section `runs`.

    Returns:
        `weights`, the `history` with a row for each epoch and one before, and the `epochs` that are kept, by number. The
        history of a classification also says which test examples are classified rightly at the end, `test_correct`.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> trained = ls.train(ls.network("resnet", digits, depth=8, width=2), digits, epochs=2, batch_size=50)
        >>> trained.history.sizes["epoch"]
        3
    """
    network = plain(network)
    objective, keys = Minimised.split(keys)
    own = train if callable(train) else None
    given: dict[str, Any] = {"network": "given", "data": "given"}
    if train is not None:
        given["train"] = _name_of(own) if own else train
    spec = spec or entry_of("runs", keys, given)
    if spec.made != "trained":
        raise InputError("epochs are files; a training takes a number, and landscape.adopt takes checkpoints")
    modes = {module: module.training for module in network.modules()}
    with ready(network, data, test, spec.threads) as used, contextlib.ExitStack() as stack:
        folder = Path(work or stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            measured = (objective if objective != Minimised() else Minimised(objective_of(spec))).tried(network, used)
            network.train()  # so that all state dicts are those of train mode
            evaluate = Recorder(measured)
            made = loop.train(spec, network, used, folder, identity, evaluate, name, until, measured, own)
            if until is not None and until < spec.last_epoch:
                return made
            return replace(made, history=with_predictions(made.history, evaluate.correct(network, used)))
        finally:
            for module, training in modes.items():
                module.training = training


def _name_of(function: Callable[..., Any]) -> str:
    """A name for a function that is handed over, as a configuration writes names."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


@minimised
def adopt(
    network: nn.Module,
    weights: AnyWeights | None = None,
    data: AnyData = None,
    *,
    test: AnyData = None,
    checkpoints: AnyEpochs | None = None,
    expected: Mapping[str, float] | None = None,
    **keys: Any,
) -> Trained:
    """Put weights that were made elsewhere into a network, and measure its losses and errors.

    Args:
        network: is left with these weights.
        weights: a module, a state dict, a file, or `{"url": ..., "sha256": ...}`; by default the last of `checkpoints`.
        data: as in `plane`, and so is `test`.
        minimised: as in `plane`.
        checkpoints: the way to these weights, as in `path`; each is measured.
        expected: what is known of these weights, as `{"test_error": 8.2}`: of either split the loss, the error in percent
            or the score. It must agree to the digits stated: 8.2 stands for 8.15 to 8.25.

    Returns:
        `weights`, a `history` of one row, or of a row for each checkpoint, and the checkpoints as `epochs` by number.

    Raises:
        InputError: if they do not fit, with a line for each cause; or if a number is not as expected.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> one, other = (ls.network("resnet", digits, depth=8, width=2, seed=seed) for seed in (0, 1))
        >>> ls.adopt(one, other, digits).history.train_loss.shape
        (1,)
    """
    network = plain(network)
    objective, unknown = Minimised.split(keys)
    if unknown:
        raise InputError(f"{key} is no keyword of landscape.adopt" for key in unknown)
    if expected is not None:
        expected = checked(expected)
    epochs = {} if checkpoints is None else epochs_of(checkpoints, network)
    if weights is None and not epochs:
        raise InputError("neither weights nor checkpoints are given; state what is adopted")
    end = epochs[max(epochs)] if weights is None else weights_of(weights, network, "weights")
    end = {name: tensor.clone() for name, tensor in end.items()}
    with ready(network, data, test) as used:
        measured = objective.tried(network, used, end)
        evaluate, rows = Recorder(measured), []
        for epoch, theta in epochs.items() or [(0, end)]:
            load(network, theta)
            row = history_of(network, used, evaluate, measured)
            rows.append(row.assign_coords(epoch=("epoch", [epoch], row.epoch.attrs)))
        load(network, end)
        history = with_predictions(xr.concat(rows, "epoch"), evaluate.correct(network, used))
        _log.info(sentence(history))
        if expected is not None:
            compare(history, expected)
        return Trained(end, history, epochs)


def rescale(network: nn.Module, data: AnyData, *, by: float, around: AnyWeights | None = None) -> rescaling.Twin:
    """Make a network's twin: filters times `by`, so that it computes the same from other weights (Li et al. 2018, section 4).

    Args:
        network: is left as it is.
        data: as in `plane`; on a few of its examples the twin is compared with the network.
        by: the factor, above 1.
        around: the weights to rescale; by default those of the network.

    Returns:
        `weights`, and the layers that were rescaled: `normed`, which batch norm reads, and `joined`, with the layer after.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> twin = ls.rescale(ls.network("resnet", digits, depth=8, width=2), digits, by=10)
        >>> len(twin.normed) + len(twin.joined)
        9
    """
    network = plain(network)
    theta = weights_of(around if around is not None else network, network, "around")
    with ready(network, data, None) as used:
        return rescaling.twin(network, theta, by, used.train[: rescaling.EXAMPLES].inputs)
