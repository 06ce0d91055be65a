"""A network whose tensors lie in one flat buffer, set to the points theta + alpha d1 + beta d2 of a plane."""

import torch
from torch import Tensor, nn

from landscape.directions import Directions
from landscape.errors import InputError
from landscape.folding import NORMS, Folded
from landscape.weights import Weights

RECALIBRATION_BATCH = 128  # about; part of what a recalibrated surface means


class Moving:
    """A network whose floating-point tensors are views of a flat buffer.

    Args:
        network: changed in place.
        centre: every tensor of it.
        layout: of four-dimensional tensors.
        dtype: of the network that computes; None for its own, in which points are set and batch norm stays.

    Raises:
        InputError: if floating-point tensors of several types are there.
    """

    def __init__(
        self,
        network: nn.Module,
        centre: Weights,
        directions: Directions,
        layout: torch.memory_format,
        dtype: torch.dtype | None,
    ):
        self._layout = layout
        tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        self._names = [name for name, tensor in tensors.items() if tensor.is_floating_point()]
        self._others = {name: tensor for name, tensor in tensors.items() if name not in self._names}
        if len(kinds := sorted({str(tensors[name].dtype) for name in self._names})) > 1:
            raise InputError(f"the network has tensors of several types, {', '.join(kinds)}; they must be of one")
        self._tensors = {name: tensors[name] for name in self._names}
        self._centre = self._flat(centre)
        self._steps = [self._flat(direction) for direction in directions.values()]
        self._exact = self._centre.clone()
        self._rounded = self._exact if dtype in (None, self._exact.dtype) else self._exact.to(dtype)
        exact = {
            f"{name}.{of}" if name else of
            for name, module in network.named_modules()
            if isinstance(module, NORMS)
            for of in module.state_dict()
        }
        start = 0
        for name, tensor in self._tensors.items():
            end = start + tensor.numel()
            tensor.data = self._view((self._exact if name in exact else self._rounded)[start:end], tensor.shape)
            start = end
        self._variances = [
            tensor
            for name, tensor in self._tensors.items()
            if name.endswith("running_var") and any(name in direction for direction in directions.values())
        ]
        self.load(centre)

    def load(self, centre: Weights) -> None:
        """Make other weights the centre, and move there."""
        self._centre.copy_(self._flat(centre))
        for name, tensor in self._others.items():
            tensor.copy_(centre[name])
        self.move(0.0, 0.0)

    def move(self, alpha: float, beta: float) -> None:
        """Two additions from the centre, so that a point has the same bits wherever it is computed."""
        start = self._centre
        for step, a in zip(self._steps, (alpha, beta), strict=False):
            start = torch.add(start, step, alpha=a, out=self._exact)
        if start is self._centre:
            self._exact.copy_(self._centre)
        if self._rounded is not self._exact:
            self._rounded.copy_(self._exact)

    def negative_variances(self) -> Tensor:
        """How many batch-norm channels have a negative variance here, int64 ()."""
        negative = torch.zeros((), dtype=torch.int64, device=self._centre.device)
        for variance in self._variances:
            negative += (variance < 0).sum()
        return negative

    def _flat(self, weights: Weights) -> Tensor:
        parts = [
            self._laid(weights[name].to(tensor)).reshape(-1)
            if name in weights
            else torch.zeros_like(tensor).reshape(-1)
            for name, tensor in self._tensors.items()
        ]
        return torch.cat(parts) if parts else torch.empty(0)

    def _laid(self, tensor: Tensor) -> Tensor:
        return tensor.permute(0, 2, 3, 1) if self._is_laid(tensor.shape) else tensor

    def _view(self, flat: Tensor, shape: torch.Size) -> Tensor:
        if self._is_laid(shape):
            return flat.view(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)
        return flat.view(shape)

    def _is_laid(self, shape: torch.Size) -> bool:
        return self._layout is torch.channels_last and len(shape) == 4


class Point:
    """Where on a plane the network that is measured stands.

    Directions that leave the folded batch norms alone are folded with the centre, once. Where they do not, or where the
    statistics are recalibrated, the whole network moves, and at every point what it has become is folded anew.

    Args:
        whole: the network as it is; `measured`: the folded one, in whatever form it is computed, or `whole` itself.
        recalibration: images whose batch-norm statistics replace those of every point, or None.
    """

    def __init__(
        self,
        whole: nn.Module,
        measured: nn.Module,
        folded: Folded | None,
        theta: Weights,
        directions: Directions,
        layout: torch.memory_format,
        dtype: torch.dtype,
        recalibration: Tensor | None = None,
    ):
        self._whole, self._folded = whole, folded
        self._images = recalibration
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
        """Make other weights the centre of a plane without directions."""
        self._moving.load(self._folded.centre(theta) if self._folded and self._folds_once else theta)

    def move(self, alpha: float, beta: float) -> None:
        self._moving.move(alpha, beta)
        if self._images is not None:
            recalibrate(self._whole, self._images)
        if self._folded and not self._folds_once:
            self._refolded.load(self._folded.centre(self._here))

    def negative_variances(self) -> Tensor:
        return self._moving.negative_variances()


def recalibrate(network: nn.Module, images: Tensor) -> None:
    """Give batch norm the statistics of these images: means over batches of about 128, as `torch.optim.swa_utils.update_bn`.

    One pass in which batch norm alone is in train mode. The network is left in eval mode.
    """
    norms = [module for module in network.modules() if isinstance(module, NORMS) and module.running_mean is not None]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        with torch.inference_mode():
            for batch in images.tensor_split(max(1, round(len(images) / RECALIBRATION_BATCH))):
                network(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
