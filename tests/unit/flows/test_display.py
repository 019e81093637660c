"""A night on a terminal: steps while a row is made, and none where there are none to count."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from flows.cli.display import Display, LiveDisplay
from tasks.workers.news import Progress


def shown(phase: str, kind: type[Display]) -> str:
    """What a terminal shows of a row of three hundred steps that stopped early, in one phase."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with kind(console) as display:
        display.progress(Progress(domain="sketch", step=160, total=300, loss=None, phase=phase))
        if isinstance(display, LiveDisplay):
            console.print(display._bars.get_renderable())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("kind", [Display, LiveDisplay])
@pytest.mark.parametrize(
    ("phase", "words"), [("load", "loading models"), ("make", "making"), ("save", "saving"), ("judge", "judging")]
)
def test_steps_are_told_of_what_is_made(phase: str, words: str, kind: type[Display]) -> None:
    text = shown(phase, kind)
    assert words in text
    assert ("160/300" in text) == (phase == "make")
