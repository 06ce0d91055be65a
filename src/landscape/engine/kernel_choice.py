"""Choose the fastest form of a network that reproduces its logits: folded and fused, folded, or whole.

The choice depends on the network, the plane and the device alone.
"""

import copy
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.data.datasets import memory_format
from landscape.directions import Directions
from landscape.engine.folding import Folded, fold
from landscape.engine.fusing import Fused, fuse
from landscape.engine.plane_point import Moving, Point
from landscape.store.weights import Weights

_log = logging.getLogger(__name__)

EXAMPLES = 4
"""Images on which a folded or fused network is compared with the plain one before use."""

_OTHER_POINTS = ((0.5, -0.4), (-6.0, 9.0))  # away from the centre, where a wrong form is far off
_TOLERANCE = 1e-3
"""Allowed difference of logits, as a share of the largest: rounding is far below it, a wrong form far above."""


@dataclass(frozen=True)
class Form:
    """A form of a network: folded (`folded` is not None) or whole; if `fused` is given, `network` is `fused.apart`."""

    network: nn.Module
    kernels: str
    folded: Folded | None
    layout: torch.memory_format
    fused: Fused | None = None

    def on(
        self,
        whole: nn.Module,
        theta: Weights,
        directions: Directions,
        dtype: torch.dtype | None = None,
        recalibration: Tensor | None = None,
    ) -> Point:
        return Point(whole, self.network, self.folded, theta, directions, self.layout, dtype, recalibration)


def fastest(whole: nn.Module, theta: Weights, directions: Directions, example: Tensor) -> Form:
    """Return the fastest form that reproduces the logits at the centre and, on a plane, at two other points.

    The last resort is the network itself in the plain layout. All tiles of a plane test the same points and so get the
    same form. The weights of `whole` may change.
    """
    points = [(0.0, 0.0), *(_OTHER_POINTS if directions else ())]
    plain = Moving(copy.deepcopy(whole), theta, directions, torch.contiguous_format, None)
    expected = [_logits_at(plain, point, example) for point in points]
    for form in _forms(whole, example):
        network, images = form.on(whole, theta, directions), example.clone(memory_format=form.layout)
        if all(the_same(_logits_at(network, point, images), e) for point, e in zip(points, expected, strict=True)):
            return form
        _log.debug("%s kernels, %s: not used", form.kernels, "folded" if form.folded else "whole")
    return Form(whole, "plain", None, torch.contiguous_format)


@torch.inference_mode()
def _logits_at(network: Moving | Point, point: tuple[float, float], images: Tensor) -> Tensor:
    network.move(*point)
    logits: Tensor = network.network(images.clone())
    return logits


def the_same(found: Tensor, expected: Tensor) -> bool:
    """Return whether two sets of logits agree up to rounding. If the expected ones overflow, anything agrees."""
    if not bool(expected.isfinite().all()):
        return True
    return bool((found - expected).abs().max() <= _TOLERANCE * expected.abs().max())


def _forms(whole: nn.Module, example: Tensor) -> Iterator[Form]:
    layout = memory_format((example.shape[1], example.shape[2], example.shape[3]))
    folded = fold(whole, example.clone())  # both may write into the images
    if folded is not None:
        fused = fuse(folded.network, example.clone())
        if fused is not None:
            yield Form(fused.apart, "onednn", folded, layout, fused)
        yield Form(folded.network, "plain", folded, layout)
    yield Form(whole, "plain", None, layout)
