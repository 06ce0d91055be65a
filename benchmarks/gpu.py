"""Compare eager kernels, CUDA graphs and torch.compile on a GPU, in three precisions, at several batch sizes."""

import itertools
import time
from collections.abc import Callable
from typing import Any, get_args

import torch

from benchmarks.contenders import AT, Case
from landscape.config.values import Precision
from landscape.engine import engine
from landscape.engine.engine import Engine

BATCHES = (512, 1024, 2048, 4096)
KERNELS = ("eager", "graph", "compile")


def table(
    names: list[str], images: int, batches: tuple[int, ...] = BATCHES, device: str = "cuda"
) -> list[dict[str, Any]]:
    """Measure images a second of each combination, the best of several blocks; None if memory does not suffice."""
    rows = []
    for name in names:
        case = Case(name, images, device)
        for kernels, precision, batch in itertools.product(KERNELS, get_args(Precision), batches):
            rate = _rate(case, kernels, precision, batch)
            rows.append(
                {"network": name, "kernels": kernels, "precision": precision, "batch": batch, "images a second": rate}
            )
    return rows


def _rate(case: Case, kernels: str, precision: Precision, batch: int) -> float | None:
    made = Engine(case.network, case.theta, case.pair, {"train": case.split}, precision=precision)
    made.batch = made.planned_batch = batch
    if kernels == "compile":
        made._point.network = torch.compile(made._point.network)  # type: ignore[assignment]
    record = engine.record
    if kernels == "eager":
        engine.record = _not_recorded
    try:
        points = made.measure(iter(lambda: AT, None))
        best = float("inf")
        for _ in range(4):  # the first one compiles and records
            begun = time.perf_counter()
            for _ in range(engine.BLOCK):
                next(points)
            best = min(best, time.perf_counter() - begun)
    finally:
        engine.record = record
    return engine.BLOCK * case.count / best if made.batch == batch else None


def _not_recorded(work: Callable[[], None]) -> Callable[[], None]:
    return work
