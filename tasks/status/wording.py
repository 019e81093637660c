"""Where a running row is, in words, for terminals, logs and pages."""

from __future__ import annotations

from tasks.workers.news import Progress

PHASES = {"load": "loading models", "prepare": "preparing", "make": "making", "judge": "judging", "save": "saving"}
COUNTED = ("prepare", "make")
"""Phases that go step by step."""


def describe(progress: Progress, rate: float | None, short: bool = False) -> str:
    """Where a row is, in words.

    >>> describe(Progress(domain="a", step=50, total=200, loss=0.4119, phase="make"), rate=3.14)
    'making, step 50/200, loss 0.412, 3.1 steps/s'
    >>> describe(Progress(domain="a", step=50, total=200, loss=None, phase="prepare"), rate=None)
    'preparing, picture 50/200'
    """
    words = [PHASES.get(progress.phase, progress.phase)]
    if progress.phase == "prepare":
        words += [] if short else [f"picture {progress.step}/{progress.total}"]
    if progress.phase == "make":
        words += [] if short else [f"step {progress.step}/{progress.total}"]
        words += [] if progress.loss is None else [f"loss {progress.loss:.3f}"]
        words += [] if rate is None else [f"{rate:.1f} steps/s"]
    return ", ".join(words)
