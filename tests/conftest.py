from pathlib import Path

import pytest
import torch

import running

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the smoke experiment was run, with its configuration as config.yaml."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "config.yaml").write_text(running.SMOKE.read_text())
    running.landscape("run", "config.yaml", folder=folder)
    return folder
