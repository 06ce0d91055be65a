"""Jobs that Snakemake submitted to SLURM. They outlive a killed Snakemake."""

import getpass
import logging
import os
import shutil
import subprocess

from landscape.errors import TransientError

_log = logging.getLogger(__name__)
_STATES = "PENDING,CONFIGURING,RUNNING,COMPLETING,REQUEUED,SUSPENDED"


def queued(folder: str, certain: bool) -> list[str]:
    """List this user's jobs of a Snakemake in `folder` that wait or run: `SLURM job ID, RULE, STATE`. Empty without SLURM.

    Args:
        certain: raise an error if SLURM does not answer, instead of assuming that there are no jobs.

    Raises:
        TransientError: if `certain` and SLURM does not answer.
    """
    if shutil.which("squeue") is None:
        return []
    command = ["squeue", "--noheader", f"--user={getpass.getuser()}", f"--states={_STATES}", "--format=%A|%T|%k|%Z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        trouble = done.stderr.strip() if done.returncode else ""
    except subprocess.TimeoutExpired:
        trouble = "no answer in a minute"
    if trouble:
        if certain:
            raise TransientError(
                f"squeue does not say if SLURM has jobs of the last Snakemake in {folder} ({trouble}); if it has none, free "
                "the folder with: snakemake --unlock"
            )
        _log.debug("squeue does not say if SLURM has jobs of this folder (%s)", trouble)
        return []
    found = []
    for line in done.stdout.splitlines():
        job, state, comment, place = line.split("|", 3)
        if comment.startswith("rule_") and os.path.realpath(place) == os.path.realpath(folder):
            found.append(f"SLURM job {job}, {comment.removeprefix('rule_')}, {state}")
    return found
