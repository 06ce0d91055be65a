"""Choose the fastest form of a network that reproduces its logits: folded and fused, folded, or whole.

The choice depends on the network, the plane and the device alone.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from landscape.data.examples import Examples, Rows, copied, laid_out, memory_format
from landscape.directions import Directions
from landscape.engine.folding import Folded, fold
from landscape.engine.fusing import Fused, fuse
from landscape.engine.plane_point import Loading, Moving, Point
from landscape.engine.trial import Trial, the_same
from landscape.errors import InputError
from landscape.networks.copying import at_weights, changed, duplicate
from landscape.objective.examination import apart, seen
from landscape.objective.objective import Objective
from landscape.store.weights import Weights

_log = logging.getLogger(__name__)

_OTHER_POINTS = ((0.5, -0.4), (-6.0, 9.0))  # away from the centre, where a wrong form is far off
_BITS = 1e-6
"""Allowed difference of the same kernels on the same weights: on a CPU none is seen, a GPU's sums may differ in the last bits."""


class NotInDouble(InputError):
    """A network does not run in float64."""


@dataclass(frozen=True)
class Form:
    """A form of a network: folded (`folded` is not None) or whole; if `fused` is given, `network` is `fused.apart`.

    `loaded` says why the network is loaded anew at every point; it is empty if views of a buffer move.
    """

    network: nn.Module
    kernels: str
    folded: Folded | None
    layout: torch.memory_format
    fused: Fused | None = None
    loaded: str = ""

    def on(
        self,
        network: nn.Module,
        whole: nn.Module,
        theta: Weights,
        directions: Directions,
        dtype: torch.dtype | None = None,
        recalibration: Rows | None = None,
    ) -> Point | Loading:
        if self.loaded:
            return Loading(network, theta, directions, dtype, recalibration)
        return Point(whole, self.network, self.folded, theta, directions, self.layout, dtype, recalibration)


def fastest(
    network: nn.Module, theta: Weights, directions: Directions, example: Examples, objective: Objective, trial: Trial
) -> Form:
    """Return the fastest form that reproduces the outputs at the centre and, on a plane, at two other points.

    The network itself, in the plain layout, serves an objective that calls the network, outputs that are no tensor, and
    networks that need gradients. The last resort is a network that is loaded anew at every point. All tiles of a plane test
    the same points and so get the same form. The weights of `trial.whole` may change.
    """
    whole = trial.whole
    last = Form(whole, "plain", None, torch.contiguous_format)
    try:
        plain = Moving(duplicate(whole), theta, directions, torch.contiguous_format, None)
    except RuntimeError:  # tensors of a kind of their own
        return replace(last, loaded="its tensors cannot share a buffer")
    if reason := why_loaded(network, plain, theta, directions, example, objective, trial.mode):
        return replace(last, loaded=reason)
    if trial.mode is torch.enable_grad or objective.loss is None or not trial.gives_tensor:
        return last
    points = _OTHER_POINTS if directions else ()
    expected = [trial.output, *(_output_at(plain, point, example, objective) for point in points)]
    del plain
    for form in _forms(whole, example.inputs):
        given = Examples(laid_out(copied(example.inputs), form.layout), example.targets)
        at = form.on(network, whole, theta, directions)
        found = [_output_at(at, point, given, objective) for point in ((0.0, 0.0), *points)]
        if all(map(the_same, found, expected)):
            return form
        _log.debug("%s kernels, %s: not used", form.kernels, "folded" if form.folded else "whole")
    return last


def why_loaded(
    network: nn.Module,
    plain: Moving,
    theta: Weights,
    directions: Directions,
    example: Examples,
    objective: Objective,
    mode: Callable[[], Any] = torch.enable_grad,
) -> str:
    """Say why a network must be loaded anew at every point; empty if its tensors may be views of a buffer.

    Away from the centre, views must give what a copy gives that was loaded there. The copy's tensors become views too, so
    that both compute alike to the bit: only tensors that the network derives from others, or keeps, can differ.

    Args:
        plain: the network after a call at the centre; it is moved.
    """
    if objective.remembers:
        return "a pass changes the outputs of the next one"
    loading = Loading(network, theta, directions)
    if directions:
        loading.move(*_OTHER_POINTS[0])
        plain.move(*_OTHER_POINTS[0])
    else:
        loading.load({name: _elsewhere(tensor) for name, tensor in theta.items()})
        plain.load(loading.weights)
    if (name := changed(loading.network, loading.weights)) is not None:
        return f"eval() changes {name}"
    loaded = Moving(loading.network, loading.weights, {}, torch.contiguous_format, None)
    with mode():
        found, expected = (seen(objective, moved.network, example) for moved in (plain, loaded))
    return "" if apart(found, expected) <= _BITS else "it keeps tensors that it derives from its weights"


def check_differentiable(
    network: nn.Module,
    theta: Weights,
    directions: Directions,
    example: Examples,
    objective: Objective,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Refuse a network that is loaded anew at every point: its tensors are no functions of the weights that autograd sees.

    Args:
        directions: those along which it moves; without any, all parameters move, and buffers stay.
        dtype: type of weights, directions and examples, to which the network is cast.

    Raises:
        InputError: naming the reason.
        NotInDouble: if it does not run in float64.
    """
    directions = directions or {"alpha": {name: _elsewhere(theta[name]) for name, _ in network.named_parameters()}}
    cast = duplicate(network).to(dtype)
    called = at_weights(cast, theta)
    try:
        seen(objective, called, example)
    except Exception as error:  # from the network's own code
        if dtype is not torch.float64:
            raise
        first = (str(error).strip() or "no message").splitlines()[0]
        raise NotInDouble(f"the network does not run in float64: {type(error).__name__}: {first}") from error
    plain = Moving(called, theta, directions, torch.contiguous_format, None)
    if reason := why_loaded(cast, plain, theta, directions, example, objective):
        raise InputError(
            f"the network has no derivatives that can be measured: {reason}; planes with measure: loss take it as it is"
        )


def _elsewhere(tensor: Tensor) -> Tensor:
    """Scale every number by a factor of its own between 0.8 and 1.2."""
    if not tensor.is_floating_point():
        return tensor
    return tensor * (1 + 0.2 * torch.arange(tensor.numel()).cos()).to(tensor).view(tensor.shape)


@torch.inference_mode()
def _output_at(
    network: Moving | Point | Loading, point: tuple[float, float], given: Examples, objective: Objective
) -> Tensor:
    network.move(*point)
    return seen(objective, network.network, given)[0]


def _forms(whole: nn.Module, inputs: Rows) -> Iterator[Form]:
    layout = memory_format(inputs)
    folded = fold(whole, copied(inputs))  # both may write into the inputs
    if folded is not None:
        fused = fuse(folded.network, inputs.clone()) if isinstance(inputs, Tensor) else None
        if fused is not None:
            yield Form(fused.apart, "onednn", folded, layout, fused)
        yield Form(folded.network, "plain", folded, layout)
    yield Form(whole, "plain", None, layout)
