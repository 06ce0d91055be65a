"""Search for a saddle point of the training loss near a state, by minimising ||g||^2.

Three other outcomes are not taken for a saddle: a zero of the gradient that is far away, a local minimum of ||g||^2 with g
not zero (there H g = 0), and a gradient that fades as the weights of a network that fits every image grow without end.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from landscape.data.examples import Examples
from landscape.directions import Axes
from landscape.errors import InputError
from landscape.hessian.derivatives import Twice
from landscape.hessian.products import Hessian
from landscape.hessian.verification import ASYMMETRY, CAUSE, Verification
from landscape.networks.copying import at_weights
from landscape.objective.objective import CLASSIFICATION, Objective
from landscape.store.weights import Weights

MOST_PARAMETERS = 4000  # every step decomposes their dense Hessian
STEPS = 300
NEGATIVE = 2.0**-26
"""An eigenvalue is negative below -NEGATIVE max |lambda|: the square root of float64's rounding."""
NEAR = 1e-3
"""Largest Newton step at a saddle as a share of ||theta||, without the directions in which the Hessian is zero."""

_KINKS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.MaxPool2d)
_LOWEST, _HIGHEST = 1e-2, 1e12  # range of the damping factor c
_LEAST = 1e-4  # share of the predicted fall that a step must reach to be taken
_COLUMNS = 2**28  # bytes for the columns of the Hessian computed at once


@dataclass(frozen=True)
class CriticalPoint:
    """The end of a search: the point and the gradient there, (n,), and the path, a number for the start and every step.

    `eigenvalues`, (n,) ascending, and `vectors`, (n, n), one per column, belong to the Hessian at the point.
    """

    point: Tensor
    gradient: Tensor
    eigenvalues: Tensor
    vectors: Tensor
    losses: list[float]
    norms: list[float]

    @property
    def threshold(self) -> float:
        return NEGATIVE * float(self.eigenvalues.abs().max())

    @property
    def newton_step(self) -> float:
        """Norm of the Newton step from here, in the directions in which the Hessian is not zero."""
        curved = self.eigenvalues.abs() > self.threshold
        return float(((self.vectors.T @ self.gradient)[curved] / self.eigenvalues[curved]).norm())

    def step(self, share: float) -> tuple[Tensor, float]:
        """Return the step of Levenberg and Marquardt, (n,), and the fall of ||g||^2 that its linear model predicts."""
        norm, along = float(self.gradient.norm()), self.vectors.T @ self.gradient
        damping = share * norm * float(self.eigenvalues.abs().max())
        inverse = 1 / (self.eigenvalues**2 + damping)
        left = float((damping * inverse * along).square().sum())
        return -self.vectors @ (self.eigenvalues * inverse * along), norm**2 - left


