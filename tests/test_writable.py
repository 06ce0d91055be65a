"""Results that cannot be written are one line, before any job."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from landscape import cli
from landscape.errors import InputError
from landscape.experiment import reading, writable

from running import snakemake, written

CONTENT: dict[str, Any] = {
    "data": {"d": {"source": "digits"}},
    "runs": {"a": {"network": "resnet20", "data": "d", "epochs": 2, "keep": "all"}},
    "planes": {"p": {"alpha": [-1, 1, 3], "beta": [-1, 1, 3]}},
    "probes": {"q": {"measure": "trace"}},
    "figures": {"f": {"draw": "contours", "runs": ["a"], "plane": "p"}},
    "tables": {"t": {"runs": ["a"]}},
}


def file(name: str) -> Callable[[], None]:
    def make() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x")

    return make


def folder(name: str) -> Callable[[], None]:
    return lambda: Path(name).mkdir(parents=True)


def link(name: str, to: str) -> Callable[[], None]:
    def make() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(to, name)

    return make


def both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def make() -> None:
        first()
        second()

    return make


NOTHING: Callable[[], None] = lambda: None  # noqa: E731
OBSTACLES: dict[str, tuple[str, Callable[[], None], str]] = {
    "a file": ("results", file("results"), "results is 'results', which is no folder; remove it, or move it away"),
    "a file above": ("a/b/c", file("a"), "results is 'a/b/c', and a is no folder"),
    "a link to nothing": ("results", link("results", "nowhere"), "results is 'results', which is a link to nothing"),
    "a link to a file": ("results", both(file("x"), link("results", "x")), "which is no folder"),
    "a link to itself": ("results", link("results", "results"), "which is a link to nothing"),
    "a device": ("/dev/null/x", NOTHING, "results is '/dev/null/x', and /dev/null is no folder"),
    "a folder of the kernel": ("/proc/x", NOTHING, "results is '/proc/x', and nothing can be written in /proc"),
    "another one": ("/sys/x/y", NOTHING, "results is '/sys/x/y', and nothing can be written in /sys"),
    "figures": ("results", file("results/figures"), "results/figures is no folder, and results have to lie there"),
    "runs": ("results", file("results/runs"), "results/runs is no folder"),
    "a run": ("results", file("results/runs/a"), "results/runs/a is no folder"),
    "logs": ("results", file("results/logs"), "results/logs is no folder"),
    "logs of a rule": ("results", file("results/logs/train"), "results/logs/train is no folder"),
    "benchmarks": ("results", file("results/benchmarks"), "results/benchmarks is no folder"),
    "surfaces of a state": ("results", file("results/surfaces/a@001"), "results/surfaces/a@001 is no folder"),
    "tiles of a plane": ("results", file("results/surfaces/a/p"), "results/surfaces/a/p is no folder"),
    "marks": ("results", link("results/marks", "nowhere"), "results/marks is no folder"),
    "a folder for a figure": ("results", folder("results/figures/f.pdf"), "results/figures/f.pdf is a folder, and a"),
    "a folder for weights": (
        "x",
        folder("x/runs/a/weights.safetensors"),
        "weights.safetensors is a folder, and a result",
    ),
    "a folder for the summary": ("results", folder("results/summary.md"), "results/summary.md is a folder"),
    "a folder for a surface": ("results", folder("results/surfaces/a@002/p.nc"), "surfaces/a@002/p.nc is a folder"),
    "Snakemake's folder": ("results", file(".snakemake"), "Snakemake's folder is '.snakemake', which is no folder"),
    "ours in it": (
        "results",
        file(".snakemake/landscape"),
        "Snakemake's folder is '.snakemake/landscape', which is no",
    ),
    "its logs": ("results", file(".snakemake/log"), "Snakemake's folder is '.snakemake/log', which is no folder"),
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_an_obstacle_is_one_line(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results, make, problem = OBSTACLES[what]
    make()
    before = sorted(map(str, Path().rglob("*")))
    with pytest.raises(InputError) as refused:
        writable.check(reading.resolve({**CONTENT, "results": results}))
    (said,) = refused.value.problems
    assert problem in said and "\n" not in said
    assert sorted(map(str, Path().rglob("*"))) == before


FINE: dict[str, Callable[[], None]] = {
    "nothing": NOTHING,
    "an empty folder": folder("results"),
    "a link to a folder": both(folder("x"), link("results", "x")),
    "a folder that somebody else uses": file("results/notes/today.txt"),
    "a file that is in nobody's way": file("results/runs/notes.txt"),
    "a run of another configuration": file("results/runs/b"),
    "a plane of another configuration": folder("results/surfaces/a/other.nc"),
    "results": file("results/runs/a/weights.safetensors"),
    "a training at work": file("results/runs/a/.work/state.pt"),
}


@pytest.mark.parametrize("what", FINE)
def test_what_is_in_nobodys_way_is_no_obstacle(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FINE[what]()
    before = sorted(map(str, Path().rglob("*")))
    writable.check(reading.resolve(CONTENT))
    assert sorted(map(str, Path().rglob("*"))) == before


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT])
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_nobody_may_write_to_is_one_line(
    code: int, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a read-only file system, or without permission, which root, who runs tests, always has."""
    monkeypatch.chdir(tmp_path)
    parent = Path("out/results" if there else "out")
    parent.mkdir(parents=True)

    def refuse(dir: Path) -> Any:
        if Path(dir) == parent:
            raise OSError(code, os.strerror(code))
        return open(os.devnull)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(InputError) as refused:
        writable.check(reading.resolve({**CONTENT, "results": "out/results"}))
    assert refused.value.problems == [
        f"results is 'out/results', and nothing can be written in {parent}: {os.strerror(code)}"
    ]


def test_a_folder_of_results_without_permission_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results/figures").mkdir(parents=True)
    Path("results/others").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="^nothing can be written in results/figures: its permissions forbid it$"):
        writable.check(reading.resolve(CONTENT))


@pytest.mark.parametrize("what", ["a file", "figures", "a run"])
def test_check_run_and_snakemake_say_so_before_any_job(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _, make, problem = OBSTACLES[what]
    make()
    config = written(CONTENT, tmp_path)
    for verb in ("check", "run"):
        assert cli.main([verb, "config.yaml"]) == 2
        said = capsys.readouterr().err
        assert said.count("error: ") == 1 and problem in said
    if what == "figures":  # once is enough, since it takes seconds
        said = snakemake(config, folder=tmp_path, expect=1)
        assert problem in said and "Traceback" not in said and not Path("results/runs").exists()


def test_folders_without_results_are_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("photos/train/cat", ".git/objects", "runs/a/.work", "runs/other/x", "runs/a"):
        Path("results", place).mkdir(parents=True, exist_ok=True)
    seen: list[str] = []
    walk = os.walk

    def noted(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
        for parent, inner, names in walk(top):
            seen.append(parent)
            yield parent, inner, names

    monkeypatch.setattr(os, "walk", noted)
    writable.check(reading.resolve({**CONTENT, "results": "results"}))
    assert seen == ["results", "results/runs", "results/runs/a"]
