"""Planes, lines and paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from torch import nn

from landscape import geometry
from landscape.api.bases import laid
from landscape.api.inputs import (
    AnyData,
    AnyEpochs,
    AnyWeights,
    Minimised,
    epochs_of,
    facts_of,
    plain,
    ready,
    weights_of,
)
from landscape.config.values import PATH_EPOCHS
from landscape.directions import Directions
from landscape.errors import InputError
from landscape.experiment.signatures import keywords, minimised
from landscape.geometry import Finding
from landscape.measures import auto_range, tiling
from landscape.measures.plane import Plane
from landscape.measures.trajectory import trajectory
from landscape.networks.building import filter_axes
from landscape.store.weights import Weights


@minimised
@keywords("planes")
def plane(
    network: nn.Module,
    data: AnyData,
    spec: Plane | None = None,
    /,
    *,
    test: AnyData = None,
    to: AnyWeights | None = None,
    through: AnyWeights | Sequence[AnyWeights] | None = None,
    checkpoints: AnyEpochs | None = None,
    eigenvectors: Weights | None = None,
    around: AnyWeights | None = None,
    along: Directions | None = None,
    tile: tuple[int, int] | None = None,
    attributes: Mapping[str, Any] | None = None,
    **keys: Any,
) -> xr.Dataset:
    """Measure a network on a plane through its weights: L(theta + alpha d1 + beta d2) (Li et al. 2018, section 2).

    Args:
        network: is left as it is; batch norm and dropout are measured in eval mode.
        data: the training split: a pair of inputs and targets, of which each is a tensor or an array with a row per
            example, or a tuple or a dictionary of them; inputs alone; a torch `Dataset` or `DataLoader` of such; or what
            `dataset` makes, with its test split. The network is called with a tensor, or with the tuple's members as
            arguments, or the dictionary's as keywords. Data are read once, with torch's random numbers seeded by 0: a
            loader that shuffles gives the same examples at every call.
        spec: a plane of a configuration, instead of keywords.
        test: the test split, in the same forms.
        minimised: the loss.
        to: where the line from the network leads, at alpha = 1: a module, a state dict or a file. Batch norm's running
            statistics move along, unless `batchnorm` says otherwise.
        through: one or two further states that the plane goes through; statistics as with `to`.
        checkpoints: a training's weights in order, the first before it. They span the plane of their principal components;
            with `directions="start"` the direction leads to the first.
        eigenvectors: the vectors that `probe` with `measure="eigenpairs"` returns, for the plane that they span.
        around: the weights at (0, 0); by default those of the network.
        along: directions from `basis`; drawn anew by default.
        tile: (i, n) to measure only the i-th of n parts of the plane, over the dimension `point`.
        attributes: further attributes of the result.
        keys: of the section `planes`.

    Returns:
        Dimensions (alpha, beta). With `measure="loss"` the mean loss and the score on both splits (`train_loss`,
        `train_accuracy` or another), standard errors of the losses, plain and paired with the centre; the attributes
        `loss`, `loss_unit` and `score` name them. With `gradients` the gradient too, with `curvature` the extreme eigenvalues of the Hessian with residuals and bounds. `status` tells for each point if
        it was computed.

    Raises:
        InputError: if a key, the data, or other weights do not fit.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> net = ls.network("resnet", digits, depth=8, width=2)
        >>> surface = ls.plane(net, digits, alpha=(-1, 1, 3), beta=(-1, 1, 3), examples=50)
        >>> dict(surface.train_loss.sizes)
        {'alpha': 3, 'beta': 3}
    """
    network = plain(network)
    theta = weights_of(around if around is not None else network, network, "around")
    objective, keys = Minimised.split(keys)
    leads = {"to": to, "through": through, "checkpoints": checkpoints, "eigenvectors": eigenvectors, "along": along}
    spec, pair, facts = laid(network, theta, spec, keys, leads)
    with ready(network, data, test) as used:
        measured = objective.tried(network, used, theta)
        spec, why = auto_range.with_range(spec, network, theta, pair, used, measured)
        known = {**facts_of(network, used, spec, measured), **facts, **why}
        whole = spec.template(test=used.test is not None, attrs=tiling.attributes({**known, **(attributes or {})}))
        indices = tiling.tile_of(spec.shape, *(tile or (1, 1)))
        part = spec.evaluate(whole, indices, network, theta, pair, used, measured)
    part.attrs["tile"] = "{} of {}".format(*(tile or (1, 1)))
    return part if tile else merge([("the plane", part)], spec)


@keywords("planes", without=("beta",), like=plane)
def line(network: nn.Module, data: AnyData, **keys: Any) -> xr.Dataset:
    """Measure a network along a line, randomly drawn or to another network: `plane` without `beta`.

    Args:
        network: as in `plane`, and so are the other arguments.
        keys: of the section `planes`.

    Returns:
        As `plane`, with one `beta`, 0.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> one, other = (ls.network("resnet", digits, depth=8, width=2, seed=seed) for seed in (0, 1))
        >>> between = ls.line(one, digits, to=other, alpha=(0, 1, 3), examples=50)
        >>> between.train_loss.shape
        (3, 1)
    """
    if keys.get("beta") is not None:
        raise InputError(f"beta is {keys['beta']!r}; a line takes none: call landscape.plane")
    return plane(network, data, **keys)


def merge(
    tiles: Sequence[tuple[str, xr.Dataset]], spec: Plane, attributes: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """Put the tiles of a plane together, in any order.

    Args:
        tiles: each with the name that an error calls it by.

    Raises:
        InputError: if a tile belongs to another plane, or a point is missing or there twice; the message says which.
    """
    spec = auto_range.as_found(spec, tiles)
    attrs = {**tiling.shared_attributes([part for _, part in tiles]), **(attributes or {})}
    return spec.merge(spec.template(test="test_loss" in tiles[0][1], attrs=attrs), tiles)


@minimised
@keywords("planes", "loss", without=("alpha", "beta", "rise"))
def path(
    network: nn.Module,
    data: AnyData,
    spec: Plane | None = None,
    /,
    *,
    checkpoints: AnyEpochs,
    test: AnyData = None,
    around: AnyWeights | None = None,
    along: Directions | None = None,
    attributes: Mapping[str, Any] | None = None,
    **keys: Any,
) -> xr.Dataset:
    """Project a training on a plane around its end, with its losses on the way (Li et al. 2018, section 7).

    Args:
        network: any network of the training's architecture; its own weights do not count.
        data: as in `plane`; losses are those of the training split.
        spec: a plane of a configuration, instead of keywords.
        checkpoints: the kept epochs in order, the first before the training; or by the number of the epoch; or a pattern
            of files, such as `checkpoints/epoch_*.pt`.
        test: as in `plane`.
        minimised: as in `plane`.
        around: the end of the training, by default the last checkpoint.
        along: the directions of the plane; by default the principal components of the checkpoints.
        attributes: further attributes of the result.
        keys: of the section `planes`.

    Returns:
        Over `epoch` the coordinates `alpha` and `beta`, the distances from the plane and to the end, and three losses: of the plane at the projection, of the epoch's weights with the end's batch norm, and as saved. Over `axis` the
        share of the path's variance, and that of a random walk with the same steps.

    Raises:
        InputError: if there are fewer than three checkpoints, or one does not fit the network.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> net = ls.network("resnet", digits, depth=8, width=2)
        >>> steps = ls.train(net, digits, epochs=2, batch_size=50, keep="all").epochs
        >>> walked = ls.path(net, digits, checkpoints=steps, examples=50)
        >>> walked.saved_loss.shape
        (3,)
    """
    network = plain(network)
    objective, keys = Minimised.split(keys)
    epochs = epochs_of(checkpoints, network)
    if len(epochs) < PATH_EPOCHS:
        raise InputError(f"checkpoints are {len(epochs)}; a path needs {PATH_EPOCHS}, the first before the training")
    theta = weights_of(around, network, "around") if around is not None else epochs[max(epochs)]
    directions = keys.get("directions")
    leads = {"checkpoints": None if directions == "random" or along is not None else epochs, "along": along}
    is_plane = directions in ("random", "start") if along is None else "beta" in along
    grid = {"beta": (-1, 1, 3)} if is_plane else {}
    spec, pair, facts = laid(network, theta, spec, {**grid, **keys}, leads)
    with ready(network, data, test) as used:
        measured = objective.tried(network, used, theta)
        found = trajectory(spec, network, theta, pair, epochs, filter_axes(network), used, measured)
    known = {**facts_of(network, used, spec, measured), "centred": int(spec.centred), **facts, **(attributes or {})}
    return found.assign_attrs(tiling.attributes(known))


def numbers(surface: xr.Dataset, variable: str = "train_loss") -> xr.Dataset:
    """Compute every number about a surface: widths, areas, convexity, minima; and list warnings about it.

    Args:
        surface: the result of `plane` or `line`, also saved and opened again.
        variable: a loss.

    Returns:
        A variable without dimensions for each of `geometry.NAMES`, NaN with the attribute `reason` where undefined. Lengths
        are multiples of the directions. Rises such as 0.5 are nats, or of a loss that is not in natural logarithms multiples of
        that at the centre. The attribute `findings` has a line of advice for each warning; it is
        empty if the surface has no point at the centre.

    Raises:
        InputError: if it is no surface, or has no such variable.

    Example:
        >>> digits = ls.dataset("digits", examples=100)
        >>> net = ls.network("resnet", digits, depth=8, width=2)
        >>> found = ls.numbers(ls.plane(net, digits, alpha=(-1, 1, 7), beta=(-1, 1, 7), examples=50))
        >>> float(found.step_alpha).__round__(2)
        0.33
    """
    over = [name for name in surface if surface[name].dims == ("alpha", "beta")]
    if not over:
        raise InputError(f"surface has the dimensions {', '.join(map(str, surface.sizes))}; it needs alpha and beta")
    if variable not in over:
        raise InputError(f"variable is {variable!r}; the surface has {', '.join(map(str, over))}")
    reasons = geometry.reasons(surface, variable)
    values = geometry.numbers(surface, variable)
    about = {name: {"long_name": geometry.named(name, surface), "reason": reasons.get(name, "")} for name in values}
    found = xr.Dataset({name: ((), value, about[name]) for name, value in values.items()})
    return found.assign_attrs(findings="\n".join(finding.advice for finding in _findings(surface)))


def _findings(surface: xr.Dataset) -> list[Finding]:
    centre = geometry.centre_index(surface)
    if centre is None or "train_loss" not in surface:
        return []
    here = surface[[name for name in ("train_loss", "train_accuracy") if name in surface]].isel(
        alpha=centre[0], beta=centre[1]
    )
    return geometry.findings(surface, here)
