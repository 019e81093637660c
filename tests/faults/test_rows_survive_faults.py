"""Processes killed mid-write and disks that fill up leave rows whole or absent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.config.project import HERE
from tasks.store import row_folder

ROOT = Path(__file__).parents[2]
KEY = "0" * 64

FILL = """
import os, signal, sys
from pathlib import Path
from tasks.store import row_folder

def die():
    os.kill(os.getpid(), signal.SIGKILL)

folder = row_folder.partial_dir("sketch")
(folder / "generator.safetensors").write_bytes(b"new weights")
if sys.argv[1] == "while filling":
    die()
if sys.argv[1] == "while recording":
    Path.replace = lambda self, target: die()
row_folder.write_record(folder, {"key": "1" * 64, "domain": "sketch"})
if sys.argv[1] == "before publishing":
    die()
if sys.argv[1] == "between the two renames":
    rename, calls = Path.rename, []
    def one_rename(self, target):
        die() if calls else calls.append(rename(self, target))
    Path.rename = one_rename
if sys.argv[1] == "while removing the old":
    import shutil
    remove, calls = shutil.rmtree, []
    def second_dies(path, ignore_errors=False):
        if calls: die()
        calls.append(path)
    shutil.rmtree = second_dies
row_folder.publish(folder, "sketch")
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one finished row."""
    monkeypatch.chdir(tmp_path)
    folder = row_folder.partial_dir("sketch")
    (folder / "generator.safetensors").write_bytes(b"old weights")
    row_folder.write_record(folder, {"key": KEY, "domain": "sketch"})
    row_folder.publish(folder, "sketch")
    return tmp_path


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("moment", ["while filling", "while recording", "before publishing"])
def test_a_kill_before_the_first_rename_keeps_the_old_row(moment: str) -> None:
    result = run(FILL, moment)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert row_folder.is_finished("sketch", KEY)
    row_folder.sweep()
    assert [path.name for path in HERE.adapted.iterdir()] == ["sketch"]


def test_a_kill_between_the_two_renames_leaves_the_row_absent() -> None:
    result = run(FILL, "between the two renames")
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert not (HERE.adapted / "sketch").exists()
    row_folder.sweep()
    assert list(HERE.adapted.iterdir()) == []


def test_a_kill_after_the_second_rename_has_published_the_new_row() -> None:
    result = run(FILL, "while removing the old")
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert row_folder.is_finished("sketch", "1" * 64)
    row_folder.sweep()
    assert [path.name for path in HERE.adapted.iterdir()] == ["sketch"]


def test_without_a_kill_the_new_row_replaces_the_old() -> None:
    result = run(FILL, "never")
    assert result.returncode == 0, result.stderr
    assert row_folder.is_finished("sketch", "1" * 64)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from nada.errors import OutputError
from tasks.report import metrics
from tasks.store import row_folder

folder = row_folder.partial_dir("robot")
(folder / "generator.safetensors").write_bytes(b"weights")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # no file may grow past 10 bytes, as on a full disk
for write in (
    lambda: row_folder.write_record(folder, {"key": "k", "domain": "robot"}),
    lambda: metrics.write_metrics([], {}, Path("reports")),
):
    try:
        write()
    except OutputError as error:
        print(error)
"""


def test_a_full_disk_is_one_clear_error_and_publishes_nothing() -> None:
    result = run(FULL_DISK)
    assert result.returncode == 0, result.stderr
    record, metrics = result.stdout.splitlines()
    assert record.startswith("weights/adapted/.partial-robot-")
    assert record.endswith(": cannot be written (File too large)")
    assert metrics == "reports/metrics.json: cannot be written (File too large)"
    assert not (HERE.adapted / "robot").exists()
    assert not Path("reports/metrics.json").exists()
