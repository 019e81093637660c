"""The night's workers on the machines of a Ray cluster.

A `RayPool` does what `tasks.workers.pool.WorkerPool` does, with an actor in the place of each process: Ray puts it
where a GPU or a core is free, and it holds a worker like ours (`tasks.workers.ray.actor`). The files that a row reads
go there by their content; its folder comes back whole, and is published here (`tasks.workers.ray.transfer`).
"""

from __future__ import annotations

import hashlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from nada.errors import CheckpointError, NadaError, ParamsError
from nada.hashing import sha256_file
from tasks.row.job import RowJob
from tasks.workers.environment import installed
from tasks.workers.pool import (
    POLL_SECONDS,
    RUN_ROW,
    Pool,
    Progress,
    RowTimeoutError,
    WorkerDiedError,
    WorkerSpec,
    WorkersStoppedError,
)
from tasks.workers.ray import cluster, transfer
from tasks.workers.ray.actor import RowActor
from tasks.workers.ray.cluster import last_words, ray
from tasks.workers.ray.transfer import PackedRow

START_SECONDS = 120.0  # until the workers are there; one of them must be
GRACE_SECONDS = 60.0  # a station ends its worker at the row's limit; one that is stuck itself is ended this much later
CLOSING_SECONDS = 5.0  # for threads to notice that the pool closes
GPU_PARTS = 10_000  # Ray counts parts of a GPU in these


class RayWorker:
    """One actor, wherever Ray puts it."""

    def __init__(self, spec: WorkerSpec, gpu_share: float) -> None:
        self.spec = spec
        self.gpu_share = gpu_share
        self.start()

    def start(self) -> None:
        """Ask for an actor; it is there when a machine is free."""
        is_gpu = self.spec.device != "cpu"
        actor = ray().remote(RowActor).options(num_gpus=self.gpu_share * is_gpu, num_cpus=0 if is_gpu else 1)
        project = hashlib.sha256(f"{socket.gethostname()}:{Path.cwd()}".encode()).hexdigest()[:16]
        self.machine = "another machine"
        self.actor = actor.remote()
        self.opened = self.actor.open.remote(project, self.spec, installed())

    def is_ready(self) -> bool:
        """Whether it has started.

        Raises:
            ray.exceptions.RayError: it cannot.
        """
        if not ray().wait([self.opened], timeout=0)[0]:
            return False
        self.machine = ray().get(self.opened)
        return True

    def kill(self) -> None:
        """End the actor at once; what it started follows it."""
        with suppress(Exception):  # it is gone already, and Ray perhaps too
            ray().kill(self.actor)


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
        self._stopped = threading.Event()
        self._changing = threading.Lock()
        self._sha256 = cache(sha256_file)
        self._folder = None if address else tempfile.TemporaryDirectory(prefix="nada-ray-", ignore_cleanup_errors=True)
        self.workers: list[RayWorker] = []
        self._idle: list[RayWorker] = []
        try:
            if self._folder is None:
                cluster.connect(str(address))
            else:
                cluster.start(self._folder.name, len(specs))
            self.workers = [RayWorker(spec, GPU_PARTS // per_gpu / GPU_PARTS) for spec in specs]
            self._idle = list(self.workers)
            self._await_workers()
        except BaseException:
            self.close()
            raise

    def run(
        self,
        job: RowJob,
        on_progress: Callable[[Progress], None] = lambda _: None,
        timeout_seconds: float = float("inf"),
        function: str = RUN_ROW,
    ) -> Any:
        """As `WorkerPool.run`; the folder of a row is published here."""
        packed = transfer.pack(job)
        worker = self._next_idle(timeout_seconds)
        in_step = False  # whether the worker waits for its next job, and not in the middle of this one
        try:
            self._send(worker, packed)
            kind, *content = self._converse(worker, packed.job, on_progress, timeout_seconds, function)
            in_step = True
        except ray().exceptions.RayError as err:
            if self._stopped.is_set():
                raise WorkersStoppedError("the workers were stopped") from err
            if isinstance(refusal := getattr(err, "cause", None), NadaError):
                raise refusal from err
            raise WorkerDiedError(f"the worker on {worker.machine} was lost ({last_words(err)})") from err
        finally:
            self._take_back(worker, in_step)
        if kind == "raised":
            raise content[0]
        result, files = content
        return transfer.unpack(job, files) if function == RUN_ROW else result

    def _next_idle(self, timeout_seconds: float) -> RayWorker:
        """A worker that has started. One whose machine left the cluster waits for another, and no row for it alone."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            self._check(deadline, f"no machine was free within {timeout_seconds:g} s")
            with self._changing:
                for worker in list(self._idle):
                    if self._has_started(worker):
                        self._idle.remove(worker)
                        return worker
            time.sleep(POLL_SECONDS)

    def _has_started(self, worker: RayWorker) -> bool:
        """Whether it has; one that cannot is given up.

        Raises:
            ParamsError: none is left.
        """
        try:
            return worker.is_ready()
        except ray().exceptions.RayError as err:
            self._idle.remove(worker)
            self.workers.remove(worker)
            if not self.workers:
                raise ParamsError(f"night.runner: no worker can start on Ray ({_reason(err)})") from err
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

    def _send(self, worker: RayWorker, packed: PackedRow) -> None:
        """Have every file of a row in the worker's mirror."""
        try:
            sha256s = {name: self._sha256(path) for name, path in packed.files.items()}
            for name in self._answer(worker.actor.missing.remote(sha256s, packed.pictures)):
                content = packed.files[name].read_bytes()
                self._answer(worker.actor.receive.remote(name, sha256s[name], content))
        except OSError as err:
            raise CheckpointError(f"{err.filename}: cannot be read ({err.strerror})") from err

    def _answer(self, reference: Any) -> Any:
        while not ray().wait([reference], timeout=POLL_SECONDS)[0]:
            self._check()
        return ray().get(reference)

    def _converse(
        self, worker: RayWorker, job: RowJob, on_progress: Callable[[Progress], None], limit: float, function: str
    ) -> Any:
        """Hand over a job and read until its last answer."""
        deadline = time.monotonic() + limit + GRACE_SECONDS
        answers = worker.actor.run.options(num_returns="streaming").remote(job, limit, function)
        while True:
            while not ray().wait([answers], timeout=POLL_SECONDS)[0]:
                self._check(deadline, f"no result within {limit:g} s; the worker was killed")
            message = ray().get(next(answers))
            if message[0] != "progress":
                return message
            on_progress(message[1])

    def _check(self, deadline: float = float("inf"), too_late: str = "") -> None:
        if self._stopped.is_set():
            raise WorkersStoppedError("the workers were stopped")
        if time.monotonic() > deadline:
            raise RowTimeoutError(too_late)

    def _take_back(self, worker: RayWorker, in_step: bool) -> None:
        with self._changing:
            if not in_step or self._stopped.is_set():
                worker.kill()
            if not in_step and not self._stopped.is_set():
                worker.start()
            self._idle.append(worker)

    def close(self) -> None:
        """End every worker at once, and what was begun of Ray; rows that had not come back are lost."""
        with self._changing:
            self._stopped.set()
            for worker in self.workers:
                worker.kill()
        deadline = time.monotonic() + CLOSING_SECONDS
        while len(self._idle) < len(self.workers) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)  # no thread may call a Ray that is gone
        ray().shutdown()
        if self._folder is not None:
            self._folder.cleanup()


def _reason(err: BaseException) -> str:
    """What an actor that cannot start says of it."""
    refusal = getattr(err, "cause", None)
    return str(refusal) if isinstance(refusal, NadaError) else last_words(err)
