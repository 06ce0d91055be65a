"""The workflow from the outside: what is made, what is remade, what is refused."""

import fcntl
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from torch import nn

from landscape import cli
from landscape.data import datasets
from landscape.errors import InputError
from landscape.experiment import jobs as asked
from landscape.experiment import needs, reading, specs
from landscape.networks import building
from landscape.store import checkpoint, files

from running import REPOSITORY, SMOKE, begun, copied, jobs, landscape, run, snakemake, wait_until, written

RESULTS = "results/smoke"


def changed(finished: Path, to: Path, change: Any) -> dict[str, set[str]]:
    """The jobs that a change of the configuration brings to a folder where everything was made."""
    folder = copied(finished, to / "folder")
    content = yaml.safe_load(SMOKE.read_text())
    change(content)
    return jobs(snakemake(written(content, folder), "-n", folder=folder))


def verb(*words: object, expect: int = 0) -> None:
    """A verb, in this process: to import torch anew takes longer than the verb."""
    assert cli.main([str(word) for word in words]) == expect


def test_everything_named_is_made(finished: Path) -> None:
    made = {str(path.relative_to(finished / RESULTS)) for path in (finished / RESULTS).rglob("*") if path.is_file()}
    figures = reading.read(SMOKE).figures
    for figure in figures:
        assert {f"figures/{figure}.{kind}" for kind in ("pdf", "png", "csv", "rst")} <= made
    assert {"summary.csv", "summary.md", "summary.html", "config.yaml", "surfaces/small/contour/2of3.nc"} <= made
    assert {
        "surfaces/small/contour.nc",
        "runs/small/epochs.safetensors",
        "directions/small@000/same.safetensors",
    } <= made
    assert not [path for path in made if path.endswith(".tmp")]


def test_again_there_is_nothing_to_do(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "folder")
    assert "Nothing to be done" in landscape("run", "config.yaml", folder=folder)


def test_stating_a_default_redoes_nothing(finished: Path, tmp_path: Path) -> None:
    def change(content: Any) -> None:
        content["runs"]["small"] |= {"momentum": 0.9, "seed": 0, "clip": None, "milestones": [2]}
        content["planes"]["contour"] |= {"normalize": "filter", "batchnorm": "stored"}
        content["figures"]["figure5"] |= {"levels": "log"}

    assert changed(finished, tmp_path, change) == {}


def test_a_new_run_adds_its_own_jobs_and_no_other(finished: Path, tmp_path: Path) -> None:
    def change(content: Any) -> None:
        content["runs"]["new"] = {
            "network": "vgg",
            "args": {"features": [8, "M"], "hidden": 8},
            "data": "digits",
            "epochs": 1,
        }
        for entry in (*content["figures"].values(), *content["tables"].values()):
            if entry.get("runs") == ["*"]:
                entry["runs"] = ["small", "noshort", "other"]
        content["summary"]["runs"].append("new")

    made = changed(finished, tmp_path, change)
    assert made.pop("train") == {
        f"{RESULTS}/runs/new/{name}" for name in ("weights.safetensors", "history.nc", "epochs.safetensors")
    }
    assert made.pop("directions") == {f"{RESULTS}/directions/new/contour.safetensors"}  # of the summary
    assert made.pop("tile") == {f"{RESULTS}/surfaces/new/contour/{i}of3.nc" for i in (1, 2, 3)}
    assert made.pop("merge") == {f"{RESULTS}/surfaces/new/contour.nc"}
    assert made.keys() == {"summary", "claims", "configuration"}


def test_a_new_run_redraws_what_names_it_by_a_pattern(finished: Path, tmp_path: Path) -> None:
    def change(content: Any) -> None:
        content["runs"]["new"] = {"network": "resnet", "args": {"depth": 14}, "data": "digits", "epochs": 1}

    assert f"{RESULTS}/figures/training.pdf" in changed(finished, tmp_path, change)["figure"]


