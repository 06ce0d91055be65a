"""The workflow through a real SLURM, and what goes wrong there: it ends as if nothing had."""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from landscape import artefacts
from landscape.artefacts import Job
from landscape.experiment import reading
from landscape.running.plan.graph import Graph
from landscape.running.plan.submissions import submissions
from landscape.store import files

import running
import slurm
from running import REPOSITORY, assert_same_bits, landscape, once, whole_files, written
from slurm.disturbing import GPUS, OF_TESTS, PROFILE, RESULTS, Record, recorded, trouble
from test_kill import epochs_in

REQUIRED = os.environ.get("LANDSCAPE_SLURM") == "required"


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The experiment through a SLURM, troubled in every way; made once."""

    def make(folder: Path) -> None:
        try:
            with at_work() as node:
                trouble(node, folder)
        except slurm.Unavailable as unavailable:
            (folder / "unavailable").write_text(str(unavailable))

    place = once(tmp_path_factory, "slurm", make)
    if (place / "unavailable").exists():
        without((place / "unavailable").read_text())
    return recorded(place)


@contextlib.contextmanager
def at_work() -> Iterator[slurm.Node]:
    """A SLURM that Snakemake uses."""
    if REQUIRED:
        slurm.install()
    with slurm.one_node(cpus=4, memory=16000, gpus=GPUS) as node, pytest.MonkeyPatch.context() as patched:
        patched.setenv("SLURM_CONF", str(node.configuration))
        patched.setenv("PYTHONPATH", str(REPOSITORY / "tests/slurm/eager"), prepend=os.pathsep)
        patched.setattr(running, "PATH", f"{node.programs}:{running.PATH}")
        yield node


def without(why: str) -> None:
    problem = f"no SLURM here, which LANDSCAPE_SLURM=required would not accept: {why}"
    pytest.fail(why) if REQUIRED else pytest.skip(problem)


MEMORY = 1500
GRAPH = 2048
"""Of a point, in a search for eigenvalues, whose vectors are small here."""
NUMBERS = 1000
ASKED = {
    "train_wildcards_troubled": ("gpu", MEMORY, None),  # its time was cut short
    "directions-plain": ("cpu", MEMORY, "00:10:00"),  # of two planes
    "tiles-plain-1of2": ("gpu", MEMORY, "01:00:00"),
    "tiles-plain-2of2": ("gpu", MEMORY, "01:00:00"),
    "tiles-plain-1of1": ("gpu", MEMORY + GRAPH, "01:00:00"),  # the curvature map
    "merges-plain": ("cpu", NUMBERS, "00:04:00"),  # of two surfaces
    "probe": ("gpu", MEMORY + GRAPH, "02:00:00"),
    "figure-figure5": ("cpu", NUMBERS, "00:10:00"),
    "figure-figure7": ("cpu", NUMBERS, "00:10:00"),
}
"""Of a job of each kind: partition, megabytes, time."""


@pytest.mark.parametrize("what", ASKED)
def test_every_job_asked_slurm_for_what_it_needs(record: Record, what: str) -> None:
    partition, memory, limit = ASKED[what]
    first = record.of(what)[0]
    assert first["Partition"] == partition
    assert first.get("TresPerJob") == ("gres:gpu:1" if partition == "gpu" else None)
    asked = re.search(r"mem=(\d+)M", first["TRES"])
    assert asked and 0 <= int(asked[1]) - memory < 10
    assert limit is None or first["TimeLimit"] == limit
    assert first["Requeue"] == "1"


def test_these_are_all_jobs_there_were(record: Record) -> None:
    said = {job["Comment"].removeprefix("rule_") for job in record.of("")}
    assert {next((what for what in ASKED if comment.startswith(what)), comment) for comment in said} == set(ASKED)


def test_it_ends_with_the_bits_of_the_undisturbed(record: Record) -> None:
    whole = whole_files(record.undisturbed)
    assert whole_files(record.folder).keys() | whole_files(record.parted).keys() == whole.keys()
    for folder in (record.folder, record.parted):
        assert_same_bits(record.undisturbed, folder, whole_files(folder))
        assert not [path for path in (folder / RESULTS).rglob(".*.tmp")]
    assert (record.folder / RESULTS / "figures/figure5.pdf").stat().st_size > 1000


def test_interrupted_it_cancels_its_jobs(record: Record) -> None:
    assert [job["JobState"] for job in record.of("", "first")] == ["CANCELLED"]


def test_a_preempted_training_is_queued_again_and_goes_on(record: Record) -> None:
    """The same job, begun again after its first epoch; interrupted after the second it goes on in another."""
    (preempted,) = record.of("part_wildcards_troubled", "first")
    assert (preempted["Restarts"], preempted["Requeue"]) == ("1", "1")
    (job,) = record.of("part_wildcards_troubled", "fourth")
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "0")
    log = record.parted / RESULTS / "logs/part/troubled/1left.log"
    assert "goes on after epoch 2 of 5" in log.read_text() and epochs_in(log) == [3]


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


def test_killed_for_memory_it_is_run_with_more_and_after_its_time_limit_it_goes_on(record: Record) -> None:
    attempts = record.of("train_wildcards_troubled")
    assert [job["JobState"] for job in attempts] == ["FAILED", "TIMEOUT", "COMPLETED"]
    for job, memory in zip(attempts, (MEMORY, MEMORY * 3 // 2, MEMORY * 2), strict=True):
        assert f"mem={memory}M" in job["TRES"]
    log = record.folder / RESULTS / "logs/train/troubled.log"
    assert "goes on after epoch 1 of 5" in log.read_text() and epochs_in(log) == [2, 3, 4, 5]


def test_a_killed_tile_and_one_without_room_are_made_by_other_jobs(record: Record) -> None:
    for i in (1, 2):
        tiles = record.of(f"tiles-plain-{i}of2")
        assert [job["JobState"] for job in tiles] == ["FAILED", "COMPLETED"]
        assert [job["TimeLimit"] for job in tiles] == ["01:00:00", "02:00:00"]


def test_a_full_disk_is_said_and_nothing_half_written_stays(record: Record) -> None:
    assert "error: cannot write" in record.said["full"] and "No space left" in record.said["full"]
    assert "Nothing made before is lost; make room and run again." in record.said["full"]
    assert record.without_room == []


def test_a_training_in_parts_is_a_chain_of_jobs(record: Record) -> None:
    part, train = record.of("part", "fourth") + record.of("train", "fourth")
    assert part["JobState"] == train["JobState"] == "COMPLETED" and part["EndTime"] <= train["StartTime"]
    assert (part["Partition"], part["TresPerJob"]) == ("gpu", "gres:gpu:1")
    assert epochs_in(record.parted / RESULTS / "logs/train/troubled.log") == [4, 5]
    assert not list((record.parted / RESULTS).rglob("*left.json"))


def test_two_tiles_in_one_job_ask_for_the_resources_of_one(record: Record) -> None:
    (both,) = record.of("tiles", "fourth")
    assert (both["JobState"], both["TimeLimit"]) == ("COMPLETED", "02:00:00"), "the times of the two are added up"
    assert both["TresPerJob"] == "gres:gpu:1" and f"cpu=1,mem={MEMORY}M" in both["TRES"]
    (drawn,) = record.of("directions", "fourth")
    assert (drawn["JobState"], drawn["TimeLimit"]) == ("COMPLETED", "00:10:00")


NET = "from torch import nn\n\nimport parts\n\n\ndef net(num_classes):\n    return nn.Sequential(nn.Flatten(), parts.last())\n"
PARTS = "from torch import nn\n\n\ndef last():\n    return nn.Linear(64, 10)\n"


def test_an_older_file_is_noticed_and_later_times_are_not(tmp_path: Path) -> None:
    """Weights that a job of SLURM adopts, and a module that their network's file imports."""
    content = {
        "data": {"digits": {"source": "digits"}},
        "runs": {"mine": {"network": "net.py:net", "data": "digits", "weights": "model.pt"}},
    }
    written(content, tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "parts.py").write_text(PARTS)
    for name in ("model.pt", "best.pt"):
        torch.save(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).state_dict(), tmp_path / name)
        os.utime(tmp_path / name, (1e9, 1e9))
    adopted = f"{RESULTS}/runs/mine/weights.safetensors"
    options = ("run", "config.yaml", adopted, "--profile", "slurm", *OF_TESTS)

    def redone() -> set[str]:
        return set(running.jobs(landscape(*options, "-n", folder=tmp_path)))

    try:
        with at_work() as node:
            landscape(*options, folder=tmp_path)
            for name in ("model.pt", "net.py", "parts.py"):
                os.utime(tmp_path / name)
            assert redone() == set()
            os.replace(tmp_path / "best.pt", tmp_path / "model.pt")
            assert redone() == {"adopt"}
            landscape(*options, folder=tmp_path)
            assert redone() == set()
            (tmp_path / "parts.py").write_text(f"{PARTS}\n\nlater = 1\n")
            assert redone() == {"adopt"}
            assert [job["Comment"].partition("_wildcards")[0] for job in node.jobs()] == ["rule_adopt"] * 2
    except slurm.Unavailable as unavailable:
        without(str(unavailable))
    header = files.read_header(tmp_path / adopted)
    assert header["weights_hash"] == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()


def test_slurm_is_given_as_many_jobs_as_planned(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(record.parted)
    graph = Graph(reading.read("config.yaml"))
    tasks = graph.needed(Job("merge", ("troubled", plane)) for plane in ("line", "other"))
    profile = yaml.safe_load((record.parted / "slurm/config.yaml").read_text())
    assert submissions(tasks, profile) == len(record.of("", "fourth")) == 5


def test_the_profile_speaks_of_rules_there_are_and_every_queued_rule_says_its_memory() -> None:
    text = "".join(path.read_text() for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")))
    rules = dict(re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", text, flags=re.M))
    queued = {name for name, body in rules.items() if "localrule: True" not in body}
    profile = yaml.safe_load((PROFILE / "config.yaml").read_text())
    assert rules.keys() - queued == {artefact.rule for artefact in artefacts.TABLE if artefact.local}, (
        "of which `landscape plan` knows that a cluster sees nothing"
    )
    queued |= {"merge", "figure"}  # where the profile's comment is followed
    assert profile["set-resources"].keys() == queued - {"mark"}
    assert {name for name in queued if "mem_mb=grown(" not in rules[name]} == set()
    assert yaml.safe_load((PROFILE / "partitions.yaml").read_text()) == {"partitions": {}}
