"""Time a product with the Hessian and a point with both extreme eigenvalues, against the authors' method.

The network is trained, since the smallest eigenvalue is hard to find at a minimiser.
"""

import copy
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.contenders import MEAN, NETWORKS, STD, Case
from landscape import directions
from landscape.data.datasets import read, subset
from landscape.data.examples import Examples
from landscape.hessian.lanczos import extremes, pairs
from landscape.hessian.products import Hessian
from landscape.measures import plane_of
from landscape.networks import building
from landscape.store import checkpoint
from landscape.store.weights import Weights, displace

MEMORY = plane_of({"measure": "curvature"}).graph_memory * 2**20
AUTHORS = "the authors' method"
BATCH = 128  # theirs
STEP = 64  # images of a step of training

POINTS = ((0.0, 0.0), (0.5, 0.5))
"""The minimiser, and a point well away from it."""
EPOCHS = 10  # of training, in the manner of config/default.yaml

Point = tuple[float, float]
Found = tuple[float, float, int]
"""lambda_max, lambda_min, and the number of products."""


class Authors:
    """The authors' method (github.com/tomgoldstein/loss-landscape, `hess_vec_prod.py`).

    Products are double backward through the plain network over batches of 128. scipy's `eigsh` (k = 1, tolerance 1e-2)
    finds the eigenvalue of largest magnitude, first of the Hessian, then of the Hessian minus 0.51 times that eigenvalue.
    The authors load images with a DataLoader each time; here they are resident.
    """

    def __init__(self, case: Case, at: Point):
        self._case = case
        self._network = copy.deepcopy(case.network).requires_grad_(True)
        self._network.load_state_dict(displace(case.theta, case.pair["alpha"], at[0], case.pair["beta"], at[1]))
        self._chosen = [p for p in self._network.parameters() if p.ndim > 1]
        self._sizes = [p.numel() for p in self._chosen]
        self.size = sum(self._sizes)
        self._products = 0

    def product(self, vector: Tensor) -> Tensor:
        self._products += 1
        self._network.zero_grad()
        parts = [part.view_as(p) for part, p in zip(vector.split(self._sizes), self._chosen, strict=True)]
        split = self._case.split
        for images, labels in zip(split.inputs.split(BATCH), split.targets.split(BATCH), strict=True):
            loss = functional.cross_entropy(self._network(images), labels) * len(labels) / self._case.count
            gradients = torch.autograd.grad(loss, self._chosen, create_graph=True)
            torch.stack([(g * v).sum() for g, v in zip(gradients, parts, strict=True)]).sum().backward()
        return torch.cat([p.grad.reshape(-1) for p in self._chosen if p.grad is not None])

    def point(self) -> Found:
        self._products = 0
        first = self._largest(0.0)
        other = self._largest(0.51 * first)
        return max(first, other), min(first, other), self._products

    def _largest(self, shift: float) -> float:
        """Find the eigenvalue of the Hessian that is farthest from `shift`."""

        def shifted(vector: np.ndarray) -> np.ndarray:
            flat = vector.astype(np.float32).reshape(-1)
            return np.asarray(self.product(torch.from_numpy(flat)).numpy() - np.float32(shift) * flat)

        start = torch.randn(self.size, generator=torch.Generator().manual_seed(0)).numpy()
        operator = LinearOperator((self.size, self.size), matvec=shifted, dtype=np.float32)
        return float(eigsh(operator, k=1, tol=1e-2, v0=start, return_eigenvectors=False)[0]) + shift


class Ours:
    """Our method, as in a tile of one point: with folding and the graph of the point."""

    def __init__(self, case: Case, at: Point):
        self._case, self._at = case, at
        self.hessian = self._made(torch.float32)

    def product(self, vector: Tensor) -> Tensor:
        return self.hessian.product(vector)

    def point(self) -> Found:
        start = time.perf_counter()
        self._steps: list[tuple[float, Tensor, Tensor]] = []
        self.hessian = self._made(torch.float32)

        def product(vector: Tensor) -> Tensor:
            found = self.hessian.product(vector)
            self._steps.append((time.perf_counter() - start, vector.clone(), found.clone()))
            return found

        found = self._found = extremes(product, self.hessian.size, seed=0, device="cpu", dtype=torch.float32)
        return found.maximum, found.minimum, found.products

    def after(self, seconds: float) -> Found:
        """Return the extremes that the last `point` had found after so many seconds, within the space of its vectors."""
        known = [(vector, found) for at, vector, found in self._steps if at <= seconds]
        if not known:
            return math.nan, math.nan, 0
        vectors, products = (torch.stack(each).double() for each in zip(*known, strict=True))
        values = torch.linalg.eigvalsh((vectors @ products.T + products @ vectors.T) / 2)
        return float(values[-1]), float(values[0]), len(known)

    def converged(self) -> tuple[float, float]:
        """Compute both eigenvalues in float64, to residuals of 1e-4 of the largest; errors go with the squares of these.

        The search starts at the vectors that `point` found and converges in fp32 before it turns to float64.
        """
        start = self._found.vector_max + self._found.vector_min
        for dtype in (torch.float32, torch.float64):
            hessian = self._made(dtype)
            found = pairs(
                hessian.product,
                hessian.size,
                1,
                seed=1,
                device="cpu",
                dtype=dtype,
                start=start,
                tolerance=1e-4,
                tolerance_of_largest=1e-4,
            )
            if not found.converged:
                raise AssertionError(found.reason)
            start = found.vectors_largest[0] + found.vectors_smallest[0]
        return float(found.largest[0]), float(found.smallest[0])

    def _made(self, dtype: torch.dtype) -> Hessian:
        case = self._case
        axes = building.filter_axes(case.network)
        made = Hessian(
            case.network, case.theta, case.pair, case.split, axes, dtype=dtype, memory=MEMORY * dtype.itemsize // 4
        )
        made.move(*self._at)
        return made


