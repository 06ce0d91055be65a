"""Show progress: a bar on a terminal and in a notebook, occasional lines in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 10.0


def progress(items: Iterable[Item], total: int, what: str, done: int = 0) -> Iterator[Item]:
    """Yield `items`, showing how many of `total` are done and the time left.

    On a terminal and in a notebook this is a tqdm bar; elsewhere a log line at most every ten seconds. `done` counts
    the items that an earlier, interrupted process finished.
    """
    if sys.stderr.isatty() or _in_a_notebook():
        from tqdm.auto import tqdm  # here, since reading a configuration imports this module

        yield from tqdm(items, total=total, initial=done, desc=what)
        return
    start = last = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            left = (now - start) / count * (total - done - count)
            _log.info("%s: %d of %d, about %s left", what, done + count, total, duration(left))
    _log.info("%s: %d of %d in %s", what, total, total, duration(time.monotonic() - start))


def _in_a_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
