"""The workflow through a real SLURM, and what goes wrong there: it ends as if nothing had."""

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

from landscape.plan.submissions import LOCAL

import running
import slurm
from running import REPOSITORY, assert_same_bits, begun, landscape, once, wait_until, whole_files, written
from test_kill import end, epochs_in

RESULTS = "results"
RECIPE = {"data": "digits", "batch_size": 128, "learning_rate": 0.05}
CONFIG: dict[str, Any] = {
    "data": {"digits": {"source": "digits"}},
    "runs": {
        "plain": {**RECIPE, "network": "resnet", "args": {"depth": 8, "width": 4}, "epochs": 6},
        "large": {**RECIPE, "network": "troubled.py:large", "epochs": 1},
        "slow": {**RECIPE, "network": "troubled.py:slow", "epochs": 3},
    },
    "planes": {"contour": {"alpha": [-1, 1, 5], "beta": [-1, 1, 5], "seed": 1, "tiles": 2, "images": 100}},
    "probes": {"spectrum": {"measure": "eigenpairs", "images": 100}},
    "figures": {"figure5": {"draw": "contours", "runs": ["plain"], "plane": "contour"}},
}
TARGETS = ("all", f"{RESULTS}/probes/plain/spectrum.nc")
PARTITIONS = {"partitions": {"gpu": {"max_runtime": "2d", "max_gpu": 1}, "cpu": {"max_runtime": "2h"}}}
GROUPED = ("--groups", "tile=tiles-{state}-{plane}", "--group-components", "tiles-{state}-{plane}=4")
OF_TESTS = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1")


@dataclass(frozen=True)
class Record:
    """What was done, and what came of it.

    Attributes:
        folder: in which a Snakemake was interrupted, another killed, and a third met with every trouble.
        parted: in which a fourth one trained in parts and gave both tiles to one job.
        undisturbed: in which the same was made without a SLURM.
        jobs: SLURM's jobs, oldest first, by the names `scontrol` gives their properties.
        said: by each Snakemake.
        before: the files there were when the third Snakemake began, and when each was made.
    """

    folder: Path
    parted: Path
    undisturbed: Path
    jobs: list[dict[str, str]]
    said: dict[str, str]
    before: dict[str, int]

    def of(self, what: str, snakemake: str = "third") -> list[dict[str, str]]:
        """The jobs of a Snakemake whose comment begins so."""
        uuid = re.search(r"SLURM run ID: (\S+)", self.said[snakemake])
        assert uuid, self.said[snakemake]
        return [job for job in self.jobs if job["JobName"] == uuid[1] and job["Comment"].startswith(f"rule_{what}")]


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The experiment through a SLURM, troubled in every way the tests look at: all at once, since each way takes a minute."""
    required = os.environ.get("LANDSCAPE_SLURM") == "required"

    def make(folder: Path) -> None:
        try:
            if required:
                slurm.install()
            with slurm.one_node(cpus=4, memory=16000, gpus=4) as node, pytest.MonkeyPatch.context() as patched:
                patched.setenv("SLURM_CONF", str(node.configuration))
                patched.setattr(running, "PATH", f"{node.programs}:{running.PATH}")
                trouble(node, folder)
        except slurm.Unavailable as unavailable:
            (folder / "unavailable").write_text(str(unavailable))

    place = once(tmp_path_factory, "slurm", make)
    if (place / "unavailable").exists():
        why = (place / "unavailable").read_text()
        pytest.fail(why) if required else pytest.skip(
            f"no SLURM here, which LANDSCAPE_SLURM=required would not accept: {why}"
        )
    said = {
        name: (place / f"{name}.txt").read_text() for name in ("first", "second", "refused", "third", "twice", "fourth")
    }
    notes = json.loads((place / "notes.json").read_text())
    return Record(place / "disturbed", place / "parted", place / "undisturbed", notes["jobs"], said, notes["before"])


def trouble(node: slurm.Node, place: Path) -> None:
    """Do all that is to be looked at afterwards, in a folder of its own."""
    folder = prepared(place / "disturbed")
    (folder / "trouble").mkdir()
    for name in ("slow", "large"):
        (folder / "trouble" / name).touch()
    options = ("run", "config.yaml", "--profile", "slurm", *OF_TESTS)
    plain = f"{RESULTS}/runs/plain/weights.safetensors"

    def under_way(*targets: str, said: str) -> subprocess.Popen[bytes]:
        return begun(*options, *targets, folder=folder, said=place / f"{said}.txt")

    first = under_way(plain, said="first")
    with ending(first):
        wait_until(lambda: at_work(node, "rule_train"), first, place / "first.txt")
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does: to `landscape run` and to the Snakemake it waits for
        first.wait(60)
    wait_for(lambda: not node.ask("squeue", "--noheader"), "the first one's jobs are cancelled")

    second = under_way(plain, said="second")
    with ending(second):
        wait_until(lambda: at_work(node, "rule_train"), second, place / "second.txt")
    said = landscape(*options, plain, folder=folder, expect=1)
    (place / "refused.txt").write_text(said)
    assert (folder / ".snakemake/locks").exists() and node.ask("squeue", "--noheader")
    wait_for(lambda: not node.ask("squeue", "--noheader"), "the second one's job ends by itself")
    before = whole_files(folder)
    assert plain in before, (folder / RESULTS / "logs/train/plain.log").read_text()

    parted = prepared(place / "parted", parts=2)
    surface = f"{RESULTS}/surfaces/plain/contour.nc"
    fourth = begun(*options, *GROUPED, "--", surface, folder=parted, said=place / "fourth.txt")
    prepared(place / "undisturbed")
    other = begun(
        "run", "config.yaml", "--cores", "1", *TARGETS, folder=place / "undisturbed", said=place / "other.txt"
    )
    third = under_way(*TARGETS, said="third")
    with ending(other), ending(third), ending(fourth):
        wait_until(lambda: "SLURM run ID" in (place / "third.txt").read_text(), third, place / "third.txt")
        (place / "twice.txt").write_text(landscape(*options, plain, folder=folder, expect=1))
        limited = tile = None
        while third.poll() is None:
            if limited is None and not (folder / "trouble/slow").exists():
                limited = at_work(node, "rule_train_wildcards_slow")[0]
                now = datetime.now().isoformat(timespec="seconds")
                node.ask("scontrol", "update", f"JobId={limited['JobId']}", f"EndTime={now}")
            if tile is None and (tile := verb_at_work("tile", folder)):
                tile.kill()
            time.sleep(0.2)
        for process in (other, fourth):
            process.wait(120)
    (place / "notes.json").write_text(json.dumps({"jobs": node.jobs(), "before": before}))


@contextlib.contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """However it went, `kill -9` of a Snakemake that is still at work, but not of its jobs in SLURM."""
    try:
        yield
    finally:
        end(process)


def at_work(node: slurm.Node, comment: str) -> list[dict[str, str]]:
    """SLURM's running jobs whose comment begins so."""
    return [job for job in node.jobs() if job["JobState"] == "RUNNING" and job["Comment"].startswith(comment)]