def table(rounds: int, network: str, images: int, run: tuple[Path, Path] | None = None) -> list[dict[str, Any]]:
    """Compare both methods at each of `POINTS`.

    A row has the seconds of a product and of a point (medians over rounds); `ratio`, `least` and `most` of the authors'
    seconds a point over the contender's in the same round; and errors as shares of the true eigenvalues. If ours needs
    more than a quarter of the authors' seconds, a third row has its result after a quarter, in the last round.

    Args:
        run: the weights and the data of a run, two files of the workflow; default a network trained here.
    """
    case = _of_run(network, images, *run) if run else _trained(network, images)
    return [row for at in POINTS for row in _compared(case, network, at, rounds)]


def _compared(case: Case, network: str, at: Point, rounds: int) -> list[dict[str, Any]]:
    ours, authors = Ours(case, at), Authors(case, at)
    contenders: dict[str, Ours | Authors] = {AUTHORS: authors, "ours": ours}
    vector = torch.randn(authors.size, generator=torch.Generator().manual_seed(0))
    first, second = (each.product(vector) for each in contenders.values())  # warm
    if float((first - second).norm()) > 1e-3 * float(first.norm()):
        raise AssertionError(f"the products with the Hessian of {network} differ")
    products: dict[str, list[float]] = {who: [] for who in contenders}
    points: dict[str, list[float]] = {who: [] for who in contenders}
    found: dict[str, Found] = {}
    for _ in range(rounds):
        for who, each in contenders.items():
            products[who].append(_seconds(lambda each=each: each.product(vector))[0])  # type: ignore[misc]
        for who, each in contenders.items():
            seconds, found[who] = _seconds(each.point)
            points[who].append(seconds)
    quarters = [seconds / 4 for seconds in points[AUTHORS]]
    if points["ours"][-1] > quarters[-1]:
        stopped = "ours, stopped after a quarter of the authors' seconds"
        products[stopped], points[stopped], found[stopped] = products["ours"], quarters, ours.after(quarters[-1])
    true = ours.converged()
    rows = []
    for who, (*values, taken) in found.items():
        ratios = [a / b for a, b in zip(points[AUTHORS], points[who], strict=True)]
        errors = [abs(value - right) / abs(right) for value, right in zip(values, true, strict=True)]
        rows.append(
            {
                "images": case.count,
                "at": at,
                "contender": who,
                "graph": "kept" if ours.hessian.keeps else "recomputed",
                "seconds a product": statistics.median(products[who]),
                "seconds a point": statistics.median(points[who]),
                "products": taken,
                "ratio": statistics.median(ratios),
                "least": min(ratios),
                "most": max(ratios),
                "error of lambda_max": errors[0],
                "error of lambda_min": errors[1],
            }
        )
    return rows


def _trained(name: str, count: int) -> Case:
    """Train a network for a few epochs on scikit-learn's digits, enlarged to 32 x 32 pixels of three equal colours."""
    case = Case(name, count)
    digits = load_digits()
    pictures = torch.from_numpy(digits.images).float().div(16)[:, None]
    pictures = functional.interpolate(pictures, (32, 32), mode="bilinear").expand(-1, 3, -1, -1)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    images, labels = ((pictures - mean) / std).contiguous(), torch.from_numpy(digits.target)
    made, args, _ = NETWORKS[name]
    network = building.build(made, args, seed=0, images=(3, 32, 32), classes=10, device=torch.device("cpu")).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = math.ceil(len(labels) / STEP)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.03, epochs=EPOCHS, steps_per_epoch=steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(labels), generator=generator).split(STEP):
            optimizer.zero_grad()
            functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5)
            optimizer.step()
            schedule.step()
    return _with(case, network.state_dict(), Examples(images[:count], labels[:count]))


def _of_run(name: str, count: int, weights: Path, data: Path) -> Case:
    """Read a network that the workflow trained, and a subset of its training examples."""
    return _with(Case(name, count), checkpoint.read(weights)[0], subset(read(data).train, count))


def _with(case: Case, theta: Weights, split: Examples) -> Case:
    case.theta = {name: tensor.detach().clone() for name, tensor in theta.items()}
    case.network.load_state_dict(case.theta)
    case.pair = directions.random_pair(case.theta, building.filter_axes(case.network), 1, "filter", line=False)
    case.split, case.count = split, len(split.targets)
    return case


def _seconds(of: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = of()
    return time.perf_counter() - start, found
