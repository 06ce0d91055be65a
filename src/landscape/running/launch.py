"""Starting the workflow: one Snakemake at a time in a folder, and the way back after one was killed."""

import contextlib
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

import landscape
from landscape.artefacts import TABLE
from landscape.errors import InputError, TransientError
from landscape.experiment import document
from landscape.experiment.preflight import preflight
from landscape.experiment.reading import resolve
from landscape.experiment.schema import Experiment
from landscape.running.slurm_queue import queued

_log = logging.getLogger(__name__)
_STATE = Path(".snakemake")
_ASKED = _STATE / "landscape.asked"
_HOST = _STATE / "landscape.host"


def run(config: str, options: Sequence[str]) -> int:
    """Run Snakemake on a configuration in the current folder and return its exit code.

    Holds a lock of the operating system meanwhile, which ends with this process however it ends. Holding it, and with no
    Snakemake or job of one alive in the folder, a lock that Snakemake left behind is nobody's: it is removed.

    Raises:
        InputError: if the configuration is wrong; TransientError: if somebody else is at work in the folder.
    """
    content = document.read(config)
    experiment = resolve(content)
    with alone():
        _, resolved = preflight(content, thorough=True)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile())]
        command += [f"--configfile={config}"]  # in one word, or it would swallow a target behind it
        if not Path("profiles/default").is_dir():
            command += ["--workflow-profile", str(profile("default"))]
        if any((_STATE / "locks").glob("*")):
            if (host := _HOST.read_text() if _HOST.is_file() else "") not in ("", socket.gethostname()):
                raise InputError(
                    f"the last `landscape run` here was on {host} and left its lock; if nothing of it is alive there, nor in "
                    "a queue, free the folder with: snakemake --unlock"
                )
            _log.info("a Snakemake was killed here and left its lock; nobody is at work, so it is removed")
            subprocess.run([*command, "--unlock", "--quiet"], check=True, stderr=subprocess.DEVNULL)
            _remove_leftovers(experiment)
        _HOST.write_text(socket.gethostname())
        asked = "\n".join([resolved, *options])  # a file named by what is in it, and what is to be made
        if not _only_looking(options) and Path(experiment.results).is_dir() and not _was_asked_last(asked):
            _announce_changes([*command, *options])
        if not any(re.match(r"(--cores|-c|--jobs|-j|--profile|--executor|-e)", option) for option in options):
            command += ["--cores", "all"]
        sys.stderr.flush()
        code = _ended(subprocess.Popen([*command, *options]))
        if not _only_looking(options):
            _ASKED.write_text(f"{_newest_log()}\n{asked}")
        return code


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of the current folder, with no Snakemake at work there and no job of one.

    Raises:
        TransientError: if somebody is.
    """
    _STATE.mkdir(exist_ok=True)
    try:
        held = FileLock(_STATE / "landscape.lock").acquire(blocking=False)
    except Timeout:
        problem = f"another `landscape run` is at work in {Path.cwd()}; wait for it, or stop it"
        raise TransientError(problem) from None
    with held:
        if alive := _at_work() + queued(os.getcwd(), certain=_slurm_may_have_jobs()):
            raise TransientError(
                f"in {Path.cwd()} these are still at work; wait for them, or stop them: " + "; ".join(alive)
            )
        yield


def _slurm_may_have_jobs() -> bool:
    """Whether a Snakemake that gave jobs to SLURM left its lock."""
    return (_STATE / "slurm_logs").is_dir() and any((_STATE / "locks").glob("*"))


def snakefile() -> Path:
    """The Snakefile of a checkout this package is installed from, else the one the wheel brought."""
    here = Path(landscape.__file__).parent
    for path in (here.parents[1] / "workflow" / "Snakefile", here / "workflow" / "Snakefile"):
        if path.is_file():
            return path
    raise InputError(f"no Snakefile beside {here}; the installation is incomplete")


def profile(name: str) -> Path:
    """A profile of this installation, `default` for one machine or `slurm`; Snakemake finds them in the root of a checkout."""
    beside = snakefile().parent
    return next(path for path in (beside / "profiles" / name, beside.parent / "profiles" / name) if path.is_dir())


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for Snakemake, also after Ctrl-C: it gets the signal too, and ends its jobs in its own time."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            _log.info("interrupted; Snakemake is ending its jobs")


def _at_work() -> list[str]:
    """Living processes of a Snakemake in this folder, and of the jobs it started: `PID COMMAND`."""
    folder = os.getcwd()
    own = {process.pid for process in [psutil.Process(), *psutil.Process().parents()]}
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if process.pid in own or process.cwd() != folder or process.status() == psutil.STATUS_ZOMBIE:
                continue
        except psutil.Error:
            continue
        names = [Path(word).name for word in words[:3]]
        if "snakemake" in names or "landscape" in names:
            found.append(f"{process.pid} {' '.join(words)[:100]}")
    return found


def _remove_leftovers(experiment: Experiment) -> None:
    """Temporary files of writers that were killed; nobody is writing, so they are nobody's."""
    folders = {file.partition("/")[0] for artefact in TABLE for file in artefact.files.values() if "/" in file}
    for folder in folders:
        for path in (Path(experiment.results) / folder).rglob(".*.tmp"):
            if re.fullmatch(r"\..+\.[a-z0-9_]{8}\.tmp", path.name):
                path.unlink(missing_ok=True)


def _only_looking(options: Sequence[str]) -> bool:
    looks = {
        "-n",
        "--dry-run",
        "--dryrun",
        "--lint",
        "--report",
        "--list",
        "-l",
        "--unlock",
        "--summary",
        "-S",
        "--dag",
    }
    looks |= {"--rulegraph", "--filegraph", "--version", "-v", "--help", "-h", "--touch", "-t", "--cleanup-metadata"}
    return any(option.split("=")[0] in looks for option in options)


def _was_asked_last(asked: str) -> bool:
    """Whether the last Snakemake in this folder, whoever started it, was asked for the same."""
    return _ASKED.is_file() and _ASKED.read_text() == f"{_newest_log()}\n{asked}"


def _newest_log() -> str:
    return max((path.name for path in (_STATE / "log").glob("*.log")), default="")


def _announce_changes(command: list[str]) -> None:
    """Say which files stand but will be remade because their specification changed."""
    planned = subprocess.run([*command, "--dry-run"], capture_output=True, text=True)
    changed = []
    for job in re.findall(r"^(?:local)?rule \w+:\n((?:    .*\n)+)", planned.stdout + planned.stderr, flags=re.M):
        outputs = re.search(r"^    output: (.*)$", job, flags=re.M)
        if outputs and re.search(r"^    reason: .*Params have changed", job, flags=re.M):
            changed += [path for path in outputs[1].split(", ") if Path(path).exists()]
    if changed:
        _log.info("to be remade, because what the configuration says of it changed, with all that hangs on it:")
        for path in changed:
            _log.info("  %s", path)
