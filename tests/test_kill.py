"""Killed in the middle, run again: nothing lost, nothing done twice, the same bits."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import xarray as xr
from safetensors.torch import load_file

from landscape import files

from running import PATH, copied, jobs, landscape, snakemake, written

CONFIG = {
    "data": {"digits": {"source": "digits"}},
    "runs": {
        "short": {"network": "resnet", "args": {"depth": 8, "width": 4}, "data": "digits", "epochs": 6, "keep": "all"},
        "long": {"network": "resnet", "args": {"depth": 14, "width": 8}, "data": "digits", "epochs": 20, "keep": 8},
    },
    "planes": {"contour": {"alpha": [-1, 1, 15], "beta": [-1, 1, 15], "seed": 1, "tiles": 4}},
    "figures": {"figure5": {"draw": "contours", "runs": ["short", "long", "short@003"], "plane": "contour"}},
    "summary": {"plane": "contour"},
}
KILLS = 4


def killed_after(seconds: float, folder: Path) -> str:
    """Start the experiment and, after a while, `kill -9` Snakemake and everything it started."""
    with open(folder / "said.txt", "w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "landscape", "run", "config.yaml"],
            cwd=folder,
            env={**os.environ, "PATH": PATH},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            for member in family:
                member.kill()
            psutil.wait_procs(family, 10)
            process.wait(10)
    return (folder / "said.txt").read_text()


def whole_files(folder: Path) -> dict[Path, int]:
    """Every file under its final name, with the time it was made. Reading it shows that it is whole."""
    found = {}
    for path in sorted((folder / "results").rglob("*")):
        if ".work" in path.parts or path.suffix not in (".nc", ".safetensors") or path.name.startswith("."):
            continue
        if path.suffix == ".nc":
            files.read_dataset(path)
        else:
            load_file(path)
        found[path] = path.stat().st_mtime_ns
    return found


def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
        written(CONFIG, folder)
    landscape("run", "config.yaml", folder=undisturbed)

    rng = random.Random(4)
    made: dict[Path, int] = {}
    unlocked = resumed = interrupted = 0
    for _ in range(KILLS):
        said = killed_after(rng.uniform(7, 14), disturbed)
        unlocked += "nobody is at work, so it is removed" in said
        now = whole_files(disturbed)
        finished_jobs = {path for path in made if now.get(path) != made[path]}
        assert not finished_jobs, f"made again: {finished_jobs}"
        pending = jobs(snakemake(disturbed / "config.yaml", "-n", "--nolock", folder=disturbed))
        to_come = {disturbed / path for outputs in pending.values() for path in outputs}
        interrupted += bool(to_come)
        made = {path: when for path, when in now.items() if path not in to_come}
        resumed += any(
            "goes on after epoch" in log.read_text() for log in (disturbed / "results/logs/train").glob("*.log")
        )
    said = landscape("run", "config.yaml", folder=disturbed)
    after = whole_files(disturbed)
    assert all(after[path] == when for path, when in made.items())
    assert interrupted >= 3, "the kills came too late to test anything"
    assert unlocked + ("nobody is at work, so it is removed" in said) >= 3
    assert resumed, "no training was interrupted after an epoch"

    names = {path.relative_to(undisturbed) for path in whole_files(undisturbed)}
    assert names == {path.relative_to(disturbed) for path in after}
    for name in sorted(names):
        if name.suffix == ".nc":
            one, other = (
                files.read_dataset(folder / name).drop_vars("seconds", errors="ignore")
                for folder in (undisturbed, disturbed)
            )
            xr.testing.assert_equal(one, other)
        else:
            tensors, others = load_file(undisturbed / name), load_file(disturbed / name)
            assert tensors.keys() == others.keys()
            assert all(t.numpy().tobytes() == others[key].numpy().tobytes() for key, t in tensors.items()), name
    assert not list((disturbed / "results").rglob(".*.tmp"))


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
        said = landscape("run", "config.yaml", folder=folder, expect=2)
        assert "these are still at work" in said and str(job.pid) in said
        assert (folder / ".snakemake/locks/0.input.lock").exists()
    finally:
        job.kill()
        job.wait()
    orphan.unlink()
    said = landscape("run", "config.yaml", folder=folder)
    assert "nobody is at work, so it is removed" in said
    assert "Nothing to be done" in said
