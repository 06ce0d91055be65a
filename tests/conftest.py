from pathlib import Path

import pytest
import torch

import running

torch.set_num_threads(1)

LONG = ("test_kill.py", "finished", "test_workflow.py")
"""Groups of tests that take minutes: begun first, so that no worker is left with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of a module, which share fixtures, and one all that look at the finished experiment."""
    groups = {item: "finished" if "finished" in getattr(item, "fixturenames", ()) else item.path.name for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: LONG.index(groups[item]) if groups[item] in LONG else len(LONG))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the smoke experiment was run, with its configuration as config.yaml."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "config.yaml").write_text(running.SMOKE.read_text())
    running.landscape("run", "config.yaml", folder=folder)
    return folder
