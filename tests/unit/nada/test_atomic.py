"""Files are whole or absent, whoever writes them at the same time and however that ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nada.atomic import replacing, sweep_partials


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_two_that_replace_one_file_at_once_leave_the_last_ones_content_whole() -> None:
    path = Path("file")
    with replacing(path) as first:
        first.write_text("the first, ")
        with replacing(path) as second:
            second.write_text("the second")
        assert path.read_text() == "the second"
        with first.open("a") as file:
            file.write("to its end")
    assert path.read_text() == "the first, to its end"
    assert names() == ["file"]


def test_an_attempt_that_fails_leaves_the_file_and_the_others_alone() -> None:
    path = Path("file")
    path.write_text("before")
    with replacing(path) as other:
        with pytest.raises(ZeroDivisionError), replacing(path) as partial:
            partial.write_text("half")
            raise ZeroDivisionError
        assert (path.read_text(), names()) == ("before", ["file"])
        other.write_text("after")
    assert path.read_text() == "after"


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_what_a_killed_process_left_goes_with_the_next_attempt_and_what_lives_stays() -> None:
    path, dead = Path("file[1]"), dead_pid()
    kept = ["file", "file[1].1-0.partial", f"file.{dead}-0.partial", "file[1].x.partial"]  # process 1 lives
    for name in (*kept, f"file[1].{dead}-0.partial", f"file[1].{dead}-17.partial"):
        Path(name).touch()
    with replacing(path) as partial:
        partial.touch()
    assert names() == sorted([*kept, "file[1]"])


def test_nothing_is_swept_where_there_is_no_folder() -> None:
    sweep_partials(Path("absent/file"))
