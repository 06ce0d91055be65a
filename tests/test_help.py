"""`landscape --help` speaks to a user first, in one line for each verb."""

import re

import pytest

from landscape import cli


def test_verbs_for_users_come_first_and_each_has_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cli.main(["--help"])
    said = capsys.readouterr().out
    headings = re.findall(r"^╭─ (.*?) ─", said, flags=re.M)
    assert headings == ["For users", "Tools", "Steps of the workflow", "Options"]
    lines = re.findall(r"^│ (\S*) +(.*?) *│$", said, flags=re.M)
    verbs = [verb.__name__.rstrip("_") for _, verbs in cli.VERBS for verb in verbs]
    assert [name for name, _ in lines] == [*verbs, "--help", "--version"], "a line that is continued has no name"
    assert verbs[:7] == ["see", "init", "run", "check", "plan", "show", "clean"]
    assert all(text.endswith((".", "...")) for _, text in lines)
