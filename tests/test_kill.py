"""Killed in the middle, run again: nothing lost, nothing done twice, the same bits."""

import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from running import assert_same_bits, begun, completed, copied, landscape, wait_until, whole_files, written

RECIPE = {"network": "resnet", "data": "digits", "keep": 5}
CONFIG = {
    "data": {"digits": {"source": "digits"}},
    "runs": {
        "long": {**RECIPE, "args": {"depth": 8, "width": 8}, "epochs": 16},
        "short": {**RECIPE, "args": {"depth": 8, "width": 4}, "epochs": 2},
    },
    "planes": {"contour": {"alpha": [-1, 1, 9], "beta": [-1, 1, 9], "seed": 1, "tiles": 3, "examples": 300}},
}
TARGETS = ("results/surfaces/long/contour.nc", "results/runs/short/history.nc")
LOG = "results/logs/train/long.log"


def epochs_in(log: Path) -> list[int]:
    """The epochs that the log of a training says were done, and were saved before it said so."""
    text = log.read_text() if log.exists() else ""
    return [int(epoch) for epoch in re.findall(r"epoch (\d+) of \d+: train_loss", text)]


def reached(epoch: int) -> Callable[[Path], bool]:
    """The longer training has saved `epoch` since it was started last, or a later one."""
    return lambda folder: max(epochs_in(folder / LOG), default=-1) >= epoch


def there(name: str) -> Callable[[Path], bool]:
    return lambda folder: (folder / "results" / name).exists()


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


def at_work(process: subprocess.Popen[bytes]) -> set[str]:
    """The verbs that a Snakemake's jobs are at."""
    verbs = set()
    for member in family(process):
        try:
            words = member.cmdline()
        except psutil.Error:
            continue
        verbs |= {verb for word, verb in zip(words, words[1:], strict=False) if Path(word).name == "landscape"}
    return verbs


def end(process: subprocess.Popen[bytes]) -> None:
    """`kill -9` of a process, if it still is at work, and of everything it started."""
    if process.poll() is None:
        members = family(process)
        for member in members:
            member.kill()
        psutil.wait_procs(members, 10)
    process.wait(10)


def killed(folder: Path, event: Callable[[Path], bool], verb: str, delay: float) -> str:
    """Start the experiment, three jobs at once, and, `delay` seconds after an event, when a job is at `verb`, `kill -9` all of it."""
    said = folder / "said.txt"
    (folder / LOG).unlink(missing_ok=True)
    process = begun("run", "config.yaml", *TARGETS, "--cores", "3", folder=folder, said=said)
    try:
        wait_until(lambda: event(folder), process, said)
        time.sleep(delay)
        wait_until(lambda: verb in at_work(process), process, said)
    finally:
        end(process)
    return said.read_text()


def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    """As without a kill and with one job at a time."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
        written(CONFIG, folder)
    other_said = tmp_path / "undisturbed.txt"
    other = begun("run", "config.yaml", *TARGETS, "--cores", "1", folder=undisturbed, said=other_said)
    try:
        made = disturb(disturbed)
        assert other.wait(300) == 0, other_said.read_text()[-6000:]
    finally:
        end(other)
    after = whole_files(disturbed)
    assert {path: after.get(path) for path in made} == made
    assert after.keys() == whole_files(undisturbed).keys()
    assert_same_bits(undisturbed, disturbed, after)
    assert not list((disturbed / "results").rglob(".*.tmp"))


def disturb(folder: Path) -> dict[str, int]:
    """Kill the experiment three times and let it end. Returns the files that were finished before the last kill."""
    rng = random.Random(4)
    kills = (
        (reached(rng.randint(1, 3)), "train", rng.uniform(0, 0.3)),
        (reached(rng.randint(6, 9)), "train", rng.uniform(0, 0.3)),
        (there("surfaces/long/contour/1of3.nc"), "tile", rng.uniform(0, 1.5)),
    )
    made: dict[str, int] = {}
    saved: list[int] = []
    gone_on: list[int] = []
    unlocked = 0

    def look(said: str) -> None:
        nonlocal unlocked
        now = whole_files(folder)
        again = {path for path in made if now.get(path) != made[path]}
        assert not again, f"made again: {again}"
        made.update({path: now[path] for path in completed(said) if path in now})
        unlocked += "nobody is at work, so it is removed" in said
        if (folder / LOG).exists():
            saved.append(max(epochs_in(folder / LOG)))
            gone_on.extend(map(int, re.findall(r"goes on after epoch (\d+) of 16", (folder / LOG).read_text())))

    for event, verb, delay in kills:
        look(killed(folder, event, verb, delay))
    (folder / LOG).unlink(missing_ok=True)
    before = dict(made)
    look(landscape("run", "config.yaml", *TARGETS, "--cores", "3", folder=folder))
    assert unlocked == len(kills)
    assert len(saved) == 3 and saved[-1] == 16, "the training was started three times, and finished once"
    assert len(gone_on) == 2
    # An epoch is saved before the log says so.
    assert all(start in (end, end + 1) for start, end in zip(gone_on, saved, strict=False)), (gone_on, saved)
    return before


def test_a_living_job_is_seen_before_anything_is_unlocked(finished: Path, tmp_path: Path) -> None:
    """Snakemake alone was killed; what it had started is still writing."""
    folder = copied(finished, tmp_path / "folder")
    (folder / ".snakemake/locks").mkdir(exist_ok=True)
    (folder / ".snakemake/locks/0.input.lock").write_text("results/smoke/x\n")
    orphan = folder / "landscape"
    orphan.write_text("import time; time.sleep(60)")
    job = subprocess.Popen([sys.executable, str(orphan), "train"], cwd=folder, start_new_session=True)
    try:
        time.sleep(0.5)
        said = landscape("run", "config.yaml", folder=folder, expect=1)
        assert "these are still at work" in said and str(job.pid) in said
        assert (folder / ".snakemake/locks/0.input.lock").exists()
    finally:
        job.kill()
        job.wait()
    orphan.unlink()
    said = landscape("run", "config.yaml", folder=folder)
    assert "nobody is at work, so it is removed" in said
    assert "Nothing to be done" in said
