"""Measure loss and accuracy on a plane, much faster than a plain loop and with the same answers.

Five techniques save time (ratios in benchmarks/README.md). The images stay on the device in its fastest layout. Batch norm
is folded (`folding`). On the CPU convolutions are fused with the operations after them (`fusing`); on a GPU one CUDA graph
holds all batches. Two additions into a flat buffer set a point (`plane_point`). `kernel_choice` leaves out what a
network does not allow; its choice depends on the network, the plane and the device alone. All splits are one sequence of
batches, so a batch may hold several small splits.
"""

import copy
import functools
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from landscape.config.values import Precision
from landscape.data.datasets import Split
from landscape.directions import Directions
from landscape.engine import device as devices
from landscape.engine.kernel_choice import EXAMPLES, fastest, the_same
from landscape.errors import InputError
from landscape.store.weights import Weights

_log = logging.getLogger(__name__)

BLOCK = 32  # points between two reads from a GPU

FAR_FROM_OVERFLOW = 1e30
"""Largest activation of a point's first batch with which the other batches use fused ReLUs: to overflow there, an image
would need activations 1e8 times as large."""

_ACTIVATIONS = {"cpu": 2**20, "cuda": 2**26}
"""Wanted size of a batch's largest activation, in numbers. On a CPU these 4 MB stay in its cache (measured); the GPU's
size is not measured."""
_BATCHES = {"cpu": (32, 512), "cuda": (64, 4096)}  # the smallest and the largest batch


@dataclass(frozen=True)
class Measured:
    """Loss and accuracy of a split at a point.

    Attributes:
        loss: mean cross-entropy, natural logarithm, summed in float64 from logits cast to float64.
        accuracy: a fraction; an image with a NaN among its logits counts as wrong.
        error: standard error of the loss, with the images as a simple random sample.
        paired_error: standard error of the loss minus the centre's loss, paired by image.
    """

    loss: float
    accuracy: float
    error: float
    paired_error: float


