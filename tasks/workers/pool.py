"""Persistent worker processes: one per device, warm between rows, each lost alone.

The caller's thread hands a row to an idle worker over a pipe and reads its answers there. A closed pipe means
that the process died, silence past the limit that it hangs: either way only that row is lost, and a fresh
process takes the place. `tasks.workers.process` is the other end of the pipe; this module imports no torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from typing import Any, Self

from nada import errors
from nada.errors import InputError, WorkerError

RUN_ROW = "tasks.row.make:run_row"
CHECK_MODELS = "tasks.row.make:check_models"
LAST_LINES, LAST_BYTES = 3, 4096  # of a dead worker's output, quoted in the error
POLL_SECONDS = 0.2  # how soon a closing pool is noticed
ENDING_SECONDS = 2.0  # a process that closed its pipe has this long to end by itself

# The last bits of a row depend on it, so it is no share of the cores: that would depend on the other rows.
CPU_THREADS = 1

# glibc returns large blocks to the kernel at every free and faults them in again at the next step; keeping them
# makes training on a CPU 1.3 to 1.5 times faster, for more resident memory.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
# cuBLAS is deterministic only with a workspace of fixed size.
DETERMINISTIC_CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


class WorkerDiedError(WorkerError):
    """The process ended in the middle of a row: killed, out of memory, or crashed in native code."""


class RowTimeoutError(WorkerError):
    """The row took longer than its limit; its process was killed."""


class RowFailedError(WorkerError):
    """The row itself raised; the worker lives on. `details` holds the traceback of the worker."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class WorkersStoppedError(WorkerError):
    """The pool was closed while the row ran or waited."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a row is; sent by its worker a few times a second."""

    domain: str
    step: int
    total: int
    loss: float | None
    """Of the latest step; None outside of training."""
    phase: str
    """`load`, `adapt`, `judge` or `save`."""
    note: str = ""
    """News that is worth a line of its own."""


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What one worker process runs on."""

    device: str
    threads: int


def plan_workers(
    devices: list[str], cores: int, workers: int | None, num_rows: int, fitting: Mapping[str, int] | None = None
) -> list[WorkerSpec]:
    """On each GPU as many workers as asked for or as fit; on a CPU as many as cores and rows allow, one thread each.

    Args:
        devices: GPUs, or `cpu` alone.
        cores: of the machine.
        workers: on a CPU in all, on GPUs for each; None: as many as there is room for.
        num_rows: of the CSV.
        fitting: GPU -> workers that it has room for, where that is known; otherwise one.

    >>> plan_workers(["cpu"], cores=8, workers=None, num_rows=1)
    [WorkerSpec(device='cpu', threads=1)]
    """
    if devices != ["cpu"]:
        each = [workers or (fitting or {}).get(device, 1) for device in devices]
        threads = max(1, cores // sum(each))
        turns = [device for turn in range(max(each)) for device, num in zip(devices, each, strict=True) if turn < num]
        return [WorkerSpec(device=device, threads=threads) for device in turns]
    count = max(1, min(cores, num_rows) if workers is None else workers)
    return [WorkerSpec(device="cpu", threads=CPU_THREADS)] * count


class Pool(ABC):
    """What a night needs of its workers, wherever they are. A context manager: leaving it ends them all."""

    workers: Sequence[object]
    """As many as rows can run at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def run(
        self,
        job: Any,
        on_progress: Callable[[Progress], None] = ...,
        timeout_seconds: float = ...,
        function: str = ...,
    ) -> Any:
        """Run one job on the next idle worker; see `WorkerPool.run`."""

    @abstractmethod
    def close(self) -> None:
        """End every worker at once; what they had not published is lost."""


