"""Pictures of running rows in a terminal: where it has the colours, as many as find room, and never an error."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from flows.cli.status.strips import LEFT_LINES, UPPER_HALF, Strips, can_show
from flows.cli.status.view import status_view
from tasks.status import live_page
from tasks.status.status_file import RunningRow, Status

ROW = {"phase": "make", "step": 5, "total": 9, "loss": 0.5, "steps_per_second": None, "started": "", "left_seconds": 3}


@pytest.fixture
def status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Status:
    """Two rows that have shown themselves, and one that has not."""
    monkeypatch.chdir(tmp_path)
    picture = Image.new("RGB", (256, 64), "red")
    picture.paste("blue", (0, 32, 256, 64))
    for domain in ("one", "two"):
        live_page.picture_path(domain).parent.mkdir(parents=True, exist_ok=True)
        picture.save(live_page.picture_path(domain), quality=95)
    rows: Any = [RunningRow(domain=name, pictured_step=5, **ROW) for name in ("one", "two")]  # type: ignore[arg-type]
    rows.append(RunningRow(domain="new", **ROW))  # type: ignore[arg-type]
    return Status(name="night 1", pid=1, started="2026-01-01T00:00:00+00:00", num_rows=3, state="running", running=rows)


def shown(status: Status, width: int = 80, height: int = 60, colours: Any = "truecolor") -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=colours)
    console.print(status_view(status, Strips(status)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_running_row_is_shown_two_pixels_a_character(status: Status) -> None:
    lines = [line for line in shown(status).split("\n") if UPPER_HALF in line]
    assert [line.count(UPPER_HALF) for line in lines] == 20 * [80]  # 80 by 20 pixels, twice
    top, bottom = lines[0], lines[9]
    assert "38;2;25" in top and "48;2;25" in top, top[:80]  # red ink on red paper
    assert ";25" in bottom.rpartition(";2;")[2], bottom[-80:]  # blue


def test_as_many_rows_are_shown_as_find_room(status: Status) -> None:
    assert shown(status, height=LEFT_LINES + 12).count(UPPER_HALF) == 80 * 10
    assert shown(status, height=LEFT_LINES + 8).count(UPPER_HALF) == 56 * 7  # smaller, where that is enough
    assert shown(status, height=LEFT_LINES + 3).count(UPPER_HALF) == 0


def test_a_picture_that_is_being_replaced_is_left_out(status: Status) -> None:
    live_page.picture_path("one").write_bytes(b"half a pict")
    assert shown(status).count(UPPER_HALF) == 80 * 10


@pytest.mark.parametrize(
    ("options", "can"),
    [
        ({"color_system": "truecolor"}, True),
        ({"color_system": "256"}, True),
        ({"color_system": "standard"}, False),
        ({"color_system": None}, False),
        ({"color_system": "truecolor", "no_color": True}, False),
        ({"color_system": "truecolor", "force_terminal": False}, False),
    ],
)
def test_only_a_terminal_of_many_colours_gets_pictures(options: dict[str, Any], can: bool) -> None:
    class Written(io.StringIO):
        encoding = "utf-8"

    assert can_show(Console(file=Written(), **{"force_terminal": True, **options})) == can
