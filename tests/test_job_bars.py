"""Bars of jobs on a terminal, Snakemake's own text elsewhere."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from landscape.running import launch
from landscape.running.job_bars import JobBars

from running import PATH, landscape, written

BROKEN = """
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.head = nn.Linear(64, num_classes)

    def forward(self, x):
        if len(x) > 2:  # the check calls it with two examples
            raise ValueError("broken on purpose")
        return self.head(x.flatten(1))
"""
RUN = {"network": "mlp", "args": {"hidden": [4]}, "data": "digits", "epochs": 1}
CONFIG: dict[str, Any] = {
    "results": "results/tiny",
    "data": {"digits": {"source": "digits"}},
    "runs": {"good": RUN, "bad": {"network": "broken.py:Net", "data": "digits", "epochs": 1}},
    "planes": {"line": {"alpha": [-1, 1, 3], "examples": 20, "tiles": 1}},
    "figures": {"lines": {"draw": "lines", "runs": ["good"], "plane": "line"}},
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """Bars on a terminal of 80 columns that is a text, with a clock that stands still."""

    def __init__(self, terminal: bool = True) -> None:
        self.clock, self.file = Clock(), io.StringIO()
        self.console = Console(file=self.file, force_terminal=terminal, width=80, highlight=False, color_system=None)
        self.bars = JobBars(self.console, self.clock)

    def take(self, event: str, level: int = logging.INFO, said: str = "", **facts: Any) -> None:
        record = logging.makeLogRecord({"event": event or None, "levelno": level, "msg": said, **facts})
        self.bars.take(record, logging.LogRecord.getMessage)

    def begin(self, number: int, rule: str, log: str = "", **wildcards: str) -> None:
        self.take("job_info", jobid=number, rule_name=rule, wildcards=wildcards, log=[log] if log else [])

    def rows(self) -> dict[str, str]:
        """What stands behind each bar."""
        with self.console.capture() as captured:
            self.console.print(self.bars._drawn())
        found = (re.fullmatch(r"(\w+(?: jobs)?) +\S* *([\d,]+/\d.*?) *", line) for line in captured.get().splitlines())
        return {match[1]: match[2] for match in found if match}

    def text(self) -> str:
        return self.file.getvalue()


def test_each_kind_of_job_has_a_row_with_its_rate_and_the_time_left() -> None:
    shown = Shown()
    shown.take("run_info", stats={"train": 2, "directions": 1, "aimed": 3, "tile": 4, "all": 1, "total": 11})
    assert shown.rows() == {"train": "0/2", "directions": "0/4", "tile": "0/4", "all jobs": "0/10  in 0 s"}
    shown.begin(1, "train", run="a")
    shown.begin(2, "train", run="b")
    shown.clock.now = 30
    assert shown.rows()["train"] == "0/2  running for 30 s"
    shown.take("job_finished", job_id=1)
    assert shown.rows()["train"] == "1/2  2.0/min, 30 s left"
    shown.take("job_finished", job_id=2)
    shown.clock.now = 100
    assert shown.rows()["train"] == "2/2  in 30 s", "the time in which none of them ran does not count"
    shown.begin(3, "aimed", state="a", plane="line")
    shown.take("job_finished", job_id=3)
    assert shown.rows()["directions"].startswith("1/4")
    assert shown.rows()["all jobs"] == "3/10  in 1 min 40 s"


def test_a_running_job_counts_by_what_its_log_says(tmp_path: Path) -> None:
    shown, log = Shown(), tmp_path / "train.log"
    shown.take("run_info", stats={"train": 1, "total": 1})
    shown.begin(1, "train", str(log), run="a")
    log.write_text("12:00:00 device cpu\n12:01:00 training: 3 of 12, about 2 min left\n")
    shown.clock.now = 60
    assert shown.rows() == {"train": "0/1  3 min 00 s left"}


def test_a_failed_job_shows_its_last_words_and_what_they_do_to_a_terminal_is_escaped(tmp_path: Path) -> None:
    shown, log = Shown(), tmp_path / "job.log"
    log.write_text("".join(f"line {k}\n" for k in range(30)) + "error: \x1b[2Jdisk full\n")
    shown.take("run_info", stats={"tile": 2, "total": 2})
    shown.begin(7, "tile", str(log), state="a", plane="line", i="1", n="2")
    shown.take("error", logging.ERROR, "Command ... returned non-zero exit status 1", exception="CalledProcessError")
    shown.take("job_error", logging.ERROR, jobid=7, rule_name="tile", log=[str(log)], rule_msg="out of time")
    shown.take("job_error", logging.ERROR, jobid=7, rule_name="tile", log=[str(log)])  # old versions say it twice
    said = shown.text()
    assert (
        said.count("failed: tile state a, plane line, i 1, n 2") == 1
        and "out of time" in said
        and "Command" not in said
    )
    assert "line 29" in said and "line 20" not in said
    assert "\x1b[2J" not in said and "\\x1b[2Jdisk full" in said
    assert str(log) in said.replace("\n", "")
    assert shown.rows() == {"tile": "0/2  1 failed"}
    shown.take("", said="Trying to restart job 7.")
    shown.begin(7, "tile", str(log), state="a", plane="line", i="1", n="2")
    assert "Trying to restart" in shown.text() and shown.rows() == {"tile": "0/2  running for 0 s"}


def test_of_a_failed_group_only_the_jobs_that_began_are_told_of(tmp_path: Path) -> None:
    shown, log = Shown(), tmp_path / "job.log"
    log.write_text("error: no\n")
    shown.take("run_info", stats={"directions": 2, "total": 2})
    for number, plane in enumerate(["one", "two"]):
        shown.begin(number, "directions", str(tmp_path / plane), state="a", plane=plane)
    shown.take("group_error", logging.ERROR, groupid="directions-a", aux_logs=[str(log)], job_error_info=[])
    for number, path in enumerate([log, tmp_path / "none"]):
        shown.take("job_error", logging.ERROR, jobid=number, rule_name="directions", log=[str(path)], indent=True)
    said = shown.text()
    assert "the group directions-a" in said and "plane one" in said and "plane two" not in said
    assert shown.rows() == {"directions": "0/2  2 failed"}


def test_a_job_that_the_user_ended_did_not_fail(tmp_path: Path) -> None:
    shown, log = Shown(), tmp_path / "job.log"
    log.write_text("training: 1 of 3, about 5 s left\n")
    shown.take("run_info", stats={"train": 1, "total": 1})
    shown.begin(1, "train", str(log), run="a")
    shown.take("", said="Terminating processes on user request, this might take some time.")
    shown.take("job_error", logging.ERROR, jobid=1, rule_name="train", log=[str(log)])
    assert "failed" not in shown.text() and "Terminating" in shown.text()
    assert shown.rows() == {"train": "0/1"}


def test_warnings_and_errors_of_snakemake_are_shown_and_its_other_words_are_not() -> None:
    shown = Shown()
    shown.take("", logging.INFO, "Using shell: /bin/bash")
    shown.take("", logging.WARNING, "a file system is slow")
    shown.take("error", logging.ERROR, "MissingRuleException: no rule makes x", exception="MissingRuleException")
    shown.take("error", logging.ERROR, "WorkflowError:\nAt least one job did not complete successfully.")
    assert shown.text() == "a file system is slow\nMissingRuleException: no rule makes x\n"


def test_without_a_terminal_each_finished_job_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no log of another run lies here
    shown = Shown(terminal=False)
    shown.take("workflow_started")
    shown.take("run_info", stats={"train": 2, "total": 2})
    shown.begin(1, "train", run="a")
    shown.take("job_finished", job_id=1)
    shown.bars.close()
    assert shown.text() == "1 of 2: train run a\n"


@pytest.mark.parametrize(
    ("options", "variables", "bars"),
    [
        ([], {}, True),
        (["results/x.pdf", "--forcerun", "figure"], {}, True),
        ([], {"CI": "true"}, False),
        ([], {"TERM": "dumb"}, False),
        (["--dry-run"], {}, False),
        (["--quiet"], {}, False),
        (["--quiet=rules"], {}, False),
        (["--logger", "other"], {}, False),
        (["--profile", "spoken"], {}, False),
        (["--profile", "silent"], {}, True),
        ([], {"SNAKEMAKE_PROFILE": "spoken"}, False),
    ],
)
def test_bars_are_for_a_person_who_did_not_choose_otherwise(
    options: list[str], variables: dict[str, str], bars: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    for name in ("CI", "SNAKEMAKE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name, text in {"spoken": "quiet: [rules]", "silent": "jobs: 3"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)
    assert launch._shows_bars(*launch._with_profiles(options)) == bars


def test_a_profile_of_this_installation_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    words, files = launch._with_profiles(["--profile=slurm", "-n"])
    assert words == ["--profile", str(launch.profile("slurm")), "-n"] and files == [
        launch.profile("slurm") / "config.yaml"
    ]
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm/config.yaml").write_text("jobs: 1")
    assert launch._with_profiles(["--profile", "slurm"])[0] == ["--profile", "slurm"], (
        "a profile of one's own comes first"
    )


def on_a_terminal(*options: str, folder: Path) -> str:
    """What `landscape` writes to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PATH": PATH, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("CI", None)
    command = [sys.executable, "-m", "landscape", *options]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    assert process.returncode in (0, 1), said.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode()).replace("\r", "")


