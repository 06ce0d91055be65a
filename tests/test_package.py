"""What is installed is all that is needed, and what is written others can read."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import landscape as package

from running import REPOSITORY, jobs, landscape, run

README = (REPOSITORY / "README.md").read_text()


def test_the_tests_test_this_checkout() -> None:
    assert Path(package.__file__).is_relative_to(REPOSITORY)


def test_the_commands_of_the_readme_work_outside_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site, folder = tmp_path / "site", tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    monkeypatch.setenv("PYTHONPATH", str(site))  # before this checkout
    for name, block in re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", README, flags=re.M | re.S):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(block)
    where = "import snakemake_logger_plugin_landscape as p; from landscape.running.launch import snakefile as s; print(p, s())"
    assert run(sys.executable, "-c", where, folder=folder).count(str(site)) == 2
    assert "{landscape}" in run(sys.executable, "-m", "snakemake", "--help", folder=folder)

    assert landscape("check", "my.yaml", folder=folder) == "", "the example uses all it names"
    target = "results/mine/runs/mine-16/weights.safetensors"
    said = landscape("run", "my.yaml", target, folder=folder)
    assert f"made 1 network in results/mine/: {target}" in said and (folder / target).is_file()
    planned = jobs(landscape("run", "my.yaml", "--dry-run", "--forcerun", "figure", folder=folder))
    assert planned["train"] and not any("mine-16/" in path for path in planned["train"])
    assert len(planned["figure"]) == 8
    assert "GPU hours" in landscape("plan", "curved.yaml", folder=folder)


def test_surfaces_pass_a_check_of_their_cf_attributes(finished: Path) -> None:
    checker = Path(sys.executable).parent / "compliance-checker"
    for name in ("small/contour.nc", "small/towards.nc", "small/contour/1of3.nc"):
        said = run(checker, "--test=cf:1.11", finished / "results/smoke/surfaces" / name, folder=finished)
        assert "All tests passed!" in said, said
    said = run(checker, "--test=cf:1.11", finished / "results/smoke/runs/small/history.nc", folder=finished)
    assert "All tests passed!" in said, said
