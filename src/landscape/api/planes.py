"""Planes, lines and paths."""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from torch import nn

from landscape import geometry
from landscape.api.inputs import Given, Point, facts_of, others_of, ready, weights_of
from landscape.directions import Directions, describe
from landscape.errors import InputError
from landscape.experiment.reading import entry
from landscape.geometry import Finding
from landscape.measures import tiling
from landscape.measures.draw_directions import drawn
from landscape.measures.plane import Plane
from landscape.measures.trajectory import mark as place_of
from landscape.measures.trajectory import trajectory
from landscape.networks.building import filter_axes


def plane(
    network: nn.Module,
    data: Given,
    spec: Plane | None = None,
    /,
    *,
    test: Given = None,
    to: Point | None = None,
    through: Sequence[Point] | None = None,
    checkpoints: Sequence[Point] | None = None,
    around: Point | None = None,
    along: Directions | None = None,
    tile: tuple[int, int] | None = None,
    attributes: Mapping[str, Any] | None = None,
    **keys: Any,
) -> xr.Dataset:
    """Measure a network on a plane through its weights: L(theta + alpha d1 + beta d2) (Li et al. 2018, section 2).

    Args:
        spec: a plane of a configuration, instead of `keys`.
        to: where the line from the network leads, at alpha = 1.
        through: one or two further states that the plane goes through.
        checkpoints: of a training, in order, the first before it: the plane of their principal components; with
            `directions="start"` the one that leads to the first.
        around: the weights at (0, 0); by default those of the network.
        along: directions that were drawn before, by axis, each with every parameter; drawn anew by default.
        tile: (i, n) for the i-th of n parts of the plane alone, over the dimension `point`.
        attributes: what the result says of itself beside what is known here.
        keys: of the section `planes`; `alpha` and `beta` are (first, last, points), in multiples of the directions.

    Returns:
        Dimensions (alpha, beta). With `measure="loss"` the mean cross-entropy in nats and the share of right answers on both
        splits, standard errors of the losses, plain and paired with the centre; with `gradients` the gradient too, with
        `curvature` the extreme eigenvalues of the Hessian with residuals and bounds. `status` says of each point whether
        it was computed.

    Raises:
        InputError: if a key, the data, or other weights do not fit.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> net = ls.network("resnet", digits, depth=8, width=2)
        >>> surface = ls.plane(net, digits, alpha=(-1, 1, 3), beta=(-1, 1, 3), images=50)
        >>> dict(surface.train_loss.sizes)
        {'alpha': 3, 'beta': 3}
    """
    with ready(network, data, test) as used:
        theta = weights_of(around if around is not None else network)
        facts: dict[str, Any] = {}
        if along is None:
            others, keys = others_of(keys, to, through, checkpoints)
            spec = spec or entry("planes", keys)
            epochs = dict(enumerate(map(weights_of, checkpoints or ())))
            axes = filter_axes(network)
            along, facts = drawn(spec.drawn(), theta, axes, others, epochs)
            facts |= describe(along, theta, axes)
        spec = spec or entry("planes", keys)
        known = {**facts_of(network, used, spec), **facts}
        whole = spec.template(test=used.test is not None, attrs=tiling.attributes({**known, **(attributes or {})}))
        indices = tiling.tile_of(spec.shape, *(tile or (1, 1)))
        part = spec.evaluate(whole, indices, network, theta, along, used)
    part.attrs["tile"] = "{} of {}".format(*(tile or (1, 1)))
    return part if tile else merge([("the plane", part)], spec)


def line(network: nn.Module, data: Given, **keys: Any) -> xr.Dataset:
    """Measure a network along a line: `plane` without `beta`. With `to` it is the line to another network.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> one, other = (ls.network("resnet", digits, depth=8, width=2, seed=seed) for seed in (0, 1))
        >>> between = ls.line(one, digits, to=other, alpha=(0, 1, 3), images=50)
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
        InputError: if a tile is of another plane, a point is missing, or there twice; it says which.
    """
    attrs = {**tiling.shared_attributes([part for _, part in tiles]), **(attributes or {})}
    return spec.merge(spec.template(test="test_loss" in tiles[0][1], attrs=attrs), tiles)


