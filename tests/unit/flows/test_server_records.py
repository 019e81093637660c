"""A server that is to end is asked until it has written down what it was told of the night, and not for ever."""

from __future__ import annotations

import contextlib
import time
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from flows import server_records
from flows.server_records import await_records

NIGHT = "night 1"
WRITTEN = (
    {},
    {"make sketch": "RUNNING"},
    {"make sketch": "COMPLETED", "record": "PENDING"},
    {"make sketch": "COMPLETED", "record": "RUNNING"},
    {"make sketch": "COMPLETED", "record": "COMPLETED"},
    {"make sketch": "COMPLETED", "record": "asked for once more"},
)
"""What a server has in its database, from look to look."""


class Client(contextlib.nullcontext[Any]):
    """Prefect's, of a server that writes while nobody looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        monkeypatch.setattr(server_records, "get_client", lambda sync_client: self)
        monkeypatch.setattr(server_records, "time", SimpleNamespace(monotonic=time.monotonic, sleep=self.write))

    def __enter__(self) -> Client:
        return self

    def write(self, seconds: float) -> None:
        self.now += 1

    def read_task_runs(self, flow_run_filter: Any, task_run_filter: Any, limit: int) -> list[str]:
        assert (flow_run_filter.name.any_, limit) == ([NIGHT], 1)
        written, kinds = WRITTEN[self.now], task_run_filter.state.type.any_
        return [name for name in task_run_filter.name.any_ if written.get(name) in kinds]


def test_a_night_is_waited_for_until_its_last_task_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(monkeypatch)
    await_records({}, NIGHT, "record")
    assert client.now == 4


def test_a_server_that_writes_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(monkeypatch)
    monkeypatch.setattr(server_records, "WRITING_SECONDS", 0.0)
    await_records({}, NIGHT, "record")
    assert client.now == 0


def test_a_server_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(Client(monkeypatch), "read_task_runs", refuse)
    await_records({}, NIGHT, "record")
