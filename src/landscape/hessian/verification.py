"""Comparison of the gradient and of products with the Hessian against finite differences, at a point.

Automatic differentiation is silently wrong where a `torch.autograd.Function` has a wrong backward, where the network detaches
a part or passes a gradient straight through a rounding, and where torch's own second derivative is wrong.

The comparison is over a few examples, in float64 whatever the precision of the measurement. There a step can be so short
that no kink of a ReLU lies within it: with a million activations about one in a hundred steps of 1e-8 of the weights crosses
one, and rounding still leaves seven digits. The point is first moved at random by `AWAY` of the weights, so that no activation
lies exactly at a kink. Then the gradient and the product in the precision of the measurement are compared with float64.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from landscape.config.values import Parameters
from landscape.data.examples import Examples
from landscape.directions import Axes
from landscape.engine.kernel_choice import NotInDouble
from landscape.errors import InputError
from landscape.hessian.passes import VERIFIED
from landscape.hessian.products import Hessian
from landscape.networks.building import filter_axes
from landscape.objective.objective import Objective
from landscape.store.weights import Weights, tensors_of

STEPS = (1e-7, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3)
"""Steps of the differences as shares of the weights' size, in the order tried; the first that agrees is enough."""
SHORT = 1e-6
"""Largest step that can show an error. Over longer ones the kinks of ReLUs change the differences of the gradient."""
AWAY = 1e-6
TOLERANCE = 1e-5
"""Largest error of the gradient and of the product in float64."""
PRECISION = 0.1
"""Largest difference to float64, unless the float64 numbers vary as much within `AWAY` of the weights."""
ASYMMETRY = {torch.float32: 1e-3, torch.float64: 1e-10}
"""Largest `Hessian.asymmetry`; that of sound networks was at most 2e-5 and 4e-13 (measured)."""

_EPS = torch.finfo(torch.float64).eps

TRIED = 2**21
"""Weights up to which `try_derivatives` compares."""

CAUSE = (
    "a backward in the network or its loss is not the derivative: a torch.autograd.Function, a detach or no_grad, a rounding "
    "with a straight-through gradient, or an operation whose derivative in torch is wrong"
)


@dataclass(frozen=True)
class DerivativeErrors:
    """Errors as shares of the size of the thing compared; NaN where nothing was compared or the differences do not tell.

    Attributes:
        gradient_error: of the gradient against differences of the loss, along a random direction.
        product_error: of a product with the Hessian against differences of the gradient.
        precision_error: of the gradient and the product of the measurement against float64, the larger.
    """

    gradient_error: float = math.nan
    product_error: float = math.nan
    precision_error: float = math.nan

    @property
    def problem(self) -> str:
        """Say what is wrong; empty if nothing is."""
        if self.gradient_error > TOLERANCE:
            return (
                f"the gradient is off finite differences of the loss by {self.gradient_error:.1g} of its size; {CAUSE}"
            )
        if self.product_error > TOLERANCE:
            return (
                f"products with the Hessian are off finite differences of the gradient by {self.product_error:.1g} of their "
                f"size; {CAUSE}"
            )
        if self.precision_error > PRECISION:
            return (
                f"the derivatives are off those in float64 by {self.precision_error:.1g} of their size; precision: fp64 has "
                "none of this"
            )
        return ""


