"""Measure the start and the memory of a tile job, and the cost of a surface by points and by images."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import AT, Case
from benchmarks.processes import watched
from landscape.data.examples import Examples
from landscape.engine.engine import Engine

RUN = {"network": "resnet", "args": {"depth": 8, "width": 4}, "data": "data", "epochs": 1}
PLANE = {"alpha": [0, 0, 1]}


def start(rounds: int) -> float:
    """Time a whole `landscape tile` of one point on digits in seconds: import, 1,797 images measured twice, writing."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _prepare(place, {"source": "digits"}, RUN)
        taken = []
        for _ in range(rounds):
            begun = time.perf_counter()
            _verb("tile", place, *_of_tile(place))
            taken.append(time.perf_counter() - begun)
        return float(np.median(taken))


def memory(images: int) -> float:
    """Measure the peak memory in GB of a tile job: ResNet-56, a training split of `images` CIFAR-shaped images."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        random = np.random.default_rng(0)
        pixels = random.integers(0, 256, (images, 32, 32, 3), np.uint8)
        np.savez(place / "data.npz", train_images=pixels, train_labels=np.arange(images) % 10)
        np.savez(place / "few.npz", train_images=pixels[:20], train_labels=np.arange(20) % 10)
        run = {"network": "resnet", "args": {"depth": 56}, "data": "data", "epochs": 1}
        _prepare(place, {"source": str(place / "data.npz")}, run, {"source": str(place / "few.npz")})
        return watched([sys.executable, "-m", "landscape", "tile", *_of_tile(place)], place).memory


def scaling(rounds: int) -> dict[str, list[tuple[int, float]]]:
    """Time ResNet-20 in seconds by number of points (256 images) and of images (2 points), the best of the rounds."""
    found: dict[str, list[tuple[int, float]]] = {"points": [], "images": []}
    case = Case("ResNet-20", 2048)

    def seconds(images: int, points: int) -> float:
        split = Examples(case.split.inputs[:images], case.split.targets[:images])
        engine = Engine(case.network, case.theta, case.pair, {"train": split})
        measured = engine.measure(iter(lambda: AT, None))
        next(measured)
        best = np.inf
        for _ in range(rounds):
            begun = time.perf_counter()
            for _ in range(points):
                next(measured)
            best = min(best, time.perf_counter() - begun)
        return float(best)

    for points in (1, 2, 4, 8):
        found["points"].append((points, seconds(256, points)))
    for images in (256, 512, 1024, 2048):
        found["images"].append((images, seconds(images, 2)))
    return found


def _prepare(place: Path, data: dict[str, Any], run: dict[str, Any], few: dict[str, Any] | None = None) -> None:
    """Make a data set, weights trained for an epoch (on `few` images, if given), and directions around them."""
    _verb("dataset", place, "--spec", json.dumps(data), "--output", place / "data.safetensors")
    trained_on = place / "data.safetensors"
    if few:
        trained_on = place / "few.safetensors"
        _verb("dataset", place, "--spec", json.dumps(few), "--output", trained_on)
    made = [place / "weights.safetensors", place / "history.nc", place / "epochs.safetensors"]
    _verb("train", place, "--spec", json.dumps(run), "--data", trained_on, "--output", *made)
    around = ("--weights", made[0], "--output", place / "directions.safetensors")
    _verb("directions", place, "--spec", json.dumps({"line": True}), *around)


def _of_tile(place: Path) -> Iterator[str | Path]:
    yield from ("--spec", json.dumps(PLANE), "--weights", place / "weights.safetensors")
    yield from ("--directions", place / "directions.safetensors", "--data", place / "data.safetensors")
    yield from ("--output", place / "tile.nc")


def _verb(verb: str, place: Path, *options: str | Path) -> str:
    command = [sys.executable, "-m", "landscape", verb, *map(str, options)]
    return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True).stderr
