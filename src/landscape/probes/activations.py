"""The scale of activations and gradients, layer by layer, measured by PyTorch hooks."""

from __future__ import annotations

import json
import math
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
    from landscape.probes.layer_watch import LayerWatch
    from landscape.store.weights import Weights

_ROOT = "(network)"
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
        """Measure the output of every layer, and the gradient of the training loss by it.

        It measures at the probe's point, in eval mode, over the training examples that the probe declares, with sums in
        float64. A layer is a module that calls no other, or one with parameters that no module inside it is called with: a
        parametrised layer, attention with its projections, a block with a scale of its own. The network itself, if it is
        one, is `(network)`. Layers are in the order in which they first give something out. A layer that is called several
        times counts once, with all its outputs. Of several tensors it is seen by the first that is floating-point.

        Returns:
            One number per layer for every name in `_NAMES` and for `depth`, and `train_loss`; no weights. The attribute
            `skipped` names the layers that are left out, `partly` those that are not seen whole, each with the reason.

        Raises:
            InputError: if no layer is left.
        """
        from landscape.data.datasets import subset
        from landscape.engine.kernel_choice import check_differentiable
        from landscape.networks.copying import at_weights
        from landscape.objective.examination import EXAMPLES
        from landscape.store.weights import displace

        weights = theta
        if directions:
            weights = displace(theta, directions["alpha"], self.alpha, directions.get("beta"), self.beta)
        split = subset(dataset.train, self.examples)
        check_differentiable(network, weights, {}, split[:EXAMPLES], objective)
        network = at_weights(network, weights)
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        loss, watch, gradients = _watched(network, split, objective)
        owned = watch.owned(gradients)
        layers = {name: layer for name, layer in watch.layers.items() if layer.is_leaf or owned.get(name)}
        seen = {name: layer for name, layer in layers.items() if layer.problem is None}
        if not seen:
            raise InputError(
                "no layer of the network is called and gives out floating-point numbers; those of a torch.jit script are not seen"
            )
        columns: dict[str, list[float]] = {name: [] for name in _NAMES}
        for name, layer in seen.items():
            own = owned.get(name, {})
            columns["activation_mean"].append(layer.mean)
            columns["activation_std"].append(layer.std)
            columns["activation_zero_share"].append(layer.zeros / layer.count)
            columns["gradient_norm"].append(layer.gradient_norm)
            columns["weight_gradient_norm"].append(_norm([gradients[key] for key in own]))
            columns["weight_norm"].append(_norm([parameter.detach() for parameter in own.values()]))
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
        skipped |= dict.fromkeys(watch.unused(gradients), "is not used")
        partly = {name: layer.partly for name, layer in seen.items() if layer.partly}
        status = "computed" if math.isfinite(loss) else f"non_finite: the loss at this point is {loss:g}"
        told = {"skipped": json.dumps(skipped), "partly": json.dumps(partly), "status": status}
        return xr.Dataset(variables, {"layer": [name or _ROOT for name in seen]}, told), {}

    def forward_passes(self) -> int:
        return FORWARD_AND_BACKWARD


def _watched(network: nn.Module, split: Examples, objective: Objective) -> tuple[float, LayerWatch, Weights]:
    """Return the loss, the modules that were called, and the gradient of the loss, float64, of parameters that it reaches."""
    from landscape.data.examples import Examples, copied, leaves
    from landscape.hessian.products import batch
    from landscape.probes.layer_watch import LayerWatch

    named = dict(network.named_parameters(remove_duplicate=False))
    gradients: Weights = {}
    total = 0.0
    with LayerWatch(network) as watch:
        watch.find_rows(lambda n: objective.total(network, split[torch.zeros(n, dtype=torch.int64)].fresh()))
        weight = objective.weight(split)
        for part in objective.cut(split, batch(split)):
            watch.examples = len(part)
            inputs = copied(part.inputs)
            wanted = [of.requires_grad_(True) for of in leaves(inputs) if of.is_floating_point()]
            # so that layers before the first parameter get gradients too
            loss = objective.total(network, Examples(copied(inputs), part.targets))
            found = torch.autograd.grad(loss, [*named.values(), *wanted], allow_unused=True)
            for name, gradient in zip(named, found, strict=False):
                if gradient is not None:
                    gradients[name] = gradients.get(name, 0.0) + gradient.double() / weight
            watch.end_batch()
            total += float(loss.detach())
    return total / weight, watch, gradients


def _norm(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors)) if tensors else math.nan
