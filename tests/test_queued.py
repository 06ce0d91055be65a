"""What `landscape run` takes from SLURM's queue, said by a squeue of the tests' own; test_slurm.py asks a real one."""

import os
from pathlib import Path

import pytest

from landscape.errors import TransientError
from landscape.running.slurm_queue import queued


def squeue(says: str, place: Path, patched: pytest.MonkeyPatch) -> None:
    (place / "bin").mkdir()
    (place / "bin/squeue").write_text(f"#!/bin/sh\n{says}\n")
    (place / "bin/squeue").chmod(0o755)
    patched.setenv("PATH", str(place / "bin"), prepend=os.pathsep)


def test_only_jobs_of_a_snakemake_in_this_folder_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "work")
    lines = [
        f"7|RUNNING|rule_tile_wildcards_small/contour/1/2|{tmp_path}/work",
        f"8|PENDING|rule_train_wildcards_small|{tmp_path}/link",
        f"9|RUNNING|rule_train_wildcards_small|{tmp_path}/elsewhere",
        f"10|RUNNING|(null)|{tmp_path}/work",  # perhaps the job in which `landscape run` itself runs
    ]
    squeue("cat <<'END'\n" + "\n".join(lines) + "\nEND", tmp_path, monkeypatch)
    assert queued(str(tmp_path / "work"), certain=True) == [
        "SLURM job 7, tile_wildcards_small/contour/1/2, RUNNING",
        "SLURM job 8, train_wildcards_small, PENDING",
    ]


def test_a_slurm_that_does_not_answer_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squeue("echo 'Unable to contact slurm controller' >&2; exit 1", tmp_path, monkeypatch)
    assert queued(str(tmp_path), certain=False) == []
    with pytest.raises(TransientError, match=r"squeue does not say .* \(Unable to contact slurm controller\)"):
        queued(str(tmp_path), certain=True)


def test_without_slurm_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queued(str(tmp_path), certain=True) == []
