"""What the person at the terminal sees of a running night: a line per domain, or plain lines in a log file."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from flows.cli.terminal import LastingOutput, PlainConsole
from tasks.report.triage import triage
from tasks.report.wording import lasted, scores_in_words
from tasks.status.speed import Rates
from tasks.status.wording import COUNTED, describe
from tasks.store.record import Record
from tasks.workers.news import Progress

LOG_WIDTH = 200  # of tables where no terminal says how wide it is
LOG_SHARES = 4  # a log gets a line at each quarter of a row
INDENT, BAR, LEAST_BAR = 2, 28, 8  # characters of a running row's line
VERDICT_STYLES = {
    "good": "green", "unproven": "green", "weak": "yellow", "off-target": "yellow", "collapsed": "red", "failed": "red"
}  # fmt: skip


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
        verdict = triage(record).kind
        words = f"done in {record.seconds:.0f} s, {verdict}; {scores_in_words(record)}"
        self.say(f"{clock()} {record.domain}: {words}", VERDICT_STYLES[verdict])

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
        self._bars = Bars(RowColumn(console), console=console, transient=True)
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
                added = self._bars.add_task(progress.domain, total=progress.total, news="", steps="", left="")
                self._lines[progress.domain] = added
            is_made = progress.phase in ("save", "judge")  # also where it stopped early
            self._bars.update(
                self._lines[progress.domain],
                total=progress.total,
                completed=progress.total if is_made else progress.step,
                steps=f"{progress.step:>5}/{progress.total}" if progress.phase in COUNTED else "",
                news=describe(progress, rate, short=True),
                left=f"{lasted((progress.total - progress.step) / rate)} left" if rate else "",
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


class RowColumn(ProgressColumn):
    """A running row in one line: its domain whole, and beside it what finds room, the bar last of all."""

    def __init__(self, console: Console) -> None:
        super().__init__(Column(no_wrap=True))
        self._console = console

    def render(self, task: Task) -> Text:
        """The line."""
        parts = [task.fields["steps"], task.fields["news"], task.fields["left"]]
        text = "  ".join(part for part in parts if part)
        room = self._console.width - INDENT - cell_len(task.description) - len(text) - 4
        line = Text(" " * INDENT).append(task.description, style="bold").append("  ")
        if room >= LEAST_BAR:
            width = min(room, BAR)
            done = round(width * (task.percentage or 0) / 100)
            line.append("\N{BOX DRAWINGS HEAVY HORIZONTAL}" * done, style="bar.complete")
            line.append("\N{BOX DRAWINGS HEAVY HORIZONTAL}" * (width - done), style="bar.back").append("  ")
        line.append(text)
        line.truncate(self._console.width, overflow="ellipsis")
        return line


def make_display() -> Display:
    """Bars on a terminal, lines anywhere else."""
    console = make_console()
    return LiveDisplay(console) if console.is_terminal else Display(console)


def clock() -> str:
    """The time of day."""
    return time.strftime("%H:%M:%S")
