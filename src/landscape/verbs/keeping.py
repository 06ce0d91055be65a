"""What is there already: what a file is, and what may go."""

import argparse
import json
import sys


def show(options: argparse.Namespace) -> None:
    from landscape import show

    found = show.described(options.file)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else show.text(found))
