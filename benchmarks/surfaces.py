"""Images per second on a surface: ours against the authors' loop and against others, interleaved in one process."""

import contextlib
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import contenders
from benchmarks.contenders import Case, Point

CONTENDERS: dict[str, Callable[[Case], Point]] = {
    "the authors' loop": contenders.authors,
    "loss-landscapes 3.0.6": contenders.loss_landscapes,
    "plain network, resident images": contenders.plain,
    "torch.compile, folded": contenders.compiled,
    "ours": contenders.ours,
    "ours, bf16": lambda case: contenders.ours(case, precision="bf16"),
}


def table(rounds: int, names: list[str], without: set[str]) -> list[dict[str, Any]]:
    """A row for each network and contender.

    `ratio` is the median over rounds of the authors' time over the contender's, both of that round; `peak` the share of
    the fp32 matrix product of 1024 x 1024 timed in the same rounds, by the plain network's operations (2 x MAC); `memory`
    in GB.
    """
    rows = []
    for name in names:
        case = Case(name)
        points = {who: make(case) for who, make in CONTENDERS.items() if who not in without}
        losses = {who: point() for who, point in points.items()}  # warm, and compiled
        right = losses["the authors' loop"]
        for who, loss in losses.items():
            near = 0.05 if who.endswith("bf16") else 1e-4
            if who != "loss-landscapes 3.0.6" and abs(loss - right) > near * right:
                raise AssertionError(f"{who} finds a loss of {loss} for {name}, and the authors' loop {right}")
        times: dict[str, list[float]] = {who: [] for who in points}
        products = []
        for _ in range(rounds):
            products.append(_product())
            for who, point in points.items():
                start = time.perf_counter()
                point()
                times[who].append(time.perf_counter() - start)
        peak = statistics.median(products)
        operations = flops(case)
        for who, taken in times.items():
            rate = case.count / statistics.median(taken)
            ratios = [a / b for a, b in zip(times["the authors' loop"], taken, strict=True)]
            rows.append(
                {
                    "network": name,
                    "contender": who,
                    "images a second": rate,
                    "ratio": statistics.median(ratios),
                    "least": min(ratios),
                    "most": max(ratios),
                    "peak": rate * operations / peak,
                    "memory": memory(name, who),
                }
            )
    return rows


def machine(rounds: int, names: list[str]) -> list[dict[str, Any]]:
    """The whole machine, as each would be used: the authors' loop in one process with a thread for every core, ours as the
    workflow runs it, a process with one thread for every core, each at a point of its own.

    `ratio`, `least`, `most` as in `table`, of images a second; `peak` of a matrix product with all cores.
    """
    cores = len(os.sched_getaffinity(0))
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    rows = []
    try:
        for name in names:
            case = Case(name)
            theirs = contenders.authors(case)
            theirs()
            with contextlib.ExitStack() as stack:
                workers = [stack.enter_context(_worker(name)) for _ in range(cores)]
                rates: dict[str, list[float]] = {"theirs": [], "ours": [], "product": []}
                for _ in range(rounds):
                    rates["product"].append(_product(2048))
                    start = time.perf_counter()
                    theirs()
                    rates["theirs"].append(case.count / (time.perf_counter() - start))
                    start = time.perf_counter()
                    for worker in workers:
                        worker.send(None)
                    for worker in workers:
                        worker.recv()
                    rates["ours"].append(cores * case.count / (time.perf_counter() - start))
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


@contextlib.contextmanager
def _worker(name: str) -> Iterator[Connection]:
    """A process that measures a point each time something is sent to it, and answers when it has."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_points, args=(name, there), daemon=True)
    process.start()
    try:
        here.recv()
        yield here
    finally:
        process.terminate()
        process.join()


def _points(name: str, connection: Connection) -> None:
    torch.set_num_threads(1)
    point = contenders.ours(Case(name))
    point()
    while True:
        connection.send(None)
        connection.recv()
        point()


def memory(network: str, contender: str) -> float:
    """Peak memory in GB of a process that imports torch and measures one point, as many images as in a round."""
    command = [sys.executable, "-m", "benchmarks.surfaces", network, contender]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024 / 1e9


def flops(case: Case) -> float:
    """Floating-point operations of one image, 2 x MAC."""
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        case.network(case.split.images[:1])
    return float(counter.get_total_flops())


def _product(size: int = 1024) -> float:
    """Floating-point operations a second of a matrix product in fp32, the best of a few."""
    a, b = torch.randn(2, size, size)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    torch.set_num_threads(1)
    CONTENDERS[sys.argv[2]](Case(sys.argv[1]))()
    # Not getrusage: what it says begins with the peak of the process that this one was forked from.
    sys.stdout.write(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
