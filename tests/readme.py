"""Run every command of the README, in order, in a copy of it: `python tests/readme.py README.md`.

A block of Python or YAML that begins with a comment naming a file is written to that file. `make test` is left to the
caller, which runs it anyway.
"""

import re
import subprocess
import sys
import time
from pathlib import Path


def main(readme: Path) -> None:
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", readme.read_text(), flags=re.M | re.S):
        if kind in ("python", "yaml"):
            path = Path(re.match(r"# (\S+)\n", block)[1])  # type: ignore[index]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
        elif kind == "console":
            for command in re.findall(r"^\$ (.*)$", block, flags=re.M):
                if command != "make test":
                    sys.stdout.write(f"\n$ {command}\n")
                    sys.stdout.flush()
                    start = time.monotonic()
                    subprocess.run(command, shell=True, check=True, executable="/bin/bash")
                    sys.stdout.write(f"({command}: {time.monotonic() - start:.0f} s)\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
