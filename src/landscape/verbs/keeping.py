"""What is there already: what a file is, and what may go."""

import argparse
import contextlib
import json
import sys


def clean(options: argparse.Namespace) -> None:
    from landscape.experiment import reading
    from landscape.running import clean, launch

    experiment = reading.read(options.config)
    with launch.alone() if options.remove else contextlib.nullcontext():
        found = clean.found(experiment)
        if options.remove:
            clean.remove(found)
    sys.stdout.write(clean.text(found, removed=options.remove))


def show(options: argparse.Namespace) -> None:
    from landscape.running import show

    found = show.described(options.file)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else show.text(found))
