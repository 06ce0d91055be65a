"""Run benchmarks, print the results, and keep them in benchmarks/README.md with the machine and the versions."""

import argparse
import datetime
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import curvature, gpu, jobs, scale, surfaces
from benchmarks.contenders import NETWORKS
from landscape.store import files

README = Path(__file__).parent / "README.md"
TITLES = {"surfaces": "Surfaces", "curvature": "Curvature", "jobs": "Jobs", "gpu": "GPU", "scale": "Scale"}
UNMEASURED = "not measured"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="number of interleaved measurements")
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--without", nargs="*", choices=surfaces.OTHERS, default=[], help="leave these out")
    parser.add_argument("--threads", type=int, default=1, help="threads of each contender; a tile job has one")
    parser.add_argument("--memory-images", type=int, default=50_000)
    parser.add_argument("--curvature-images", type=int, default=1024)
    parser.add_argument("--curvature-network", choices=NETWORKS, default="ResNet-20")
    parser.add_argument(
        "--curvature-run",
        nargs=2,
        type=Path,
        metavar=("WEIGHTS", "DATA"),
        help="files of a run and its data, as the workflow makes them (runs/R/weights.safetensors, data/D.safetensors);"
        " default: train a network on digits",
    )
    parts = {"surfaces": _surfaces, "curvature": _curvature, "jobs": _jobs, "gpu": _gpu, "scale": _scale}
    parser.add_argument("--only", choices=parts, help="run and print one part; keep it only with --keep")
    parser.add_argument("--keep", action="store_true", help="with --only: replace this part in README.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    wanted = [options.only] if options.only else list(parts)
    for part in wanted:
        device = _gpu_name() if part == "gpu" else _processor()
        title = f"{TITLES[part]}, {device}"
        text = f"## {title}\n\n{parts[part](options)}\n{_machine(options.threads)}\n"
        print(text, flush=True)  # noqa: T201
        if (options.keep or not options.only) and device != UNMEASURED:
            files.write_text(README, kept(README.read_text(), title, text))


def _surfaces(options: argparse.Namespace) -> str:
    columns = {
        "network": "{network}",
        "contender": "{contender}",
        "images/s": "{images a second:,.0f}",
        "ratio": "{ratio:.2f}",
        "least to most": "{least:.2f} to {most:.2f}",
        "of the matmul peak": "{peak:.0f} %",
        "peak memory": "{memory:.2f} GB",
    }
    rows = surfaces.table(options.rounds, options.networks, set(options.without), options.threads)
    title = f"### Surfaces, fp32 unless said otherwise, {options.rounds} interleaved rounds"
    return f"{title}\n\n{_formatted(columns, rows)}\n{_whole_machine(options)}"


def _whole_machine(options: argparse.Namespace) -> str:
    columns = {
        "network": "{network}",
        "the authors' loop, images/s": "{theirs:,.0f}",
        "ours, images/s": "{ours:,.0f}",
        "ratio": "{ratio:.2f}",
        "least to most": "{least:.2f} to {most:.2f}",
        "of the matmul peak": "{peak:.0f} %",
    }
    rows = surfaces.machine(options.rounds, options.networks)
    cores = rows[0]["cores"]
    title = f"### The whole machine: their one process of {cores} threads, our {cores} processes of one thread"
    return f"{title}\n\n{_formatted(columns, rows)}"


def _curvature(options: argparse.Namespace) -> str:
    columns = {
        "point": "({at[0]:g}, {at[1]:g})",
        "contender": "{contender}",
        "s a product": "{seconds a product:.2f}",
        "products": "{products}",
        "s a point": "{seconds a point:.1f}",
        "ratio": "{ratio:.2f}",
        "least to most": "{least:.2f} to {most:.2f}",
        "error of the largest eigenvalue": "{error of lambda_max:.2g} %",
        "of the smallest": "{error of lambda_min:.2g} %",
    }
    rounds = min(3, options.rounds)
    network, run = options.curvature_network, options.curvature_run
    rows = curvature.table(rounds, network, options.curvature_images, run)
    of = rows[0]
    trained = "of a given run" if run else "trained on digits enlarged to 32 x 32"
    title = f"### Both extreme eigenvalues of the Hessian, {network} {trained}, {of['images']:,} images"
    return f"{title}, {rounds} interleaved rounds, graph {of['graph']}\n\n{_formatted(columns, rows)}"


def _jobs(options: argparse.Namespace) -> str:
    start = jobs.start(options.rounds)
    peak = jobs.memory(options.memory_images)
    cost = jobs.scaling(min(3, options.rounds))
    lines = [
        "### A tile job",
        "",
        f"- Start: {start:.1f} s for a whole `landscape tile` of one point on digits (import, two passes, writing).",
        f"- Memory: {peak:.2f} GB at its peak, ResNet-56, {options.memory_images:,} images of 3 x 32 x 32.",
        "",
        "### Cost of ResNet-20, seconds",
        "",
        _table(["points of 256 images", *(str(n) for n, _ in cost["points"])], [_costs(cost["points"])]),
        _table(["images, 2 points", *(str(n) for n, _ in cost["images"])], [_costs(cost["images"])]),
    ]
    return "\n".join(lines)


def _costs(found: Sequence[tuple[int, float]]) -> list[str]:
    (n, first), *_ = found
    return ["seconds (of the first one's per unit)", *(f"{s:.3f} ({s / k / (first / n):.2f})" for k, s in found)]


def _gpu(options: argparse.Namespace) -> str:
    if not torch.cuda.is_available():
        return "No GPU was there.\n"
    rows = gpu.table(options.networks, 16_384)
    header = ["network", "kernels", "precision", "batch", "images/s"]
    body = [
        [
            *(str(row[key]) for key in header[:4]),
            "no memory" if (rate := row["images a second"]) is None else f"{rate:,.0f}",
        ]
        for row in rows
    ]
    return _table(header, body)


def _scale(options: argparse.Namespace) -> str:
    header = ["what is done", "seconds", "of a processor", "peak memory"]
    body = [
        [what, f"{cost.seconds:.1f}", f"{cost.processor:.1f}", f"{cost.memory:.2f} GB"] for what, cost in scale.table()
    ]
    runs = len(scale.NETWORKS) * scale.SEEDS
    tiles = f"{runs * scale.PLANES * scale.TILES:,} tiles"
    return f"### {runs} runs, {runs * scale.PLANES:,} surfaces, {tiles}\n\n{_table(header, body)}"


def _machine(threads: int) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in files.versions().items())
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"{datetime.date.today()}: {_processor()}, {os.cpu_count()} cores, {capability}, {threads} thread(s) for everybody. "
        f"{versions}.\n"
    )


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), flags=re.M)
    return found[1] if found else platform.processor()


def _gpu_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else UNMEASURED


def _formatted(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write a table with a format for each column. Shares, under `peak` and `error of ...`, are shown in percent."""
    shown = [
        {key: 100 * value if key.startswith(("peak", "error")) else value for key, value in row.items()} for row in rows
    ]
    return _table(list(columns), [[text.format_map(row) for text in columns.values()] for row in shown])


def _table(header: Sequence[str], body: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def kept(readme: str, title: str, text: str) -> str:
    """Put a part measured on a device into the README: over its old text, or after the same part on other devices."""
    part = title.partition(",")[0]
    head, *sections = re.split(r"^(?=## )", readme, flags=re.M)
    sections = [section for section in sections if not section.startswith(f"## {part}, {UNMEASURED}\n")]
    of_part = [i for i, section in enumerate(sections) if section.startswith(f"## {part}, ")]
    mine = [i for i in of_part if sections[i].startswith(f"## {title}\n")]
    if mine:
        sections[mine[0]] = text
    else:
        sections.insert(of_part[-1] + 1 if of_part else len(sections), text)
    return "".join([head, *sections]).rstrip() + "\n"


if __name__ == "__main__":
    main()
