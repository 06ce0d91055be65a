"""The scale of activations and gradients, layer by layer, measured by PyTorch hooks."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from landscape.errors import InputError
from landscape.hessian.passes import FORWARD_AND_BACKWARD
from landscape.lazy import np, torch, xr
from landscape.objective.meanings import loss_meaning
from landscape.probes.probe import Probe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from landscape.data.datasets import DataSet
    from landscape.data.examples import Examples
    from landscape.directions import Axes, Directions
    from landscape.objective.objective import Objective
    from landscape.store.weights import Weights

_NAMES = {
    "activation_mean": "mean of the layer's output over examples and positions",
    "activation_std": "standard deviation of the layer's output over examples and positions",
    "activation_zero_share": "share of exact zeros in the layer's output",
    "gradient_norm": "norm of the gradient of an example's loss by the layer's output, mean over examples",
    "weight_gradient_norm": "norm of the gradient of the mean loss by the layer's own parameters; NaN where it has none",
    "weight_norm": "norm of the layer's own parameters; NaN where it has none",
}


class ActivationsProbe(Probe):
    """The scale of every layer's activations and gradients."""

    measure: Literal["activations"]

    def measured(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        axes: Axes,
        dataset: DataSet,
        objective: Objective,
    ) -> tuple[xr.Dataset, Weights]:
        """Measure the output of every leaf module, and the gradient of the training loss by it.

        It measures at the probe's point, in eval mode, over the training examples that the probe declares, with sums in
        float64. Layers are in the order of their first calls. A layer that is called several times counts once, with all
        its outputs. A layer whose output is not a floating-point tensor with a row per example (a tuple, say) is left out; the
        attribute `skipped` names it.

        Returns:
            One number per layer for every name in `_NAMES` and for `depth`, and `train_loss`; no weights.

        Raises:
            InputError: if no layer is left.
        """
        from landscape.data.datasets import subset
        from landscape.store.weights import displace

        weights = theta
        if directions:
            weights = displace(theta, directions["alpha"], self.alpha, directions.get("beta"), self.beta)
        network = copy.deepcopy(network).eval().requires_grad_(True)
        network.load_state_dict(weights, strict=True)
        loss, layers, gradients = _watched(network, subset(dataset.train, self.examples), objective)
        seen = {name: layer for name, layer in layers.items() if layer.problem is None}
        if not seen:
            raise InputError("no layer of the network gives out a tensor with a row per example")
        columns: dict[str, list[float]] = {name: [] for name in _NAMES}
        for name, layer in seen.items():
            own = [
                f"{name}.{key}".lstrip(".") for key, _ in network.get_submodule(name).named_parameters(recurse=False)
            ]
            columns["activation_mean"].append(layer.mean)
            columns["activation_std"].append(layer.std)
            columns["activation_zero_share"].append(layer.zeros / layer.count)
            columns["gradient_norm"].append(layer.gradient_norms / layer.examples if layer.examples else math.nan)
            columns["weight_gradient_norm"].append(_norm([gradients[key] for key in own]))
            columns["weight_norm"].append(_norm([weights[key] for key in own]))
        variables: dict[str, Any] = {
            name: ("layer", np.array(columns[name]), {"long_name": text, "units": "1"}) for name, text in _NAMES.items()
        }
        variables["depth"] = ("layer", np.arange(len(seen), dtype=np.int32), {"long_name": "order of the first call"})
        variables["train_loss"] = (
            (),
            loss,
            {"long_name": loss_meaning(objective.facts()).format("training examples"), "units": "1"},
        )
        skipped = {name: layer.problem for name, layer in layers.items() if layer.problem is not None}
        status = "computed" if math.isfinite(loss) else f"non_finite: the loss at this point is {loss:g}"
        return xr.Dataset(variables, {"layer": list(seen)}, {"skipped": json.dumps(skipped), "status": status}), {}

    def forward_passes(self) -> int:
        return FORWARD_AND_BACKWARD


@dataclass
class _LayerSums:
    """Sums over a layer's outputs, and over the norms of the gradients by them."""

    problem: str | None = None
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    zeros: int = 0
    examples: int = 0
    gradient_norms: float = 0.0
    gradient_squares: Tensor | None = field(default=None, repr=False)
    """Squared gradient norms of the current batch, per example, summed over the calls."""

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def std(self) -> float:
        return (
            math.sqrt(max(self.squares / self.count - self.mean**2, 0.0)) if math.isfinite(self.squares) else math.nan
        )

    def gave(self, output: Tensor) -> None:
        values = output.detach().double()
        self.count += values.numel()
        self.total += float(values.sum())
        self.squares += float(values.square().sum())
        self.zeros += int((values == 0).sum())

    def got(self, gradient: Tensor) -> None:
        squares = gradient.detach().double().flatten(1).square().sum(1)
        self.gradient_squares = squares if self.gradient_squares is None else self.gradient_squares + squares

    def end_batch(self) -> None:
        if self.gradient_squares is not None:
            self.examples += len(self.gradient_squares)
            self.gradient_norms += float(self.gradient_squares.sqrt().sum())
            self.gradient_squares = None


def _watched(network: nn.Module, split: Examples, objective: Objective) -> tuple[float, dict[str, _LayerSums], Weights]:
    """Return the loss, the layers in the order of their first calls, and the gradient of the loss, float64."""
    from landscape.data.examples import Examples, copied, leaves
    from landscape.hessian.products import batch

    named = dict(network.named_parameters(remove_duplicate=False))
    gradients = {name: torch.zeros_like(parameter, dtype=torch.float64) for name, parameter in named.items()}
    total = 0.0
    with _hooks(network) as layers:
        weight = objective.weight(split)
        for part in split.split(batch(split)):
            inputs = copied(part.inputs)
            wanted = [of.requires_grad_(True) for of in leaves(inputs) if of.is_floating_point()]
            # so that layers before the first parameter get gradients too
            loss = objective.total(network, Examples(copied(inputs), part.targets))
            found = torch.autograd.grad(loss, [*named.values(), *wanted], allow_unused=True)
            for name, gradient in zip(named, found, strict=False):
                if gradient is not None:
                    gradients[name] += gradient.double() / weight
            for layer in layers.values():
                layer.end_batch()
            total += float(loss.detach())
    return total / weight, layers, gradients


@contextlib.contextmanager
def _hooks(network: nn.Module) -> Iterator[dict[str, _LayerSums]]:
    """Hook the leaf modules and the gradients by their outputs; remove the hooks of the modules at the end."""
    layers: dict[str, _LayerSums] = {}

    def called(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        layer = layers.setdefault(name, _LayerSums())
        problem = _problem(output, inputs)
        layer.problem = layer.problem or problem
        if problem is None:
            layer.gave(output)
            if output.requires_grad:
                output.register_hook(layer.got)

    handles = [
        module.register_forward_hook(functools.partial(called, name))
        for name, module in network.named_modules()
        if not any(module.children())
    ]
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()


def _problem(output: Any, inputs: tuple[Any, ...]) -> str | None:
    """Say why a layer is left out; None if it is measured."""
    if not isinstance(output, torch.Tensor):
        return f"gives out a {type(output).__name__}"
    if not output.is_floating_point():
        return f"gives out {str(output.dtype).removeprefix('torch.')}"
    rows = [len(tensor) for tensor in inputs if isinstance(tensor, torch.Tensor) and tensor.ndim]
    if output.ndim == 0 or (rows and len(output) not in rows):
        return f"gives out the shape {tuple(output.shape)}, which has no row per example"
    return None


def _norm(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors)) if tensors else math.nan
