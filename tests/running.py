"""Running the workflow as a user does, for the tests that do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
SMOKE = REPOSITORY / "tests/configs/smoke.yaml"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def run(*command: str | Path, folder: Path, expect: int | None = 0) -> str:
    """What a command says, both streams; it must end with the exit code `expect`."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "PATH": PATH, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert expect is None or done.returncode == expect, f"exit code {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


def landscape(*options: str | Path, folder: Path, expect: int | None = 0) -> str:
    return run(sys.executable, "-m", "landscape", *options, folder=folder, expect=expect)


def snakemake(config: Path, *options: str | Path, folder: Path, expect: int | None = 0) -> str:
    where = ("--snakefile", REPOSITORY / "workflow/Snakefile", "--workflow-profile", REPOSITORY / "profiles/default")
    command = (sys.executable, "-m", "snakemake", *where, "--configfile", config, "--cores", "2", *options)
    return run(*command, folder=folder, expect=expect)


def written(content: dict[str, Any], folder: Path, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def jobs(said: str) -> dict[str, set[str]]:
    """The outputs of each rule that a dry run would make; empty if there is nothing to be done."""
    made: dict[str, set[str]] = {}
    for rule, body in re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", said, flags=re.M):
        outputs = re.search(r"^    output: (.*)$", body, flags=re.M)
        if outputs:
            made.setdefault(rule, set()).update(outputs[1].split(", "))
    return made


def copied(folder: Path, to: Path) -> Path:
    """A copy of a working folder, times of files included."""
    shutil.copytree(folder, to, symlinks=True)
    return to