class Verification:
    """The comparison at points of one network, for one `Hessian`.

    Args:
        hessian: of the measurement.
        products: whether products with it are compared too.
        network, theta, split, axes, objective, parameters: those that it was made from.
    """

    def __init__(
        self,
        hessian: Hessian,
        network: nn.Module,
        theta: Weights,
        split: Examples,
        axes: Axes,
        objective: Objective,
        *,
        parameters: Parameters,
        products: bool = True,
    ):
        self._own, self._products, self._few = hessian, products, _spread(split, objective)
        self._padding = _padding(network)
        self.impossible = ""
        try:
            with InDouble():
                self._twin = Hessian(
                    network,
                    theta,
                    {},
                    self._few,
                    axes,
                    objective,
                    parameters=parameters,
                    dtype=torch.float64,
                    folding=False,
                )
        except NotInDouble as error:
            self.impossible = f"nowhere, since {error}"
        except InputError:
            raise
        except Exception as error:  # memory, for one
            first = (str(error).strip() or "no message").splitlines()[0]
            self.impossible = f"nowhere, since float64 fails: {type(error).__name__}: {first}"

    def at(self, weights: Weights, seed: int = 0) -> DerivativeErrors:
        """Compare at a point; the Hessian must be there too, and its graph is freed.

        Args:
            weights: every parameter and buffer at the point.
            seed: seeds the random directions.
        """
        if self.impossible:
            return DerivativeErrors()
        generator = torch.Generator().manual_seed(seed)
        size = torch.cat([_sizes(weights[name], self._padding.get(name)) for name in self._twin.names])
        along, away = (
            (size * torch.randn(size.shape, generator=generator, dtype=torch.float64)).to(self._twin.device)
            for _ in range(2)
        )
        with InDouble():
            self._twin.load(weights)
            loss, gradient, product = self._derivatives(self._twin, along, AWAY * away)
            if not all(bool(t.isfinite().all()) for t in (torch.tensor(loss), gradient, product)):
                return DerivativeErrors()
            of_gradient, of_product = self._by_differences(along, AWAY * away, loss, gradient, product)
        of_precision = self._of_precision(along, AWAY * away, gradient, product)
        if of_precision > PRECISION and rounding_of(loss) > PRECISION / 10:
            of_precision = math.nan
        return DerivativeErrors(of_gradient, of_product, of_precision)

    def _derivatives(self, hessian: Hessian, along: Tensor, away: Tensor | None) -> tuple[float, Tensor, Tensor]:
        """Return loss, gradient and product with `along`, empty if products are not compared; `away` from the point."""
        with hessian.beside(away) if away is not None else hessian.over(self._few):
            if not self._products:
                return *hessian.slope(), along[:0]
            product = hessian.product(along.to(hessian.dtype))
            return hessian.loss(), hessian.gradient(), product

    def _by_differences(
        self, along: Tensor, away: Tensor, loss: float, gradient: Tensor, product: Tensor
    ) -> tuple[float, float]:
        """Compare the slope along a direction and the product with central differences."""
        rounding = rounding_of(loss)
        slope = (gradient @ along).reshape(1)
        sizes = [float(torch.linalg.vector_norm(gradient * along)), 0.0]
        compared = [_Differences(slope, sizes[0])]
        if self._products:
            compared.append(_Differences(product, 0.0))
        for step in STEPS:
            ends = []
            for side in (step, -step):
                with self._twin.beside(away + side * along):
                    ends.append(self._twin.slope())
            (high, up), (low, down) = ends
            compared[0].add(step, torch.full_like(slope, (high - low) / (2 * step)), rounding * abs(high))
            if self._products:
                compared[1].add(step, (up - down) / (2 * step), rounding * float(torch.linalg.vector_norm(up)))
            if all(each.error() <= TOLERANCE for each in compared):
                break
        errors = [each.judged() for each in compared]
        return errors[0], errors[1] if self._products else math.nan

    def _of_precision(self, along: Tensor, away: Tensor, gradient: Tensor, product: Tensor) -> float:
        """Compare with the derivatives in the precision of the measurement, over the same examples."""
        _, own_gradient, own_product = self._derivatives(self._own, along, None)

        def largest(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
            return max(_distance(one.double(), other.double()) for one, other in pairs)

        error = largest([(own_gradient, gradient), (own_product, product)])
        if not error > PRECISION:
            return error
        with InDouble():
            _, beyond, its = self._derivatives(self._twin, along, -away)
        varies = largest([(beyond, gradient), (its, product)])
        return error if error > 10 * varies else math.nan


def try_derivatives(
    network: nn.Module, objective: Objective, sample: Examples, *, parameters: Parameters, products: bool
) -> None:
    """Try, before hours of work, the derivatives that a measurement will take, at a network's weights as they are.

    They are compared with finite differences in networks of up to `TRIED` weights; in others they need only exist.

    Args:
        sample: a few examples, not all zeros.

    Raises:
        InputError: if torch does not have them, or if they are wrong.
    """
    counts = objective.counts(sample)
    if counts is not None and not float(counts.sum()) > 0:
        return  # the targets of the sample are not those of the data
    theta = {name: tensor.clone() for name, tensor in tensors_of(network).items()}
    axes = filter_axes(network)
    hessian = Hessian(network, theta, {}, sample, axes, objective, parameters=parameters)
    if hessian.size > TRIED:
        hessian.product(torch.ones(hessian.size)) if products else hessian.slope()
        return
    verification = Verification(
        hessian, network, theta, sample, axes, objective, parameters=parameters, products=products
    )
    if problem := verification.at(theta).problem:
        raise InputError(problem)


class _Differences:
    """Central differences of several steps, against what they should be."""

    def __init__(self, expected: Tensor, size: float):
        self._expected, self._size = expected, max(size, float(torch.linalg.vector_norm(expected)))
        self._found: list[tuple[float, Tensor, float]] = []

    def add(self, step: float, found: Tensor, rounding: float) -> None:
        """Add the difference of a step, of two values that are rounded by `rounding`."""
        self._found.append((step, found, rounding / step))

    def error(self) -> float:
        """Return the smallest error of all steps."""
        return min(_distance(found, self._expected, self._size) for _, found, _ in self._found)

    def judged(self) -> float:
        """Return the error; NaN if it is too large but no two short steps agree with each other much better."""
        error = self.error()
        if error <= TOLERANCE:
            return error
        least = error * self._size / 10
        short = [found for step, found, rounding in self._found if step <= SHORT and rounding <= least]
        apart = [_distance(one, other, self._size) for i, one in enumerate(short) for other in short[:i]]
        return error if min(apart, default=math.inf) < error / 10 else math.nan


class InDouble(TorchFunctionMode):
    """Compute in float64 within this context where a network asks for a lower precision, by name or by default."""

    def __enter__(self) -> Any:
        self._default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.set_default_dtype(self._default)
        super().__exit__(*error)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        func = Tensor.double if func in _LOWER else func
        return func(*map(_raised, args), **{key: _raised(value) for key, value in (kwargs or {}).items()})


_LOWER = {Tensor.float, Tensor.half, Tensor.bfloat16}
_LOWER_TYPES = {torch.float32, torch.float16, torch.bfloat16}


def _raised(value: Any) -> Any:
    return torch.float64 if isinstance(value, torch.dtype) and value in _LOWER_TYPES else value


def rounding_of(loss: float) -> float:
    """Return the rounding in float64 of a loss and its gradient, as a share: large for a loss near 0, as of examples that fit.

    Such a loss is what is left of numbers of size one, as 1 - p in cross-entropy is.
    """
    return _EPS * max(100.0, 4 / abs(loss)) if loss else math.inf


def _spread(split: Examples, objective: Objective) -> Examples:
    """Choose examples that count in the loss, equally spaced."""
    counts = objective.counts(split)
    counted = torch.arange(len(split)) if counts is None else torch.nonzero(counts > 0).flatten().cpu()
    if not len(counted):
        return split[:VERIFIED]
    return split[counted[torch.linspace(0, len(counted) - 1, min(VERIFIED, len(counted))).round().long()]]


def _padding(network: nn.Module) -> dict[str, int]:
    """Find the row of each embedding that stands for padding: torch takes it for a constant."""
    rows = {id(m.weight): m.padding_idx for m in network.modules() if isinstance(m, nn.Embedding)}
    named = ((name, rows.get(id(parameter))) for name, parameter in network.named_parameters())
    return {name: row for name, row in named if row is not None}


def _sizes(tensor: Tensor, padding: int | None) -> Tensor:
    """Return the root mean square of a parameter for each of its entries, 1 if it is zero; 0 in the row of padding."""
    sizes = torch.full(tensor.shape, float(tensor.double().square().mean().sqrt()) or 1.0, dtype=torch.float64)
    if padding is not None:
        sizes[padding] = 0.0
    return sizes.flatten()


def _distance(one: Tensor, other: Tensor, size: float = 0.0) -> float:
    """Return the norm of the difference as a share of the largest norm and `size`; 0 if all are zero."""
    largest = max(size, *(float(torch.linalg.vector_norm(t)) for t in (one, other)))
    return float(torch.linalg.vector_norm(one - other)) / largest if largest else 0.0
