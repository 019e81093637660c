"""Worker processes of this machine: one per device, warm between rows, each lost alone.

The caller's thread hands a row to an idle worker over a pipe and reads its answers there. A closed pipe means that the
process died; one that is still at it past its limit is ended, so that its pipe closes as well. Either way what it had
said is heard, only a row that it had not ended is lost, and a fresh process takes the place. `tasks.workers.process` is
the other end of the pipe; this module imports no torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe
from typing import IO, Any

from nada.errors import WorkerError
from tasks.workers.idle import IdleWorkers, Restarts, RowTimeoutError, WorkersStoppedError
from tasks.workers.news import is_of_all
from tasks.workers.pool import Pool, WorkerDiedError, WorkerSpec, rebuilt_error

LAST_LINES, LAST_BYTES = 3, 4096  # of a dead worker's output, quoted in the error
ENDING_SECONDS = 2.0  # a process that closed its pipe, or was killed, has this long to be gone

# glibc returns large blocks to the kernel at every free and faults them in again at the next step; keeping them
# makes training on a CPU 1.3 to 1.5 times faster, for more resident memory.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
# cuBLAS is deterministic only with a workspace of fixed size.
DETERMINISTIC_CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


class PipeClosedError(WorkerError):
    """The process is gone, or was ended: nothing more comes of it."""


class Limit:
    """So many seconds, from the last time that it began.

    Args:
        seconds: until its end.
        end: what then happens, in a thread of its own.
    """

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self._seconds, self._end = min(seconds, threading.TIMEOUT_MAX), end
        self.is_over = threading.Event()
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Now, and not as it had begun before."""
        self.cancel()
        self._timer = threading.Timer(self._seconds, self._over)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """No end any more; one that is happening is waited for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _over(self) -> None:
        self.is_over.set()
        self._end()


class Worker:
    """One process and our end of its pipe; nothing before it is started, and once it is released.

    Args:
        spec: what it runs on.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.about = ""
        """What its last job was about."""
        self.restarts = Restarts()
        self._is_started = False
        self._held = contextlib.ExitStack()

    def start(self) -> None:
        """Start a process, with a pipe and a log of its own, in place of the one before.

        Raises:
            OSError: the system refuses; nothing is left of it.
        """
        self.release()
        with contextlib.ExitStack() as held:
            self._log: IO[bytes] = held.enter_context(tempfile.TemporaryFile())
            ours, theirs = Pipe()
            self.pipe: Connection[Any, Any] = held.enter_context(ours)
            with theirs:
                self.process = self._spawn(theirs.fileno())
            held.callback(self.kill)
            self._held, self._is_started = held.pop_all(), True

    def _spawn(self, fd: int) -> subprocess.Popen[bytes]:
        threads = str(self.spec.threads)
        environment = {**KEEP_MEMORY, **DETERMINISTIC_CUBLAS, **os.environ}
        environment |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        # -P: a folder named `tasks` where the user stands must not shadow ours. A process group of its own:
        # Ctrl-C in the terminal reaches the parent alone, which ends the workers.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tasks.workers.process", str(fd), str(os.getpid()), threads],
            env=environment,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self._is_started and self.process.poll() is None

    def is_ready(self) -> bool:
        """Whether it runs, after all: one that was killed while it had nothing to do, or could not be started, is
        started now, and no row pays.

        Raises:
            WorkerDiedError: see `Restarts`.
        """  # fmt: skip
        if not self.is_alive and self.restarts.is_due:
            try:
                self.start()
                self.restarts.succeeded()
            except OSError as err:
                self.restarts.failed(err.strerror or str(err))
        return self.is_alive

    def converse(self, request: Any, on_news: Callable[[Any], None], timeout_seconds: float) -> Any:
        """Send a job and read until its last answer, also one that the process gave just before it ended.

        Raises:
            RowTimeoutError: none came in time; the process is ended.
            PipeClosedError: the process is gone.
        """
        with self._ended_after(timeout_seconds) as limit:
            try:
                self._pipe(self.pipe.send, request)
                while True:
                    message = self._pipe(self.pipe.recv)
                    if message[0] != "progress":
                        return message
                    if is_of_all(message[1]):
                        limit.begin()
                    on_news(message[1])
            except PipeClosedError as err:
                if limit.is_over.is_set():
                    late = f"no result within {timeout_seconds:g} s; the worker was killed"
                    raise RowTimeoutError(late) from err
                raise

    def _pipe(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except (EOFError, OSError) as err:  # the latter also where it ended in the middle of a message
            raise PipeClosedError("the pipe is closed") from err

    @contextlib.contextmanager
    def _ended_after(self, seconds: float) -> Iterator[Limit]:
        """End the process when its time is up, so that whoever waits for it reads a closed pipe."""

        def end() -> None:
            self.kill()
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.pipe.fileno())) as ours:
                ours.shutdown(socket.SHUT_RDWR)  # should the kernel not let it end, as where a disk does not answer

        limit = Limit(seconds, end)
        limit.begin()
        try:
            yield limit
        finally:
            limit.cancel()

    def kill(self) -> None:
        """End the process and everything that it started, at once. The pipe then reads as closed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_SECONDS)

    def release(self) -> None:
        """Kill the process and let go of its pipe and log. Only for who holds the worker: no thread reads them."""
        self._is_started = False
        self._held.close()

    def epitaph(self) -> str:
        """How the process ended, with its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_SECONDS)
        self.kill()
        code = self.process.returncode
        if code is None:
            return "it hangs in the kernel"
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
        self.workers: list[Worker] = [Worker(spec) for spec in specs]
        self._idle = IdleWorkers(self.workers, Worker.is_ready)
        for worker in self.workers:
            worker.is_ready()  # it loads its libraries while others do other things

    def run(
        self,
        function: str,
        job: Any,
        on_news: Callable[[Any], None] = lambda _: None,
        *,
        timeout_seconds: float,
        about: str = "",
    ) -> Any:
        """Run one job on an idle worker and return what its function returned.

        Args:
            function: `module:function`, called in the worker with the job and a callback for news.
            job: a dataclass with `device` and `threads`, which the worker's own replace.
            on_news: called in this thread with whatever the function tells: `tasks.workers.news`.
            timeout_seconds: limit for the wait for a worker, and then from the moment at which it takes the job.
            about: what the job is about, such as its domain: the worker whose last job was about it is preferred, for
                it may hold what is needed.

        Raises:
            WorkerDiedError, RowTimeoutError, RowFailedError, WorkersStoppedError: see there.
            InputError: the job raised one of these; its kind is kept.
        """
        worker = self._idle.take(about, timeout_seconds)
        in_step = False  # whether the worker waits for its next job, and not in the middle of this one
        try:
            job = dataclasses.replace(job, device=worker.spec.device, threads=worker.spec.threads)
            kind, *content = worker.converse((function, job), on_news, timeout_seconds)
            in_step = True
        except PipeClosedError as err:
            if self._idle.stopped.is_set():
                raise WorkersStoppedError("the workers were stopped") from err
            raise WorkerDiedError(f"the worker process died ({worker.epitaph()})") from err
        finally:
            self._take_back(worker, in_step)
        if kind == "done":
            return content[0]
        raise rebuilt_error(*content)

    def _take_back(self, worker: Worker, in_step: bool) -> None:
        with self._idle.changing:
            if self._idle.stopped.is_set() or not in_step:
                worker.release()
            if not self._idle.stopped.is_set():
                with contextlib.suppress(WorkerDiedError):
                    worker.is_ready()  # a fresh process loads its libraries until the next job comes
            self._idle.give_back(worker)

    def close(self) -> None:
        """End every worker at once; what they had not published is lost."""
        with self._idle.changing:
            self._idle.stopped.set()
            for worker in self.workers:
                if worker in self._idle.waiting:
                    worker.release()
                else:
                    worker.kill()  # a thread in `run` reads the closed pipe, and releases its worker
