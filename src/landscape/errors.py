"""The one kind of error that is the user's to mend."""

from collections.abc import Iterable


class InputError(ValueError):
    """Something given by the user is wrong: a config, a file, an argument.

    The message names what is wrong, the value, and what is allowed. The command line prints it without a
    traceback and exits with 2: trying again will not help.
    """

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


def one_of(names: Iterable[str]) -> str:
    """The allowed names in one line, at most a dozen: `resnet20, resnet56, ... (30 in all)`."""
    names = list(names)
    if not names:
        return "(there are none)"
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown}, ... ({len(names)} in all)"
