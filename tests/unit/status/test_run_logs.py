"""What a row's run in Prefect says: its own worker's news, some lines a row."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.status import run_logs
from tasks.status.run_logs import RunLogs
from tasks.workers.news import Progress


class Logger:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.lines.append(f"warning: {text}")

    def log(self, level: int, text: str) -> None:
        self.lines.append(f"{level}: {text}")


def making(domain: str, step: int, **others: Any) -> Progress:
    return Progress(**{"domain": domain, "step": step, "total": 200, "loss": 0.5, "phase": "make", **others})


def test_each_row_has_its_own_lines_a_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    logs, loggers = RunLogs(), {"sketch": Logger(), "robot": Logger()}
    for domain, logger in loggers.items():
        monkeypatch.setattr(run_logs, "get_run_logger", lambda logger=logger: logger)
        logs.open(domain)
    for step in range(1, 201):
        logs.hear(making("sketch", step))
    logs.hear(making("robot", 3, note="goes on after step 3 of 200"))
    logs.hear(making("nobody", 3))
    logs.say("robot", "Traceback")
    assert [line.split(", ")[1] for line in loggers["sketch"].lines] == [
        "step 1/200", *(f"step {step}/200" for step in range(20, 201, 20))
    ]  # fmt: skip
    assert loggers["robot"].lines == ["warning: goes on after step 3 of 200", "40: Traceback"]


def test_outside_of_a_run_nothing_is_said() -> None:
    logs = RunLogs()
    logs.open("sketch")
    logs.hear(making("sketch", 1))
    logs.say("sketch", "Traceback")
