"""The training loss around a point: its value, its gradient, and products with its Hessian.

Automatic differentiation of a ReLU network gives the Hessian of its linear pieces, without the kinks between them. Finite
differences of a surface need not agree with it. In fp32 a few activations fall on the other side of a kink (in a ResNet-20
1 to 4 for 128 images, folded or not). They change the largest eigenvalue by up to 2e-5 of it, more than all other rounding
(measured against float64).
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from landscape.config.values import Parameters
from landscape.data.examples import Examples, laid_out, leaves, mapped, memory_format
from landscape.directions import Axes, Directions, chosen
from landscape.engine.folding import Folded
from landscape.engine.kernel_choice import check_differentiable
from landscape.engine.plane_point import Moving
from landscape.hessian.derivatives import Twice
from landscape.hessian.folding_choice import fold_to_differentiate
from landscape.hessian.piece import Piece
from landscape.networks.copying import at_weights
from landscape.objective.objective import CLASSIFICATION, Objective
from landscape.store.weights import Weights

EXAMPLES = 4  # examples that check folding and measure the memory of an example
PIECE = 2**28  # bytes of one piece of the graph, where the examples are no images
PIXELS = 2**17
"""Pixels in one piece of the graph, 128 images of 32 x 32: with 64 images a product takes 3 to 7 % longer, with 32 or 256
some 10 % (measured on a CPU)."""

DTYPES = {"fp32": torch.float32, "fp64": torch.float64}
"""Data type of the network and all vectors, by the `precision` of a configuration."""


class Hessian:
    """The loss over a split as a function of the chosen parameters, at points theta + alpha d1 + beta d2.

    Vectors are flat, (size,), over the chosen parameters in the network's order. They refer to the original network, even if
    a product is computed with folded batch norms: H v = s * H_folded (s * v).

    A product is reverse over reverse mode. If the graph of the gradient over all examples fits `memory`, it is built once
    for a point and kept; otherwise every product rebuilds it, piece by piece. The choice depends on the network, the number
    of examples and `memory` alone.

    Attributes:
        names: the chosen parameters.
        shapes: their shapes.
        size: number of weights in them.
        keeps: whether the graph of a point is kept.
        folded: number of folded batch norms.
        example_bytes: memory that the graph of one example takes.
        asymmetry: |u'Hv - v'Hu| / (||u|| ||v|| ||H||) of the products at this point, the largest over successive vectors;
            ||H|| is the largest ||Hv|| / ||v|| among them, as far as they show it.
    """

    def __init__(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        split: Examples,
        axes: Axes,
        objective: Objective = CLASSIFICATION,
        *,
        parameters: Parameters = "filters",
        dtype: torch.dtype = torch.float32,
        memory: int = 2**31,
        folding: bool = True,
    ):
        """
        Args:
            theta: the centre, every parameter and buffer.
            axes: `networks.filter_axes` of the network.
            parameters: those that have filters, as in the paper, or all, or those that a regular expression finds.
            dtype: of the network and of all vectors.
            memory: bytes that the graph of a point may take.
        """
        self.names = chosen(axes, parameters)
        theta, directions = _cast(theta, dtype), {axis: _cast(step, dtype) for axis, step in directions.items()}
        example = split[:EXAMPLES].in_type(dtype)
        check_differentiable(network, theta, directions, example, objective, dtype)
        whole = at_weights(network, theta, dtype)
        self._objective = objective
        inputs = mapped(example.inputs, lambda tensor: tensor.clone(memory_format=torch.contiguous_format))
        may_fold = folding and parameters == "filters" and objective.loss is not None
        folded = fold_to_differentiate(whole, self.names, directions, objective, example) if may_fold else None
        self.folded = len(folded.pairs) if folded else 0
        self._network = folded.network if folded else whole
        self._twice = Twice(self._network)
        layout = memory_format(inputs)
        split = split.in_type(dtype)
        self._layout, self._split = layout, Examples(laid_out(split.inputs, layout), split.targets)
        self._dtype, self._device = dtype, leaves(split.inputs)[0].device
        self._weight = objective.weight(split)
        self._moving = _moving(self._network, folded, theta, directions, layout)
        named = dict(self._network.named_parameters())
        self._chosen: list[Tensor] = [named[name].requires_grad_(True) for name in self.names]
        self.shapes = [parameter.shape for parameter in self._chosen]
        self._sizes = [shape.numel() for shape in self.shapes]
        self.size = sum(self._sizes)
        self._scale = _row_scales(folded, theta, self.names, self._chosen) if folded else None
        self._batch = batch(split)
        self.example_bytes = self._measured()
        if split.image_shape is None:
            self._batch = max(1, min(len(split), PIECE // max(1, self.example_bytes)))
        self.keeps = self.example_bytes * len(split) <= memory
        self._pieces: list[Piece] = []
        self.move(0.0, 0.0)

    def move(self, alpha: float, beta: float) -> None:
        """Move to another point and free the graph of the last one."""
        self._moving.move(alpha, beta)
        self._forget()

    @contextlib.contextmanager
    def beside(self, step: Tensor) -> Iterator[None]:
        """Add a vector, (size,), to the chosen parameters in this context; needs `folding=False`."""
        assert self._scale is None, "the folded network has other weights"
        here = [parameter.detach().clone() for parameter in self._chosen]
        with torch.no_grad():
            for parameter, part in zip(self._chosen, self.unflatten(step).values(), strict=True):
                parameter.add_(part)
        self._forget()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self._chosen, here, strict=True):
                    parameter.copy_(value)
            self._forget()

    @contextlib.contextmanager
    def over(self, split: Examples) -> Iterator[None]:
        """Take the loss over other examples in this context."""
        kept = self._split, self._weight
        self._forget()
        split = split.in_type(self.dtype)
        self._split = Examples(laid_out(split.inputs, self._layout), split.targets)
        self._weight = self._objective.weight(split)
        try:
            yield
        finally:
            self._split, self._weight = kept
            self._forget()

    def _forget(self) -> None:
        """Free the graph and forget the numbers of the last point."""
        self._pieces.clear()
        self._first: tuple[float, Tensor] | None = None
        self._last: tuple[Tensor, Tensor] | None = None
        self._norm, self._difference = 0.0, 0.0

    def load(self, theta: Weights) -> None:
        """Make other weights the centre and move there; needs `folding=False`."""
        assert self._scale is None, "the folded network has other weights"
        self._moving.load(_cast(theta, self.dtype))
        self.move(0.0, 0.0)

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def examples(self) -> int:
        return len(self._split)

    def loss(self) -> float:
        """Return the loss here, summed in float64."""
        return self._here()[0]

    def gradient(self) -> Tensor:
        """Return the gradient here, (size,)."""
        return self._here()[1]

    def slope(self) -> tuple[float, Tensor]:
        """Return the loss and its gradient, (size,), without the graph that products need."""
        return self._summed(self._made(graph=False))

    def gradients_of_halves(self) -> tuple[Tensor, Tensor]:
        """Return the gradients of the loss over the even examples and over the odd ones, each (size,); zero where none counts."""
        halves = []
        for half in (self._split[::2], self._split[1::2]):
            total = torch.zeros(self.size, dtype=self.dtype, device=self.device)
            counts = self._objective.counts(half) if len(half) else torch.zeros(1)
            if counts is None or bool(counts.any()):
                weight = self._objective.weight(half)
                for part in self._objective.cut(half, self._batch):
                    total += self._piece(part, weight, graph=False).gradient
            halves.append(self._scaled(total))
        return halves[0], halves[1]

    def product(self, vector: Tensor) -> Tensor:
        """Multiply the Hessian with a vector, (size,)."""
        parts = [
            part.view(shape) for part, shape in zip(self._scaled(vector).split(self._sizes), self.shapes, strict=True)
        ]
        total = torch.zeros(self.size, dtype=self.dtype, device=self.device)
        if self.keeps:
            self._here()
            for piece in self._pieces:
                total += piece.product(parts)
        else:
            for piece in self._made(graph=True):
                total += piece.product(parts)
        found = self._scaled(total)
        self._compare(vector, found)
        return found

    @property
    def asymmetry(self) -> float:
        return self._difference / self._norm if self._norm else 0.0

    def _compare(self, vector: Tensor, image: Tensor) -> None:
        """Compare u'Hv with v'Hu for the last vector u."""
        length = float(torch.linalg.vector_norm(vector.double()))
        if length:
            vector, image = vector / length, image / length
            self._norm = max(self._norm, float(torch.linalg.vector_norm(image.double())))
            if self._last is not None:
                before, its = self._last
                difference = before.double() @ image.double() - vector.double() @ its.double()
                self._difference = max(self._difference, float(difference.abs()))
            self._last = vector, image

    def flatten(self, weights: Weights) -> Tensor:
        """Flatten the chosen parameters of a direction to a vector, (size,)."""
        return torch.cat([weights[name].reshape(-1) for name in self.names]).to(self.device, self.dtype)

    def unflatten(self, vector: Tensor) -> Weights:
        """Turn a vector into a direction over the chosen parameters."""
        parts = vector.split(self._sizes)
        return {name: part.view(shape) for name, part, shape in zip(self.names, parts, self.shapes, strict=True)}

    def _here(self) -> tuple[float, Tensor]:
        if self._first is None:
            pieces = self._made(graph=self.keeps)
            if self.keeps:
                self._pieces = list(pieces)
            self._first = self._summed(self._pieces if self.keeps else pieces)
        return self._first

    def _summed(self, pieces: Iterable[Piece]) -> tuple[float, Tensor]:
        loss, total = 0.0, torch.zeros(self.size, dtype=self.dtype, device=self.device)
        for piece in pieces:
            loss += piece.loss
            total += piece.gradient
        return loss, self._scaled(total)

    def _made(self, graph: bool) -> Iterator[Piece]:
        for part in self._objective.cut(self._split, self._batch):
            yield self._piece(part, self._weight, graph=graph)

    def _piece(self, part: Examples, weight: float, *, graph: bool) -> Piece:
        return Piece(self._network, self._chosen, part, self._objective, weight, self._twice, graph=graph)

    def _scaled(self, vector: Tensor) -> Tensor:
        return vector if self._scale is None else vector * self._scale

    def _measured(self) -> int:
        """Measure the bytes that the graph of a gradient saves for one example, without the parameters."""
        few = min(EXAMPLES, len(self._split))
        own = {t.untyped_storage().data_ptr() for t in (*self._network.parameters(), *self._network.buffers())}
        found: dict[int, int] = {}

        def saved(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                found[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
            piece = self._piece(self._split[:few], float(few), graph=True)
        del piece
        return sum(found.values()) // few


def batch(examples: Examples) -> int:
    """Number of examples in one piece: of images by their size, of others a few."""
    shape = examples.image_shape
    return max(1, PIXELS // (shape[1] * shape[2])) if shape else EXAMPLES


def filter_scale(theta: Weights, axes: Axes, hessian: Hessian) -> Tensor:
    """Return D = diag(||theta_ij|| / sqrt(n_ij)) as a vector, (size,): the scale of a filter-normalised direction per weight.

    Scaling a filter before batch norm changes the raw Hessian but not D H D. Parameters without filters get 0.
    """
    parts = []
    for name in hessian.names:
        tensor, axis = theta[name].double(), axes[name]
        if axis is None:
            parts.append(torch.zeros_like(tensor).reshape(-1))
            continue
        rest = [d for d in range(tensor.ndim) if d != axis]
        norms = torch.linalg.vector_norm(tensor, dim=rest, keepdim=True)
        per_filter = tensor.numel() / tensor.shape[axis]
        parts.append((norms / per_filter**0.5).expand_as(tensor).reshape(-1))
    return torch.cat(parts).to(hessian.device, hessian.dtype)


def scaled(hessian: Hessian, scale: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the product with D H D."""
    return lambda vector: scale * hessian.product(scale * vector)


def _moving(
    network: nn.Module, folded: Folded | None, theta: Weights, directions: Directions, layout: torch.memory_format
) -> Moving:
    if folded is None:
        return Moving(network, theta, directions, layout, None)
    steps = {axis: folded.direction(direction, theta) for axis, direction in directions.items()}
    return Moving(network, folded.centre(theta), steps, layout, None)


def _row_scales(folded: Folded, theta: Weights, names: list[str], chosen: list[Tensor]) -> Tensor:
    scales = folded.row_scales(theta)
    parts = [
        (scales[name].view(-1, *[1] * (p.ndim - 1)).expand(p.shape) if name in scales else torch.ones_like(p)).reshape(
            -1
        )
        for name, p in zip(names, chosen, strict=True)
    ]
    return torch.cat([part.to(chosen[0]) for part in parts]).detach()


def _cast(weights: Weights, dtype: torch.dtype) -> Weights:
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
