"""What is installed is all that is needed, and what is written others can read."""

import subprocess
import sys
import zipfile
from pathlib import Path

import landscape

from running import REPOSITORY, SMOKE, jobs, run


def test_the_tests_test_this_checkout() -> None:
    assert Path(landscape.__file__).is_relative_to(REPOSITORY)


def test_the_wheel_runs_the_workflow_outside_a_clone(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from landscape import cli; from landscape.running import launch;"
        f" assert launch.snakefile().is_relative_to({str(tmp_path / 'site')!r});"
        f" sys.exit(cli.main(['run', {str(SMOKE)!r}, '--dry-run']))"
    )
    said = run(sys.executable, "-c", code, folder=folder)
    assert {Path(path).parent.name for path in jobs(said)["train"]} == {"small", "noshort", "other"}
    assert "profiles/default" in said


def test_surfaces_pass_a_check_of_their_cf_attributes(finished: Path) -> None:
    checker = Path(sys.executable).parent / "compliance-checker"
    for name in ("small/contour.nc", "small/towards.nc", "small/contour/1of3.nc"):
        said = run(checker, "--test=cf:1.11", finished / "results/smoke/surfaces" / name, folder=finished)
        assert "All tests passed!" in said, said
    said = run(checker, "--test=cf:1.11", finished / "results/smoke/runs/small/history.nc", folder=finished)
    assert "All tests passed!" in said, said
