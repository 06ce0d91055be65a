"""A real SLURM of one node, with pretended GPUs, all of it in one folder: keys, state, logs, and the configuration.

It needs root, who may make device nodes, and Debian's packages `slurm-wlm` and `munge`. Its daemons are children of the
process that begins it, listen on ports that were free, and are ended by it; no other daemon and no file of a SLURM that
the machine may have is looked at. There is no accounting, so Snakemake is to ask `squeue` how jobs are.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGES = ("slurm-wlm", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd")
_POLICY = Path("/usr/sbin/policy-rc.d")
_NULL_DEVICE = os.makedev(1, 3)


class Unavailable(Exception):
    """Why there can be no SLURM here."""


class Node:
    """A SLURM at work.

    Attributes:
        configuration: what SLURM_CONF must name in a process that is to use it.
        programs: a folder with an `srun` that uses it without that variable, which Snakemake hides from its own `srun`;
            to be the first in PATH.
    """

    def __init__(self, folder: Path):
        self.configuration = folder / "slurm.conf"
        self.programs = folder / "bin"

    def ask(self, *command: str) -> str:
        """What one of SLURM's commands says."""
        environment = {**os.environ, "SLURM_CONF": str(self.configuration)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """Every job there was, oldest first, by the names that `scontrol show job` gives its properties."""
        found = []
        for line in self.ask("scontrol", "--oneliner", "show", "job").splitlines():
            if line.startswith("JobId="):
                found.append(dict(word.split("=", 1) for word in line.split(" ") if "=" in word))
        return sorted(found, key=lambda job: int(job["JobId"]))


def install() -> None:
    """Install the packages where they are missing. Debian would start the daemons, which is not wanted.

    Raises:
        Unavailable: if that cannot be done, or would not help.
    """
    _as_root()
    if not _missing():
        return
    policy = not _POLICY.exists()
    if policy:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
            if done.returncode:
                raise Unavailable(f"{' '.join(command)} failed: {done.stderr[-1000:]}")
    except FileNotFoundError:
        raise Unavailable(f"{' and '.join(PACKAGES)} are Debian's packages, and there is no apt-get") from None
    finally:
        if policy:
            _POLICY.unlink()


def _as_root() -> None:
    if os.geteuid() != 0:
        raise Unavailable("a SLURM of one's own needs root")


@contextlib.contextmanager
def one_node(cpus: int, memory: int, gpus: int) -> Iterator[Node]:
    """A SLURM with the partitions `cpu` (the default), `gpu`, and `urgent`, whose jobs preempt others, all of the same node.

    Args:
        memory: in MiB; like the processors and the GPUs it is what jobs may ask for, not what the machine has.

    Raises:
        Unavailable: with the reason if there can be none here.
    """
    _as_root()
    if missing := _missing():
        raise Unavailable(f"{', '.join(missing)} missing: apt-get install {' '.join(PACKAGES)}")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a short path: that of a socket has 107 characters at most
    folder.chmod(0o755)  # munge wants its socket where every user could reach it
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        node = Node(folder)
        _configure(node, folder, cpus, memory, gpus)
        munge = [f"--{name}={folder}/munge.{name.partition('-')[0]}" for name in ("key-file", "pid-file", "seed-file")]
        munge += [f"--socket={folder}/munge.socket", f"--log-file={folder}/munge.log"]
        for command, answers in (
            (["munged", "--foreground", *munge], lambda: (folder / "munge.socket").exists()),
            (["slurmctld", "-D", "-f", str(node.configuration)], lambda: "UP" in node.ask("scontrol", "ping")),
            (
                ["slurmd", "-D", "-f", str(node.configuration)],
                lambda: node.ask("sinfo", "-h", "-o", "%T").split() == ["idle"],
            ),
        ):
            daemons.append(_begun(command, node, folder))
            _wait(command[0], answers, daemons[-1], folder)
        try:
            yield node
        finally:
            node.ask("scancel", "--user=root")
            _wait("the end of the jobs", lambda: not node.ask("squeue", "--noheader"), daemons[-1], folder)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder)


def _missing() -> list[str]:
    return [name for name in DAEMONS if shutil.which(name) is None]


def _configure(node: Node, folder: Path, cpus: int, memory: int, gpus: int) -> None:
    host = socket.gethostname().partition(".")[0]
    template = Path(__file__).with_name("slurm.conf").read_text()
    ports = {"controller_port": _free_port(), "node_port": _free_port()}
    said = template.format(folder=folder, host=host, cpus=cpus, memory=memory, gpus=gpus, **ports)
    node.configuration.write_text(said)
    for name in ("controller", "node", "bin"):
        (folder / name).mkdir()
    srun = node.programs / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={node.configuration} exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    for gpu in range(gpus):  # with a device SLURM does not only count a GPU, it also sets CUDA_VISIBLE_DEVICES
        os.mknod(folder / f"gpu{gpu}", 0o20666, _NULL_DEVICE)
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={folder}/gpu[0-{gpus - 1}]\n")
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o400)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _begun(command: list[str], node: Node, folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "SLURM_CONF": str(node.configuration)}
    with_us = ["setpriv", "--pdeathsig", "TERM", *command]  # it ends with this process, however this ends
    with open(folder / f"{command[0]}.log", "wb") as log:
        return subprocess.Popen(with_us, env=environment, stdout=log, stderr=subprocess.STDOUT)


def _wait(what: str, happened: Callable[[], bool], daemon: subprocess.Popen[bytes], folder: Path) -> None:
    """Look five times a second, for half a minute at most, whether something happened while a daemon is at work."""
    limit = time.monotonic() + 30
    while True:
        with contextlib.suppress(RuntimeError):
            if happened():
                return
        if daemon.poll() is not None or time.monotonic() > limit:
            said = "".join(f"\n{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(folder.glob("*.log")))
            raise Unavailable(f"waited in vain for {what}:{said}")
        time.sleep(0.2)