class Worker:
    """One process and our end of its pipe."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.start()

    def start(self) -> None:
        """Start a process, with a pipe and a log of its own."""
        self.pipe, theirs = Pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        threads = str(self.spec.threads)
        environment = {**KEEP_MEMORY, **DETERMINISTIC_CUBLAS, **os.environ}
        environment |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        worker_arguments = [str(theirs.fileno()), str(os.getpid()), threads]
        # -P: a folder named `tasks` where the user stands must not shadow ours. A process group of its own:
        # Ctrl-C in the terminal reaches the parent alone, which ends the workers.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tasks.workers.process", *worker_arguments],
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        theirs.close()

    def kill(self) -> None:
        """End the process and everything that it started, at once. The pipe then reads as closed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def release(self) -> None:
        """Kill the process and let go of its pipe and log. Only for who holds the worker: no thread reads them."""
        self.kill()
        self.pipe.close()
        self._log.close()

    def epitaph(self) -> str:
        """How the process ended, with its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_SECONDS)
        self.kill()
        code = self.process.returncode
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        if code == -signal.SIGKILL:
            cause += ", as Linux sends when memory runs out: lower night.micro_batch or night.workers"
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), LAST_BYTES, max(0, size - LAST_BYTES))
        words = tail.decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        return f"{cause}; its last words: {' | '.join(words)}" if words else cause


class WorkerPool(Pool):
    """The night's workers. `run` is called from many threads; each waits for an idle worker.

    Use as a context manager: leaving it ends every process, and threads still in `run` raise
    WorkersStoppedError.
    """

    def __init__(self, specs: list[WorkerSpec]) -> None:
        self._stopped = threading.Event()
        self._changing = threading.Lock()  # nobody starts a process while the pool closes
        self.workers: list[Worker] = [Worker(spec) for spec in specs]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self.workers:
            self._idle.put(worker)

    def run(
        self,
        job: Any,
        on_progress: Callable[[Progress], None] = lambda _: None,
        timeout_seconds: float = float("inf"),
        function: str = RUN_ROW,
    ) -> Any:
        """Run one job on the next idle worker and return what its function returned.

        Args:
            job: a dataclass with `device` and `threads`, which the worker's own replace.
            on_progress: called in this thread.
            timeout_seconds: limit from the moment at which a worker takes the job.
            function: `module:function`, called in the worker with the job and a progress callback.

        Raises:
            WorkerDiedError, RowTimeoutError, RowFailedError, WorkersStoppedError: see there.
            InputError: the job raised one of these; its kind is kept.
        """
        worker = self._next_idle()
        in_step = False  # whether the worker waits for its next job, and not in the middle of this one
        try:
            job = dataclasses.replace(job, device=worker.spec.device, threads=worker.spec.threads)
            kind, *content = self._converse(worker, (function, job), on_progress, timeout_seconds)
            in_step = True
        except (EOFError, ConnectionError) as err:
            if self._stopped.is_set():
                raise WorkersStoppedError("the workers were stopped") from err
            raise WorkerDiedError(f"the worker process died ({worker.epitaph()})") from err
        finally:
            if not in_step:
                self._replace_process(worker)
            if self._stopped.is_set():
                worker.release()
            else:
                self._idle.put(worker)
        if kind == "done":
            return content[0]
        raise _rebuilt_error(*content)

    def _next_idle(self) -> Worker:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Empty):
                worker = self._idle.get(timeout=POLL_SECONDS)
                if worker.process.poll() is not None:  # killed while it had nothing to do: no row pays for that
                    self._replace_process(worker)
                if not self._stopped.is_set():
                    return worker
                worker.release()
        raise WorkersStoppedError("the workers were stopped")

    def _converse(
        self, worker: Worker, request: Any, on_progress: Callable[[Progress], None], timeout_seconds: float
    ) -> Any:
        """Send a job and read until its last answer."""
        deadline = time.monotonic() + timeout_seconds
        worker.pipe.send(request)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise RowTimeoutError(f"no result within {timeout_seconds:g} s; the worker was killed")
            if not worker.pipe.poll(min(POLL_SECONDS, left)):
                continue
            message = worker.pipe.recv()
            if message[0] != "progress":
                return message
            on_progress(message[1])

    def _replace_process(self, worker: Worker) -> None:
        with self._changing:
            worker.release()
            if not self._stopped.is_set():
                worker.start()

    def close(self) -> None:
        """End every worker at once; what they had not published is lost."""
        with self._changing:
            self._stopped.set()
            for worker in self.workers:
                worker.kill()  # a thread in `run` reads the closed pipe, and releases its worker
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().release()


def _rebuilt_error(type_name: str, message: str, details: str) -> Exception:
    """The worker's error: bad input keeps its kind, anything else is a failed row."""
    kind = getattr(errors, type_name, None)
    if isinstance(kind, type) and issubclass(kind, InputError):
        return kind(message)
    named = message if isinstance(kind, type) else f"{type_name}: {message}"
    return RowFailedError(named, details)
