"""What a start of the workflow does before Snakemake; Snakemake itself is left out."""

from pathlib import Path
from typing import Any

import pytest

from landscape.running import launch

from running import written

CONFIG = {
    "data": {"digits": {"source": "digits"}},
    "runs": {"small": {"network": "resnet", "args": {"depth": 8}, "data": "digits"}},
}


def test_changes_are_looked_for_where_something_else_is_asked_than_the_last_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[list[str]] = []
    monkeypatch.setattr("landscape.experiment.preflight._check", lambda config: None)
    monkeypatch.setattr(launch, "_announce_changes", looked.append)
    monkeypatch.setattr(launch, "queued", lambda folder, certain: [])
    monkeypatch.setattr("subprocess.Popen", lambda command: command)
    monkeypatch.setattr(launch, "_ended", lambda command: 0)
    monkeypatch.chdir(tmp_path)
    other = {**CONFIG, "planes": {"line": {"alpha": [-1, 1, 3]}}}

    def looks(content: dict[str, Any], *options: str) -> bool:
        before = len(looked)
        written(content, tmp_path)
        assert launch.run("config.yaml", options) == 0
        return len(looked) > before

    assert not looks(CONFIG), "there is nothing that could be remade"
    (tmp_path / "results").mkdir()
    assert not looks(CONFIG)
    assert looks(other) and not looks(other)
    assert looks(other, "a") and not looks(other, "a")
    assert not looks(CONFIG, "--dry-run") and not looks(other, "a"), "a dry run says so itself"
    assert looks(other)
