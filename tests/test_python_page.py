"""Every block of docs/python.md runs, in order and in one namespace, and prints what is shown below it."""

import re
from pathlib import Path

import pytest

import python_page

_INEXACT = re.compile(r"\d+\.\d+(?=\D|$)|\d+(?=%)")
"""Numbers with decimals and percentages: those of a training, which another processor rounds otherwise."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """What each block shows, and what it prints."""
    blocks = python_page.blocks()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        printed = list(python_page.printed([code for code, _ in blocks]))
    return [(shown, out) for (_, shown), out in zip(blocks, printed, strict=True)]


def test_the_blocks_print_what_is_shown(said: list[tuple[str, str]]) -> None:
    assert len(said) > 10
    for shown, out in said:
        assert _INEXACT.sub("#", out) == _INEXACT.sub("#", shown)
        for text, other in zip(_INEXACT.findall(shown), _INEXACT.findall(out), strict=True):
            last = 10.0 ** -len(text.partition(".")[2])  # one in the last digit that is shown
            assert float(other) == pytest.approx(float(text), rel=0.25, abs=last), f"{out} is not {shown}"


def test_the_page_is_linked() -> None:
    assert "docs/python.md" in (Path(__file__).parents[1] / "README.md").read_text()
