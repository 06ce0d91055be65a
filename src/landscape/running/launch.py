"""Start the workflow: one Snakemake at a time in a folder, and recovery after one was killed."""

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
from landscape.experiment import document, writable
from landscape.experiment.preflight import contents, preflight
from landscape.experiment.reading import read
from landscape.experiment.schema import Experiment
from landscape.running import outcome
from landscape.running.notes import notes
from landscape.running.slurm_queue import queued

_log = logging.getLogger(__name__)
_STATE = Path(".snakemake")
_ASKED = _STATE / "landscape.asked"
_HOST = _STATE / "landscape.host"
_LOOKING = frozenset(
    [
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
        "--rulegraph",
        "--filegraph",
        "--version",
        "-v",
        "--help",
        "-h",
        "--touch",
        "-t",
        "--cleanup-metadata",
    ]
)
"""Options of Snakemake with which it makes nothing."""
_SPEAKING = re.compile(r"--(logger|quiet|verbose|debug|debug-dag|printshellcmds)(=.*)?|-[qp]")
"""Options of Snakemake, also in a profile, that say how it speaks; then it shows no bars of ours."""


def run(config: str, options: Sequence[str]) -> int:
    """Run Snakemake on a configuration in the current folder and return its exit code.

    Meanwhile it holds a lock file, which the operating system frees when this process ends, however it ends. If no other
    Snakemake, nor a job of one, is alive in the folder, it removes a lock that a killed Snakemake left.

    Raises:
        InputError: if the configuration is wrong.
        TransientError: if another Snakemake, or a job of one, is at work in the folder.
    """
    experiment = read(config)
    writable.check(experiment)
    options, profiles = _with_profiles(options)
    with alone():
        for note in [] if _only_looking(options) else notes(experiment):
            _log.info("note: %s", note)
        known = contents()
        resolved = preflight(experiment, known, thorough=True)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile())]
        command += [f"--configfile={config}"]  # one word, since `--configfile` takes all words up to the next option
        if not Path("profiles/default").is_dir():
            command += ["--workflow-profile", str(profile("default"))]
        if any((_STATE / "locks").glob("*")):
            if (host := _HOST.read_text() if _HOST.is_file() else "") not in ("", socket.gethostname()):
                raise InputError(
                    f"the last `landscape run` here was on {host} and left its lock; if none of its jobs runs there or waits "
                    "in a queue, free the folder with: snakemake --unlock"
                )
            _log.info("a Snakemake was killed here and left its lock; nobody is at work, so it is removed")
            subprocess.run([*command, "--unlock", "--quiet"], check=True, stderr=subprocess.DEVNULL)
            _remove_leftovers(experiment)
        _HOST.write_text(socket.gethostname())
        asked = "\n".join([resolved, known.digest(), *options])  # the name of `resolved` holds a hash of its content
        if not _only_looking(options) and Path(experiment.results).is_dir() and not _was_asked_last(asked):
            _announce_changes([*command, *options])
        if not any(re.match(r"(--cores|-c|--jobs|-j|--profile|--executor|-e)", option) for option in options):
            command += ["--cores", "all"]
        bars = _shows_bars(options, profiles)
        before = outcome.times(experiment)
        sys.stderr.flush()
        code = _ended(subprocess.Popen([*command, *(["--logger=landscape"] if bars else []), *options]), told=bars)
        if not _only_looking(options):
            _ASKED.write_text(f"{_newest_log()}\n{asked}")
            adopted, unexpected = outcome.adopted(experiment)
            for line in adopted:
                _log.info(line)
            if code == 0:
                _log.info(outcome.sentence(experiment, before))
                if unexpected:
                    raise InputError(unexpected)
            elif code == 1:
                _log.info("not everything was made; what is finished stays, and the same command goes on from there")
        return code


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of the current folder.

    Raises:
        TransientError: if a Snakemake, or a job of one, is at work there.
    """
    _STATE.mkdir(exist_ok=True)
    try:
        held = FileLock(_STATE / "landscape.lock").acquire(blocking=False)
    except Timeout:
        problem = f"another `landscape run` is at work in {Path.cwd()}; wait for it, or stop it"
        raise TransientError(problem) from None
    with held:
        submitted = (_STATE / "slurm_logs").is_dir() and any((_STATE / "locks").glob("*"))  # and its lock remains
        if alive := _at_work() + queued(os.getcwd(), certain=submitted):
            raise TransientError(
                f"in {Path.cwd()} these are still at work; wait for them, or stop them: " + "; ".join(alive)
            )
        yield


def snakefile() -> Path:
    """Find the Snakefile: in the checkout that this package is installed from, or in the wheel."""
    here = Path(landscape.__file__).parent
    for path in (here.parents[1] / "workflow" / "Snakefile", here / "workflow" / "Snakefile"):
        if path.is_file():
            return path
    raise InputError(f"no Snakefile beside {here}; the installation is incomplete")


def profile(name: str) -> Path:
    """Find a profile of this installation: `default` for one machine, or `slurm`."""
    beside = snakefile().parent
    return next(path for path in (beside / "profiles" / name, beside.parent / "profiles" / name) if path.is_dir())


def _with_profiles(options: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Replace a profile that Snakemake does not find by the one of that name of this installation.

    Returns the options, and the files of all profiles that Snakemake will read.
    """
    words = [part for word in options for part in (word.split("=", 1) if word.startswith("--profile=") else [word])]
    named = [k + 1 for k, word in enumerate(words[:-1]) if word == "--profile"]
    files = [path for path in [Path("profiles/default/config.yaml")] if path.is_file()]
    if not named and "SNAKEMAKE_PROFILE" not in os.environ:
        return words, files
    from snakemake.cli import get_profile_dir  # here, since it takes a second

    for k in named:
        if get_profile_dir(words[k]) is None and words[k] in ("default", "slurm"):
            words[k] = str(profile(words[k]))
    for name in [words[k] for k in named] or os.environ["SNAKEMAKE_PROFILE"].split(","):
        if found := get_profile_dir(name):
            files.append(found[1])
    return words, files


