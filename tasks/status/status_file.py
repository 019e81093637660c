"""Where a night stands, as a small file that other processes read while it runs and after it died."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from nada.atomic import replacing
from nada.errors import NadaError
from tasks.config.project import HERE
from tasks.store.locks import holds_night, night_lives
from tasks.store.plain_data import read_json

FORMAT = 1

State = Literal["starting", "running", "reporting", "finished", "interrupted", "broken", "died"]
GOING: tuple[State, ...] = ("starting", "running", "reporting")
GROWING: tuple[State, ...] = ("starting", "running")
"""In which rows may join it."""


@dataclass(kw_only=True)
class RunningRow:
    """A row in a worker."""

    domain: str
    phase: str
    step: int
    total: int
    loss: float | None
    steps_per_second: float | None
    started: str
    left_seconds: float
    """As far as can be foreseen."""
    pictured_step: int | None = None
    """Steps behind its latest picture, where it has shown any; see `tasks.status.live_page`."""


@dataclass(kw_only=True)
class Status:
    """A night at one moment; times are ISO 8601 with their zone."""

    name: str
    pid: int
    started: str
    num_rows: int
    state: State = "starting"
    """`broken`: ended by an error of its own; `died`: its process is gone and could not say why."""
    updated: str = ""
    expected_end: str | None = None
    deadline: str | None = None
    current: int = 0
    """Rows that needed no training."""
    running: list[RunningRow] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)
    """Domain -> its scores in words."""
    verdicts: dict[str, str] = field(default_factory=dict)
    """Domain -> what came of it, in a word; see `tasks.report.triage`."""
    failed: dict[str, str] = field(default_factory=dict)
    """Domain -> reason."""
    waiting: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Rows for which the deadline leaves no time, foreseen while the night runs; the next night takes them first."""
    paused: bool = False
    """Whether nothing new begins until `nada resume`."""
    takes_from: str | None = None
    """The CSV whose new rows it takes up; None where it runs for some domains alone."""
    added: list[str] = field(default_factory=list)
    """Rows that joined the night while it ran."""
    held: list[str] = field(default_factory=list)
    """Rows that are not tried, because rows like them failed alike."""
    stopped: str | None = None
    """Why they are not, in a line."""
    unrecorded: bool = False
    """Whether MLflow could not be told of everything."""
    problem: str | None = None
    """What broke the night."""
    report: str | None = None
    """Its page, from the project's folder, which may be copied to another place."""

    def plain(self) -> dict[str, Any]:
        """As JSON has it. Not by `asdict`, which copies every name of a hundred thousand rows."""
        return {**vars(self), "running": [asdict(row) for row in self.running]}


def save_status(status: Status) -> None:
    """Replace the file.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(HERE.status) as partial:
        partial.write_text(json.dumps({"format": FORMAT, **status.plain()}, ensure_ascii=False), encoding="utf-8")


def load_status() -> Status | None:
    """The running or the last night of this project; None where none has run.

    Raises:
        NadaError: the file is not what a night writes.
    """
    try:
        content: dict[str, Any] = read_json(HERE.status)
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        status = Status(**{**content, "running": [RunningRow(**row) for row in content["running"]]})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as err:
        raise NadaError(
            f"{HERE.status}: not the status of a night ({err}); remove it, the next night writes it"
        ) from err
    if status.state in GOING and not night_lives():
        status.state = "died"
    return status


def is_going(states: Collection[State] = GOING) -> bool:
    """Whether a night runs here now, and is in one of these states; whoever else has its lock runs none."""
    try:
        status = load_status()
    except NadaError:
        return False
    return status is not None and status.state in states


def takes_up(prompts: Path) -> bool:
    """Whether the night that runs here takes up rows that are added to this CSV, and no other's."""
    if not is_going(GROWING) or (status := load_status()) is None or status.takes_from is None:
        return False
    return Path(status.takes_from).resolve() == prompts.resolve()


def left_by_the_last_night() -> list[str]:
    """Domains for which the last night had no time; nothing where its status cannot be read."""
    try:
        status = load_status()
    except NadaError:
        return []
    return status.left if status is not None and status.state == "finished" else []


def last_night_is_closed() -> bool:
    """Whether the last night came to its end, and MLflow knows; true where there is none, or another's runs now.

    Whoever has the lock of the night asks before its own begins: one that seems to go on has died.
    """
    try:
        status = load_status()
    except NadaError:
        return True
    if status is None:
        return True
    return not holds_night() if status.state in GOING else status.state == "finished" and not status.unrecorded
