"""The Prefect task that makes a row: hours, on a worker, resumed where it broke off."""

from __future__ import annotations

from typing import Any

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from tasks.context import NightContext
from tasks.store.record import Making
from tasks.workers.pool import WorkerDiedError

RETRIES_OF_A_DEAD_WORKER = 1


def worker_died(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a row deserves a second chance: its process was killed, the row itself raised nothing."""
    return isinstance(state.data, WorkerDiedError) or isinstance(state.result(raise_on_failure=False), WorkerDiedError)


@task(
    name="make",
    task_run_name="make {domain}",
    retries=RETRIES_OF_A_DEAD_WORKER,
    retry_condition_fn=worker_died,
    cache_policy=NO_CACHE,
)
def make_row(domain: str, context: NightContext) -> Making:
    """Make one row on a worker, in the pass that it rides in, and publish it."""
    planned = context.plan.by_domain[domain]
    context.plan.check_disk([planned])  # now, and not after hours of training
    tries = runtime.task_run.run_count
    try:
        making: Making = context.group_of(planned, anew=tries > 1).result(domain)
    except WorkerDiedError as err:
        if tries <= RETRIES_OF_A_DEAD_WORKER:
            context.listener.again(domain, str(err))
        raise
    return making
