"""The night's workers on the machines of a Ray cluster.

A `RayPool` does what `tasks.workers.local.WorkerPool` does, with an actor in the place of each process: Ray puts it
where a GPU or a core is free, and it holds a worker like ours (`tasks.workers.ray.actor`). The files that a job reads
go there by their content (`tasks.workers.ray.transfer`); what it makes comes back whole, and is published here
(`tasks.workers.ray.results`).

Retrieval goes there as well, with the embeddings of its rows: they are a few MB each, while the judge's CLIP, and every
prompt as it reads it, are warm on those machines and often nowhere here.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from nada.errors import NadaError, ParamsError
from nada.hashing import sha256_file
from tasks.workers.idle import POLL_SECONDS, IdleWorkers, RowTimeoutError, WorkersStoppedError
from tasks.workers.pool import Pool, WorkerDiedError, WorkerSpec
from tasks.workers.ray import cluster, results, transfer
from tasks.workers.ray.cluster import last_words, ray
from tasks.workers.ray.results import Files
from tasks.workers.ray.worker import RayWorker

START_SECONDS = 120.0  # until the workers are there; one of them must be
CLOSING_SECONDS = 5.0  # for threads to notice that the pool closes
GPU_PARTS = 10_000  # Ray counts parts of a GPU in these


class RayPool(Pool):
    """The night's workers on a cluster; used as `WorkerPool` is, whose errors it raises."""

    def __init__(self, specs: list[WorkerSpec], address: str | None, per_gpu: int = 1) -> None:
        """Join the cluster, and wait until its workers have started.

        Args:
            specs: one a worker.
            address: of the cluster; None begins a Ray of our own, which ends with the pool.
            per_gpu: workers that share a GPU.

        Raises:
            ParamsError: there is no cluster, or a worker cannot start on its machine.
        """
        self._sha256 = cache(sha256_file)
        self._folder = None if address else tempfile.TemporaryDirectory(prefix="nada-ray-", ignore_cleanup_errors=True)
        self.workers: list[RayWorker] = []
        self._idle = IdleWorkers(self.workers, self._has_started)
        try:
            if self._folder is None:
                cluster.connect(str(address))
            else:
                cluster.start(self._folder.name, len(specs))
            share = GPU_PARTS // per_gpu / GPU_PARTS
            self.workers += [RayWorker(spec, share, self._idle.stopped) for spec in specs]
            self._idle.waiting += self.workers
            self._await_workers()
        except BaseException:
            self.close()
            raise

    def run(
        self,
        function: str,
        job: Any,
        on_news: Callable[[Any], None] = lambda _: None,
        *,
        timeout_seconds: float,
        about: str = "",
    ) -> Any:
        """As `WorkerPool.run`; what a job made or judged is in its row's folder here before it is told of."""

        def hear(news: Any, files: Files) -> None:
            on_news(results.publish(job, news, files) if files else news)

        worker = self._idle.take(about, timeout_seconds)
        in_step = True  # whether the worker waits for its next job, and is not in the middle of this one
        try:
            packed = transfer.pack(job, worker.place.pid)
            worker.send(packed, self._sha256, timeout_seconds)
            in_step = False
            kind, said, files = worker.converse(function, packed, hear, timeout_seconds)
            in_step = True
        except RowTimeoutError:
            in_step = False
            raise
        except ray().exceptions.RayError as err:
            refusal = getattr(err, "cause", None)
            in_step = isinstance(refusal, NadaError)
            if self._idle.stopped.is_set():
                raise WorkersStoppedError("the workers were stopped") from err
            if isinstance(refusal, NadaError):
                raise refusal from err
            raise WorkerDiedError(f"the worker on {worker.place.machine} was lost ({last_words(err)})") from err
        finally:
            self._take_back(worker, in_step)
        if kind == "raised":
            raise said
        return results.unpack(job, said, files)

    def _has_started(self, worker: RayWorker) -> bool:
        """Whether it has. One whose machine left the cluster waits for another; one that cannot start is begun anew.

        Raises:
            WorkerDiedError: see `Restarts`.
        """
        try:
            if worker.is_lost and worker.restarts.is_due:
                worker.start()
            if worker.is_lost or not worker.is_ready():
                return False
            worker.restarts.succeeded()
            return True
        except Exception as err:  # Ray's own, or whatever a Ray that is gone answers
            worker.kill()
            worker.restarts.failed(_reason(err))
            return False

    def _await_workers(self) -> None:
        """The first workers must all be able to start; those for which there is no place yet may follow later."""
        deadline = time.monotonic() + START_SECONDS
        started = [False]
        while not all(started) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            try:
                started = [worker.is_ready() for worker in self.workers]
            except ray().exceptions.RayError as err:
                raise ParamsError(f"night.runner: a worker cannot start on Ray ({_reason(err)})") from err
        if not any(started) and self.workers:
            raise ParamsError(f"night.runner: Ray had no place for a worker within {START_SECONDS:g} s; see ray status")

    def _take_back(self, worker: RayWorker, in_step: bool) -> None:
        with self._idle.changing:
            if not in_step or self._idle.stopped.is_set():
                worker.kill()
            if not self._idle.stopped.is_set():
                with suppress(WorkerDiedError):
                    self._has_started(worker)  # another is asked for at once
            self._idle.give_back(worker)

    def close(self) -> None:
        """End every worker at once, and what was begun of Ray; rows that had not come back are lost."""
        with self._idle.changing:
            self._idle.stopped.set()
            for worker in self.workers:
                worker.kill()
        deadline = time.monotonic() + CLOSING_SECONDS
        while len(self._idle.waiting) < len(self.workers) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)  # no thread may call a Ray that is gone
        ray().shutdown()
        if self._folder is not None:
            self._folder.cleanup()


def _reason(err: BaseException) -> str:
    """What an actor that cannot start says of it."""
    refusal = getattr(err, "cause", None)
    return str(refusal) if isinstance(refusal, NadaError) else last_words(err)
