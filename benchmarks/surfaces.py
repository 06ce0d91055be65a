"""Measure images per second on a surface. Contenders take turns, each in its own process."""

import contextlib
import multiprocessing
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import contenders
from benchmarks.contenders import Case, Point

AUTHORS = "the authors' loop"
LOSS_LANDSCAPES = "loss-landscapes 3.0.6"
CONTENDERS: dict[str, Callable[[Case], Point]] = {
    AUTHORS: contenders.authors,
    LOSS_LANDSCAPES: contenders.loss_landscapes,
    "plain network, resident images": contenders.plain,
    "torch.compile, folded": contenders.compiled,
    "ours": contenders.ours,
    "ours, bf16": lambda case: contenders.ours(case, precision="bf16"),
}
OTHERS = [who for who in CONTENDERS if who != AUTHORS]


def table(rounds: int, names: list[str], without: set[str], threads: int) -> list[dict[str, Any]]:
    """Measure each network with each contender, in one row.

    `ratio` is the median over rounds of the authors' time over the contender's in the same round. `peak` is the speed, by
    the plain network's operations (2 x MAC), as a share of an fp32 matrix product of 1024 x 1024 timed in the same rounds.
    `memory` in GB is the peak of a process that imports torch and measures one point.
    """
    rows = []
    for name in names:
        with contextlib.ExitStack() as stack:
            workers = {
                who: stack.enter_context(_worker(name, who, threads)) for who in CONTENDERS if who not in without
            }
            right = workers[AUTHORS].loss
            for who, worker in workers.items():
                near = 0.05 if who.endswith("bf16") else 1e-4
                if who != LOSS_LANDSCAPES and abs(worker.loss - right) > near * right:
                    raise AssertionError(f"{who} finds a loss of {worker.loss} for {name}, and {AUTHORS} {right}")
            times: dict[str, list[float]] = {who: [] for who in workers}
            products = []
            for _ in range(rounds):
                products.append(_product())
                for who, worker in workers.items():
                    worker.begin()
                    times[who].append(worker.seconds())
        case = Case(name)
        peak = statistics.median(products)
        operations = flops(case)
        for who, taken in times.items():
            rate = case.count / statistics.median(taken)
            ratios = [a / b for a, b in zip(times[AUTHORS], taken, strict=True)]
            rows.append(
                {
                    "network": name,
                    "contender": who,
                    "images a second": rate,
                    "ratio": statistics.median(ratios),
                    "least": min(ratios),
                    "most": max(ratios),
                    "peak": rate * operations / peak,
                    "memory": workers[who].memory,
                }
            )
    return rows


def machine(rounds: int, names: list[str]) -> list[dict[str, Any]]:
    """Measure the whole machine with each method as it would be used.

    The authors' loop is one process with a thread for every core. Ours is a process with one thread for every core, each
    at a point of its own, as in the workflow. `ratio`, `least` and `most` are as in `table`, of images a second; `peak` is
    the share of a matrix product with all cores.
    """
    cores = len(os.sched_getaffinity(0))
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    rows = []
    try:
        for name in names:
            case = Case(name)
            with contextlib.ExitStack() as stack:
                theirs = stack.enter_context(_worker(name, AUTHORS, cores))
                ours = [stack.enter_context(_worker(name, "ours", 1)) for _ in range(cores)]
                rates: dict[str, list[float]] = {"theirs": [], "ours": [], "product": []}
                for _ in range(rounds):
                    rates["product"].append(_product(2048))
                    theirs.begin()
                    rates["theirs"].append(case.count / theirs.seconds())
                    for worker in ours:
                        worker.begin()
                    rates["ours"].append(cores * case.count / max([worker.seconds() for worker in ours]))
            ratios = [ours / theirs for ours, theirs in zip(rates["ours"], rates["theirs"], strict=True)]
            share = statistics.median(rates["ours"]) * flops(case) / statistics.median(rates["product"])
            rows.append(
                {
                    "network": name,
                    "theirs": statistics.median(rates["theirs"]),
                    "ours": statistics.median(rates["ours"]),
                    "ratio": statistics.median(ratios),
                    "least": min(ratios),
                    "most": max(ratios),
                    "peak": share,
                    "cores": cores,
                }
            )
    finally:
        torch.set_num_threads(before)
    return rows


@dataclass(frozen=True)
class _Worker:
    """A contender in a process of its own, which has measured a point once and measures it again on demand.

    Attributes:
        loss: the loss at the point.
        memory: the peak memory of the process so far, in GB.
    """

    connection: Connection
    loss: float
    memory: float

    def begin(self) -> None:
        self.connection.send(True)

    def seconds(self) -> float:
        return float(self.connection.recv())


@contextlib.contextmanager
def _worker(network: str, who: str, threads: int) -> Iterator[_Worker]:
    """Start a contender in a process of its own.

    In a shared process, malloc keeps the large arrays that one contender frees for the next, and the authors' loop is up
    to a third faster than alone.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_points, args=(network, who, threads, there), daemon=True)
    process.start()
    there.close()  # so that `recv` fails if the process ends
    try:
        yield _Worker(here, *here.recv())
        here.send(False)
        process.join()
    finally:
        process.terminate()
        process.join()


def _points(network: str, who: str, threads: int, connection: Connection) -> None:
    torch.set_num_threads(threads)
    point = CONTENDERS[who](Case(network))
    loss = point()  # warm, and compiled
    # Not getrusage, whose peak begins with that of the parent process.
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    connection.send((loss, peak * 1024 / 1e9))
    while connection.recv():
        start = time.perf_counter()
        point()
        connection.send(time.perf_counter() - start)


def flops(case: Case) -> float:
    """Count the floating-point operations of one image, 2 x MAC."""
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        case.network(case.split.inputs[:1])
    return float(counter.get_total_flops())


def _product(size: int = 1024) -> float:
    """Measure the operations a second of a matrix product in fp32, the best of five."""
    a, b = torch.randn(2, size, size)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best
