from pathlib import Path

import pytest
import torch

import running

torch.set_num_threads(1)

FIXTURES = ("finished", "untested", "stranger")
"""Fixtures that take long to make: what looks at one of them is run by one worker, so that it is made once."""

LONG = ("finished", "test_kill.py", "untested", "stranger")
"""Groups of tests that take minutes: begun first, so that no worker is left with one at the end."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of a module, which share fixtures; but those of the workflow go where there is room."""
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: LONG.index(groups[item]) if groups[item] in LONG else len(LONG))


def _group(item: pytest.Item) -> str:
    made = [name for name in FIXTURES if name in getattr(item, "fixturenames", ())]
    if made:
        return made[0]
    return item.name if item.path.name == "test_workflow.py" else item.path.name


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the smoke experiment was run, with its configuration as config.yaml."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "config.yaml").write_text(running.SMOKE.read_text())
    running.landscape("run", "config.yaml", folder=folder)
    return folder
