"""A night made ready: locked, cleaned up, its workers warm."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime

from flows.cli.display import Display
from flows.server import PrefectServer
from nada.errors import WorkerError
from tasks.caches import cache_size
from tasks.context import NightContext, night_name
from tasks.live import pausing
from tasks.live.saved import forget_finished
from tasks.make import RETRIES_OF_A_DEAD_WORKER
from tasks.plan.plan import Plan
from tasks.record import leave_outbox, open_outbox, prepare_outbox
from tasks.report.files import check_reports_writable
from tasks.status import webhook
from tasks.status.summary import announce, summary_of
from tasks.status.writer import StatusWriter
from tasks.store import base_models, row_folder
from tasks.store.locks import only_night
from tasks.workers.idle import RowTimeoutError
from tasks.workers.pool import CHECK_MODELS, Pool, WorkerDiedError

LOADING_SECONDS = 1800.0  # for all models, also where some come from the web: what arrived is kept for a second try


@contextmanager
def open_context(plan: Plan, display: Display, pool: Pool) -> Iterator[tuple[NightContext, PrefectServer]]:
    """Clean up, start Prefect, and load every model once before any training; nobody else writes meanwhile.

    Args:
        plan: what is to be done.
        display: shows it.
        pool: the night's workers, which end with it.

    Raises:
        InputError: the output cannot be written, the disk is too full, models cannot be loaded, MLflow's store refuses
            for good, or no Ray is there.
        ServerError: Prefect's server does not answer.
    """
    started = datetime.now().astimezone()
    with ExitStack() as stack:
        stack.enter_context(only_night())
        status_writer = stack.enter_context(written_status(plan, started, display))
        webhook.address_of(plan.params.night.webhook)
        row_folder.check_writable()
        check_reports_writable()
        plan.check_disk(plan.to_train)
        row_folder.sweep()
        forget_finished()
        stack.callback(pausing.resume)
        stack.callback(cache_size.prune)
        stack.callback(row_folder.sweep)  # of workers that were killed, when all have ended
        server = PrefectServer()
        beside = stack.enter_context(ThreadPoolExecutor(1))
        stack.enter_context(pool)
        # Three things take seconds, side by side: a worker loads the models, Prefect's server starts, and MLflow here.
        checked = beside.submit(check_models, plan, pool) if plan.working else None
        prepare_outbox(display)
        if checked is not None:
            checked.result()
        server.ready()
        for path in plan.rebuilt_from:
            base_models.keep(path)
        waiting = plan.waiting(started)
        context = NightContext(plan, pool, display, status_writer, waiting, started)
        stack.callback(leave_outbox, context)
        open_outbox(context)
        status_writer.running(waiting, len(pool.workers), len(plan.asked_for) - len(plan.working))
        yield context, server


def check_models(plan: Plan, pool: Pool) -> None:
    """Load every model once in a worker; one that was killed or held up meanwhile is no reason to give up.

    Raises:
        InputError: models cannot be loaded.
        WorkerError: the worker died twice, or twice came to no end.
    """
    limit = min(LOADING_SECONDS, plan.row_seconds)
    for attempts_left in reversed(range(RETRIES_OF_A_DEAD_WORKER + 1)):
        try:
            pool.run(CHECK_MODELS, plan.check_job(), timeout_seconds=limit)
            return
        except RowTimeoutError as err:
            if not attempts_left:
                raise WorkerError(f"the models were not loaded within {limit:g} s, twice; try again") from err
        except WorkerDiedError:
            if not attempts_left:
                raise


@contextmanager
def written_status(plan: Plan, started: datetime, display: Display) -> Iterator[StatusWriter]:
    """The night's status, which says in the end how the night ended, as does the one summary that is then sent."""
    takes_from = None if plan.is_part else plan.params.night.prompts
    status_writer = StatusWriter(night_name(started), started, len(plan.asked_for), plan.deadline(started), takes_from)
    try:
        yield status_writer
    except KeyboardInterrupt:
        status_writer.state("interrupted")
        raise
    except BaseException as err:
        status_writer.state("broken", problem=str(err) or type(err).__name__)
        raise
    else:
        status_writer.state("finished")
    finally:
        announce(plan.params.night.webhook, summary_of(status_writer.status), display.say)
