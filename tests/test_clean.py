"""What no entry of the configuration makes goes; what it makes, may make, or nobody knows stays."""

import fcntl
import itertools
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from landscape import artefacts, cli
from landscape.errors import InputError
from landscape.experiment import jobs, needs, reading, specs
from landscape.experiment.schema import Experiment
from landscape.running import clean

from every_kind import CONFIG


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which files of every kind were made, with the logs the workflow writes beside."""
    shutil.copytree(made, tmp_path / "folder")
    monkeypatch.chdir(tmp_path / "folder")
    for name in (
        "logs/train/twin",
        "logs/merge/tiny/contour",
        "logs/tile/tiny/contour/1of2",
        "benchmarks/tile/tiny/contour/2of2",
    ):
        path = Path("out", name + (".log" if name.startswith("logs") else ".tsv"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("said\n")
    for name in ("out/summary.md", "out/config.yaml", "out/claims.md"):
        Path(name).write_text("x")
    return tmp_path / "folder"


def changed(**sections: Any) -> None:
    """Write the configuration with entries changed, or taken out (None)."""
    content = yaml.safe_load(CONFIG)
    for section, entries in sections.items():
        for name, entry in entries.items():
            if entry is None:
                del content[section][name]
            else:
                content[section][name] = {**content[section][name], **entry}
    Path("config.yaml").write_text(yaml.safe_dump(content))


def listed() -> set[str]:
    return {path.relative_to("out").as_posix() for path in clean.found(reading.read("config.yaml")).goes}


def there() -> set[str]:
    return {path.as_posix() for path in Path().rglob("*") if path.is_file() or path.is_symlink()}


def test_nothing_goes_that_the_configuration_makes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = there()
    assert cli.main(["clean", "config.yaml", "--remove"]) == 0
    assert "0 files, 0 B removed" in capsys.readouterr().out
    assert there() - {".snakemake/landscape.lock"} == before


def test_a_pair_that_no_figure_shows_stays(folder: Path) -> None:
    """The planes path and towards, the probe and the mark are in no figure, and neither is the plane without one."""
    changed(figures={"figure5": None})
    assert listed() == {f"figures/figure5.{kind}" for kind in ("pdf", "png", "csv", "rst")}


def test_a_run_that_is_no_more_goes_with_all_that_was_made_of_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(runs={"twin": None}, planes={"towards": None})
    work = {path.relative_to("out").as_posix() for path in Path("out/runs/twin/.work").rglob("*") if path.is_file()}
    run = {f"runs/twin/{name}" for name in ("weights.safetensors", "history.nc", "epochs.safetensors", ".lock")}
    assert listed() == {*work, *run, "marks/tiny/contour/twin.nc", "logs/train/twin.log"} and len(work) == 3
    before = there()
    goes = listed()
    capsys.readouterr()
    assert cli.main(["clean", "config.yaml"]) == 0
    said = capsys.readouterr().out
    assert there() == before and all(f"no entry makes: out/{name} (" in said for name in goes)
    assert "to remove them, add --remove" in said
    assert cli.main(["clean", "config.yaml", "--remove"]) == 0
    assert before - there() == {f"out/{name}" for name in goes}
    assert (
        not Path("out/runs/twin").exists() and not Path("out/marks").exists() and Path("out/runs/tiny/.work").is_dir()
    )
    assert cli.main(["clean", "config.yaml", "--remove"]) == 0
    assert "0 files" in capsys.readouterr().out


def test_tiles_of_another_cut_go_and_their_surface_stays(folder: Path) -> None:
    changed(planes={"contour": {"tiles": 3}})
    tiles = {f"surfaces/tiny/contour/{i}of2.nc" for i in (1, 2)}
    assert listed() == {*tiles, "logs/tile/tiny/contour/1of2.log", "benchmarks/tile/tiny/contour/2of2.tsv"}


def test_a_plane_that_became_impossible_goes(folder: Path) -> None:
    changed(runs={"tiny": {"keep": "none"}})
    assert listed() == {"directions/tiny/path.safetensors", "trajectories/tiny/path.nc"}


def test_sizes_are_those_on_the_disk_once_for_two_names(folder: Path) -> None:
    changed(runs={"twin": None}, planes={"towards": None})
    weights = Path("out/runs/twin/weights.safetensors")
    second = next(Path("out/runs/twin/.work").rglob("weights.safetensors"))
    found = clean.found(reading.read("config.yaml"))
    assert found.size == sum(found.goes.values())  # copied, each is a file of its own
    second.unlink()
    os.link(weights, second)
    again = clean.found(reading.read("config.yaml"))
    assert again.goes == found.goes and again.size == found.size - weights.stat().st_size


def test_what_is_not_known_stays_and_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files in places and under names of ours that are not ours, folders of another experiment, links to elsewhere."""
    changed(runs={"twin": None}, planes={"towards": None}, figures={"figure5": None})
    elsewhere = folder.parent / "elsewhere"
    shutil.copytree("out/runs/twin", elsewhere / "twin")
    for name in (
        "notes.txt",
        "mine/notes.txt",
        "mine/deep/more.txt",
        "figures/mine.png",
        "runs/theirs/weights.safetensors",
        "surfaces/theirs/contour.nc",
        "runs/theirs/.work/thesis.tex",
        "data/sub/x.safetensors",
        "surfaces/tiny/contour/01of2.nc",
        "runs/a b/history.nc",
    ):
        Path("out", name).parent.mkdir(parents=True, exist_ok=True)
        Path("out", name).write_text("mine")
    shutil.copy("out/data/digits.safetensors", "out/directions/tiny/gone.safetensors")
    Path("out/runs/linked").symlink_to(elsewhere / "twin")
    Path("out/runs/link.lock").symlink_to(elsewhere / "twin/.lock")
    Path("out/surfaces/gone").mkdir()
    Path("out/surfaces/gone/contour.nc").symlink_to(elsewhere / "twin/history.nc")
    before, outside = there(), set(elsewhere.rglob("*"))
    assert cli.main(["clean", "config.yaml", "--remove"]) == 0
    said = capsys.readouterr().out
    gone = {path.removeprefix("out/") for path in before - there()}
    assert (
        gone == {name for name in gone if "twin" in name or "figure5" in name} and set(elsewhere.rglob("*")) == outside
    )
    assert "kept, because it is not known: out/mine (2 files, 8 B)" in said
    assert "out/runs/linked (a link, or no file; 1 files" in said and "out/surfaces/gone (1 files" in said
    assert "out/figures/mine.png (a figure of landscape has .pdf, .csv, .rst beside it;" in said
    assert "out/directions/tiny/gone.safetensors (it is no directions;" in said
    for name in ("out/notes.txt", "out/runs/theirs", "out/surfaces/theirs", "out/data/sub", "out/runs/a b"):
        assert f"not known: {name} (" in said


