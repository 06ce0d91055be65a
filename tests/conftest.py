from pathlib import Path

import pytest
import torch

import every_kind
import running

torch.set_num_threads(1)

LONG = ("finished", "strangers")
"""Fixtures that take minutes to make: tests that use them are begun first, so that no worker is left with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        if item.path.name == "test_slurm.py":  # last, since its jobs have limits of time and memory
            return 2
        return 0 if item.path.name == "test_kill.py" or set(LONG) & set(item.fixturenames) else 1  # type: ignore[attr-defined]

    items.sort(key=turn)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the smoke experiment was run, with its configuration as config.yaml; only to be looked at."""

    def make(folder: Path) -> None:
        (folder / "config.yaml").write_text(running.SMOKE.read_text())
        running.landscape("run", "config.yaml", folder=folder)

    return running.once(tmp_path_factory, "finished", make)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of every kind under `out`; only to be looked at."""
    return running.once(tmp_path_factory, "every_kind", every_kind.make)
