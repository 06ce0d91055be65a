"""Checksums of the user's files. A file is read again only if its size, its times or its inode changed."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from landscape.errors import InputError
from landscape.store.files import write_text

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Suffixes of images in a folder, as torchvision's ImageFolder has them."""

_SETTLED = 2.0
"""Seconds after which a file may be remembered: one that changes again at once could have the same times."""


class Contents:
    """The checksums of files and folders, with a memory in a file.

    Each path is looked at once: what changes while this lives is not noticed.
    """

    def __init__(self, memory: Path | None = None):
        self._memory = memory
        self._known: dict[str, list[str]] = {}
        self._found: dict[str, str] = {}
        try:
            content = json.loads(memory.read_bytes()) if memory else {}
            self._known = {path: [str(stamp), str(checksum)] for path, (stamp, checksum) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            pass  # then everything is read once more
        self._before = dict(self._known)

    def of(self, paths: Iterable[str]) -> list[str]:
        """Return each path with the checksum of what lies there.

        Raises:
            InputError: if there is nothing, or it cannot be read.
        """
        return [f"{path} {self._checksum(path)}" for path in paths]

    def digest(self) -> str:
        """Return a checksum of all that was looked at."""
        return hashlib.sha256(json.dumps(self._found, sort_keys=True).encode()).hexdigest()

    def remember(self) -> None:
        """Write down what was found, for the next process."""
        known = {path: entry for path, entry in self._known.items() if os.path.exists(path)}
        if self._memory is not None and known != self._before:
            write_text(self._memory, json.dumps(known))

    def _checksum(self, path: str) -> str:
        if path not in self._found:
            looked = time.time()
            try:
                stamp, changed = _stamp(path)
                if self._known.get(path, [""])[0] == stamp:
                    self._found[path] = self._known[path][1]
                else:
                    self._found[path] = checksum(path)
                    self._known[path] = [stamp, self._found[path]]
                if looked - changed < _SETTLED:
                    self._known.pop(path, None)
            except OSError as error:
                raise InputError(f"{error.filename or path} cannot be read: {error.strerror}") from None
        return self._found[path]


def checksum(path: str | Path) -> str:
    """Compute the SHA-256 of a file; of a folder that of the names and the checksums of all that counts in it."""
    if not os.path.isdir(path):
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    parts = [(name, checksum(place) if place.is_file() else "") for name, place in in_folder(Path(path))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def in_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what counts in a folder that is a data set, by its name in it: folders and images, or what `datasets` saved.

    Hidden files do not count, and neither do the caches of `datasets`. Links are followed.
    """
    is_saved = any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))
    suffixes = (".arrow", ".json") if is_saved else IMAGES
    for path in _below(folder, ()):
        if path.is_dir() or (
            path.name.lower().endswith(suffixes) and not (is_saved and path.name.startswith("cache-"))
        ):
            yield str(path.relative_to(folder)), path


def _below(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return  # a link that leads up again
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.exists():
            continue
        yield path
        if path.is_dir():
            yield from _below(path, (*above, real))


def _stamp(path: str) -> tuple[str, float]:
    """Return a text that differs if the file, or one in the folder, may have changed; and when the last one did."""
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        return json.dumps(_times(found)), max(found.st_mtime, found.st_ctime)
    parts: list[Any] = []
    changed = 0.0
    for name, place in in_folder(Path(path)):
        one = place.stat()
        is_folder = stat.S_ISDIR(one.st_mode)  # its times change with files that do not count
        parts.append((name, "" if is_folder else _times(one)))
        changed = changed if is_folder else max(changed, one.st_mtime, one.st_ctime)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest(), changed


def _times(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
