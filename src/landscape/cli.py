"""The command line: one verb per rule.

Exit codes: 0 if all went well; 2 if the configuration, a file or an argument is wrong, so that trying again will not help,
which the last line says; 1 if it may help, after a full disk, too little memory, another process at work; 130 after Ctrl-C.
`landscape run` ends with 2 before any job, and after that with Snakemake's own code, which is 1 whatever a job ended with.
"""

import argparse
import functools
import logging
import sys
from collections.abc import Sequence
from typing import Any

import landscape
from landscape import verbs
from landscape.errors import ending


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # which tells of every table of a font it leaves out
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.verb != "run":
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if options.verb == "run":
            from landscape.running.launch import run

            return run(options.config, rest)
        options.function(options)
    except Exception as error:
        problems, code = ending(error, options.verb)
        for problem in problems:
            sys.stderr.write(f"error: {problem}\n")
        if code == 2:
            sys.stderr.write("Trying again will not help: what is named above has to be mended first.\n")
        return code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


@functools.cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="landscape", description=landscape.__doc__)
    parser.add_argument("--version", action="version", version=landscape.__version__)
    commands = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    spec = ("--spec", {"required": True, "help": "JSON, or CONFIG.yaml#SECTION.NAME"})
    name = ("--name", {"default": "unnamed", "help": "what the configuration calls it"})
    weights = ("--weights", {"required": True, "help": "a weights file, or FILE@EPOCH of an epochs file"})
    data = ("--data", {"required": True, "help": "a data set made by `landscape dataset`"})
    output = ("--output", {"required": True})
    three = ("--output", {"required": True, "nargs": 3, "metavar": ("WEIGHTS", "HISTORY", "EPOCHS")})
    results = ("--input", {"nargs": "+", "required": True, "help": "results, in any order: surfaces, histories, ..."})
    drawn = ("--directions", {"required": True})
    pages = ("--output", {"required": True, "nargs": 4, "metavar": ("CSV", "MARKDOWN", "LATEX", "HTML")})
    table: dict[str, tuple[Any, str, list[tuple[str, dict[str, Any]]]]] = {
        "dataset": (verbs.dataset, "fetch or read a data set", [spec, name, output]),
        "train": (verbs.train, "train a network, or go on where it was interrupted", [spec, name, data, three]),
        "part": (
            verbs.part,
            "train a network up to an epoch, from which `train` or another part goes on",
            [spec, name, data, ("--until", {"type": int, "required": True, "help": "the epoch to end with"}), output],
        ),
        "adopt": (
            verbs.adopt,
            "check weights made elsewhere and take them in",
            [
                spec,
                name,
                data,
                ("--weights", {"required": True, "help": "safetensors, or torch.save of a state dict"}),
                three,
            ],
        ),
        "rescale": (
            verbs.rescale,
            "rescale another run's weights so that they compute the same",
            [spec, name, data, weights, three],
        ),
        "directions": (
            verbs.directions,
            "draw the directions of a plane",
            [
                spec,
                name,
                weights,
                (
                    "--other",
                    {
                        "nargs": "*",
                        "help": "what the directions are made from beside the centre: other states' weights, another plane's "
                        "directions, or the epochs of the run",
                    },
                ),
                output,
            ],
        ),
        "tile": (
            verbs.tile,
            "what a plane measures, on one of its tiles",
            [
                spec,
                name,
                weights,
                drawn,
                data,
                ("--tile", {"type": int, "default": 1, "help": "which tile, counted from 1"}),
                ("--of", {"type": int, "default": 1, "help": "number of tiles"}),
                output,
            ],
        ),
        "merge": (verbs.merge, "put tiles together", [spec, ("--tiles", {"nargs": "+", "required": True}), output]),
        "trajectory": (
            verbs.trajectory,
            "project the kept epochs of a run on a plane, with the losses on the way",
            [spec, name, weights, ("--epochs", {"required": True, "help": "the run's epochs"}), drawn, data, output],
        ),
        "mark": (
            verbs.mark,
            "where on a plane another state lies, and how far from it",
            [spec, name, weights, ("--marked", {"required": True, "help": "the other state's weights"}), drawn, output],
        ),
        "probe": (
            verbs.probe,
            "measure at one point: eigenpairs, the spectrum, the trace, activations, a saddle",
            [
                spec,
                name,
                weights,
                ("--directions", {"nargs": "*", "help": "of the plane that the point is on"}),
                data,
                ("--output", {"required": True, "nargs": 2, "metavar": ("NUMBERS", "VECTORS")}),
            ],
        ),
        "figure": (
            verbs.figure,
            "draw a figure",
            [
                spec,
                name,
                results,
                ("--weights", {"nargs": "*", "help": "weights files, or FILE@EPOCH of an epochs file"}),
                output,
            ],
        ),
        "table": (verbs.table, "a table of test errors, the published ones beside", [spec, name, results, pages]),
        "summary": (
            verbs.summary,
            "the tables over all runs, the lines between them, and the paths of their trainings",
            [
                results,
                (
                    "--output",
                    {"required": True, "nargs": 6, "metavar": ("CSV", "MARKDOWN", "LATEX", "HTML", "LINES", "PATHS")},
                ),
            ],
        ),
        "claims": (
            verbs.claims,
            "what the paper claims, and whether these runs show it",
            [
                spec,
                results,
                ("--output", {"required": True, "nargs": 2, "metavar": ("MARKDOWN", "HTML")}),
            ],
        ),
    }
    for verb, (function, text, options) in table.items():
        sub = commands.add_parser(verb, help=text, description=text)
        sub.set_defaults(function=function)
        for option, keywords in options:
            sub.add_argument(option, **keywords)
    shown = commands.add_parser("configuration", help="write a resolved configuration as a file and as a page")
    shown.set_defaults(function=verbs.configuration)
    shown.add_argument("config")
    shown.add_argument("--output", required=True, nargs=2, metavar=("YAML", "HTML"))
    check = commands.add_parser("check", help="check a configuration, networks and files included")
    check.set_defaults(function=verbs.check)
    check.add_argument("config")
    plan = commands.add_parser("plan", help="what the figures will take: jobs, operations, GPU hours, disk")
    plan.set_defaults(function=verbs.plan)
    plan.add_argument("config")
    tflops = "operations a second that a GPU keeps up, in units of 1e12; default 20, an assumption"
    plan.add_argument("--tflops", type=float, help=tflops)
    plan.add_argument("--gpu-hours", type=float, metavar="B", help="choose the figures that can be made in B GPU hours")
    plan.add_argument("--json", action="store_true", help="print everything as JSON")
    show = commands.add_parser("show", help="what a file is and where it comes from")
    show.set_defaults(function=verbs.show)
    show.add_argument("file", help="a file of ours, or FILE@EPOCH of an epochs file")
    show.add_argument("--json", action="store_true", help="print everything as JSON")
    clean = commands.add_parser("clean", help="list, or remove, what no entry of a configuration makes")
    clean.set_defaults(function=verbs.clean)
    clean.add_argument("config")
    clean.add_argument("--remove", action="store_true", help="remove what is listed without it")
    schema = commands.add_parser("schema", help="print the JSON schema of configurations, for editors")
    schema.set_defaults(function=verbs.schema)
    run = commands.add_parser(
        "run",
        help="run the workflow: landscape run CONFIG [snakemake options]",
        description="Every further option goes to Snakemake.",
    )
    run.add_argument("config")
    return parser
