"""Who may pause what, and what the pause file says to workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nada.errors import InputError
from tasks.config.project import HERE
from tasks.live.pausing import is_paused, makes_way, pause, resume
from tasks.status.status_file import Status, save_status
from tasks.store.locks import only_night


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    HERE.weights.mkdir()


def test_without_a_night_there_is_nothing_to_pause() -> None:
    with pytest.raises(InputError, match="no night runs here, so there is nothing to pause"):
        pause()
    assert not is_paused()


def test_a_pause_lets_rows_end_unless_they_are_to_make_way() -> None:
    with only_night():
        with pytest.raises(InputError):
            pause()  # somebody writes, and it is no night
        save_status(Status(name="night", pid=1, started="2026-01-01T22:00:00+00:00", num_rows=1))
        pause()
        assert (is_paused(), makes_way()) == (True, False)
        pause(at_once=True)
        assert (is_paused(), makes_way()) == (True, True)
    assert resume()
    assert not resume()
    HERE.pause.write_text("soon")
    with only_night():  # of a night that died
        assert not is_paused()
        pause()  # while this one starts
        with only_night():
            assert is_paused()
    assert resume()
    assert (is_paused(), makes_way()) == (False, False)