class Engine:
    """A network at points theta + alpha d1 + beta d2.

    Attributes:
        batch: images in one forward pass. It starts at `planned_batch`, which follows from the largest activation and
            the kind of device, and is halved when memory runs out.
        kernels: `plain`, `onednn` (fused convolutions) or `cuda graph`.
        folded: number of batch norms folded into the layer before them.
        precision: the precision in use: `fp32` in the place of `tf32` on a device without TF32.
    """

    def __init__(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        splits: Mapping[str, Split],
        *,
        precision: Precision = "fp32",
        recalibration: Tensor | None = None,
    ):
        """
        Args:
            theta: the centre, every parameter and buffer.
            splits: on the network's device, with images of one shape.
            recalibration: images for the batch-norm statistics of every point; None leaves the statistics alone.
        """
        images = next(iter(splits.values())).images
        self._is_gpu = on_gpu(images)
        self.precision = "fp32" if precision == "tf32" and not self._is_gpu else precision
        dtype = torch.bfloat16 if precision == "bf16" else None
        example = images[:EXAMPLES].clone(memory_format=torch.contiguous_format)
        before = example.clone()
        whole = copy.deepcopy(network).eval().requires_grad_(False)
        whole.load_state_dict(theta, strict=True)
        self.batch = self.planned_batch = _batch(whole, example)
        self._overwrites = not torch.equal(example, before)  # the network writes into its images
        example = before
        form = fastest(whole, theta, directions, example)
        self._network, self.kernels, self._fused = form.network, form.kernels, form.fused
        self.folded = len(form.folded.pairs) if form.folded else 0
        if recalibration is not None:
            kind = dtype if form.folded is None else None
            recalibration = recalibration.to(kind or recalibration.dtype).contiguous(memory_format=form.layout)
        self._point = form.on(whole, theta, directions, dtype, recalibration)
        self._layout = form.layout
        self._images = [
            split.images.to(dtype or split.images.dtype).contiguous(memory_format=form.layout)
            for split in splits.values()
        ]
        self._labels = torch.cat([split.labels for split in splits.values()])
        self._classes = int(self._labels.max()) + 1
        self._counts = {name: len(split.labels) for name, split in splits.items()}
        self._sums = torch.zeros(len(splits), 5, dtype=torch.float64, device=images.device)
        self._centre = torch.zeros(len(self._labels), dtype=torch.float64, device=images.device)
        self._cut: tuple[int, list[tuple[Tensor, Tensor]]] = 0, []
        self._recorded: Callable[[], None] | None = None
        self._records = self._is_gpu

    def centre(self) -> dict[str, Measured]:
        """Measure the centre alone. On the CPU the bits are those of a plane at (0, 0)."""
        self._to_centre()
        return next(self._read([self._row()]))[0]

    def at(self, theta: Weights) -> dict[str, Measured]:
        """Measure other weights as the centre. The engine must have no directions, since these belong to one centre."""
        self._point.load(theta)
        return self.centre()

    @torch.inference_mode()
    def follows(self, network: nn.Module, theta: Weights) -> bool:
        """Make `theta` the centre, and return whether a few images have the logits of `network`, up to rounding.

        Args:
            network: the engine's architecture with the weights `theta`, in eval mode.
        """
        self._point.load(theta)
        example = self._images[0][:EXAMPLES].to(next(network.parameters()).dtype)
        expected = network(example.clone(memory_format=torch.contiguous_format))
        return the_same(self._logits(example, self._network), expected)

    def measure(self, points: Iterable[tuple[float, float]]) -> Iterator[tuple[dict[str, Measured], int]]:
        """Yield for each point (alpha, beta) the measured splits, and the number of negative batch-norm variances.

        Measures the centre first, for the paired errors. On a GPU the results arrive in blocks of points.

        Raises:
            InputError: if the network does not return one row of logits for each image, or cannot run in this precision.
        """
        self._to_centre()
        remaining = iter(points)
        while block := list(itertools.islice(remaining, BLOCK if self._is_gpu else 1)):
            yield from self._read([self._at(alpha, beta) for alpha, beta in block])

    @torch.inference_mode()
    def _to_centre(self) -> None:
        self._point.move(0.0, 0.0)
        try:
            self._with_room(functools.partial(self._pass, remember=True))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if self.precision != "bf16":
                raise
            reason = str(error).splitlines()[0]
            raise InputError(f"the network does not run in bf16 here ({reason}); use precision: fp32") from None

    @torch.inference_mode()
    def _at(self, alpha: float, beta: float) -> Tensor:
        self._point.move(alpha, beta)
        self._with_room(self._run)
        return self._row()

    def _row(self) -> Tensor:
        """Sums of the point: 5 of each split, then the number of negative variances, float64 (5 splits + 1,)."""
        return torch.cat([self._sums.view(-1), self._point.negative_variances().to(self._sums).view(1)])

    def _pass(self, remember: bool = False) -> None:
        """Add up every split at the current point; with `remember`, store each image's loss as that of the centre."""
        losses, rights = [], []
        with devices.tensor_floats(self.precision == "tf32"):
            for (images, labels), network in zip(self._batches(), self._networks(), strict=False):
                logits = self._logits(images, network).double()
                losses.append(functional.cross_entropy(logits, labels, reduction="none"))
                rights.append((logits.argmax(1) == labels) & ~logits.isnan().any(1))
        loss, right = torch.cat(losses), torch.cat(rights)
        if remember:
            self._centre.copy_(loss)
        rise = loss - self._centre
        numbers = torch.stack([loss, right.double(), loss.square(), rise, rise.square()])
        for sums, of_split in zip(self._sums, numbers.split(list(self._counts.values()), 1), strict=True):
            sums.copy_(of_split.sum(1))

    def _networks(self) -> Iterator[nn.Module]:
        """Yield the network for each batch: fused ReLUs only if the first batch shows activations far from overflow."""
        if self._fused is None or len(self._batches()) == 1:
            yield from itertools.repeat(self._network)
            return
        with self._fused.relu.watched():
            yield self._fused.apart
        safe = bool(self._fused.relu.highest < FAR_FROM_OVERFLOW)
        yield from itertools.repeat(self._fused.together if safe else self._fused.apart)

    def _batches(self) -> list[tuple[Tensor, Tensor]]:
        """Cut the sequence of all splits into batches of images and labels. Only a batch across two splits is a copy."""
        if self._cut[0] != self.batch:
            firsts = [0, *itertools.accumulate(self._counts.values())]
            batches = []
            for start in range(0, firsts.pop(), self.batch):
                parts = [
                    images[max(0, start - first) : max(0, start - first + self.batch)]
                    for images, first in zip(self._images, firsts, strict=True)
                ]
                pieces = [part for part in parts if len(part)]
                whole = pieces[0] if len(pieces) == 1 else torch.cat(pieces).contiguous(memory_format=self._layout)
                batches.append((whole, self._labels[start : start + self.batch]))
            self._cut = self.batch, batches
        return self._cut[1]

    def _run(self) -> None:
        """Run `_pass`; on a GPU record it once as a CUDA graph, and replay that."""
        if self._records and self._recorded is None:
            try:
                self._recorded = record(self._pass)
                self.kernels = "cuda graph"
            except RuntimeError as error:
                if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error):
                    raise torch.OutOfMemoryError(str(error)) from None
                # The network's code branches on values of tensors, which no graph can record.
                _log.info("no CUDA graph of this network: %s", str(error).splitlines()[0])
                self._records, self.kernels = False, "plain"
        (self._recorded or self._pass)()

    def _with_room(self, work: Callable[[], None]) -> None:
        """Run `work`; halve the batch and run it again as often as a GPU's memory is too small."""
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                if self.batch == 1:
                    raise
            self.batch //= 2
            self._recorded = None
            if self._is_gpu:
                torch.cuda.empty_cache()
            _log.info("out of memory; going on with %d images in a batch", self.batch)

    def _read(self, rows: list[Tensor]) -> Iterator[tuple[dict[str, Measured], int]]:
        for row in torch.stack(rows).tolist() if rows else ():
            values = iter(row)
            measured = {name: _measured(count, *itertools.islice(values, 5)) for name, count in self._counts.items()}
            yield measured, int(next(values))

    def _logits(self, images: Tensor, network: nn.Module) -> Tensor:
        logits = network(images.clone() if self._overwrites else images)
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(
                f"the network returned {found} for {len(images)} images; it must return one row of logits for each"
            )
        if logits.shape[1] < self._classes:
            raise InputError(
                f"the network returned {logits.shape[1]} logits for each image; the data has {self._classes} classes"
            )
        return logits


