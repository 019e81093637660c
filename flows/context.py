"""What a running night holds, and how it is made ready: locked, cleaned up, its workers warm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path

from flows.cli.display import Display
from flows.server import PrefectServer
from tasks.plan.plan import Plan, PlannedRow
from tasks.plan.queue import RowQueue
from tasks.report.files import check_reports_writable
from tasks.report.page import Failure
from tasks.status import webhook
from tasks.status.summary import announce, summary_of
from tasks.status.writer import StatusWriter
from tasks.store import base_models, row_folder
from tasks.store.locks import only_night
from tasks.store.row_folder import Record
from tasks.tracking import mlflow_store
from tasks.tracking.outbox import Outbox
from tasks.workers.pool import CHECK_MODELS, Pool, Progress, WorkerDiedError

RETRIES_OF_A_DEAD_WORKER = 1


class NightContext:
    """Everything that a running night holds: its plan, its workers, its reader, and what came of it so far.

    No dataclass: Prefect walks through those among a task's arguments, in the task's thread, while we write to them.
    """

    def __init__(
        self,
        plan: Plan,
        pool: Pool,
        display: Display,
        status_writer: StatusWriter,
        waiting: RowQueue,
        started: datetime,
        server: PrefectServer,
    ) -> None:
        self.plan = plan
        self.pool = pool
        self.display = display
        self.status_writer = status_writer
        self.waiting = waiting
        self.started = started
        self.server = server
        self.records: dict[str, Record] = {}
        self.failures: list[Failure] = []
        self.trained: list[str] = []
        self.report_path: Path | None = None
        self.closed = False
        """Whether everything is done, recorded and reported."""
        self.prefect_lost = False
        """Whether Prefect's server was gone at the end; waiting for it at exit would take minutes and help nobody."""

    @property
    def name(self) -> str:
        """The night's name, unique to the second."""
        return night_name(self.started)

    @property
    def reasons(self) -> dict[str, str]:
        """Domain -> why it was lost."""
        return {failure.domain: failure.reason for failure in self.failures}

    @cached_property
    def outbox(self) -> Outbox:
        """What goes to MLflow; the night's run there is opened by the first entry."""
        rows = [planned.row for planned in self.plan.rows]
        return Outbox(partial(mlflow_store.start_night, self.plan.params, rows, self.name, started=self.started))

    @cached_property
    def planned(self) -> dict[str, PlannedRow]:
        """Domain -> its row."""
        return {planned.row.domain: planned for planned in self.plan.rows}

    @property
    def seconds(self) -> float:
        """Since the night began."""
        return time.time() - self.started.timestamp()

    def progress(self, progress: Progress) -> None:
        """News of a running row; called from many threads."""
        self.status_writer.progress(progress)
        self.display.progress(progress)


def night_name(started: datetime) -> str:
    """A night's name, unique to the second."""
    return f"night {started:%Y-%m-%d %H:%M:%S}"


@contextmanager
def open_context(plan: Plan, display: Display) -> Iterator[NightContext]:
    """Lock the project, clean up, start the workers, and load every model once before any training.

    Raises:
        InputError: the output cannot be written, the disk is too full, models cannot be loaded, or no Ray is there.
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
        stack.callback(row_folder.sweep)  # of workers that were killed, when all have ended
        server = PrefectServer()  # an embedded one starts while the models load
        pool = stack.enter_context(plan.open_pool(len(plan.to_train)))
        if plan.to_train:
            check_models(plan, pool)
        server.ready()
        if plan.params.night.storage == "delta":
            base_models.keep(plan.generator_path)
        waiting = plan.waiting(started)
        status_writer.running(waiting, len(pool.workers), len(plan.rows) - len(plan.to_train))
        yield NightContext(plan, pool, display, status_writer, waiting, started, server)


def check_models(plan: Plan, pool: Pool) -> None:
    """Load every model once in a worker; as with rows, one that was killed meanwhile is no reason to give up.

    Raises:
        InputError: models cannot be loaded.
        WorkerError: the worker died twice.
    """
    job = plan.job(plan.to_train[0])
    for attempts_left in reversed(range(RETRIES_OF_A_DEAD_WORKER + 1)):
        try:
            pool.run(job, function=CHECK_MODELS)
            return
        except WorkerDiedError:
            if not attempts_left:
                raise


@contextmanager
def written_status(plan: Plan, started: datetime, display: Display) -> Iterator[StatusWriter]:
    """The night's status, which says in the end how the night ended, as does the one summary that is then sent."""
    status_writer = StatusWriter(night_name(started), started, len(plan.rows), plan.deadline(started))
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
