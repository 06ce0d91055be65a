"""The one kind of error that is the user's to mend, and how a command ends after each kind.

A command ends with 2 after a mistake in what it was given, which is there again when it is tried again; with 1 after what
may pass: no memory, a full disk, a device that fails, somebody else at work; with 130 after Ctrl-C.
"""

import errno
import os
import traceback
from collections.abc import Iterable


class InputError(ValueError):
    """Something given by the user is wrong: a config, a file, an argument.

    The message names what is wrong, the value, and what is allowed. The command line prints it without a
    traceback and exits with 2: trying again will not help.
    """

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class TransientError(InputError):
    """What was asked for may be had later: somebody else is at work on the same files. The command line exits with 1."""


_WRONG_PATH = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH |= {errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # as torch says it, on each device


def ending(error: Exception, verb: str) -> tuple[list[str], int]:
    """What a command says of an error that ends it, one line each, and the exit code it ends with.

    Of an error that is none of the kinds above, a mistake of this program or a file that nobody thought of, it says where
    it was raised; with LANDSCAPE_TRACEBACK set to anything it is raised again.
    """
    if isinstance(error, InputError):
        lines = [" ".join(problem.split()) for problem in error.problems]
        return lines, 1 if isinstance(error, TransientError) else 2
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        return [f"out of memory: {_first(error)}. With more, or with nothing else at work, it may do"], 1
    if isinstance(error, OSError):
        place = f" {error.filename}" if error.filename else ""
        if error.errno in _NO_ROOM:
            advice = "Nothing made before is lost; make room and run again"
            return [f"cannot write{place}: {error.strerror}. {advice}."], 1
        wrong = bool(error.filename) and error.errno in _WRONG_PATH
        return [f"{place.strip()}: {error.strerror}" if place else _first(error)], 2 if wrong else 1
    if os.environ.get("LANDSCAPE_TRACEBACK"):
        raise error
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"
    kind = f"{type(error).__name__}: {_first(error)}"
    return [
        f"landscape {verb} met what it was not made for ({kind}, in {where}); LANDSCAPE_TRACEBACK=1 shows the way there"
    ], 1


def _first(error: Exception) -> str:
    """The first line of what an error says, at most 200 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def one_of(names: Iterable[str]) -> str:
    """The allowed names in one line, at most a dozen: `resnet20, resnet56, ... (30 in all)`."""
    names = list(names)
    if not names:
        return "(there are none)"
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown}, ... ({len(names)} in all)"
