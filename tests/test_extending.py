"""docs/extending.md does what it says: its sections are carried out on a copy of the clone, and their files counted."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from landscape.experiment import documentation

from running import REPOSITORY

PAGE = REPOSITORY / "docs/extending.md"
MOST = {
    "A kind of figure": 3,
    "A probe": 3,
    "A measure of a plane": 4,
    "A number of a surface": 3,
    "A key": 2,
    "A network": 3,
    "A data source": 3,
}
"""Files that adding may touch: the test and the line in a tuple count, what `make generated` writes does not."""

CHECK = """
import sys
from pathlib import Path

import pytest

from landscape.experiment import documentation, reading

assert documentation.ROOT == Path.cwd()
for path, text in documentation.documents().items():
    Path(path).write_text(text)
for config in Path().glob("*.yaml"):
    reading.read(config)
sys.exit(pytest.main(["--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist", *sys.argv[1:]]))
"""
"""Writes the documents, reads the configurations, runs tests: all in one process, since each would load torch."""


class Block(NamedTuple):
    """What is to be done with a file: Write, Change or Use."""

    verb: str
    path: str
    text: str


def sections() -> dict[str, str]:
    """The sections of the page by their headings."""
    _, *parts = re.split(r"^## ", PAGE.read_text(), flags=re.M)
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def blocks(section: str) -> Iterator[Block]:
    """The blocks of a section, each under a line that says what to do with which file; those of commands are left out."""
    fenced = list(re.finditer(r"(?:^(\w+) (?:it in )?`(\S+)`:\n\n)?^```(\w+)\n(.*?)^```$", section, flags=re.M | re.S))
    assert section.count("```") == 2 * len(fenced)
    for verb, path, language, text in (match.groups() for match in fenced):
        if language != "console":
            assert language == {"Write": "python", "Change": "diff", "Use": "yaml"}[verb]
            yield Block(verb, path, text)


def carry_out(block: Block, folder: Path) -> None:
    file = folder / block.path
    if block.verb == "Change":
        text = file.read_text()
        for hunk in block.text.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            assert {line[0] for line in lines} <= {"+", "-", " "}
            before, after = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
            assert text.count(before) == 1, f"{block.path} has not once:\n{before}"
            text = text.replace(before, after)
        file.write_text(text)
    else:
        assert not file.exists()
        file.write_text(block.text)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def clone(folder: Path) -> Path:
    """A copy of the clone, without its history and what was made in it."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src", "tests", "config", "docs"]
    said = subprocess.run(
        [*listed, "*.md", "pyproject.toml"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in said.stdout.rstrip("\0").split("\0"):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    return folder


def test_the_page_has_a_section_for_everything() -> None:
    assert [heading.partition(":")[0] for heading in sections()] == list(MOST)


@pytest.mark.parametrize("heading", sections())
def test_a_section_touches_as_many_files_as_it_says(heading: str, tmp_path: Path) -> None:
    copy = clone(tmp_path)
    before = contents(copy)
    found = list(blocks(sections()[heading]))
    for block in found:
        carry_out(block, copy)
    after = contents(copy)
    touched = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    what, count = heading.removesuffix(" files").split(": ")
    assert len(touched - {block.path for block in found if block.verb == "Use"}) == int(count) <= MOST[what]
    assert not touched & documentation.documents().keys()
    assert sum(path.startswith("tests/test_") for path in touched) == 1
    assert [block.verb for block in found][-1] == "Use"


def test_what_all_sections_add_works(tmp_path: Path) -> None:
    copy = clone(tmp_path)
    found = [block for section in sections().values() for block in blocks(section)]
    for block in found:
        carry_out(block, copy)
    before = contents(copy)
    tests = [block.path for block in found if block.path.startswith("tests/")]
    ran = subprocess.run(
        [sys.executable, "-c", CHECK, *tests, "tests/test_documentation.py", "tests/test_specs.py"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made = {path for path, content in contents(copy).items() if content != before.get(path)}
    assert made == {"config/schema.json", "docs/keys.md", "config/default.yaml", "tests/defaults.json"}
