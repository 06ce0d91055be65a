"""Time Snakemake on a large experiment that is never run: 200 runs, 2,000 surfaces, 16,000 tiles.

Result files are empty. Snakemake's own function writes their metadata, so that Snakemake compares parameters, inputs,
code and times as after a real run.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.processes import Cost, watched
from landscape.running.launch import snakefile

NETWORKS = {"resnet20": {}, "resnet56-noshort": {}, "densenet121": {}, "mlp": {"hidden": [64, 64]}}
SEEDS = 50
PLANES = 10
TILES = 8

_READ = "import sys; from landscape.experiment import reading; reading.read(sys.argv[1])"

_FINISH = """
import sys
from pathlib import Path
from snakemake import cli
from snakemake.executors import dryrun

def run_job(executor, job):
    for name in job.output:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    executor.workflow.async_run(executor.workflow.persistence.finished(job))
    executor.report_job_submission(job_info := dryrun.SubmittedJobInfo(job=job))
    executor.report_job_success(job_info)

dryrun.Executor.run_job = run_job
cli.main(sys.argv[1:])
"""
"""A dry run that makes empty outputs and lets Snakemake record each job as finished."""

_ALONE = f"""
NETWORKS, SEEDS, PLANES, TILES = {list(NETWORKS)}, range({SEEDS}), range({PLANES}), range(1, {TILES} + 1)
rule all:
    input: expand("figures/{{p}}", p=PLANES)
rule train:
    output: "runs/{{r}}"
    shell: "touch {{output}}"
rule directions:
    input: "runs/{{r}}"
    output: "directions/{{r}}/{{p}}"
    shell: "touch {{output}}"
rule tile:
    input: "runs/{{r}}", "directions/{{r}}/{{p}}"
    output: "tiles/{{r}}/{{p}}/{{i}}"
    shell: "touch {{output}}"
rule merge:
    input: expand("tiles/{{{{r}}}}/{{{{p}}}}/{{i}}", i=TILES)
    output: "surfaces/{{r}}/{{p}}"
    shell: "touch {{output}}"
rule figure:
    input: expand("surfaces/{{n}}-{{s}}/{{{{p}}}}", n=NETWORKS, s=SEEDS)
    output: "figures/{{p}}"
    shell: "touch {{output}}"
"""
"""The same graph of jobs without input functions, to time Snakemake by itself."""


def experiment() -> dict[str, Any]:
    """Return the configuration: networks of every kind, each from 50 seeds, on ten planes."""
    seeds, beginnings = list(range(SEEDS)), list(range(PLANES))
    axes = {"alpha": [-1, 1, 25], "beta": [-1, 1, 25], "tiles": TILES}
    return {
        "data": {"digits": {"source": "digits"}},
        "runs": {
            f"{network}-{{seed}}": {"network": network, "args": args, "data": "digits", "sweep": {"seed": seeds}}
            for network, args in NETWORKS.items()
        },
        "planes": {"contour{seed}": {**axes, "sweep": {"seed": beginnings}}},
        "figures": {
            f"figure{seed}": {"draw": "contours", "runs": ["*"], "plane": f"contour{seed}"} for seed in beginnings
        },
    }


def table() -> Iterator[tuple[str, Cost]]:
    """Yield the cost of reading, planning and checking the experiment, and of Snakemake alone for as many jobs."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "config.yaml").write_text(yaml.safe_dump(experiment()))
        (place / "alone").mkdir()
        (place / "alone/Snakefile").write_text(_ALONE)
        ours = ["--snakefile", snakefile(), "--configfile", "config.yaml", "--cores", "1", "--scheduler", "greedy"]
        alone = ["--directory", "alone", "--snakefile", "alone/Snakefile", "--cores", "1", "--scheduler", "greedy"]

        def snakemake(*options: Any) -> Cost:
            return watched([sys.executable, "-m", "snakemake", *options], place)

        def finish(*options: Any) -> None:
            watched([sys.executable, "-c", _FINISH, *options, "--dry-run", "--quiet", "all"], place)

        yield "read the configuration", watched([sys.executable, "-c", _READ, "config.yaml"], place)
        yield "`snakemake -n`, the first time: networks are checked", snakemake(*ours, "-n")
        yield "`snakemake -n`", snakemake(*ours, "-n")
        yield "Snakemake alone, `snakemake -n`", snakemake(*alone, "-n")
        finish(*ours)
        yield "`snakemake` with nothing to do", snakemake(*ours)
        finish(*alone)
        yield "Snakemake alone, `snakemake` with nothing to do", snakemake(*alone)
