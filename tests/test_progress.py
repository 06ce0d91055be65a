"""Progress: lines now and then in a log, a bar on a terminal."""

import io
import logging
import os
import re
import subprocess
import sys
import termios
from pathlib import Path
from types import SimpleNamespace

import pytest

import landscape.progress as module
from landscape.progress import progress


def lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: float, count: int, done: int = 0
) -> list[str]:
    """Log lines for `count` items of `step` seconds each, after `done` earlier ones."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with caplog.at_level(logging.INFO, "landscape"):
        seen = []
        for item in progress(range(count), done + count, "points", done):
            seen.append(item)
            clock.now += step
    assert seen == list(range(count))
    return [record.getMessage() for record in caplog.records]


def test_a_log_gets_a_line_every_ten_seconds_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert lines(monkeypatch, caplog, step=4, count=10) == [
        "points: 3 of 10, about 28 s left",
        "points: 6 of 10, about 16 s left",
        "points: 9 of 10, about 4 s left",
        "points: 10 of 10 in 40 s",
    ]


def test_what_an_earlier_process_did_counts_as_done_but_not_as_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert lines(monkeypatch, caplog, step=6, count=4, done=50) == [
        "points: 52 of 54, about 12 s left",
        "points: 54 of 54, about 0 s left",
        "points: 54 of 54 in 24 s",
    ]


def test_quick_work_gets_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert lines(monkeypatch, caplog, step=0.001, count=5000) == ["points: 5000 of 5000 in 5 s"]


def test_long_times_are_in_minutes_and_hours(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert lines(monkeypatch, caplog, step=1830, count=3) == [
        "points: 1 of 3, about 1 h 01 min left",
        "points: 2 of 3, about 30 min 30 s left",
        "points: 3 of 3, about 0 s left",
        "points: 3 of 3 in 1 h 31 min",
    ]


def test_nothing_is_consumed_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    source = iter(range(3))
    shown = progress(source, 3, "points")
    assert next(shown) == 0
    assert next(source) == 1


def test_a_terminal_gets_a_bar() -> None:
    reader, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    code = "from landscape.progress import progress\nprint(*progress(range(2), 7, 'points', 5))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=terminal, text=True) as process:
        os.close(terminal)
        said = b""
        while chunk := _read(reader):
            said += chunk
        os.close(reader)
        assert process.stdout is not None
        assert process.stdout.read().split() == ["0", "1"]
    assert process.returncode == 0
    bars = said.decode().split("\r")
    assert any(bar.startswith("points:  71%") and "5/7" in bar for bar in bars), bars
    assert any(bar.startswith("points: 100%") and "7/7" in bar for bar in bars), bars


def test_a_notebook_gets_a_bar() -> None:
    """As tqdm itself tells a notebook, by the kernel's configuration; without widgets the bar is text."""
    code = (
        "import sys, types\n"
        "shell = types.SimpleNamespace(config={'IPKernelApp': {}})\n"
        "sys.modules['IPython'] = types.SimpleNamespace(get_ipython=lambda: shell)\n"
        "from landscape.progress import progress\n"
        "print(*progress(range(3), 3, 'points'))\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1", "2"]
    assert "points: 100%" in done.stderr and "3/3" in done.stderr


def test_nothing_is_shown_where_nobody_looks() -> None:
    code = "from landscape.progress import progress; list(progress(range(3), 3, 'points'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def _read(terminal: int) -> bytes:
    """Next piece of a terminal's output; empty when its last writer has gone."""
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says it
        return b""


def test_the_logs_of_training_and_of_tiles_show_progress(finished: Path) -> None:
    logs = finished / "results/smoke/logs"
    for run in ("small", "noshort", "other"):
        said = (logs / f"train/{run}.log").read_text()
        assert re.findall(rf"training {run}: epoch (\d) of 3: train_loss", said) == ["0", "1", "2", "3"]
        assert re.search(rf"training {run}: 3 of 3 in \d+ s", said)
    for i in (1, 2, 3):
        assert re.search(r"points: 21 of 21 in \d+ s", (logs / f"tile/small/contour/{i}of3.log").read_text())
