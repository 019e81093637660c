"""A night's status for a terminal or a log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from flows.sheet import Column, Sheet
from tasks.plan.wording import count, listed
from tasks.report.wording import lasted
from tasks.status.status_file import GOING, Status
from tasks.status.wording import COUNTED, PHASES
from tasks.variants.names import variant_of

SHOWN = 10  # finished rows; failed ones are all shown
HOW_TO_GO_ON = {
    "died": "Its process is gone: it was killed, or the machine stopped. Finished domains are kept; nada run goes on.",
    "interrupted": "It was stopped by hand. Finished domains are kept; nada run goes on.",
    "broken": "Finished domains are kept; nada run goes on once that is mended.",
}
STYLES = {"died": "bold red", "broken": "bold red", "interrupted": "yellow", "finished": "green"}


def status_view(status: Status | None, pictures: RenderableType | None = None) -> RenderableType:
    """Everything that a person wants to know, the most urgent first.

    Args:
        status: of the night; None where none has run.
        pictures: what running rows show by now, where the terminal can show it.
    """
    if status is None:
        return Text("No night has run here yet: nada plan shows what one would do, nada run starts it.")
    parts: list[RenderableType] = [Text(headline(status), style=STYLES.get(status.state, "bold"))]
    if status.problem:
        parts.append(Text(status.problem, style="red"))
    if status.state in HOW_TO_GO_ON:
        parts.append(Text(HOW_TO_GO_ON[status.state], style="yellow"))
    if status.paused:
        parts.append(Text("Paused: nothing new begins. nada resume goes on.", style="yellow"))
    parts.append(Text(counts(status)))
    if status.stopped:
        parts.append(Text(status.stopped, style="red"))
    if status.added:
        parts.append(Text(f"Added while it runs: {listed(status.added)}", style="dim"))
    if status.expected_end and status.state == "running" and not status.paused:
        end = f"Should end about {_clock(status.expected_end)}"
        parts.append(Text(f"{end}; takes no new rows past {_clock(status.deadline)}" if status.deadline else end))
    if status.running:
        parts += [Text(), running_table(status)]
        parts += [] if pictures is None else [Text(), pictures]
    if status.failed:
        parts += [Text(), _pairs("failed", status.failed, "red")]
    if status.done:
        parts += [Text(), done_table(status)]
    if status.left:
        verb = "Will be left" if status.state == "running" else "Left"
        parts += [Text(), Text(f"{verb} for the next night: {listed(status.left)}", style="yellow")]
    if waiting := [domain for domain in status.waiting if domain not in set(status.left)]:
        parts += [Text(), Text(f"Waiting: {listed(waiting)}", style="dim")]
    if status.report and status.state == "finished":
        parts += [Text(), Text(f"Report   {Path(status.report).resolve()}")]
    return Group(*parts)


def headline(status: Status) -> str:
    """Which night, and whether it goes on.

    >>> night = Status(name="night 1", pid=7, started="2026-01-01T22:00:00+00:00", num_rows=3, state="died")
    >>> night.updated = "2026-01-01T22:01:05+00:00"
    >>> headline(night)
    'night 1 (process 7): died after 1 min 5 s'
    """
    words = {
        "starting": "loading the models",
        "running": "running",
        "reporting": "writing the report",
        "finished": "finished",
        "interrupted": "interrupted",
        "broken": "broke off",
        "died": "died",
    }
    until = datetime.now().astimezone() if status.state in GOING else datetime.fromisoformat(status.updated)
    length = lasted((until - datetime.fromisoformat(status.started)).total_seconds())
    after = "for" if status.state in GOING else "after"
    return f"{status.name} (process {status.pid}): {words[status.state]} {after} {length}"


def counts(status: Status) -> str:
    """How many rows are where."""
    parts = [f"{len(status.done)} trained"]
    parts += [f"{status.current} kept from before"] if status.current else []
    parts += [f"{len(status.running)} running"] if status.running else []
    parts += [f"{len(status.failed)} failed"] if status.failed else []
    parts += [f"{len(status.held)} not tried"] if status.held else []
    parts += [f"{len(status.waiting)} waiting"] if status.waiting else []
    names = (*status.done, *status.failed, *status.waiting, *(row.domain for row in status.running))
    noun = "row" if any(map(variant_of, names)) else "domain"
    return f"{count(status.num_rows, noun)}: {', '.join(parts)}"


def running_table(status: Status) -> Sheet:
    """One line a running row."""
    figures = [Column(name, is_number=True) for name in ("step", "loss", "steps/s", "left")]
    sheet = Sheet(Column("running"), Column("phase"), *figures)
    for row in status.running:
        sheet.add(
            row.domain,
            PHASES.get(row.phase, row.phase),
            f"{row.step}/{row.total}" if row.phase in COUNTED else "",
            "" if row.loss is None else f"{row.loss:.3f}",
            "" if row.steps_per_second is None else f"{row.steps_per_second:.1f}",
            lasted(row.left_seconds),
        )
    return sheet


def done_table(status: Status) -> Sheet:
    """What came of the latest finished rows, in a word and in figures."""
    sheet = Sheet(Column("done", style="green"), Column("verdict"), Column("", is_prose=True))
    for domain, words in _latest(status.done).items():
        sheet.add(domain, status.verdicts.get(domain, ""), words)
    return sheet


def _pairs(title: str, rows: Mapping[str, str], style: str) -> Sheet:
    sheet = Sheet(Column(title, style=style), Column("", is_prose=True))
    for domain, words in rows.items():
        sheet.add(domain, words)
    return sheet


def _latest(done: dict[str, str]) -> dict[str, str]:
    return dict(list(done.items())[-SHOWN:])


def _clock(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment or '').astimezone():%a %H:%M}"
