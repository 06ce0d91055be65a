"""Measure loss and score on a plane, much faster than a plain loop and with the same answers.

Five techniques save time (ratios in benchmarks/README.md). The examples stay on the device in its fastest layout. Batch norm
is folded (`folding`). On the CPU convolutions are fused with the operations after them (`fusing`); on a GPU one CUDA graph
holds all batches. Two additions into a flat buffer set a point (`plane_point`). `kernel_choice` leaves out what a
network does not allow; its choice depends on the network, the plane and the device alone. All splits are one sequence of
batches, so a batch may hold several small splits.
"""

import functools
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.config.values import Precision
from landscape.data.examples import Examples, Rows, in_type, joined, laid_out, leaves, mapped
from landscape.directions import Directions
from landscape.engine import device as devices
from landscape.engine.kernel_choice import fastest
from landscape.engine.trial import first_passes, plain_copy, the_same
from landscape.errors import InputError
from landscape.networks.copying import duplicate
from landscape.objective.examination import EXAMPLES, seen
from landscape.objective.objective import CLASSIFICATION, Objective
from landscape.store.weights import Weights

_log = logging.getLogger(__name__)

BLOCK = 32  # points between two reads from a GPU

FAR_FROM_OVERFLOW = 1e30
"""Largest activation of a point's first batch with which the other batches use fused ReLUs: to overflow there, an image
would need activations 1e8 times as large."""


@dataclass(frozen=True)
class Measured:
    """Loss and score of a split at a point.

    Attributes:
        loss: the objective's, summed in float64 from outputs cast to float64.
        score: the objective's; NaN if it has none.
        error: standard error of the loss, with the examples as a simple random sample; NaN if the objective has no loss for
            each example.
        paired_error: standard error of the loss minus the centre's loss, paired by example.
    """

    loss: float
    score: float
    error: float
    paired_error: float


