"""Compare two results folders: every number of every surface, probe, trajectory, mark and history, every weight and direction.

    python tests/same_results.py OLD NEW

Prints what differs, and ends with 1 if anything does, or if a file is missing on one side. Times that a job took are left out,
as is what a header says of who made a file and when.
"""

import sys
from pathlib import Path

import numpy as np
import xarray as xr
from safetensors.numpy import load_file

TIMES = ["seconds", "examples_per_second"]


def differences(old: Path, new: Path) -> list[str]:
    """What differs, a line each; empty if nothing does."""
    names = {path.relative_to(root) for root in (old, new) for path in root.rglob("*") if _is_result(path, root)}
    found = []
    for name in sorted(names):
        sides = (old / name, new / name)
        if missing := [str(path.parents[len(name.parts) - 1]) for path in sides if not path.is_file()]:
            found.append(f"{name}: not in {' and '.join(missing)}")
        elif name.suffix == ".nc":
            found += [f"{name}: {problem}" for problem in _unlike(*map(_variables, sides))]
        else:
            found += [f"{name}: {problem}" for problem in _unlike(*map(load_file, sides))]
    return found or ([] if names else ["there are no results"])


def _is_result(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix in (".nc", ".safetensors") and not hidden and path.is_file()


def _variables(path: Path) -> dict[str, np.ndarray]:
    with xr.open_dataset(path, mask_and_scale=False, decode_times=False) as opened:
        return {str(name): variable.values for name, variable in opened.variables.items() if name not in TIMES}


def _unlike(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> list[str]:
    found = [f"{name} is in one alone" for name in sorted(old.keys() ^ new.keys())]
    for name in sorted(old.keys() & new.keys()):
        one, other = old[name], new[name]
        same = one.shape == other.shape and one.dtype == other.dtype
        if not same or (one.tobytes() != other.tobytes() if one.dtype != object else not np.array_equal(one, other)):
            found.append(f"{name} differs")
    return found


if __name__ == "__main__":
    problems = differences(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or "the same, to the bit\n")
    sys.exit(bool(problems))
