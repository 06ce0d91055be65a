"""Every example in the docstrings of the public functions runs, and says what it says there."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import landscape
import landscape.api

MODULES = [f"landscape.api.{module.name}" for module in pkgutil.iter_modules(landscape.api.__path__)]


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=False)
    found = (test for name in MODULES for test in finder.find(importlib.import_module(name), name))
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda test: str(test.name))
def test_an_example_runs(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example.globs["ls"] = landscape
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)


def test_every_public_function_has_an_example() -> None:
    told = {test.name.rpartition(".")[2] for test in examples()}
    functions = set(landscape.__all__) - {"InputError", "draw"}
    assert functions - told == {"probe"}, "which the functions of each measure show"
