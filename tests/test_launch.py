"""What a start of the workflow does before Snakemake; Snakemake itself is left out."""

from pathlib import Path
from typing import Any

import pytest

from landscape.errors import InputError
from landscape.running import launch

from running import written

CONFIG = {
    "data": {"digits": {"source": "digits"}},
    "runs": {"small": {"network": "resnet", "args": {"depth": 8}, "data": "digits"}},
}


@pytest.fixture(autouse=True)
def without_snakemake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landscape.experiment.preflight._check", lambda config: None)
    monkeypatch.setattr(launch, "queued", lambda folder, certain: [])
    monkeypatch.setattr("subprocess.Popen", lambda command: command)
    monkeypatch.setattr(launch, "_ended", lambda command, told: 0)
    monkeypatch.chdir(tmp_path)


def test_changes_are_looked_for_where_something_else_is_asked_than_the_last_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[list[str]] = []
    monkeypatch.setattr(launch, "_announce_changes", looked.append)
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


def test_a_lock_that_a_run_on_another_host_left_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(CONFIG, tmp_path)
    monkeypatch.setattr("socket.gethostname", lambda: "there")
    assert launch.run("config.yaml", []) == 0
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    (tmp_path / ".snakemake/locks").mkdir()
    (tmp_path / ".snakemake/locks/0.input.lock").touch()
    with pytest.raises(InputError, match="the last `landscape run` here was on there and left its lock"):
        launch.run("config.yaml", [])
