"""Who may pause what, and what the pause file says to workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nada.errors import InputError
from tasks.config.project import HERE
from tasks.live.pausing import is_paused, makes_way, pause, resume
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
        pause()
        assert (is_paused(), makes_way()) == (True, False)
        pause(at_once=True)
        assert (is_paused(), makes_way()) == (True, True)
    assert resume()
    assert not resume()
    assert (is_paused(), makes_way()) == (False, False)