def test_a_changed_level_redraws_one_figure_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    def change(content: Any) -> None:
        content["figures"]["figure5"]["levels"] = "paper"

    made = changed(finished, tmp_path, change)
    assert made.pop("figure") == {f"{RESULTS}/figures/figure5.{kind}" for kind in ("pdf", "png", "csv", "rst")}
    assert made.keys() == {"configuration"}


def test_a_changed_learning_rate_redoes_that_run_and_what_hangs_on_it(finished: Path, tmp_path: Path) -> None:
    def change(content: Any) -> None:
        content["runs"]["noshort"]["learning_rate"] = 0.01

    made = changed(finished, tmp_path, change)
    assert all("/noshort/" in path for rule in ("train", "directions", "tile", "merge") for path in made[rule])
    assert {path for path in made["figure"] if path.endswith(".pdf")} == {
        f"{RESULTS}/figures/{name}.pdf"
        for name in ("figure1", "figure3", "figure5", "training", "profiles", "bundles", "rings", "sharpness")
    }
    assert {"summary", "claims", "table"} <= made.keys() and "dataset" not in made


def test_another_normalisation_of_the_data_trains_every_run_anew(finished: Path, tmp_path: Path) -> None:
    def change(content: Any) -> None:
        content["data"]["digits"] |= {"mean": [0.3], "std": [0.3]}

    made = changed(finished, tmp_path, change)
    assert {Path(path).parent.name for path in made["train"]} == {"small", "noshort", "other"}
    assert {"dataset", "directions", "tile", "merge", "figure", "summary", "configuration"} <= made.keys()
    folder = tmp_path / "folder"
    target = f"{RESULTS}/runs/other/weights.safetensors"
    before, _ = checkpoint.read(finished / target)
    snakemake(folder / "config.yaml", target, folder=folder)
    after, _ = checkpoint.read(folder / target)
    assert before.keys() == after.keys()
    assert not any(torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))
    whole, still = (
        datasets.read(place / RESULTS / "data/digits.safetensors").train.inputs for place in (folder, finished)
    )
    assert not torch.allclose(whole, still)


def test_what_a_changed_configuration_will_remake_is_said_before_any_job(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "folder")
    target = f"{RESULTS}/figures/figure5.pdf"
    content = yaml.safe_load(SMOKE.read_text())
    content["figures"]["figure1"]["variable"] = "test_loss"  # which is not asked for

    content["figures"]["figure5"]["levels"] = "paper"
    written(content, folder)
    for between in (True, False):
        said, _, _ = landscape("run", "config.yaml", target, folder=folder).partition("Building DAG of jobs")
        assert (
            "to be remade, with everything made from them, because their configuration, or a file of yours, changed"
            in said
        )
        assert target in said and "figure1" not in said
        if between:
            snakemake(SMOKE, target, folder=folder)  # somebody else, for other levels


def test_every_possible_pair_is_a_target(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "folder")
    pairs = [
        f"{RESULTS}/surfaces/{state}/{plane}.nc" for state in ("other", "small@002") for plane in ("layer", "same")
    ]
    pairs.append(f"{RESULTS}/surfaces/small@002/line.nc")
    assert set(pairs) <= jobs(snakemake(SMOKE, "-n", *pairs, folder=folder))["merge"]


@pytest.mark.parametrize(
    ("question", "target", "reason"),
    [
        (specs.of_surface, ("other", "towards"), "a line from other to itself has no direction"),
        (specs.of_surface, ("noshort", "towards"), "needs two states of one architecture"),
        (asked.tile_files, ("nobody", "line"), "there is no run 'nobody'; the runs are small, noshort, other"),
        (asked.tile_files, ("small", "nowhere"), "there is no plane 'nowhere'; the planes are contour, line"),
        (asked.tile_files, ("noshort@001", "line"), "has keep: none of 3 epochs"),
        (needs.results_of_figure, ("figure99",), "there is no figure 'figure99'; the figures are gradients"),
        (asked.data_file, ("nobody",), "there is no run 'nobody'"),
    ],
)
def test_an_impossible_target_has_a_reason(question: Any, target: tuple[str, ...], reason: str) -> None:
    """Put as a rule puts it: to the experiment, with its wildcards."""
    experiment = reading.read(SMOKE)
    with pytest.raises(InputError) as refused:
        question(experiment, *target)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("surfaces/noshort/towards.nc", "needs two states of one architecture"),
        ("figures/figure99.pdf", "there is no figure 'figure99'; the figures are gradients"),
    ],
)
def test_an_impossible_target_is_an_error_with_its_reason(target: str, reason: str, finished: Path) -> None:
    said = snakemake(SMOKE, "-n", f"{RESULTS}/{target}", folder=finished, expect=1)
    assert reason in said
    assert "Traceback (most recent call last)" not in said