def path(
    network: nn.Module,
    data: Given,
    spec: Plane | None = None,
    /,
    *,
    checkpoints: Sequence[Point] | Mapping[int, Point],
    test: Given = None,
    around: Point | None = None,
    along: Directions | None = None,
    attributes: Mapping[str, Any] | None = None,
    **keys: Any,
) -> xr.Dataset:
    """Project a training on a plane around its end, with its losses on the way (Li et al. 2018, section 7).

    Args:
        network: any network of the training's architecture; its own weights do not count.
        checkpoints: the kept epochs in order, the first before the training; or by the number of the epoch.
        around: the end of the training, by default the last checkpoint.
        along: the directions of the plane; by default the principal components of the checkpoints.
        keys: of the section `planes`; `directions` is `pca` by default.

    Returns:
        Over `epoch` the coordinates `alpha` and `beta`, the distances from the plane and to the end, and three losses in
        nats: of the plane at the projection, of the epoch's weights with the end's batch norm, and as saved. Over `axis` the
        share of the path's variance, and that of a random walk with the same steps.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> net = ls.network("resnet", digits, depth=8, width=2)
        >>> steps = ls.train(net, digits, epochs=2, batch_size=50, keep="all").epochs
        >>> walked = ls.path(net, digits, checkpoints=steps, images=50)
        >>> walked.saved_loss.shape
        (3,)
    """
    spec = spec or entry("planes", {"directions": "pca", **keys})
    given = checkpoints if isinstance(checkpoints, Mapping) else dict(enumerate(checkpoints))
    epochs = {epoch: weights_of(point) for epoch, point in sorted(given.items())}
    theta = weights_of(around) if around is not None else epochs[max(epochs)]
    axes = filter_axes(network)
    facts: dict[str, Any] = {}
    with ready(network, data, test) as used:
        if along is None:
            along, facts = drawn(spec.drawn(), theta, axes, {}, epochs)
        found = trajectory(spec, network, theta, along, epochs, axes, used)
    known = {**facts_of(network, used, spec), "centred": int(spec.centred), **facts, **(attributes or {})}
    return found.assign_attrs(tiling.attributes(known))


def mark(
    network: nn.Module,
    marked: Point,
    *,
    along: Directions,
    around: Point | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Find where on a plane another state lies, and how far from it.

    Args:
        along: the directions of the plane.
        around: its centre; by default the network's weights.

    Returns:
        `alpha` and `beta` of the orthogonal projection, the `distance` from the plane, and that to its centre.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> one, other = (ls.network("resnet", digits, depth=8, width=2, seed=seed) for seed in (0, 1))
        >>> along = {"alpha": {name: p.detach() for name, p in other.named_parameters()}}
        >>> sorted(ls.mark(one, other, along=along).data_vars)
        ['alpha', 'beta', 'distance', 'distance_to_centre']
    """
    theta = weights_of(around if around is not None else network)
    found = place_of(weights_of(marked), theta, along, filter_axes(network))
    return found.assign_attrs(tiling.attributes(attributes or {}))


def numbers(surface: xr.Dataset, variable: str = "train_loss") -> xr.Dataset:
    """Compute every number about a surface: widths, areas, convexity, minima; and what to beware of in it.

    Returns:
        A variable without dimensions for each of `geometry.NAMES`, NaN with the attribute `reason` where undefined. Lengths
        are multiples of the directions. The attribute `findings` has a sentence of advice for each thing to beware of.

    Example:
        >>> digits = ls.dataset("digits", images=100)
        >>> net = ls.network("resnet", digits, depth=8, width=2)
        >>> found = ls.numbers(ls.plane(net, digits, alpha=(-1, 1, 7), beta=(-1, 1, 7), images=50))
        >>> float(found.step_alpha).__round__(2)
        0.33
    """
    reasons = geometry.reasons(surface, variable)
    values = geometry.numbers(surface, variable)
    about = {name: {"long_name": geometry.NAMES[name], "reason": reasons.get(name, "")} for name in values}
    found = xr.Dataset({name: ((), value, about[name]) for name, value in values.items()})
    return found.assign_attrs(findings=[finding.advice for finding in _findings(surface)])


def _findings(surface: xr.Dataset) -> list[Finding]:
    centre = geometry.centre_index(surface)
    if centre is None:
        return []
    here = surface[["train_loss", "train_accuracy"]].isel(alpha=centre[0], beta=centre[1])
    return geometry.findings(surface, here)