def _shows_bars(options: Sequence[str], profiles: Sequence[Path]) -> bool:
    """Say if bars replace Snakemake's own text: on a terminal of a person, unless they chose how Snakemake speaks."""
    if not sys.stderr.isatty() or os.environ.get("CI") or os.environ.get("TERM") == "dumb" or _only_looking(options):
        return False
    keys = [f"--{key}" for path in profiles for key in document.read(str(path)) or ()]
    return not any(_SPEAKING.fullmatch(word) for word in [*options, *keys])


def _ended(process: subprocess.Popen[bytes], told: bool = False) -> int:
    """Wait for Snakemake, even after Ctrl-C: it receives the signal too, and ends its jobs itself, of which it has `told`."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            if not told:
                _log.info("interrupted; Snakemake is ending its jobs")


def _at_work() -> list[str]:
    """List the live processes of a Snakemake in this folder and of its jobs: `PID COMMAND`."""
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
    """Remove temporary files of killed jobs. The caller makes sure that no job is writing."""
    folders = {file.partition("/")[0] for artefact in TABLE for file in artefact.files.values() if "/" in file}
    for folder in folders:
        for path in (Path(experiment.results) / folder).rglob(".*.tmp"):
            if re.fullmatch(r"\..+\.[a-z0-9_]{8}\.tmp", path.name):
                path.unlink(missing_ok=True)


def _only_looking(options: Sequence[str]) -> bool:
    return any(option.split("=")[0] in _LOOKING for option in options)


def _was_asked_last(asked: str) -> bool:
    """Say if the last Snakemake in this folder, with or without `landscape run`, was asked for the same."""
    return _ASKED.is_file() and _ASKED.read_text() == f"{_newest_log()}\n{asked}"


def _newest_log() -> str:
    return max((path.name for path in (_STATE / "log").glob("*.log")), default="")


def _announce_changes(command: list[str]) -> None:
    """Log which existing files will be remade because their specification, or a file of the user's, changed."""
    planned = subprocess.run([*command, "--dry-run"], capture_output=True, text=True)
    changed = []
    for job in re.findall(r"^(?:local)?rule \w+:\n((?:    .*\n)+)", planned.stdout + planned.stderr, flags=re.M):
        outputs = re.search(r"^    output: (.*)$", job, flags=re.M)
        if outputs and re.search(r"^    reason: .*Params have changed", job, flags=re.M):
            changed += [path for path in outputs[1].split(", ") if Path(path).exists()]
    if changed:
        _log.info(
            "to be remade, with everything made from them, because their configuration, or a file of yours, changed:"
        )
        for path in changed:
            _log.info("  %s", path)
