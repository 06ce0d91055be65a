"""The command line: verbs for people, and one for each rule of the workflow. Each reads files, calls one public function, and
writes files; its options are its function's parameters.

Exit codes: 0 if all went well; 2 if the configuration, a file or an argument is wrong, so that trying again will not help,
which the last line says; 1 if it may help, after a full disk, too little memory, another process at work; 130 after Ctrl-C.
`landscape run` ends with 2 before any job, and after that with Snakemake's own code, which is 1 whatever a job ended with.
"""

import gc
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError, Group

import landscape
from landscape.cli import plane_verbs, report_verbs, run_verbs, user_verbs
from landscape.errors import ending

_PEOPLE = Group("For people", sort_key=1)
_RULES = Group("What the workflow's rules call", sort_key=2)

app = App(name="landscape", help=str(landscape.__doc__).partition("\n")[0], version=landscape.__version__)
VERBS: tuple[tuple[Group, tuple[Callable[..., Any], ...]], ...] = (
    (
        _PEOPLE,
        (user_verbs.run, user_verbs.check, user_verbs.plan, user_verbs.show, user_verbs.clean, user_verbs.schema),
    ),
    (_RULES, (run_verbs.dataset, run_verbs.train, run_verbs.part, run_verbs.adopt, run_verbs.rescale)),
    (
        _RULES,
        (
            plane_verbs.directions,
            plane_verbs.tile,
            plane_verbs.merge,
            plane_verbs.trajectory,
            plane_verbs.mark,
            plane_verbs.probe,
        ),
    ),
    (
        _RULES,
        (
            report_verbs.figure,
            report_verbs.table,
            report_verbs.summary,
            report_verbs.claims,
            report_verbs.configuration,
        ),
    ),
)
for _group, _verbs in VERBS:
    for _verb in _verbs:
        app.command(_verb, group=_group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code."""
    gc.set_threshold(
        10_000
    )  # or else loading torch and pandas is 0.3 s of searching half a million objects for garbage
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # which tells of every table of a font it leaves out
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        verb, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
        return int(verb(*bound.args, **bound.kwargs) or 0)
    except CycloptsError as error:
        problems, code = [" ".join(str(error).split())], 2
    except Exception as error:
        problems, code = ending(error, words[0] if words else "")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    for problem in problems:
        sys.stderr.write(f"error: {problem}\n")
    if code == 2:
        sys.stderr.write("Trying again will not help: what is named above has to be mended first.\n")
    return code
