"""The forms in which a network may be computed, and the fastest of them that says what the network says.

Folded and fused, folded, or whole: by a rule that depends on the network, the plane and the device alone.
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
"""Images on which a folded or fused network is compared with the plain one before it is used."""

_ELSEWHERE = ((0.5, -0.4), (-6.0, 9.0))
_TOLERANCE = 1e-3
"""Of the largest logit: rounding is far below it, and away from the centre what a form gets wrong is far above."""


@dataclass(frozen=True)
class Form:
    """A network as it may be computed: folded, or (with `folded` None) whole; with `fused`, whose `apart` it is, in two forms."""

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
    """The fastest form that says what the network says at the centre and, on a plane, at two other points.

    In the end that is the network itself, in the plain layout. The points are the same for all tiles of a plane, and so is
    the answer. `whole` may be moved meanwhile.
    """
    points = [(0.0, 0.0), *(_ELSEWHERE if directions else ())]
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
    """To rounding; where the network overflows anything is."""
    if not bool(expected.isfinite().all()):
        return True
    return bool((found - expected).abs().max() <= _TOLERANCE * expected.abs().max())


def _forms(whole: nn.Module, example: Tensor) -> Iterator[Form]:
    layout = memory_format((example.shape[1], example.shape[2], example.shape[3]))
    folded = fold(whole, example.clone())  # either may write into what it is given
    if folded is not None:
        fused = fuse(folded.network, example.clone())
        if fused is not None:
            yield Form(fused.apart, "onednn", folded, layout, fused)
        yield Form(folded.network, "plain", folded, layout)
    yield Form(whole, "plain", None, layout)
