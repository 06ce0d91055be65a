"""Set a network, whose tensors are views of flat buffers, to the points theta + alpha d1 + beta d2 of a plane."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from landscape.data.examples import Rows, call, copied, even_parts, leaves, rows_in
from landscape.directions import Directions
from landscape.engine.folding import Folded
from landscape.networks.copying import at_weights, tied
from landscape.store.weights import Weights, displace

RECALIBRATION_BATCH = 128  # approximate; part of the definition of a recalibrated surface


class Moving:
    """A network that moves over a plane; its floating-point tensors of one type are views of one flat buffer.

    Tensors that `centre` lacks (non-persistent buffers, constants of a trace) do not move.

    Args:
        network: changed in place.
        centre: parameters and persistent buffers of the network.
        directions: over any of these.
        layout: memory layout of four-dimensional tensors.
        dtype: type in which the network computes; None keeps its own. Points are always set in the network's own type,
            which batch norm keeps.
    """

    def __init__(
        self,
        network: nn.Module,
        centre: Weights,
        directions: Directions,
        layout: torch.memory_format,
        dtype: torch.dtype | None,
    ):
        self.network = network
        norms = {name for name, module in network.named_modules() if isinstance(module, _BatchNorm)}
        named = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        self._fixed = {name: t for name, t in named.items() if name in centre and not t.is_floating_point()}
        floating = {name: t for name, t in named.items() if t.is_floating_point()}
        groups: dict[tuple[torch.dtype, bool], dict[str, Tensor]] = {}
        for name, tensor in floating.items():
            rounded = dtype not in (None, tensor.dtype) and name.rpartition(".")[0] not in norms
            if name in centre:
                groups.setdefault((tensor.dtype, rounded), {})[name] = tensor
            elif rounded:
                tensor.data = tensor.to(dtype)
        self._flats = [
            _Flat(tensors, centre, directions, layout, dtype if rounded else None)
            for (_, rounded), tensors in groups.items()
        ]
        moved = {name for direction in directions.values() for name in direction}
        self._variances = [t for name, t in floating.items() if name.endswith("running_var") and name in moved]
        self._device = next(iter(named.values())).device if named else torch.device("cpu")
        self.load(centre)

    def load(self, centre: Weights) -> None:
        """Make other weights the centre, and move there."""
        for flat in self._flats:
            flat.load(centre)
        for name, tensor in self._fixed.items():
            tensor.copy_(centre[name])
        self.move(0.0, 0.0)

    def move(self, alpha: float, beta: float) -> None:
        """Move the network to theta + alpha d1 + beta d2."""
        for flat in self._flats:
            flat.move(alpha, beta)

    def negative_variances(self) -> Tensor:
        """Count the batch-norm channels with a negative variance here, int64 ()."""
        negative = torch.zeros((), dtype=torch.int64, device=self._device)
        for variance in self._variances:
            negative += (variance < 0).sum()
        return negative


class _Flat:
    """Tensors of one type as views of a buffer or, with `dtype`, of a copy of the buffer rounded to that type."""

    def __init__(
        self,
        tensors: dict[str, Tensor],
        centre: Weights,
        directions: Directions,
        layout: torch.memory_format,
        dtype: torch.dtype | None,
    ):
        first = next(iter(tensors.values()))
        self._dtype, self._device = first.dtype, first.device
        self._numbers = {name: tensor.numel() for name, tensor in tensors.items()}
        self._layout = layout
        self._centre = self._joined(centre)
        self._steps = [self._joined(direction) for direction in directions.values()]
        self._exact = self._centre.clone()
        self._rounded = self._exact.to(dtype) if dtype else self._exact
        start = 0
        for tensor in tensors.values():
            end = start + tensor.numel()
            tensor.data = self._view(self._rounded[start:end], tensor.shape)
            start = end

    def load(self, centre: Weights) -> None:
        self._centre.copy_(self._joined(centre))

    def move(self, alpha: float, beta: float) -> None:
        """Add both steps to the centre, so that a point has the same bits in every tile."""
        start = self._centre
        for step, a in zip(self._steps, (alpha, beta), strict=False):
            start = torch.add(start, step, alpha=a, out=self._exact)
        if start is self._centre:
            self._exact.copy_(self._centre)
        if self._rounded is not self._exact:
            self._rounded.copy_(self._exact)

    def _joined(self, weights: Weights) -> Tensor:
        parts = [
            self._laid(weights[name].to(self._device, self._dtype)).reshape(-1)
            if name in weights
            else torch.zeros(numbers, dtype=self._dtype, device=self._device)
            for name, numbers in self._numbers.items()
        ]
        return torch.cat(parts)

    def _laid(self, tensor: Tensor) -> Tensor:
        return tensor.permute(0, 2, 3, 1) if self._is_laid(tensor.shape) else tensor

    def _view(self, flat: Tensor, shape: torch.Size) -> Tensor:
        if self._is_laid(shape):
            return flat.view(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)
        return flat.view(shape)

    def _is_laid(self, shape: torch.Size) -> bool:
        return self._layout is torch.channels_last and len(shape) == 4


class Point:
    """The measured network at a point of a plane.

    Directions that are zero on the folded batch norms are folded once, with the centre. Otherwise, and with
    recalibration, the whole network moves, and is folded anew at every point.

    Args:
        whole: the network itself.
        measured: the form that computes, folded or `whole` itself.
        recalibration: inputs from which batch norm takes new statistics at every point, or None.
    """

    def __init__(
        self,
        whole: nn.Module,
        measured: nn.Module,
        folded: Folded | None,
        theta: Weights,
        directions: Directions,
        layout: torch.memory_format,
        dtype: torch.dtype | None,
        recalibration: Rows | None = None,
    ):
        self.network = measured
        self._whole, self._folded = whole, folded
        self._inputs = recalibration
        self._folds_once = (
            folded is not None and recalibration is None and all(map(folded.leaves_norms_alone, directions.values()))
        )
        if folded is None:
            self._moving = Moving(whole, theta, directions, layout, dtype)
        elif self._folds_once:
            steps = {axis: folded.direction(direction, theta) for axis, direction in directions.items()}
            self._moving = Moving(measured, folded.centre(theta), steps, layout, dtype)
        else:
            self._moving = Moving(whole, theta, directions, layout, None)
            self._refolded = Moving(measured, folded.centre(theta), {}, layout, dtype)
            self._here = dict(whole.state_dict())

    def load(self, theta: Weights) -> None:
        """Make other weights the centre, and move there. There must be no directions, since these belong to one centre."""
        self._moving.load(self._folded.centre(theta) if self._folded and self._folds_once else theta)
        self.move(0.0, 0.0)

    def move(self, alpha: float, beta: float) -> None:
        self._moving.move(alpha, beta)
        if self._inputs is not None:
            recalibrate(self._whole, self._inputs)
        if self._folded and not self._folds_once:
            self._refolded.load(self._folded.centre(self._here))

    def negative_variances(self) -> Tensor:
        return self._moving.negative_variances()


class Loading:
    """A network that is loaded anew at every point, for those whose tensors cannot be views of a buffer.

    Args:
        network: never called; each point is a copy of it.
        dtype: as in `Moving`.
        recalibration: as in `Point`.

    Attributes:
        network: the copy at the current point, which was not called yet.
        weights: the weights there.
    """

    network: nn.Module
    weights: Weights

    def __init__(
        self,
        network: nn.Module,
        centre: Weights,
        directions: Directions,
        dtype: torch.dtype | None = None,
        recalibration: Rows | None = None,
    ):
        self._untouched, self._dtype, self._inputs = network, dtype, recalibration
        self._device = next(network.parameters()).device
        self._tied = tied(network)
        self._steps = {axis: self._here(direction) for axis, direction in directions.items()}
        moved = {name for direction in directions.values() for name in direction}
        self._variances = [name for name in moved if name.endswith("running_var")]
        self.load(centre)

    def load(self, centre: Weights) -> None:
        """Make other weights the centre, and move there."""
        self._centre = self._here(centre)
        self.move(0.0, 0.0)

    @torch.inference_mode(False)
    def move(self, alpha: float, beta: float) -> None:
        """Load a fresh copy at theta + alpha d1 + beta d2."""
        point = self._centre
        if self._steps:
            first, *second = self._steps.values()
            point = displace(point, first, alpha, second[0] if second else None, beta)
        self.weights = {name: point[self._tied.get(name, name)] for name in point}
        self._negative = sum(int((point[name] < 0).sum()) for name in self._variances)
        self.network = at_weights(self._untouched, self.weights)
        if self._dtype is not None:
            round_to(self._dtype, self.network)
        if self._inputs is not None:
            recalibrate(self.network, self._inputs)

    def negative_variances(self) -> Tensor:
        return torch.tensor(self._negative, device=self._device)

    def _here(self, weights: Weights) -> Weights:
        return {name: tensor.to(self._device) for name, tensor in weights.items()}


def round_to(dtype: torch.dtype, network: nn.Module) -> None:
    """Let a network compute in a type, all but its batch norm."""
    for module in network.modules():
        if not isinstance(module, _BatchNorm):
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                if tensor.is_floating_point():
                    tensor.data = tensor.to(dtype)


def recalibrate(network: nn.Module, inputs: Rows) -> None:
    """Give batch norm the statistics of these inputs: means over batches of about 128, as `torch.optim.swa_utils.update_bn`.

    Only batch norm is in train mode during the one pass; afterwards all is in eval mode.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    norms = [norm for norm in norms if norm.running_mean is not None]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        with torch.inference_mode():
            for part in even_parts(len(leaves(inputs)[0]), RECALIBRATION_BATCH):
                call(network, copied(rows_in(inputs, part)))  # a network may write into them
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
