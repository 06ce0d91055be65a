"""Find the files of a checkpoint that other code wrote, without torch.

model.pt                          a file
model.pt#ema.state_dict           an entry of it, see `landscape.store.fitting`
model.safetensors.index.json      an index of shards, as Hugging Face writes it
folder/                           a folder that holds one of `IN_FOLDER`
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from landscape.config.section import MAX_EPOCHS
from landscape.errors import InputError

IN_FOLDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
)
"""Files that a folder is looked through for; the first that is there counts, as Hugging Face's libraries choose."""

_INDEX = ".index.json"


def split(text: str | Path) -> tuple[str, str | None]:
    """Split `FILE#ENTRY` into the file and the entry, which is None if none is stated."""
    whole = str(text)
    if "#" not in whole or Path(whole).exists():
        return whole, None
    file, _, entry = whole.rpartition("#")
    return file, entry.removesuffix(".")


def parts(text: str | Path) -> list[Path]:
    """List the files that hold a checkpoint; of a sharded one first the index, then the shards.

    Raises:
        InputError: if a file is missing, or an index is not one.
    """
    path = Path(split(text)[0])
    if path.is_dir():
        path = _in_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if not path.name.endswith(_INDEX):
        return [path]
    return [path, *(path.parent / shard for shard in dict.fromkeys(weight_map(path).values()))]


def weight_map(index: Path) -> dict[str, str]:
    """Read the shard of each tensor from an index.

    Raises:
        InputError: if it is no index, or names a shard that is not beside it.
    """
    try:
        found = json.loads(index.read_bytes())["weight_map"]
        shards = {str(name): str(shard) for name, shard in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{index} is no index of shards: it has no weight_map") from None
    for shard in sorted(set(shards.values())):
        if Path(shard).name != shard:
            raise InputError(f"{index} names the shard {shard!r}; a shard must lie beside its index")
        if not (index.parent / shard).is_file():
            raise InputError(f"{index} names the shard {shard}, and there is no such file beside it")
    return shards


def matching(pattern: str) -> list[str]:
    """List the files that a pattern matches, as FILE#ENTRY where it ends in #ENTRY, by the numbers in their names.

    Raises:
        InputError: if there is none, or their names do not say their order.
    """
    files, entry = split(pattern)
    found = sorted(glob.glob(files, recursive=True))
    if not found:
        raise InputError(f"no file matches {files!r}")
    behind = "" if entry is None else f"#{entry}"
    return [f"{file}{behind}" for _, file in sorted(zip(_numbers(found), found, strict=True))]


def numbered(files: Sequence[str]) -> dict[int, str]:
    """Number checkpoints that stand in their order: by the numbers in their names where these rise, else 0, 1, 2, ..."""
    try:
        numbers = _numbers([split(file)[0] for file in files])
    except InputError:
        numbers = []
    rise = all(a < b for a, b in itertools.pairwise(numbers))
    if not numbers or not rise or numbers[-1] > MAX_EPOCHS:
        numbers = list(range(len(files)))
    return dict(zip(numbers, files, strict=True))


def _numbers(files: Sequence[str]) -> list[int]:
    """The epoch of each file: the digits in which their names differ; where several do, those behind `epoch`.

    Raises:
        InputError: if the names differ in more than digits, or two have one number, or several numbers order them otherwise.
    """
    advice = "name the files in a list, in their order"
    texts = {file: _DIGITS.sub("0", file) for file in files}
    usual = Counter(texts.values()).most_common(1)[0][0]
    if odd := [file for file, text in texts.items() if text != usual]:
        raise InputError(
            f"{odd[0]} and {next(f for f in files if texts[f] == usual)} differ in more than a number; {advice}"
        )
    columns = list(zip(*(map(int, _DIGITS.findall(file)) for file in files), strict=True))
    before = re.split(r"\d+", usual)
    differing = {k: column for k, column in enumerate(columns) if len(set(column)) > 1}
    named = [column for k, column in differing.items() if _EPOCH.search(before[k])]
    chosen = named or list(differing.values())
    if len(files) == 1:
        return [0]
    orders = {tuple(sorted(range(len(files)), key=column.__getitem__)) for column in chosen}
    if len(orders) != 1 or len(set(chosen[0])) < len(files):
        raise InputError(f"the numbers in {files[0]}, {files[1]}, ... do not say the order of the files; {advice}")
    return list(chosen[0])


_DIGITS = re.compile(r"\d+")
_EPOCH = re.compile(r"ep(och)?s?[-_=. ]*$", re.IGNORECASE)


def checksum(text: str | Path) -> str:
    """Compute the SHA-256 of a checkpoint's file; of several files that of their checksums, in order."""
    found = []
    for path in parts(text):
        with open(path, "rb") as file:
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()


def _in_folder(folder: Path) -> Path:
    for name in IN_FOLDER:
        if (folder / name).is_file():
            return folder / name
    if (folder / ".metadata").is_file():
        raise InputError(
            f"{folder} is a distributed checkpoint; turn it into a file with "
            "torch.distributed.checkpoint.format_utils.dcp_to_torch_save"
        )
    raise InputError(f"{folder} is a folder without {', '.join(IN_FOLDER)}; name a file")
