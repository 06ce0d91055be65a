"""Keep the results of a finished training as hard links.

Snakemake deletes declared outputs before it starts a job again. If it dies before it notes a finished training, the hard
links keep the results, and take no space.
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
    """Hold a lock file, which the operating system releases when this process ends in any way.

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
    """Hard-link every file into `folder`, then delete all else beside this folder.

    The folder gets its name only when it is whole, and the rest is deleted only after that.
    """
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    for old in (unfinished, folder):
        shutil.rmtree(old, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for path in results:
        _link(path, unfinished / path.name)
    unfinished.rename(folder)
    for path in folder.parent.iterdir():
        if path != folder:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def put_back(folder: Path, results: Sequence[Path]) -> bool:
    """Restore files from their hard links in `folder`; return False if there is no such folder."""
    if not folder.is_dir():
        return False
    for path in results:
        path.unlink(missing_ok=True)
        _link(folder / path.name, path)
    return True


def _link(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a file system without hard links
        with replacing(name) as copy:
            shutil.copyfile(path, copy)
