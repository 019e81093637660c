"""What a Prefect server has written of runs that are over: those that a SIGKILL left, and the last ones of a night."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Crashed

LOOK_SECONDS = 0.1  # between two looks at what is written
WRITING_SECONDS = 30.0  # that a server has at most to write down the end of a night
ASK_SECONDS = 10.0  # for an answer to one question
OVER = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]


def close_dead_runs() -> None:
    """Runs that a SIGKILL left Running become Crashed. The caller holds the project's lock: none of them lives."""
    running: Any = {"state": {"type": {"any_": [StateType.RUNNING]}}}
    dead: Any = Crashed(message="its process was killed")
    with get_client(sync_client=True) as client:
        for flow_run in client.read_flow_runs(flow_run_filter=FlowRunFilter(**running)):
            client.set_flow_run_state(flow_run.id, dead, force=True)
        for task_run in client.read_task_runs(task_run_filter=TaskRunFilter(**running)):
            client.set_task_run_state(task_run.id, dead, force=True)


def await_records(access: Mapping[Any, Any], night: str, last_task: str) -> None:
    """Wait until a server has written down a night that was told to it.

    It writes one thing after the other, beside its answers: where it is ended at once, the last tasks seem to run, and
    the next night calls them killed. What was told to a server that died meanwhile is not waited for.

    Args:
        access: Prefect's settings of whoever asks it.
        night: name of the flow run.
        last_task: of the task run that ends last.
    """
    once = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: ASK_SECONDS}
    named: Any = {"name": {"any_": [night]}}
    ended: Any = {"name": {"any_": [last_task]}, "state": {"type": {"any_": OVER}}}
    this_night, the_last = FlowRunFilter(**named), TaskRunFilter(**ended)
    deadline = time.monotonic() + WRITING_SECONDS
    # Whatever it answers: nothing of the night itself hangs on it any more.
    with suppress(Exception), temporary_settings({**access, **once}), get_client(sync_client=True) as client:
        while not client.read_task_runs(flow_run_filter=this_night, task_run_filter=the_last, limit=1):
            if time.monotonic() >= deadline:
                return
            time.sleep(LOOK_SECONDS)