def verb_at_work(verb: str, folder: Path) -> psutil.Process | None:
    """A process in `folder` that is at a verb of `landscape`."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if (
                verb in words
                and "landscape" in (Path(word).name for word in words[:2])
                and process.cwd() == str(folder)
            ):
                return process
    return None


def wait_for(happened: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < limit, f"waited a minute in vain: {what}"
        time.sleep(0.2)


def prepared(folder: Path, parts: int = 1) -> Path:
    """A folder with the experiment, and the profile as a site would have it."""
    folder.mkdir()
    runs = {**CONFIG["runs"], "plain": {**CONFIG["runs"]["plain"], "parts": parts}}
    written({**CONFIG, "runs": runs}, folder)
    shutil.copy(REPOSITORY / "tests/slurm/troubled.py", folder)
    shutil.copytree(REPOSITORY / "profiles/slurm", folder / "slurm")
    (folder / "slurm/partitions.yaml").write_text(yaml.safe_dump(PARTITIONS))
    return folder


TIMES = {"train": "1-00:00:00", "directions": "00:05:00", "tile": "01:00:00", "probe": "02:00:00"}
MEMORY = 1500


def test_every_job_asked_slurm_for_what_it_needs(record: Record) -> None:
    assert {job["Comment"].split("_")[1] for job in record.of("")} == TIMES.keys()
    for rule, limit in TIMES.items():
        first = record.of(rule)[0]
        assert first["TimeLimit"] == limit or rule == "train"
        assert first["Partition"] == ("cpu" if rule == "directions" else "gpu")
        assert first.get("TresPerJob") == (None if rule == "directions" else "gres:gpu:1")
        assert f"mem={MEMORY}M" in first["TRES"]
        assert first["Requeue"] == "1"
    assert not record.of("merge") and not record.of("figure"), "what takes a second stays out of the queue"


def test_it_ends_with_the_bits_of_the_undisturbed(record: Record) -> None:
    made = whole_files(record.folder)
    assert made.keys() == whole_files(record.undisturbed).keys()
    assert_same_bits(record.undisturbed, record.folder, made)
    assert (record.folder / RESULTS / "figures/figure5.pdf").stat().st_size > 1000
    assert not [path for path in (record.folder / RESULTS).rglob(".*.tmp")]


def test_interrupted_it_cancels_its_jobs(record: Record) -> None:
    assert [job["JobState"] for job in record.of("", "first")] == ["CANCELLED"]


def test_jobs_of_a_killed_snakemake_are_seen_before_anything_is_unlocked(record: Record) -> None:
    assert "these are still at work" in record.said["refused"]
    assert re.search(r"SLURM job \d+, train_wildcards_plain, RUNNING", record.said["refused"])
    assert "nobody is at work, so it is removed" in record.said["third"]


def test_two_at_once_are_refused(record: Record) -> None:
    assert "another `landscape run` is at work" in record.said["twice"]
    assert "SLURM run ID" not in record.said["twice"]


def test_what_a_killed_snakemakes_job_had_done_is_not_done_again(record: Record) -> None:
    assert {f"{RESULTS}/runs/plain/{name}" for name in ("weights.safetensors", "history.nc")} <= record.before.keys()
    after = whole_files(record.folder)
    assert {path: after[path] for path in record.before} == record.before
    assert not record.of("train_wildcards_plain")
    assert epochs_in(record.folder / RESULTS / "logs/train/plain.log") == list(range(7))


def test_killed_for_memory_it_is_run_with_more(record: Record) -> None:
    first, second = record.of("train_wildcards_large")
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert f"mem={MEMORY}M" in first["TRES"] and f"mem={MEMORY * 3 // 2}M" in second["TRES"]


def test_a_training_that_meets_its_time_limit_goes_on(record: Record) -> None:
    first, second = record.of("train_wildcards_slow")
    assert (first["JobState"], second["JobState"]) == ("TIMEOUT", "COMPLETED")
    log = record.folder / RESULTS / "logs/train/slow.log"
    assert "goes on after epoch 1 of 3" in log.read_text() and epochs_in(log) == [2, 3]


def test_a_killed_tile_is_made_by_another_job(record: Record) -> None:
    tiles = record.of("tile")
    assert sorted(job["JobState"] for job in tiles) == ["COMPLETED", "COMPLETED", "FAILED"]
    failed = next(job for job in tiles if job["JobState"] == "FAILED")
    assert [job["TimeLimit"] for job in tiles if job["Comment"] == failed["Comment"]] == ["01:00:00", "02:00:00"]


def test_a_training_in_parts_is_a_chain_of_jobs(record: Record) -> None:
    part, train = record.of("part", "fourth") + record.of("train", "fourth")
    assert part["JobState"] == train["JobState"] == "COMPLETED" and part["EndTime"] <= train["StartTime"]
    assert (part["Partition"], part["TresPerJob"]) == ("gpu", "gres:gpu:1")
    logs = record.parted / RESULTS / "logs"
    assert epochs_in(logs / "part/plain/1left.log") == [0, 1, 2, 3] and epochs_in(logs / "train/plain.log") == [4, 5, 6]
    assert not list((record.parted / RESULTS).rglob("*left.json"))


def test_two_tiles_in_one_job_ask_for_the_resources_of_one(record: Record) -> None:
    (both,) = (job for job in record.of("", "fourth") if "tile" in job["Comment"])
    assert (both["JobState"], both["TimeLimit"]) == ("COMPLETED", "02:00:00"), "the times of the two are added up"
    assert both["TresPerJob"] == "gres:gpu:1" and f"cpu=1,mem={MEMORY}M" in both["TRES"]


def test_in_parts_and_groups_the_bits_are_the_same(record: Record) -> None:
    names = [f"runs/plain/{name}" for name in ("weights.safetensors", "history.nc", "epochs.safetensors")]
    names += [f"surfaces/plain/contour{tile}.nc" for tile in ("", "/1of2", "/2of2")]
    assert_same_bits(record.undisturbed, record.parted, [f"{RESULTS}/{name}" for name in names])


def test_the_profile_speaks_of_rules_there_are_and_every_queued_rule_says_its_memory() -> None:
    text = "".join(path.read_text() for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")))
    rules = dict(re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", text, flags=re.M))
    queued = {name for name, body in rules.items() if "localrule: True" not in body}
    profile = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())
    assert profile["set-resources"].keys() == queued - {"mark"}
    assert rules.keys() - queued == {*LOCAL}, "of which `landscape plan` knows that a cluster sees nothing"
    assert {name for name in queued if "mem_mb=grown(" not in rules[name]} == set()
    assert yaml.safe_load((REPOSITORY / "profiles/slurm/partitions.yaml").read_text()) == {"partitions": {}}
