"""Choose the fastest form of a network that reproduces its logits: folded and fused, folded, or whole.

The choice depends on the network, the plane and the device alone.
"""

import copy
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.data.examples import Examples, Rows, copied, laid_out, memory_format
from landscape.directions import Directions
from landscape.engine.folding import Folded, fold
from landscape.engine.fusing import Fused, fuse
from landscape.engine.plane_point import Moving, Point
from landscape.objective.objective import Objective
from landscape.store.weights import Weights

_log = logging.getLogger(__name__)

EXAMPLES = 4
"""Examples on which a folded or fused network is compared with the plain one before use."""

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
        recalibration: Rows | None = None,
    ) -> Point:
        return Point(whole, self.network, self.folded, theta, directions, self.layout, dtype, recalibration)


def fastest(
    whole: nn.Module,
    theta: Weights,
    directions: Directions,
    example: Examples,
    objective: Objective,
    *,
    alone: bool = False,
) -> Form:
    """Return the fastest form that reproduces the outputs at the centre and, on a plane, at two other points.

    The last resort is the network itself in the plain layout: with `alone`, for an objective that calls the network itself,
    and for outputs that are no tensor. All tiles of a plane test the same points and so get the same form. The weights of
    `whole` may change.
    """
    resort = Form(whole, "plain", None, torch.contiguous_format)
    if alone or objective.loss is None:
        return resort
    points = [(0.0, 0.0), *(_OTHER_POINTS if directions else ())]
    plain = Moving(copy.deepcopy(whole), theta, directions, torch.contiguous_format, None)
    expected = [_output_at(plain, point, example, objective) for point in points]
    if not isinstance(objective.output_of(whole, Examples(copied(example.inputs), None)), Tensor):
        return resort
    for form in _forms(whole, example.inputs):
        network = form.on(whole, theta, directions)
        given = Examples(laid_out(copied(example.inputs), form.layout), example.targets)
        if all(
            the_same(_output_at(network, point, given, objective), e) for point, e in zip(points, expected, strict=True)
        ):
            return form
        _log.debug("%s kernels, %s: not used", form.kernels, "folded" if form.folded else "whole")
    return resort


@torch.inference_mode()
def _output_at(network: Moving | Point, point: tuple[float, float], given: Examples, objective: Objective) -> Tensor:
    network.move(*point)
    return seen(network.network, given, objective)


def seen(network: nn.Module, given: Examples, objective: Objective) -> Tensor:
    """Return what tells two forms of a network apart: its output or, if that is no tensor, the losses of the examples."""
    batch = given.fresh()
    if objective.loss is not None:
        output = objective.output_of(network, batch)
        if isinstance(output, Tensor):
            return output
        batch = given.fresh()
    return objective.values_of_loss(network, batch)


def the_same(found: Tensor, expected: Tensor) -> bool:
    """Return whether two outputs agree up to rounding. If the expected one overflows, anything agrees."""
    if not bool(expected.isfinite().all()):
        return True
    return bool((found - expected).abs().max() <= _TOLERANCE * expected.abs().max())


def _forms(whole: nn.Module, inputs: Rows) -> Iterator[Form]:
    layout = memory_format(inputs)
    folded = fold(whole, copied(inputs))  # both may write into the inputs
    if folded is not None:
        fused = fuse(folded.network, inputs.clone()) if isinstance(inputs, Tensor) else None
        if fused is not None:
            yield Form(fused.apart, "onednn", folded, layout, fused)
        yield Form(folded.network, "plain", folded, layout)
    yield Form(whole, "plain", None, layout)