class FlatLoss:
    """The loss over a split as a function of all parameters, flat, in float64."""

    def __init__(
        self, network: nn.Module, theta: Weights, split: Examples, axes: Axes, objective: Objective = CLASSIFICATION
    ):
        """Prepare the network in float64.

        Raises:
            InputError: if the network has too many parameters or layers with kinks, or if its derivatives are wrong.
        """
        if objective.loss is None:
            raise InputError("measure: saddle takes a loss of the network's output, and no objective")
        if objective.batch is not None:
            raise InputError("measure: saddle takes a loss of each example, and this one depends on the batch")
        if any(isinstance(layer, torch.jit.ScriptModule) for layer in network.modules()):
            raise InputError("measure: saddle takes no torch.jit script")
        size = sum(theta[name].numel() for name in axes)
        if size > MOST_PARAMETERS:
            raise InputError(
                f"the network has {size:,} parameters, and measure: saddle decomposes their dense Hessian; it takes at "
                f"most {MOST_PARAMETERS:,}"
            )
        kinks = sorted({type(layer).__name__ for layer in network.modules() if isinstance(layer, _KINKS)})
        if kinks:
            raise InputError(
                f"the network has layers of the kind {', '.join(kinks)}, and measure: saddle needs a loss without kinks; "
                "use a smooth activation, as of mlp tanh or softplus"
            )
        self._theta = theta
        self._hessian = Hessian(
            network,
            theta,
            {},
            split,
            axes,
            objective,
            parameters="all",
            dtype=torch.float64,
            memory=0,
            folding=False,
        )
        verification = Verification(self._hessian, network, theta, split, axes, objective, parameters="all")
        self.errors = verification.at(theta)
        if self.errors.problem:
            raise InputError(f"measure: saddle is refused, since {self.errors.problem}")
        self.asymmetry = 0.0
        self._split, self._objective = split.in_type(torch.float64), objective
        in_double = {name: t.double() if t.is_floating_point() else t for name, t in theta.items()}
        self._network = at_weights(network, in_double, torch.float64)
        self._twice = Twice(self._network)
        self.start = self._hessian.flatten(theta)
        self.unflatten = self._hessian.unflatten

    def gradient(self, point: Tensor) -> tuple[float, Tensor]:
        """Return the loss and its gradient, (n,)."""
        self._hessian.load({**self._theta, **self.unflatten(point)})
        return self._hessian.slope()

    @torch.no_grad()
    def value(self, point: Tensor) -> float:
        return float(self._at(point))

    def hessian(self, point: Tensor) -> Tensor:
        """Return the dense Hessian, (n, n). For small networks many columns at once are ten times as fast as one by one.

        Raises:
            InputError: if it is not symmetric.
        """
        at_once = max(1, _COLUMNS // (1 + 4 * self._hessian.example_bytes * len(self._split)))
        point = point.clone().requires_grad_(True)
        with self._twice(fast=False):
            value = self._at(point)
        (gradient,) = torch.autograd.grad(value, point, create_graph=True)
        units = torch.eye(len(point), dtype=point.dtype, device=point.device).split(at_once)
        rows = [
            torch.autograd.grad(gradient, point, part, retain_graph=True, is_grads_batched=True)[0] for part in units
        ]
        whole = torch.cat(rows)
        asymmetry = float(torch.linalg.matrix_norm(whole - whole.T) / torch.linalg.matrix_norm(whole).clamp(min=1e-300))
        self.asymmetry = max(self.asymmetry, asymmetry)
        if asymmetry > ASYMMETRY[torch.float64]:
            raise InputError(f"the Hessian is not symmetric, by {asymmetry:.1g} of its size; {CAUSE}")
        return (whole + whole.T) / 2

    def _at(self, point: Tensor) -> Tensor:
        weights = self.unflatten(point)

        def at_point(*inputs: Any, **named: Any) -> Any:
            return functional_call(self._network, weights, inputs, named)

        batch = self._split.fresh()
        return self._objective.total(at_point, batch) / self._objective.weight(batch)  # type: ignore[arg-type]


def search(loss: FlatLoss, tolerance: float) -> CriticalPoint:
    """Minimise ||g||^2 / 2 by the method of Levenberg and Marquardt; the Jacobian is the Hessian H:

        (H^2 + mu) p = -H g,   mu = c ||g|| max |lambda|,

    The search raises c if ||g|| does not fall as its linear model predicts, and lowers c if it does. Critical points are
    seldom isolated: a mu that falls no faster than ||g|| prevents steps along directions in which the Hessian becomes zero.

    Raises:
        InputError: if ||g|| does not fall to `tolerance` at a point nearby.
    """
    point, share = loss.start, 1.0
    value, gradient = loss.gradient(point)
    if not math.isfinite(value):
        raise InputError(f"the loss at the state is {value:g}, and the search for a saddle needs a number")
    losses, norms = [value], [float(gradient.norm())]
    for _ in range(STEPS):
        eigenvalues, vectors = torch.linalg.eigh(loss.hessian(point))
        found = CriticalPoint(point, gradient, eigenvalues, vectors, losses, norms)
        ahead = _ahead(loss, found, share)
        near = norms[-1] <= tolerance and found.newton_step <= NEAR * float(point.norm())
        if near and (ahead is None or float(ahead.gradient.norm()) > norms[-1] / 10):  # else it still converges fast
            return found
        if ahead is None:
            break
        point, value, gradient, share = ahead
        losses.append(value)
        norms.append(float(gradient.norm()))
    raise InputError(
        f"no saddle found: after {len(norms) - 1} steps the norm of the gradient is {norms[-1]:.1e} (tolerance "
        f"{tolerance:g}), the loss {losses[-1]:.4g}, the norm of the weights {float(point.norm()):.3g} (at the start "
        f"{float(loss.start.norm()):.3g}); begin at another epoch, or with a smaller network"
    )


class _Step(NamedTuple):
    point: Tensor
    value: float
    gradient: Tensor
    share: float


def _ahead(loss: FlatLoss, found: CriticalPoint, share: float) -> _Step | None:
    """Find the next step, and the c to begin with after it; None at a local minimum of ||g||^2."""
    square = float(found.gradient.square().sum())
    while square > 0 and share < _HIGHEST:
        step, foretold = found.step(share)
        value, gradient = loss.gradient(found.point + step)
        gain = (square - float(gradient.square().sum())) / foretold
        share = max(share / 4, _LOWEST) if gain > 0.75 else share * 4 if not gain > 0.25 else share
        if gain > _LEAST:
            return _Step(found.point + step, value, gradient, share)
    return None