def test_every_file_the_workflow_may_be_asked_for_is_known_and_stays(folder: Path) -> None:
    """Made up from the functions by which the rules name their files, for every possible pair."""
    experiment = reading.read("config.yaml")
    states = ["tiny", "twin", "tiny@000", "tiny@001", "tiny@002"]
    asked: list[str] = [jobs.data_file(experiment, "tiny")]
    for at, plane in itertools.product(states, experiment.planes):
        with_reason = _possible(lambda at=at, plane=plane: specs.of_surface(experiment, at, plane))
        wanted = [*jobs.tile_files(experiment, at, plane), *needs.surface_files(experiment, [(at, plane)])]
        wanted.append(jobs.directions_file(experiment, at, plane))
        _assert_all(experiment, wanted, with_reason)
        asked += wanted if with_reason else []
    for at in states:
        asked += [
            jobs.weights_file(experiment, at),
            jobs.epochs_file(experiment, at),
            jobs.history_file(experiment, at),
        ]
        asked += [*artefacts.outputs("out", "probe", state=at, probe="pairs").values()]
    _assert_all(experiment, asked, True)
    assert len(asked) > 40


def _assert_all(experiment: Experiment, paths: Iterable[str], wanted: bool) -> None:
    for path in paths:
        assert clean._wanted(experiment, path.removeprefix("out/")) is wanted, path


def _possible(question: Any) -> bool:
    try:
        return bool(question())
    except InputError:
        return False


def test_nothing_is_removed_while_somebody_is_at_work(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(runs={"twin": None}, planes={"towards": None})
    before = there() | {".snakemake/landscape.lock"}
    Path(".snakemake").mkdir()
    for lock, problem in (
        (".snakemake/landscape.lock", "is at work"),
        ("out/runs/twin/.lock", "twin is being trained"),
    ):
        with open(lock, "a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert cli.main(["clean", "config.yaml", "--remove"]) == 1
            assert problem in capsys.readouterr().err
            assert there() == before