def on_gpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cuda"


def record(work: Callable[[], None]) -> Callable[[], None]:
    """Record `work`, which must have run before, as a CUDA graph; return a function that repeats it on the same memory."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # a first run sets things up, which a graph must not hold
        work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):  # the first outlasts a failure
        work()
    return graph.replay


def _measured(n: int, loss: float, correct: float, squares: float, rise: float, rises: float) -> Measured:
    return Measured(loss / n, correct / n, _standard_error(n, loss, squares), _standard_error(n, rise, rises))


def _standard_error(n: int, total: float, squares: float) -> float:
    """Standard error of the mean of n numbers; NaN for n = 1, or if their sum or sum of squares is not finite."""
    if n < 2 or not (math.isfinite(total) and math.isfinite(squares)):
        return math.nan
    return math.sqrt(max(0.0, squares - total * total / n) / (n - 1) / n)


def _batch(network: nn.Module, example: Tensor) -> int:
    """Images in one forward pass: a power of two that brings the largest activation near `_ACTIVATIONS`."""
    largest = example[0].numel()

    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor) and output.ndim and len(output) == len(example):
            largest = max(largest, output[0].numel())

    hooks = [module.register_forward_hook(look) for module in network.modules() if module is not network]
    with torch.inference_mode():
        network(example)
    for hook in hooks:
        hook.remove()
    kind = "cpu" if example.device.type == "cpu" else "cuda"
    least, most = _BATCHES[kind]
    return min(most, max(least, 2 ** int(math.log2(_ACTIVATIONS[kind] / largest))))
