"""Second names for the files of a finished training.

Snakemake deletes declared outputs before it starts a job again. Through its second name a finished training survives the
death of a Snakemake that had not yet noted it, and costs no space.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from landscape.errors import TransientError
from landscape.store.files import replacing


@contextlib.contextmanager
def alone(lock: Path, what: str) -> Iterator[None]:
    """Hold a lock of the operating system, which ends with this process however it ends.

    Raises:
        TransientError: if another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(lock).acquire(blocking=False)
    except Timeout:
        raise TransientError(f"{what} by another process, which holds {lock}; wait for it, or stop it") from None
    with held:
        yield


def set_by(folder: Path, results: Sequence[Path]) -> None:
    """Give every file a second name in `folder`, and delete all else beside it.

    The folder gets its own name last, when it is whole, and only then is the rest deleted.
    """
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    for old in (unfinished, folder):
        shutil.rmtree(old, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for path in results:
        _second_name(path, unfinished / path.name)
    unfinished.rename(folder)
    for path in folder.parent.iterdir():
        if path != folder:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def put_back(folder: Path, results: Sequence[Path]) -> bool:
    """Put files in their places from their second names in `folder`; False if it is not there."""
    if not folder.is_dir():
        return False
    for path in results:
        path.unlink(missing_ok=True)
        _second_name(folder / path.name, path)
    return True


def _second_name(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a file system without links
        with replacing(name) as copy:
            shutil.copyfile(path, copy)
