"""The workflow through a SLURM with all the trouble that the tests look at, at the same time, since each takes a minute."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from landscape import artefacts
from landscape.experiment import jobs, reading, specs

from every_kind import verb
from running import REPOSITORY, begun, landscape, wait_until, whole_files, written
from slurm.node import Node
from slurm.troubled import left
from test_kill import end

RESULTS = "results"
RECIPE = {"data": "digits", "batch_size": 128, "learning_rate": 0.05}
TROUBLED = "troubled.py:net"
CONFIG: dict[str, Any] = {
    "data": {"digits": {"source": "digits"}},
    "runs": {
        "plain": {**RECIPE, "network": "resnet", "args": {"depth": 8, "width": 4}, "epochs": 6},
        "troubled": {**RECIPE, "network": TROUBLED, "epochs": 5},
    },
    "planes": {
        "contour": {"alpha": [-1, 1, 5], "beta": [-1, 1, 5], "seed": 1, "tiles": 2, "examples": 100},
        "line": {"alpha": [-1, 1, 5], "seed": 2, "tiles": 1, "examples": 100},
        "other": {"alpha": [-1, 1, 5], "seed": 3, "tiles": 1, "examples": 100},
        "eigen": {
            "measure": "curvature",
            "alpha": [-1, 1, 3],
            "beta": [-1, 1, 3],
            "seed": 1,
            "tiles": 1,
            "examples": 20,
        },
    },
    "probes": {"spectrum": {"measure": "eigenpairs", "examples": 100}},
    "figures": {
        "figure5": {"draw": "contours", "runs": ["plain"], "plane": "contour"},
        "figure7": {"draw": "curvature", "runs": ["plain"], "plane": "eigen", "contours": "contour"},
    },
}
PLAIN = f"{RESULTS}/runs/plain/weights.safetensors"
TILES = f"{RESULTS}/surfaces/plain/contour"
TARGETS = ("all", f"{RESULTS}/probes/plain/spectrum.nc")
LINES = tuple(f"{RESULTS}/surfaces/troubled/{name}.nc" for name in ("line", "other"))
PROFILE = REPOSITORY / "profiles/slurm"
PARTITIONS = {"partitions": {"gpu": {"max_runtime": "2d", "max_gpu": 1}, "cpu": {"max_runtime": "2h"}}}
OF_TESTS = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1")
GPUS = 4


@dataclass(frozen=True)
class Record:
    """What was done, and what came of it.

    Attributes:
        folder: in which a Snakemake was killed, and another met with every trouble: too little memory, a time limit, a tile
            that was killed, a full disk.
        parted: in which a training in parts was preempted, its Snakemake interrupted, and another gave two tiles to one job.
        undisturbed: in which the same was made by hand.
        jobs: SLURM's jobs, oldest first, by the names `scontrol` gives their properties.
        said: by each Snakemake, and by the tile for which there was no room.
        before: the files there were when a third Snakemake began, and when each was made.
        without_room: what was found in the folder of the tiles when the disk was full.
    """

    folder: Path
    parted: Path
    undisturbed: Path
    jobs: list[dict[str, str]]
    said: dict[str, str]
    before: dict[str, int]
    without_room: list[str]

    def of(self, what: str, snakemake: str = "third") -> list[dict[str, str]]:
        """The jobs of a Snakemake whose comment begins so."""
        uuid = re.search(r"SLURM run ID: (\S+)", self.said[snakemake])
        assert uuid, self.said[snakemake]
        return [job for job in self.jobs if job["JobName"] == uuid[1] and job["Comment"].startswith(f"rule_{what}")]


def recorded(place: Path) -> Record:
    """What `trouble` has left in a folder."""
    said = {path.stem: path.read_text() for path in place.glob("*.txt")}
    notes = json.loads((place / "notes.json").read_text())
    return Record(place / "disturbed", place / "parted", place / "undisturbed", said=said, **notes)


def trouble(node: Node, place: Path) -> None:
    """Do all that is to be looked at afterwards, in two folders at the same time."""
    options = ("run", "config.yaml", "--profile", "slurm", *OF_TESTS)
    with contextlib.ExitStack() as stack:

        def under_way(folder: Path, *targets: str, said: str) -> subprocess.Popen[bytes]:
            process = begun(*options, *targets, folder=folder, said=place / f"{said}.txt")
            stack.enter_context(ending(process))
            return process

        parted = prepared(place / "parted", slow=2, parts=2)
        first = under_way(parted, *LINES, said="first")
        by_hand(prepared(place / "undisturbed"))
        wait_until(lambda: left(parted) == 1, first, place / "first.txt")
        node.ask("sbatch", "--partition=urgent", f"--gpus={GPUS}", "--output=/dev/null", "--wrap=true")

        folder = prepared(place / "disturbed", slow=1)
        (folder / "trouble/large").touch()
        second = under_way(folder, PLAIN, said="second")
        wait_until(lambda: of_slurm(node, "RUNNING", "rule_train_wildcards_plain"), second, place / "second.txt")
        end(second)
        (place / "refused.txt").write_text(landscape(*options, PLAIN, folder=folder, expect=1))
        assert (folder / ".snakemake/locks").exists() and of_slurm(node, "RUNNING", "rule_train_wildcards_plain")

        wait_until(lambda: left(parted) == 0, first, place / "first.txt")
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does: to `landscape run` and to the Snakemake it waits for
        first.wait(60)
        wait_for(lambda: not of_slurm(node, "RUNNING", "rule_part"), "the first one's job is cancelled")
        wait_for(lambda: not at_work_in(parted), "and has ended")  # which SLURM says before it is so
        fourth = under_way(parted, *LINES, said="fourth")

        done = "rule_train_wildcards_plain"
        wait_for(lambda: of_slurm(node, "COMPLETED", done), "the job of the second, killed, ends by itself")
        before = whole_files(folder)
        with small_disk(folder / TILES):
            third = under_way(folder, *TARGETS, said="third")
            wait_until(lambda: "SLURM run ID" in (place / "third.txt").read_text(), third, place / "third.txt")
            (place / "twice.txt").write_text(landscape(*options, PLAIN, folder=folder, expect=1))
            without_room = disturb(node, third, folder, place / "full.txt")
        fourth.wait(120)
    notes = {"jobs": node.jobs(), "before": before, "without_room": without_room}
    (place / "notes.json").write_text(json.dumps(notes))


def disturb(node: Node, third: subprocess.Popen[bytes], folder: Path, full: Path) -> list[str]:
    """While a Snakemake is at work, end a slow training's time; kill the first tile of two once the second found no room.

    Until then the first one is stopped, so that each of the two fails once, however fast they were begun.

    Returns:
        What lay in the folder of the tiles before there was room.
    """
    limited = False
    stopped: psutil.Process | None = None
    found: list[str] | None = None
    log = folder / RESULTS / "logs/tile/plain/contour/2of2.log"
    limit = time.monotonic() + 400
    while third.poll() is None:
        assert time.monotonic() < limit, f"a tile {stopped} was stopped, and the other found no full disk: {found}"
        if not limited and left(folder) == 0:
            (slow,) = of_slurm(node, "RUNNING", "rule_train_wildcards_troubled")
            now = datetime.now().isoformat(timespec="seconds")
            node.ask("scontrol", "update", f"JobId={slow['JobId']}", f"EndTime={now}")
            limited = True
        if stopped is None and (stopped := verb_at_work("tile", folder, "--name", "contour", "--tile", "1")):
            stopped.suspend()
        if found is None and stopped and log.exists() and "No space" in (said := log.read_text()):
            full.write_text(said)
            found = [path.name for path in (folder / TILES).rglob("*")]
            subprocess.run(["mount", "-o", "remount,size=10m", folder / TILES], check=True)
            stopped.kill()
        time.sleep(0.2)
    return ["no tile found the disk full"] if found is None else found


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A folder on a file system of its own with room for 8 KiB, less than a tile. What is there in the end stays there."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tests", folder], check=True)
    try:
        yield
        shutil.copytree(folder, folder.with_name("kept"))
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()
    folder.with_name("kept").rename(folder)


@contextlib.contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """However it went, `kill -9` of a Snakemake that is still at work, but not of its jobs in SLURM."""
    try:
        yield
    finally:
        end(process)


def of_slurm(node: Node, state: str, comment: str) -> list[dict[str, str]]:
    """SLURM's jobs in a state whose comment begins so."""
    return [job for job in node.jobs() if job["JobState"] == state and job.get("Comment", "").startswith(comment)]


