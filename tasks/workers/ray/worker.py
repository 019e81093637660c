"""One worker of a cluster: a Ray actor, wherever Ray puts it, and our end of what is said to it."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nada.errors import CheckpointError
from tasks.workers.environment import installed
from tasks.workers.idle import POLL_SECONDS, Restarts, check
from tasks.workers.news import is_of_all
from tasks.workers.pool import WorkerSpec
from tasks.workers.ray.actor import Place, RowActor
from tasks.workers.ray.cluster import ray
from tasks.workers.ray.results import Files
from tasks.workers.ray.transfer import Packed

GRACE_SECONDS = 60.0  # a station ends its worker at the row's limit; one that is stuck itself is ended this much later
SOMEWHERE = Place(machine="another machine", pid=0)


class RayWorker:
    """One actor.

    Args:
        spec: what its worker runs on.
        gpu_share: part of a GPU that is its own, where it has one.
        stopped: whether the pool has.
    """

    def __init__(self, spec: WorkerSpec, gpu_share: float, stopped: threading.Event) -> None:
        self.spec, self.gpu_share, self.stopped = spec, gpu_share, stopped
        self.restarts = Restarts()
        self.start()

    def start(self) -> None:
        """Ask for an actor; it is there when a machine is free.

        Raises:
            ray.exceptions.RayError: the cluster is gone.
        """
        is_gpu = self.spec.device != "cpu"
        actor = ray().remote(RowActor).options(num_gpus=self.gpu_share * is_gpu, num_cpus=0 if is_gpu else 1)
        project = hashlib.sha256(f"{socket.gethostname()}:{Path.cwd()}".encode()).hexdigest()[:16]
        self.about = ""
        """What its last job was about."""
        self.place = SOMEWHERE
        self.actor = actor.remote()
        self.opened = self.actor.open.remote(project, self.spec, installed())
        self.is_lost = False
        """Whether its actor is gone, and another is to be asked for."""

    def is_ready(self) -> bool:
        """Whether it has started.

        Raises:
            ray.exceptions.RayError: it cannot.
        """
        if self.place is SOMEWHERE and ray().wait([self.opened], timeout=0)[0]:
            self.place = ray().get(self.opened)
        return self.place is not SOMEWHERE

    def send(self, packed: Packed, sha256_of: Callable[[Path], str], limit_seconds: float) -> None:
        """Have every file that a job reads in the worker's mirror.

        Raises:
            CheckpointError: a file cannot be read.
            RowTimeoutError: not all were there in time.
            WorkersStoppedError: see there.
            ray.exceptions.RayError: the actor is lost, or refuses a file; its `cause` says why.
        """
        deadline = time.monotonic() + limit_seconds
        try:
            sha256s = {name: sha256_of(path) for name, path in packed.files.items()}
            for name in self._answer(self.actor.missing.remote(sha256s, *packed.pictures), deadline):
                content = packed.files[name].read_bytes()
                self._answer(self.actor.receive.remote(name, sha256s[name], content), deadline)
        except OSError as err:
            raise CheckpointError(f"{err.filename}: cannot be read ({err.strerror})") from err

    def converse(
        self, function: str, packed: Packed, hear: Callable[[Any, Files], None], limit_seconds: float
    ) -> tuple[str, Any, Files]:
        """Hand over a job and read until its last answer.

        Args:
            function: that does it.
            packed: the job, whose files were sent.
            hear: called with all news, and the files of the row that they tell of.
            limit_seconds: for the job.

        Returns:
            See `RowActor.run`.

        Raises:
            RowTimeoutError, WorkersStoppedError: see there.
            ray.exceptions.RayError: the actor is lost.
        """
        too_late = f"no result within {limit_seconds:g} s; the worker was killed"
        deadline = time.monotonic() + limit_seconds + GRACE_SECONDS
        run = self.actor.run.options(num_returns="streaming")
        answers = run.remote(function, packed.job, limit_seconds, packed.results, packed.passing, packed.shared)
        while True:
            while not ray().wait([answers], timeout=POLL_SECONDS)[0]:
                check(self.stopped, deadline, too_late)
            kind, said, files = ray().get(next(answers))
            if kind != "news":
                return kind, said, files
            if is_of_all(said):
                deadline = time.monotonic() + limit_seconds + GRACE_SECONDS
            hear(said, files)

    def kill(self) -> None:
        """End the actor at once; what it started follows it."""
        self.is_lost = True
        with suppress(Exception):  # it is gone already, and Ray perhaps too
            ray().kill(self.actor)

    def _answer(self, reference: Any, deadline: float) -> Any:
        while not ray().wait([reference], timeout=POLL_SECONDS)[0]:
            check(self.stopped, deadline, "its files did not arrive in time; the worker was killed")
        return ray().get(reference)