def test_a_wrong_configuration_is_refused_whole_and_nothing_is_lost(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "folder")
    before = {path: path.stat().st_mtime_ns for path in (folder / RESULTS).rglob("*")}
    content = yaml.safe_load(SMOKE.read_text())
    content["runs"]["small"]["network"] = "resnett"
    content["planes"]["line"]["alpha"] = [1, -1, 5]
    content["figures"]["figure5"]["runs"] = ["smal"]
    written(content, folder)
    for said in (
        landscape("run", "config.yaml", folder=folder, expect=2),
        snakemake(folder / "config.yaml", folder=folder, expect=1),
    ):
        assert "runs.small.network is 'resnett', which is not built in; allowed are" in said
        assert "planes.line.alpha is [1, -1, 5]: first must be below last" in said
        assert "figures.figure5.runs[0] is 'smal'; the runs are small, noshort, other" in said
        assert "Traceback" not in said
    assert before == {path: path.stat().st_mtime_ns for path in (folder / RESULTS).rglob("*")}


def test_two_at_once_are_refused(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "folder")
    with open(folder / ".snakemake/landscape.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another `landscape run` is at work" in landscape("run", "config.yaml", folder=folder, expect=1)


def test_a_surface_says_what_it_is(finished: Path) -> None:
    surface = files.read_dataset(finished / RESULTS / "surfaces/small@000/same.nc")
    assert dict(surface.sizes) == {"alpha": 5, "beta": 5}
    attrs = surface.attrs
    assert (attrs["state"], attrs["run"], attrs["plane"], attrs["precision"]) == ("small@000", "small", "same", "fp32")
    assert json.loads(attrs["spec"])["directions"] == "of"
    assert json.loads(attrs["run_spec"])["network"] == "resnet"
    assert {"torch", "landscape", "numpy"} <= json.loads(attrs["versions"]).keys()
    assert attrs["train_examples"] == attrs["test_examples"] == 100
    assert all(isinstance(value, str | int | float | np.integer | np.floating) for value in attrs.values())


def test_the_centre_is_the_runs_recorded_loss(tmp_path: Path, finished: Path) -> None:
    """On all images, through files and the command line."""
    results = finished / RESULTS
    content = yaml.safe_load(SMOKE.read_text())
    planes = {"whole": {"alpha": [-1, 1, 3], "seed": 1}}
    path = written({"data": content["data"], "runs": content["runs"], "planes": planes}, tmp_path)
    history = files.read_dataset(results / "runs/small/history.nc")
    for state, file, epoch in (("small", "weights", 3), ("small@001", "epochs", 1)):
        weights = f"{results}/runs/small/{file}.safetensors" + ("" if file == "weights" else "@001")
        common = ("--spec", f"{path}#planes.whole", "--name", "whole", "--weights", weights)
        drawn, tile = tmp_path / f"{state}.safetensors", tmp_path / f"{state}.nc"
        verb("directions", *common, "--output", drawn)
        verb("tile", *common, "--directions", drawn, "--data", results / "data/digits.safetensors", "--output", tile)
        assert state in files.read_dataset(tile).attrs["title"]
        verb("merge", "--spec", f"{path}#planes.whole", "--tiles", tile, "--output", tmp_path / "whole.nc")
        centre = files.read_dataset(tmp_path / "whole.nc").sel(alpha=0, beta=0)
        for variable in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
            assert float(centre[variable]) == float(history[variable].sel(epoch=epoch)), (state, variable)


def test_a_point_on_file_is_the_network_moved_along_both_directions(finished: Path) -> None:
    """From the files of weights, directions and data alone, in float64, by the plain formula."""
    results = finished / RESULTS
    surface = files.read_dataset(results / "surfaces/noshort/contour.nc")
    theta, header = checkpoint.read(results / "runs/noshort/weights.safetensors")
    drawn, _ = checkpoint.read(results / "directions/noshort/contour.safetensors")
    split = datasets.subset(datasets.read(results / "data/digits.safetensors").train, 100)
    network = building.build("resnet", header["spec"]["args"], seed=0, images=(1, 8, 8), classes=10).double().eval()
    assert len({round(float(loss), 6) for loss in surface.train_loss.sel(alpha=0.5)}) == surface.sizes["beta"]
    for alpha, beta in ((0.25, -1.0), (-0.5, 1 / 3), (1.0, 1.0)):
        moved = {name: tensor.double() for name, tensor in theta.items()}
        for axis, step in (("alpha", alpha), ("beta", beta)):
            for key in (key for key in drawn if key.startswith(f"{axis}/")):
                moved[key.partition("/")[2]] = moved[key.partition("/")[2]] + step * drawn[key].double()
        network.load_state_dict(moved)
        with torch.no_grad():
            loss = nn.functional.cross_entropy(network(split.inputs.double()), split.targets).item()
        assert float(surface.train_loss.sel(alpha=alpha, beta=beta, method="nearest")) == pytest.approx(loss, rel=1e-5)


def test_a_tile_made_by_hand_is_the_workflows(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, spec = finished / RESULTS, f"{finished / 'config.yaml'}#planes.contour"
    common = ("--spec", spec, "--name", "contour", "--weights", results / "runs/small/weights.safetensors")
    drawn, made = tmp_path / "drawn.safetensors", tmp_path / "hand.nc"
    verb("directions", *common, "--output", drawn)
    inputs = ("--directions", drawn, "--data", results / "data/digits.safetensors")
    verb("tile", *common, *inputs, "--tile", 2, "--of", 3, "--output", made)
    flow = files.read_dataset(results / "surfaces/small/contour/2of3.nc")
    xr.testing.assert_equal(files.read_dataset(made), flow)
    tiles = [results / f"surfaces/small/contour/{i}of3.nc" for i in (1, 3)]
    merge = ("merge", "--spec", spec, "--output", tmp_path / "whole.nc", "--tiles")
    verb(*merge, *tiles, made)
    xr.testing.assert_equal(
        files.read_dataset(tmp_path / "whole.nc"), files.read_dataset(results / "surfaces/small/contour.nc")
    )
    verb(*merge, tiles[0], expect=2)
    assert "42 of 63 points are in no tile" in capsys.readouterr().err
    shutil.copy(results / "surfaces/small/line/1of1.nc", tmp_path / "odd.nc")
    verb(*merge, *tiles, tmp_path / "odd.nc", expect=2)
    assert "odd.nc has spec_hash" in capsys.readouterr().err


FULL_DISK = """
import resource, signal, sys
from landscape import cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))  # a write then meets EFBIG, an OSError as ENOSPC is
sys.exit(cli.main(sys.argv[1:]))
"""


def test_no_space_left_while_a_tile_is_written(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "folder")
    results = folder / RESULTS
    output = results / "surfaces/small/line/1of1.nc"
    before = output.read_bytes()
    inputs = {
        "weights": results / "runs/small/weights.safetensors",
        "directions": results / "directions/small/line.safetensors",
        "data": results / "data/digits.safetensors",
        "output": output,
    }
    options = [word for name, path in inputs.items() for word in (f"--{name}", path)]
    verb = ("tile", "--spec", "config.yaml#planes.line", "--name", "line", *options)
    said = run(sys.executable, "-c", FULL_DISK, *verb, folder=folder, expect=1)
    assert "error: cannot write" in said and "Nothing made before is lost; make room and run again." in said
    assert "Traceback" not in said
    assert output.read_bytes() == before and [path.name for path in output.parent.iterdir()] == ["1of1.nc"]


def test_an_interpolation_ends_at_the_other_run(finished: Path) -> None:
    line = files.read_dataset(finished / RESULTS / "surfaces/small/towards.nc").squeeze("beta")
    theta, header = checkpoint.read(finished / RESULTS / "runs/other/weights.safetensors")
    other = building.build("resnet", header["spec"]["args"], seed=0, images=(1, 8, 8), classes=10).eval()
    other.load_state_dict(theta)
    whole = datasets.read(finished / RESULTS / "data/digits.safetensors")
    assert whole.test is not None
    train, test = (datasets.subset(split, 100) for split in (whole.train, whole.test))
    with torch.no_grad():
        loss = nn.functional.cross_entropy(other(train.inputs), train.targets).item()
        share = (other(test.inputs).argmax(1) == test.targets).float().mean().item()
    assert float(line.train_loss.sel(alpha=1)) == pytest.approx(loss, rel=1e-4)
    assert float(line.test_accuracy.sel(alpha=1)) == pytest.approx(share, abs=0.011)


def test_ctrl_c_ends_soon_without_a_lock_and_training_goes_on_later(tmp_path: Path) -> None:
    folder = tmp_path
    content = {
        "data": {"digits": {"source": "digits"}},
        "runs": {
            "long": {"network": "resnet", "args": {"depth": 8, "width": 8}, "data": "digits", "epochs": 12, "keep": 5}
        },
    }
    written(content, folder)
    log, said, target = folder / "results/logs/train/long.log", folder / "said.txt", "results/runs/long/history.nc"
    process = begun("run", "config.yaml", target, folder=folder, said=said)
    try:
        wait_until(lambda: log.exists() and "epoch 2 of 12" in log.read_text(), process, said)
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(30)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert code != 0
    assert "Traceback" not in said.read_text()
    assert not list((folder / ".snakemake/locks").glob("*"))
    assert not (folder / target).exists()
    again = landscape("run", "config.yaml", target, folder=folder)
    assert "nobody is at work" not in again
    assert int(re.findall(r"goes on after epoch (\d+) of 12", log.read_text())[0]) >= 2
    assert files.read_dataset(folder / target).sizes["epoch"] == 13


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git tracks of the repository, as a newcomer has it."""
    folder = tmp_path_factory.mktemp("clone")
    for name in run("git", "ls-files", "-z", folder=REPOSITORY).rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, folder / name, follow_symlinks=False)
    return folder


def test_the_slurm_profile_runs_exactly_the_paper(clone: Path) -> None:
    said = run(sys.executable, "-m", "snakemake", "--profile", "slurm", "-n", folder=clone)
    trained = {Path(path).parent.name for path in jobs(said)["train"]}
    assert trained == reading.read(REPOSITORY / "config/paper.yaml").runs.keys()
    assert all(path.startswith("results/paper/") for path in jobs(said)["train"])


def test_without_a_configuration_the_embedded_experiment_is_meant(clone: Path) -> None:
    said = run(sys.executable, "-m", "snakemake", "-n", folder=clone)
    trained = {Path(path).parent.name for path in jobs(said)["train"]}
    assert trained == reading.read(REPOSITORY / "config/default.yaml").runs.keys()


def test_a_users_own_configuration_is_not_mixed_with_the_embedded_one(clone: Path) -> None:
    said = run(sys.executable, "-m", "snakemake", "-n", "--configfile", SMOKE, folder=clone)
    assert {Path(path).parent.name for path in jobs(said)["train"]} == {"small", "noshort", "other"}


def test_the_profiles_share_no_key() -> None:
    default, slurm = (
        yaml.safe_load((REPOSITORY / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm")
    )
    assert not default.keys() & slurm.keys()
    assert (REPOSITORY / "slurm").resolve() == REPOSITORY / "profiles/slurm"
