"""The Prefect task that makes a row: hours, on a worker, resumed where it broke off."""

from __future__ import annotations

from typing import Any

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from nada.errors import NadaError
from tasks.config.project import HERE
from tasks.context import TRIES_TOGETHER, NightContext
from tasks.store import row_folder
from tasks.store.record import Making
from tasks.variants.checkpoints import take_checkpoint
from tasks.workers.pool import RowFailedError, WorkerDiedError

RETRIES_OF_A_DEAD_WORKER = 1


def worker_died(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a row deserves another chance: its process was killed, the row itself raised nothing."""
    error = state.data if isinstance(state.data, Exception) else state.result(raise_on_failure=False)
    return isinstance(error, WorkerDiedError) and not error.is_last


@task(
    name="make",
    task_run_name="make {domain}",
    retries=TRIES_TOGETHER,
    retry_condition_fn=worker_died,
    cache_policy=NO_CACHE,
)
def make_row(domain: str, context: NightContext) -> Making | None:
    """Make one row on a worker, in the pass that it rides in, and publish it; None where it made way for a pause.

    What lies there whole in the end counts, whatever kept the worker from telling of it.
    """
    planned = context.plan.by_domain[domain]
    context.logs.open(domain)
    context.plan.check_disk([planned])  # now, and not after hours of training
    if planned.checkpoint_of is not None:
        return take_checkpoint(planned)
    tries = runtime.task_run.run_count
    group = context.group_of(domain, tries)
    try:
        making: Making | None = group.result(domain)
    except NadaError as err:
        if row_folder.is_made(HERE.adapted / domain, domain, planned.keys.making):
            return row_folder.read_making(domain)
        if isinstance(err, WorkerDiedError):
            err.is_last = tries > (TRIES_TOGETHER if group.is_shared else RETRIES_OF_A_DEAD_WORKER)
            if not err.is_last:
                context.listener.again(domain, str(err))
        if isinstance(err, RowFailedError):
            context.logs.say(domain, err.details)  # the worker's traceback; Prefect itself knows ours alone
        raise
    return making
