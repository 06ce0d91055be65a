"""The command line: verbs for users, and one for each rule of the workflow. Each reads files, calls one public function, and
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
from landscape.cli import first_verbs, plane_verbs, report_verbs, run_verbs, user_verbs
from landscape.errors import ending

_USERS = Group("For users", sort_key=1)
_TOOLS = Group("Tools", sort_key=2)
_STEPS = Group("Steps of the workflow", sort_key=3)
_OPTIONS = Group("Options", sort_key=4)

app = App(name="landscape", help=str(landscape.__doc__).partition("\n")[0], version=landscape.__version__)
VERBS: tuple[tuple[Group, tuple[Callable[..., Any], ...]], ...] = (
    (_USERS, (first_verbs.see, first_verbs.init)),
    (_USERS, (user_verbs.run, user_verbs.check, user_verbs.plan, user_verbs.show, user_verbs.clean)),
    (_TOOLS, (report_verbs.figure, report_verbs.table, user_verbs.import_, user_verbs.schema)),
    (_STEPS, (run_verbs.dataset, run_verbs.train, run_verbs.part, run_verbs.adopt, run_verbs.rescale)),
    (
        _STEPS,
        (
            plane_verbs.directions,
            plane_verbs.tile,
            plane_verbs.merge,
            plane_verbs.trajectory,
            plane_verbs.mark,
            plane_verbs.probe,
        ),
    ),
    (_STEPS, (report_verbs.summary, report_verbs.claims, report_verbs.configuration)),
)
"""The verbs in the order in which `landscape --help` lists them."""
for _number, (_group, _verb) in enumerate((group, verb) for group, verbs in VERBS for verb in verbs):
    app.command(_verb, group=_group, sort_key=_number)
for _flag in ("--help", "--version"):
    app[_flag].group = (_OPTIONS,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code."""
    gc.set_threshold(10_000)  # else Python searches the objects of torch and pandas for garbage 4 times: 0.3 s
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
