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
from tests.records import make_record

ROOT = Path(__file__).parents[2]
KEY, NEW_KEY = "0" * 64, "1" * 64

FILL = """
import os, signal, sys
from pathlib import Path
from tasks.store import row_folder
from tasks.store.record import Making

def die():
    os.kill(os.getpid(), signal.SIGKILL)

folder = row_folder.partial_dir("sketch")
(folder / "generator.safetensors").write_bytes(b"new weights")
if sys.argv[1] == "while filling":
    die()
if sys.argv[1] == "while recording":
    Path.replace = lambda self, target: die()
row_folder.write_making(folder, Making.model_validate_json(sys.argv[2]))
if sys.argv[1] == "before publishing":
    die()
if sys.argv[1] == "between the two renames":
    rename, calls = Path.rename, []
    def one_rename(self, target):
        die() if calls else calls.append(rename(self, target))
    Path.rename = one_rename
if sys.argv[1] == "while removing the old":
    import shutil
    shutil.rmtree = lambda path, ignore_errors=False: die()
row_folder.publish(folder, "sketch")
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one finished row."""
    monkeypatch.chdir(tmp_path)
    folder = row_folder.partial_dir("sketch")
    (folder / "generator.safetensors").write_bytes(b"old weights")
    row_folder.write_making(folder, make_record("sketch", making={"key": KEY}).making)
    row_folder.publish(folder, "sketch")
    return tmp_path


def making(domain: str) -> str:
    """How a new row was made, as text."""
    return make_record(domain, making={"key": NEW_KEY}).making.model_dump_json()


def is_made(key: str) -> bool:
    return row_folder.is_made(HERE.adapted / "sketch", "sketch", key)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("moment", ["while filling", "while recording", "before publishing"])
def test_a_kill_before_the_first_rename_keeps_the_old_row(moment: str) -> None:
    result = run(FILL, moment, making("sketch"))
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert is_made(KEY)
    row_folder.sweep()
    assert [path.name for path in HERE.adapted.iterdir()] == ["sketch"]


def test_a_kill_between_the_two_renames_leaves_the_row_absent() -> None:
    result = run(FILL, "between the two renames", making("sketch"))
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert not (HERE.adapted / "sketch").exists()
    row_folder.sweep()
    assert list(HERE.adapted.iterdir()) == []


def test_a_kill_after_the_second_rename_has_published_the_new_row() -> None:
    result = run(FILL, "while removing the old", making("sketch"))
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert is_made(NEW_KEY)
    row_folder.sweep()
    assert [path.name for path in HERE.adapted.iterdir()] == ["sketch"]


def test_without_a_kill_the_new_row_replaces_the_old() -> None:
    result = run(FILL, "never", making("sketch"))
    assert result.returncode == 0, result.stderr
    assert is_made(NEW_KEY)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from nada.errors import OutputError
from tasks.report import metrics
from tasks.store import row_folder
from tasks.store.record import Making

folder = row_folder.partial_dir("robot")
(folder / "generator.safetensors").write_bytes(b"weights")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # no file may grow past 10 bytes, as on a full disk
for write in (
    lambda: row_folder.write_making(folder, Making.model_validate_json(sys.argv[1])),
    lambda: metrics.write_metrics([], {}, Path("reports")),
):
    try:
        write()
    except OutputError as error:
        print(error)
"""


def test_a_full_disk_is_one_clear_error_and_publishes_nothing() -> None:
    result = run(FULL_DISK, making("robot"))
    assert result.returncode == 0, result.stderr
    record, metrics = result.stdout.splitlines()
    assert record.startswith("weights/adapted/.partial-robot-")
    assert record.endswith(": cannot be written (File too large)")
    assert metrics == "reports/metrics.json: cannot be written (File too large)"
    assert not (HERE.adapted / "robot").exists()
    assert not Path("reports/metrics.json").exists()
