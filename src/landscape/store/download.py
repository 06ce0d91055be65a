"""Fetch files of a stated checksum into a cache, without torch.

The cache is the folder `LANDSCAPE_CACHE`, or ~/.cache/landscape. A file lies there under its SHA-256, so that it is fetched
once, by whichever job comes first, and needs no network afterwards.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from landscape.errors import InputError, TransientError

_log = logging.getLogger(__name__)

CACHE = "LANDSCAPE_CACHE"
"""Environment variable that names the folder of the cache."""

_LOCAL = ("localhost", "127.0.0.1", "::1")
_TRIES = 5  # connections in which nothing came
_TIMEOUT = 60  # seconds without a byte
_CHUNK = 2**20


def problem_of(url: str) -> str:
    """Say why an address cannot be fetched from, or ""."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return ""
    if parts.scheme == "http" and parts.hostname in _LOCAL:
        return ""
    return f"{url!r} is no address that is fetched from; allowed are https://..., and http:// of this machine alone"


def cached(url: str, sha256: str) -> Path:
    """Return the place of a file in the cache, where it need not lie yet."""
    folder = Path(os.environ.get(CACHE) or Path.home() / ".cache/landscape")
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(urllib.parse.urlsplit(url).path).name)
    return folder / sha256 / (name.lstrip(".") or "file")


def fetched(url: str, sha256: str) -> Path:
    """Return a file of a stated checksum; download it unless the cache has it.

    A download that was interrupted goes on where it ended. One process downloads at a time; others wait for it.

    Raises:
        InputError: if the address is wrong, or the file has another checksum; the file is removed then.
        TransientError: if the server does not answer.
    """
    from filelock import FileLock

    if problem := problem_of(url):
        raise InputError(problem)
    place = cached(url, sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.parent / ".lock"):
        if place.is_file():
            if checksum(place) == sha256:
                return place
            _log.info("%s is damaged; it is fetched again", place)
            place.unlink()
        part = place.parent / f".{place.name}.part"
        found = checksum(part) if part.exists() else None
        if found != sha256:
            _download(url, part)
            if found is not None and checksum(part) != sha256:  # what was here before may be of another file
                part.unlink()
                _download(url, part)
            found = checksum(part)
        if found != sha256:
            part.unlink()
            raise InputError(f"{url} has the SHA-256 {found}, and {sha256} is stated; the file was removed")
        part.replace(place)
    return place


def checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to allowed addresses only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if problem := problem_of(newurl):
            raise InputError(f"{req.full_url} leads elsewhere: {problem}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, part: Path) -> None:
    """Append to `part` until the file is whole, over as many connections as it takes while something comes."""
    _log.info("fetching %s", url)
    tries = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _receive(url, part, before):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # there is nothing after what is here
                part.unlink()
            elif error.code < 500 and error.code not in (408, 429):
                raise InputError(f"{url} cannot be fetched: the server says {error.code} {error.reason}") from None
            reason = f"the server says {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        after = part.stat().st_size if part.exists() else 0
        tries = 0 if after > before else tries + 1
        if tries >= _TRIES:
            raise TransientError(f"{url} cannot be fetched: {reason}; without a network, put it into {part.parent}")
        _log.info("%s: %s; going on after %d bytes", url, reason, after)


def _receive(url: str, part: Path, start: int) -> bool:
    """Append what one connection gives; returns whether the file is whole."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT) as answer:
        goes_on = answer.status == 206
        wanted = answer.headers.get("Content-Length")
        received = 0
        with open(part, "ab" if goes_on else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                received += len(chunk)
    return wanted is None or received >= int(wanted)
