"""A night on a terminal: steps while a row is made, and none where there are none to count."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from flows.cli.display import Display, LiveDisplay
from tasks.workers.news import Progress
from tests.records import make_record


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


@pytest.mark.parametrize("width", [80, 60, 140])
def test_a_domain_is_never_cut_on_a_terminal(width: int) -> None:
    console, plain = (Console(file=io.StringIO(), force_terminal=is_live, width=width) for is_live in (True, False))
    long = "a-domain-of-some-more-letters-than-most-of-them"
    with LiveDisplay(console) as display:
        for domain in ("sketch", long):
            for step in (1, 160):
                display.progress(Progress(domain=domain, step=step, total=300, loss=0.412, phase="make"))
        plain.print(display._bars.get_renderable())
    assert isinstance(plain.file, io.StringIO)
    short, other = plain.file.getvalue().splitlines()
    assert short.startswith("  sketch  ") and "160/300" in short and "loss 0.412" in short
    assert other.startswith(f"  {long}  ")
    assert max(len(short), len(other)) <= width


def test_a_row_that_is_done_says_what_came_of_it() -> None:
    console = Console(file=io.StringIO(), width=200)
    scores = {"retrieval_accuracy": 0.75, "structure_ratio": 0.75, "directional_similarity": 0.5}
    Display(console).finished(make_record("sketch", scores=scores, nearest={"a pencil sketch": 16}))
    assert isinstance(console.file, io.StringIO)
    assert "sketch: done in 30 s, unproven; 75% find their prompt" in console.file.getvalue()
