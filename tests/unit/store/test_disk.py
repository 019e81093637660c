"""Free space is that of the disk that the bytes go to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.store import disk
from tests.plans import plan
from tests.project import Project, project

__all__ = ["project"]

SMALL, LARGE = 1_000, 10**12


@pytest.fixture
def two_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of another disk, which is nearly full; the project's own has room."""
    other = tmp_path / "mounted"
    other.mkdir()

    def usage(path: Path) -> shutil._ntuple_diskusage:
        return shutil._ntuple_diskusage(LARGE, 0, SMALL if Path(path).is_relative_to(other) else LARGE)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(disk, "device_of", lambda folder: int(folder.is_relative_to(other)))
    return other


@pytest.mark.parametrize("target", ["rows", "not-there-yet/rows", "."])
def test_rows_that_are_kept_on_another_disk_need_room_there(project: Project, two_disks: Path, target: str) -> None:
    HERE.weights.mkdir()
    HERE.adapted.symlink_to(two_disks / target)
    (two_disks / "rows").mkdir()
    found = plan()
    results, cache = found.disks
    assert (results.folder.is_relative_to(two_disks), results.free, cache.free) == (True, SMALL, LARGE)
    assert results.need == cache.need == found.disk_bytes / 2 > SMALL
    assert "The disk is too small" in project.nada("plan", "--no-preflight").out
    with pytest.raises(
        OutputError, match=rf"^{results.folder}: 0 MB free; 2 rows needs \d+ MB there; free some space$"
    ):
        found.check_disk(found.to_train)


def test_two_copies_on_one_disk_need_room_for_both(project: Project, two_disks: Path) -> None:
    found = plan()
    (only,) = found.disks
    assert (only.need, only.free) == (found.disk_bytes, LARGE)
    assert only.need == 2 * sum(planned.cost.num_bytes for planned in found.to_train)
    found.check_disk(found.to_train)


def test_a_cache_on_another_disk_needs_room_there(project: Project, two_disks: Path) -> None:
    HERE.dvc_cache.parent.mkdir()
    HERE.dvc_cache.symlink_to(two_disks)
    with pytest.raises(OutputError, match=rf"^{two_disks}: "):
        found = plan()
        found.check_disk(found.to_train)