def verb_at_work(verb: str, folder: Path, *words: str) -> psutil.Process | None:
    """A process in `folder` that is at a verb of `landscape`, with these words."""
    for process, said in at_work_in(folder):
        if {verb, *words} <= set(said) and "landscape" in named(said[:2]):
            return process
    return None


def at_work_in(folder: Path) -> list[tuple[psutil.Process, list[str]]]:
    """Processes of Snakemake or `landscape` in a folder, and their command lines."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if {"snakemake", "landscape"} & named(words[:3]) and process.cwd() == str(folder):
                found.append((process, words))
    return found


def named(words: list[str]) -> set[str]:
    return {Path(word).name for word in words}


def wait_for(happened: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < limit, f"waited two minutes in vain: {what}"
        time.sleep(0.2)


def prepared(folder: Path, slow: int = 0, parts: int = 1) -> Path:
    """A folder with the experiment, the profile of a site where jobs alone may compute, and how often a training is slow."""
    (folder / "trouble").mkdir(parents=True)
    (folder / "trouble/slow").write_text(str(slow))
    runs = {**CONFIG["runs"], "troubled": {**CONFIG["runs"]["troubled"], "parts": parts}}
    written({**CONFIG, "runs": runs}, folder)
    shutil.copy(REPOSITORY / "tests/slurm/troubled.py", folder)
    shutil.copytree(PROFILE, folder / "slurm")
    (folder / "slurm/partitions.yaml").write_text(yaml.safe_dump(PARTITIONS))
    profile = folder / "slurm/config.yaml"
    said, changed = re.subn(r"^  # - (merge|figure)=", r"  - \1=", profile.read_text(), flags=re.M)
    assert changed == 2
    profile.write_text(said)
    return folder


def by_hand(folder: Path) -> None:
    """Make everything with the verbs themselves: no Snakemake, no SLURM, one tile after the other."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("LANDSCAPE_NETWORKS", TROUBLED)
        experiment = reading.read("config.yaml")
        data = f"{RESULTS}/data/digits.safetensors"
        verb("dataset", "--spec", specs.of_data(experiment, "digits"), "--name", "digits", "--output", data)
        for run in experiment.runs:
            made = [
                f"{RESULTS}/runs/{run}/{name}" for name in ("weights.safetensors", "history.nc", "epochs.safetensors")
            ]
            verb("train", "--spec", specs.of_run(experiment, run), "--name", run, "--data", data, "--output", *made)
        for run, plane in (("plain", "contour"), ("plain", "eigen"), ("troubled", "line"), ("troubled", "other")):
            weights = ("--weights", jobs.weights(experiment, run))
            drawn, tiles = jobs.directions_file(experiment, run, plane), jobs.tile_files(experiment, run, plane)
            spec = specs.of_directions(experiment, run, plane)
            verb("directions", "--spec", spec, "--name", plane, *weights, "--output", drawn)
            spec = specs.of_surface(experiment, run, plane)
            for i, tile in enumerate(tiles, start=1):
                where = ("--tile", str(i), "--of", str(len(tiles)), "--directions", drawn, "--data", data)
                verb("tile", "--spec", spec, "--name", plane, *weights, *where, "--output", tile)
            verb("merge", "--spec", spec, "--tiles", *tiles, "--output", f"{RESULTS}/surfaces/{run}/{plane}.nc")
        made = list(artefacts.outputs(experiment.results, "probe", state="plain", probe="spectrum").values())
        spec = specs.of_probe(experiment, "plain", "spectrum")
        weights = ("--weights", jobs.weights(experiment, "plain"))
        verb("probe", "--spec", spec, "--name", "spectrum", *weights, "--data", data, "--output", *made)
