"""What the person at the terminal sees of a running night: a line per domain, or plain lines in a log file."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from flows.cli.terminal import LastingOutput, PlainConsole
from tasks.report.wording import scores_in_words
from tasks.status.speed import Rates
from tasks.store.record import Record
from tasks.workers.news import Progress

LOG_WIDTH = 200  # of tables where no terminal says how wide it is
LOG_SHARES = 4  # a log gets a line at each quarter of a row
PHASES = {"load": "loading models", "prepare": "preparing", "make": "making", "judge": "judging", "save": "saving"}
COUNTED = ("prepare", "make")
"""Phases that go step by step."""


def make_console() -> Console:
    """Standard output: colours and motion on a terminal, bare text elsewhere; a reader who leaves ends nothing."""
    output: Any = LastingOutput(sys.stdout)
    return PlainConsole(file=output, highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)


class Display:
    """Events of a night as plain lines; on a terminal `LiveDisplay` draws bars instead."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._lock = threading.Lock()
        self._said: dict[str, tuple[str, int]] = {}
        self._rates = Rates()

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, message: str, style: str = "") -> None:
        """One line, as it stands: nothing in it is taken for markup."""
        self.console.print(Text(message, style=style), soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        """News of a running row; called from many threads."""
        if progress.note:
            self.say(f"{clock()} {progress.domain}: {progress.note}", "yellow")
        else:
            self._show(progress)

    def _show(self, progress: Progress) -> None:
        with self._lock:
            rate = self._rates.rate(progress)
            quarter = progress.step * LOG_SHARES // max(1, progress.total)
            if self._said.get(progress.domain) == (progress.phase, quarter):
                return
            self._said[progress.domain] = (progress.phase, quarter)
        self.say(f"{clock()} {progress.domain}: {describe(progress, rate)}")

    def finished(self, record: Record) -> None:
        """A row was published."""
        self.say(f"{clock()} {record.domain}: done in {record.seconds:.0f} s; {scores_in_words(record)}", "green")

    def again(self, domain: str, reason: str) -> None:
        """A row is tried a second time, and tells its progress from the start."""
        self._said.pop(domain, None)
        self.say(f"{clock()} {domain}: tried again; {reason}", "yellow")

    def failed(self, domain: str, reason: str) -> None:
        """A row was lost."""
        self.say(f"{clock()} {domain}: FAILED; {reason}", "bold red")


class LiveDisplay(Display):
    """One moving line per running domain."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bars = Bars(
            TextColumn("  [bold]{task.fields[domain]}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[steps]}"),
            TextColumn("{task.fields[news]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._lines: dict[str, Any] = {}

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _show(self, progress: Progress) -> None:
        """Move the row's line."""
        with self._lock:
            rate = self._rates.rate(progress)
            if progress.domain not in self._lines:
                added = self._bars.add_task("", total=progress.total, domain=progress.domain, news="", steps="")
                self._lines[progress.domain] = added
            is_made = progress.phase in ("save", "judge")  # also where it stopped early
            self._bars.update(
                self._lines[progress.domain],
                total=progress.total,
                completed=progress.total if is_made else progress.step,
                steps=f"{progress.step:>5}/{progress.total}" if progress.phase in COUNTED else "",
                news=describe(progress, rate, short=True),
            )

    def finished(self, record: Record) -> None:
        """Replace the row's line by a lasting one."""
        self._drop(record.domain)
        super().finished(record)

    def failed(self, domain: str, reason: str) -> None:
        """Replace the row's line by a lasting one."""
        self._drop(domain)
        super().failed(domain, reason)

    def _drop(self, domain: str) -> None:
        with self._lock:
            if domain in self._lines:
                self._bars.remove_task(self._lines.pop(domain))


def make_display() -> Display:
    """Bars on a terminal, lines anywhere else."""
    console = make_console()
    return LiveDisplay(console) if console.is_terminal else Display(console)


def clock() -> str:
    """The time of day."""
    return time.strftime("%H:%M:%S")


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
