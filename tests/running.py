"""Running the workflow as a user does, for the tests that do."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
import yaml
from safetensors.torch import load_file

from landscape.store import files

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
        timeout=900,
    )
    assert expect is None or done.returncode == expect, f"exit code {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


def landscape(*options: str | Path, folder: Path, expect: int | None = 0) -> str:
    return run(sys.executable, "-m", "landscape", *options, folder=folder, expect=expect)


def begun(*options: str | Path, folder: Path, said: Path) -> subprocess.Popen[bytes]:
    """`landscape` at work in a session of its own, which writes to the file `said` and can be interrupted."""
    with open(said, "w") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "landscape", *map(str, options)],
            cwd=folder,
            env={**os.environ, "PATH": PATH, "COLUMNS": "200"},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )


def wait_until(happened: Callable[[], Any], process: subprocess.Popen[bytes], said: Path) -> None:
    """Look twenty times a second, for five minutes at most, whether something happened while `process` is at work."""
    limit = time.monotonic() + 300
    while not happened():
        assert process.poll() is None, f"it ended before that happened:\n{said.read_text()[-6000:]}"
        assert time.monotonic() < limit, f"it did not happen in five minutes:\n{said.read_text()[-6000:]}"
        time.sleep(0.05)


def snakemake(config: Path, *options: str | Path, folder: Path, expect: int | None = 0) -> str:
    where = ("--snakefile", REPOSITORY / "workflow/Snakefile", "--workflow-profile", REPOSITORY / "profiles/default")
    command = (sys.executable, "-m", "snakemake", *where, "--configfile", config, "--cores", "2", *options)
    return run(*command, folder=folder, expect=expect)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills, once for all the processes that run tests beside each other."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, done = root / name, root / f"{name}.done"
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


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


def completed(said: str) -> set[str]:
    """The outputs of the jobs that Snakemake says it finished."""
    outputs = {}
    for body in re.findall(r"^(?:local)?rule \w+:\n((?:    .*\n)+)", said, flags=re.M):
        entries = dict(re.findall(r"^    (output|jobid): (.*)$", body, flags=re.M))
        outputs[entries["jobid"]] = entries.get("output", "").split(", ")
    ended = re.findall(r"^Finished jobid: (\d+)", said, flags=re.M)
    return {path for jobid in ended for path in outputs.get(jobid, ()) if path}


def copied(folder: Path, to: Path) -> Path:
    """A copy of a working folder, times of files included."""
    shutil.copytree(folder, to, symlinks=True)
    return to


def whole_files(folder: Path) -> dict[str, int]:
    """Every file under its final name, with the time it was made. Reading it shows that it is whole."""
    found = {}
    for path in sorted((folder / "results").rglob("*")):
        if ".work" in path.parts or path.suffix not in (".nc", ".safetensors") or path.name.startswith("."):
            continue
        if path.suffix == ".nc":
            files.read_dataset(path)
        else:
            load_file(path)
        found[str(path.relative_to(folder))] = path.stat().st_mtime_ns
    return found


def assert_same_bits(one: Path, other: Path, names: Iterable[str]) -> None:
    """Of files in two folders: the same numbers, bit for bit, but for the time they took."""
    for name in names:
        if name.endswith(".nc"):
            these, those = (
                files.read_dataset(folder / name).drop_vars(["seconds", "examples_per_second"], errors="ignore")
                for folder in (one, other)
            )
            xr.testing.assert_equal(these, those)
        else:
            tensors, others = load_file(one / name), load_file(other / name)
            assert tensors.keys() == others.keys()
            assert all(t.numpy().tobytes() == others[key].numpy().tobytes() for key, t in tensors.items()), name