class Engine:
    """A network at points theta + alpha d1 + beta d2.

    Attributes:
        batch: examples in one forward pass. It starts at `planned_batch`, which follows from the largest activation and
            the kind of device, and is halved when memory runs out.
        kernels: `plain`, `onednn` (fused convolutions) or `cuda graph`.
        folded: number of batch norms folded into the layer before them.
        precision: the precision in use: `fp32` in the place of `tf32` on a device without TF32.
        loaded: why every point is loaded into a fresh copy of the network; empty if the tensors are views of a buffer.
    """

    def __init__(
        self,
        network: nn.Module,
        theta: Weights,
        directions: Directions,
        splits: Mapping[str, Examples],
        objective: Objective = CLASSIFICATION,
        *,
        precision: Precision = "fp32",
        recalibration: Rows | None = None,
    ):
        """
        Args:
            theta: the centre, every parameter and buffer.
            splits: on the network's device, with inputs of one kind.
            objective: the loss and the score.
            recalibration: inputs for the batch-norm statistics of every point; None leaves the statistics alone.
        """
        first = next(iter(splits.values()))[:EXAMPLES]
        self._objective = objective
        self._device = leaves(first.inputs)[0].device
        self._is_gpu = on_gpu(leaves(first.inputs)[0])
        self.precision = "fp32" if precision == "tf32" and not self._is_gpu else precision
        dtype = torch.bfloat16 if precision == "bf16" else None
        example = Examples(mapped(first.inputs, plain_copy), first.targets)
        trial = first_passes(network, theta, example, objective)
        self._mode, self._overwrites = trial.mode, trial.overwrites
        self.batch = self.planned_batch = objective.batch or trial.batch
        form = fastest(network, theta, directions, example, objective, trial)
        self.kernels, self._fused, self.loaded = form.kernels, form.fused, form.loaded
        self.folded = len(form.folded.pairs) if form.folded else 0
        if form.loaded:
            _tell_of_loading(form.loaded)
        if recalibration is not None:
            kind = dtype if form.folded is None else None
            recalibration = laid_out(in_type(recalibration, kind) if kind else recalibration, form.layout)
        self._point = form.on(network, trial.whole, theta, directions, dtype, recalibration)
        self._layout = form.layout
        self._splits = {
            name: Examples(
                laid_out(in_type(split.inputs, dtype) if dtype else split.inputs, form.layout), split.targets
            )
            for name, split in splits.items()
        }
        self._counts = {name: len(split) for name, split in splits.items()}
        self._shares = {name: self._shares_of(split) for name, split in splits.items()}
        self._constants = {name: objective.constant(split) for name, split in splits.items()}
        self._sums = torch.zeros(len(splits), 5, dtype=torch.float64, device=self._device)
        self._centre = torch.zeros(sum(self._counts.values()), dtype=torch.float64, device=self._device)
        self._scores = self._centre
        self._cut: tuple[int, list[Examples]] = 0, []
        self._recorded: Callable[[], None] | None = None
        self._records = self._is_gpu and not form.loaded

    def _shares_of(self, split: Examples) -> Tensor | None:
        """The weight of every example in the loss of a split, with mean 1, (n,); None if all have the same."""
        counts = self._objective.counts(split)
        return None if counts is None else counts.to(self._device) * (len(split) / self._objective.weight(split))

    def centre(self) -> dict[str, Measured]:
        """Measure the centre alone. On the CPU the bits are those of a plane at (0, 0)."""
        self._to_centre()
        return next(self._read([self._row()]))[0]

    def scores(self, split: str) -> Tensor:
        """Return the score's number of every example at the centre that was measured last, float64 (n,)."""
        return dict(zip(self._counts, self._scores.split(list(self._counts.values())), strict=True))[split]

    def at(self, theta: Weights) -> dict[str, Measured]:
        """Measure other weights as the centre. The engine must have no directions, since these belong to one centre."""
        self._point.load(theta)
        return self.centre()

    def follows(self, network: nn.Module, theta: Weights) -> bool:
        """Make `theta` the centre, and return whether a few examples have the outputs of `network`, up to rounding.

        Args:
            network: the engine's architecture with the weights `theta`, in eval mode.
        """
        if self.loaded:
            return False  # the network may hold more than these weights
        with self._mode():
            self._point.load(theta)
            few = next(iter(self._splits.values()))[:EXAMPLES]
            dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
            example = few.in_type(dtype)
            plain = Examples(mapped(example.inputs, plain_copy), example.targets)
            expected = seen(self._objective, network, plain)[0]
            return the_same(seen(self._objective, self._point.network, self._given(example))[0], expected)

    def measure(self, points: Iterable[tuple[float, float]]) -> Iterator[tuple[dict[str, Measured], int]]:
        """Yield for each point (alpha, beta) the measured splits, and the number of negative batch-norm variances.

        Measures the centre first, for the paired errors. On a GPU the results arrive in blocks of points.

        Raises:
            InputError: if the loss does not take what the network returns, or the network cannot run in this precision.
        """
        self._to_centre()
        remaining = iter(points)
        while block := list(itertools.islice(remaining, BLOCK if self._is_gpu else 1)):
            yield from self._read([self._at(alpha, beta) for alpha, beta in block])

    def _to_centre(self) -> None:
        try:
            with self._mode():
                self._point.move(0.0, 0.0)
                self._with_room(functools.partial(self._pass, remember=True))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if self.precision != "bf16":
                raise
            reason = str(error).splitlines()[0]
            raise InputError(f"the network does not run in bf16 here ({reason}); use precision: fp32") from None

    def _at(self, alpha: float, beta: float) -> Tensor:
        with self._mode():
            self._point.move(alpha, beta)
            self._with_room(self._run)
            return self._row()

    def _row(self) -> Tensor:
        """Sums of the point: 5 of each split, then the number of negative variances, float64 (5 splits + 1,)."""
        return torch.cat([self._sums.view(-1), self._point.negative_variances().to(self._sums).view(1)])

    def _pass(self, remember: bool = False) -> None:
        """Add up every split at the current point; with `remember`, store each example's loss as that of the centre."""
        losses, scores = [], []
        with devices.tensor_floats(self.precision == "tf32"):
            for batch, network in zip(self._batches(), self._networks(), strict=False):
                loss, score = self._values(batch, network)
                losses.append(loss.detach())
                scores.append(torch.zeros_like(losses[-1]) if score is None else score.detach())
        every, score = torch.cat(losses), torch.cat(scores).double()
        if remember:
            self._centre.copy_(every)
            self._scores = score
        rise = every - self._centre
        rows = torch.stack([every, score, every.square(), rise, rise.square()])
        parts = rows.split(list(self._counts.values()), 1)
        for sums, of_split, shares in zip(self._sums, parts, self._shares.values(), strict=True):
            sums.copy_(of_split.sum(1))
            if shares is not None:  # a ratio's error is that of its residuals
                for row, squares in ((0, 2), (3, 4)):
                    sums[squares] = (of_split[row] - of_split[row].mean() * shares).square().sum()

    def _values(self, batch: Examples, network: nn.Module) -> tuple[Tensor, Tensor | None]:
        return self._objective.values(network, self._given(batch))

    def _given(self, batch: Examples) -> Examples:
        """The batch as the network may have it: a copy if it writes into its inputs, none that it has differentiated."""
        if self._overwrites:
            return batch.fresh()
        return batch if self._mode is torch.inference_mode else batch.map(Tensor.detach)

    def _networks(self) -> Iterator[nn.Module]:
        """Yield the network for each batch: fused ReLUs only if the first batch shows activations far from overflow."""
        if self._objective.remembers:
            yield from (duplicate(self._point.network) for _ in itertools.count())
        if self._fused is None or len(self._batches()) == 1:
            yield from itertools.repeat(self._point.network)
            return
        with self._fused.relu.watched():
            yield self._fused.apart
        safe = bool(self._fused.relu.highest < FAR_FROM_OVERFLOW)
        yield from itertools.repeat(self._fused.together if safe else self._fused.apart)

    def _batches(self) -> list[Examples]:
        """Cut the sequence of all splits into batches. Only a batch across two splits is a copy.

        If the loss depends on the batches, each of them belongs to one split.
        """
        if self._cut[0] != self.batch:
            if self._objective.batch is None:
                batches = self._across()
            else:
                batches = [batch for split in self._splits.values() for batch in split.evenly(self.batch)]
            self._cut = self.batch, batches
        return self._cut[1]

    def _across(self) -> list[Examples]:
        firsts = [0, *itertools.accumulate(self._counts.values())]
        batches = []
        for start in range(0, firsts.pop(), self.batch):
            parts = [
                split[max(0, start - first) : max(0, start - first + self.batch)]
                for split, first in zip(self._splits.values(), firsts, strict=True)
            ]
            pieces = [part for part in parts if len(part)]
            if len(pieces) == 1:
                batches.append(pieces[0])
                continue
            inputs = laid_out(joined([piece.inputs for piece in pieces]), self._layout)
            targets = [piece.targets for piece in pieces if piece.targets is not None]
            batches.append(Examples(inputs, joined(targets) if targets else None))
        return batches

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
        """Run `work`; halve the batch and run it again as often as a GPU's memory is too small, if the loss may be cut so."""
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                if self.batch == 1 or self._objective.batch is not None:
                    raise
            self.batch //= 2
            self._recorded = None
            if self._is_gpu:
                torch.cuda.empty_cache()
            _log.info("out of memory; going on with %d examples in a batch", self.batch)

    def _read(self, rows: list[Tensor]) -> Iterator[tuple[dict[str, Measured], int]]:
        for row in torch.stack(rows).tolist() if rows else ():
            values = iter(row)
            measured = {name: self._measured(name, *itertools.islice(values, 5)) for name in self._counts}
            yield measured, int(next(values))

    def _measured(self, split: str, loss: float, score: float, squares: float, rise: float, rises: float) -> Measured:
        n, shares, of = self._counts[split], self._shares[split], self._objective
        mean = loss / n if shares is None else loss / of.weight(self._splits[split])
        found = of.score.of(mean, score / n, self._constants[split]) if of.score else math.nan
        if not of.per_example:
            return Measured(mean, found, math.nan, math.nan)
        if shares is None:
            return Measured(mean, found, _standard_error(n, loss, squares), _standard_error(n, rise, rises))
        unit = n / of.weight(self._splits[split])
        return Measured(mean, found, unit * _standard_error(n, 0.0, squares), unit * _standard_error(n, 0.0, rises))


@functools.cache
def _tell_of_loading(reason: str) -> None:
    _log.info("every point is loaded into a fresh copy of the network, which takes longer: %s", reason)


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


def _standard_error(n: int, total: float, squares: float) -> float:
    """Standard error of the mean of n numbers; NaN for n = 1, or if their sum or sum of squares is not finite."""
    if n < 2 or not (math.isfinite(total) and math.isfinite(squares)):
        return math.nan
    return math.sqrt(max(0.0, squares - total * total / n) / (n - 1) / n)
