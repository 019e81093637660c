"""One night at a time in a project, and one process at a time in a folder, however the last one ended."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.store.locks import alone_in, night_lives, only_night, refuse_during_a_night
from tests.locks import held_by_another

NIGHT = """
import time
from tasks.store.locks import only_night

with only_night():
    print("on", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_night_lives_as_long_as_its_block() -> None:
    assert not night_lives()
    for _ in range(2):
        with only_night():
            assert night_lives()
        assert not night_lives()


def test_a_second_night_is_told_whose_the_first_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.store.locks.GLANCE_SECONDS", 0.01)
    with held_by_another(), pytest.raises(OutputError) as caught, only_night():
        pass
    assert str(caught.value) == "weights/.night.lock: another night runs here (process 4711); wait for it"


def test_whoever_has_the_lock_may_ask_for_it_again() -> None:
    with only_night():
        with only_night():
            refuse_during_a_night(HERE.inputs)
        assert night_lives()
    assert not night_lives()


def test_nothing_of_another_night_is_changed() -> None:
    refuse_during_a_night(HERE.inputs)
    with held_by_another(), pytest.raises(OutputError) as caught:
        refuse_during_a_night(HERE.inputs)
    assert str(caught.value) == "weights/inputs.json: a night runs here; wait for it"


def test_the_lock_of_a_night_that_was_killed_is_free(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", NIGHT], cwd=folder, stdout=subprocess.PIPE, text=True, env=environment
    ) as night:
        assert night.stdout is not None
        assert night.stdout.readline() == "on\n"
        assert HERE.night_lock.read_text() == str(night.pid)
        assert night_lives()
        night.kill()
    assert not night_lives()
    with only_night():
        assert HERE.night_lock.read_text() == str(os.getpid())


def test_several_may_ask_at_once_whether_a_night_lives() -> None:
    with only_night():
        pass
    with HERE.night_lock.open() as asked_by_another:
        fcntl.flock(asked_by_another, fcntl.LOCK_SH)
        assert not night_lives()


def test_who_asks_keeps_no_night_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.store.locks.GLANCE_SECONDS", 60.0)  # on a busy machine the answer may be late
    with only_night():
        pass
    with HERE.night_lock.open() as asked:
        fcntl.flock(asked, fcntl.LOCK_SH)
        threading.Timer(0.05, lambda: fcntl.flock(asked, fcntl.LOCK_UN)).start()
        with only_night():
            assert night_lives()


def test_a_lock_that_cannot_be_written_is_named(folder: Path) -> None:
    HERE.weights.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"^weights/\.night\.lock: cannot be written \("), only_night():
        pass


def test_who_waits_for_a_folder_comes_in_alone(folder: Path) -> None:
    count = folder / "count"
    count.write_text("0")

    def add() -> None:
        for _ in range(5):
            with alone_in(folder):
                count.write_text(str(int(count.read_text()) + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "20"


def test_a_folder_in_which_nobody_may_write_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # a test may run as root, whom nothing refuses

    monkeypatch.setattr("tasks.store.locks.FileLock.acquire", refuse)
    with pytest.raises(OutputError) as refusal, alone_in(tmp_path):
        pass
    assert str(refusal.value) == f"{tmp_path}/.lock: cannot be written (Permission denied)"
