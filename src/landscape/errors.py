"""Errors that users can mend, and the messages and exit codes of commands.

Exit codes: 2 for a mistake in the input, which would come again; 1 for an error that may pass (memory, full disk, device,
another process at work); 130 for Ctrl-C.
"""

import difflib
import errno
import os
import tempfile
import traceback
from collections.abc import Iterable


class InputError(ValueError):
    """A configuration, a file or an argument from the user is wrong.

    The message names the place, the value, and what is allowed. The command line prints it without a traceback, and exits
    with 2.
    """

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class TransientError(InputError):
    """A later try may succeed: another process is at work on the same files, for example. The command line exits with 1."""


_WRONG_PATH = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH |= {errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # torch's words, on each device


def ending(error: Exception, verb: str) -> tuple[list[str], int]:
    """Return the lines that a command prints about the error that ends it, and its exit code.

    An unforeseen error, a bug or an odd file, is reported with the place that raised it and a file that holds the traceback;
    it is raised again if LANDSCAPE_TRACEBACK is set.
    """
    if isinstance(error, InputError):
        lines = [" ".join(problem.split()) for problem in error.problems]
        return lines, 1 if isinstance(error, TransientError) else 2
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        return [f"out of memory: {_first(error)}. Try with more memory, or with no other process at work"], 1
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
    return [f"landscape {verb} failed unexpectedly ({kind}, in {where}); {_whole_text(error)}"], 1


def _whole_text(error: Exception) -> str:
    """Write the traceback to a file, and say where it is."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="landscape-", suffix=".txt", delete=False) as file:
            file.writelines(traceback.format_exception(error))
    except OSError:
        return "LANDSCAPE_TRACEBACK=1 shows the traceback"
    return f"the whole text is in {file.name}"


def _first(error: Exception) -> str:
    """First line of an error's message, at most 200 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def one_of(names: Iterable[str], instead_of: object = None) -> str:
    """List names in one line, at most a dozen: `resnet20, resnet56, ... (30 in all)`.

    `instead_of`: a name that is none of them. The nearest one is suggested: `resnet20, resnet56; did you mean resnet56?`.
    """
    names = list(names)
    if not names:
        return "(there are none)"
    shown = ", ".join(names[:12])
    shown = shown if len(names) <= 12 else f"{shown}, ... ({len(names)} in all)"
    return shown if instead_of is None else f"{shown}{meant(names, instead_of)}"


def meant(names: Iterable[str], wrong: object) -> str:
    """Suggest the name that a wrong one resembles, to follow a list of names; nothing if it resembles none."""
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(wrong)[:100].lower(), by_lower, n=1, cutoff=0.65)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""