def test_the_workflow_on_a_terminal_and_in_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    written(CONFIG, tmp_path)
    said = on_a_terminal("run", "config.yaml", "--keep-going", folder=tmp_path)
    last = said.rpartition("configuration ")[2]  # the bars, as they were drawn last
    assert re.search(r"^train +[━╸╺]+ +1/2  1 failed", last, flags=re.M) and re.search(
        r"^tile +[━╸╺]+ +1/1  in ", last, flags=re.M
    )
    assert "failed: train run bad" in said and "broken on purpose" in said
    assert "log: results/tiny/logs/train/bad.log" in said
    assert "rule tile:" not in said and "not everything was made; what is finished stays" in said
    (log,) = (tmp_path / ".snakemake/log").glob("*.log")
    assert said.count(f"Snakemake's log: .snakemake/log/{log.name}") == 2 and "rule tile:" in log.read_text()

    target = "results/tiny/surfaces/good/line.nc"
    (tmp_path / target).unlink()
    piped = landscape("run", "config.yaml", target, folder=tmp_path)
    assert "rule merge:" in piped and "━" not in piped
    assert f"made 1 surface in results/tiny/: {target}" in piped
    again = landscape("run", "config.yaml", target, folder=tmp_path)
    assert "nothing had to be made: 1 figure is in results/tiny/: results/tiny/figures/lines.pdf" in again
