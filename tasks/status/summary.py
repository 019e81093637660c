"""The one summary that a night sends when it ends, for whoever does not watch it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from nada.errors import NadaError
from tasks.report.wording import lasted
from tasks.status.status_file import Status
from tasks.status.webhook import address_of, send

NAMES_SENT = 100  # failures with their reasons; more are only counted


def summary_of(status: Status) -> dict[str, Any]:
    """A night that ended, as JSON. `text` says it in a line, which is what chat services show."""
    seconds = (datetime.fromisoformat(status.updated) - datetime.fromisoformat(status.started)).total_seconds()
    parts = [f"{len(status.done)} trained"]
    parts += [f"{status.current} kept from before"] if status.current else []
    parts += [f"{len(status.failed)} failed"] if status.failed else []
    parts += [f"{len(status.left)} left for the next night"] if status.left else []
    parts += [f"{len(status.held)} not tried"] if status.held else []
    parts += [f"{len(status.waiting)} not begun"] if status.waiting else []
    text = f"nada in {Path.cwd().name}, {status.name}: {status.state} after {lasted(seconds)}, {', '.join(parts)}"
    why = "".join(f"; {words}" for words in (status.stopped, status.problem) if words)
    return {
        "text": f"{text}{why}",
        "night": status.name,
        "project": Path.cwd().name,
        "state": status.state,
        "started": status.started,
        "ended": status.updated,
        "rows": status.num_rows,
        "trained": len(status.done),
        "kept": status.current,
        "failed": len(status.failed),
        "left": len(status.left),
        "failures": dict(list(status.failed.items())[:NAMES_SENT]),
        "problem": status.problem,
        "report": status.report and str(Path(status.report).resolve()),
    }


def summary_of_refusal(problem: str) -> dict[str, Any]:
    """A night that did not begin."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    text = f"nada in {Path.cwd().name}: the night did not begin; {problem}"
    return {"text": text, "project": Path.cwd().name, "state": "refused", "ended": now, "problem": problem}


def announce(webhook: SecretStr | None, summary: dict[str, Any], say: Callable[[str, str], None]) -> None:
    """Send the summary where the user asked for it; a failure is told, and costs nothing else."""
    try:
        if (address := address_of(webhook)) is not None:
            send(address, summary)
    except NadaError as err:
        say(f"The summary was not sent: {err}", "yellow")
