"""The summary of a night reaches its address or says why not, within bounds, and never shows the address."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from nada.errors import ParamsError
from tasks.status import webhook
from tasks.status.status_file import Status
from tasks.status.summary import announce, summary_of, summary_of_refusal
from tasks.status.webhook import WebhookError, address_of, send
from tests.receiver import receiver

STATUS = Status(
    name="night 1",
    pid=1,
    started="2026-01-01T22:00:00+00:00",
    updated="2026-01-02T06:00:00+00:00",
    num_rows=5,
    state="finished",
    current=1,
    done={"sketch": "fine", "sepia": "fine"},
    failed={"robot": "step 3: the loss is nan"},
    left=["long"],
    report="reports/1/index.html",
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PAUSE_SECONDS", 0.0)


def told(address: str, summary: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    announce(SecretStr(address), summary, lambda line, style: lines.append(line))
    return lines


def test_a_night_sends_one_summary_with_counts_failures_and_report() -> None:
    with receiver(200) as (address, received):
        assert told(address, summary_of(STATUS)) == []
    ((path, kind, content),) = received
    assert (path, kind) == ("/secret-word", "application/json")
    assert {name: content[name] for name in ("state", "rows", "trained", "kept", "failed", "left", "report")} == {
        "state": "finished",
        "rows": 5,
        "trained": 2,
        "kept": 1,
        "failed": 1,
        "left": 1,
        "report": str(Path("reports/1/index.html").resolve()),
    }
    assert content["failures"] == {"robot": "step 3: the loss is nan"}
    assert content["text"].endswith(
        "night 1: finished after 8 h 0 min, 2 trained, 1 kept from before, 1 failed, 1 left for the next night"
    )


def test_a_night_that_could_not_begin_says_so() -> None:
    with receiver(204) as (address, received):
        assert told(address, summary_of_refusal("prompts.csv:3: 'target' is empty")) == []
    assert received[0][2]["text"].endswith("the night did not begin; prompts.csv:3: 'target' is empty")


def test_a_failed_try_is_followed_by_one_more() -> None:
    with receiver(500, 200) as (address, received):
        send(address, {"a": 1})
    assert [content for _, _, content in received] == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize("answer", [500, 302])
def test_a_summary_that_is_refused_twice_or_sent_elsewhere_costs_one_line_without_the_secret(answer: int) -> None:
    with receiver(answer, answer) as (address, received):
        assert told(address, {}) == [f"The summary was not sent: night.webhook at 127.0.0.1: it answered {answer}"]
    assert [path for path, _, _ in received] == ["/secret-word", "/secret-word"]


def test_an_address_where_nobody_listens_costs_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (line,) = told(f"http://127.0.0.1:{port}/secret", {})
    assert line == "The summary was not sent: night.webhook at 127.0.0.1: it cannot be reached (ConnectionRefusedError)"


def test_a_server_that_never_answers_is_left_after_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TRY_SECONDS", 0.1)
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, pytest.raises(WebhookError, match=r"no answer within 0\.1 s$"):
        send(f"http://127.0.0.1:{silent.getsockname()[1]}/", {})


def test_the_address_may_be_kept_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address_of(None) is None
    monkeypatch.setenv("HOOK", "https://host/secret")
    assert address_of(SecretStr("$HOOK")) == "https://host/secret"


@pytest.mark.parametrize(("value", "wrong"), [(None, "is not set"), ("$HOOK", "holds no http(s) address")])
def test_a_variable_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, wrong: str) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    if value is not None:
        monkeypatch.setenv("HOOK", value)
    with pytest.raises(ParamsError) as caught:
        address_of(SecretStr("$HOOK"))
    expected = f"night.webhook: the environment variable HOOK {wrong}; set it, or remove night.webhook"
    assert str(caught.value) == expected
