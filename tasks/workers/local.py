"""Worker processes of this machine: one per device, warm between rows, each lost alone.

The caller's thread hands a row to an idle worker over a pipe and reads its answers there. A closed pipe means
that the process died, silence past the limit that it hangs: either way only that row is lost, and a fresh
process takes the place. `tasks.workers.process` is the other end of the pipe; this module imports no torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Pipe
from typing import Any

from tasks.workers.idle import POLL_SECONDS, IdleWorkers, RowTimeoutError, WorkersStoppedError
from tasks.workers.pool import Pool, WorkerDiedError, WorkerSpec, rebuilt_error

LAST_LINES, LAST_BYTES = 3, 4096  # of a dead worker's output, quoted in the error
ENDING_SECONDS = 2.0  # a process that closed its pipe has this long to end by itself

# glibc returns large blocks to the kernel at every free and faults them in again at the next step; keeping them
# makes training on a CPU 1.3 to 1.5 times faster, for more resident memory.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
# cuBLAS is deterministic only with a workspace of fixed size.
DETERMINISTIC_CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


class Worker:
    """One process and our end of its pipe."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.about = ""
        """What its last job was about."""
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
        self.workers: list[Worker] = [Worker(spec) for spec in specs]
        self._idle = IdleWorkers(self.workers, self._is_alive)

    def run(
        self,
        function: str,
        job: Any,
        on_news: Callable[[Any], None] = lambda _: None,
        timeout_seconds: float = float("inf"),
        about: str = "",
    ) -> Any:
        """Run one job on an idle worker and return what its function returned.

        Args:
            function: `module:function`, called in the worker with the job and a callback for news.
            job: a dataclass with `device` and `threads`, which the worker's own replace.
            on_news: called in this thread with whatever the function tells: `tasks.workers.news`.
            timeout_seconds: limit from the moment at which a worker takes the job.
            about: what the job is about, such as its domain: the worker whose last job was about it is preferred, for
                it may hold what is needed.

        Raises:
            WorkerDiedError, RowTimeoutError, RowFailedError, WorkersStoppedError: see there.
            InputError: the job raised one of these; its kind is kept.
        """
        worker = self._idle.take(about)
        in_step = False  # whether the worker waits for its next job, and not in the middle of this one
        try:
            job = dataclasses.replace(job, device=worker.spec.device, threads=worker.spec.threads)
            kind, *content = self._converse(worker, (function, job), on_news, timeout_seconds)
            in_step = True
        except (EOFError, ConnectionError) as err:
            if self._idle.stopped.is_set():
                raise WorkersStoppedError("the workers were stopped") from err
            raise WorkerDiedError(f"the worker process died ({worker.epitaph()})") from err
        finally:
            if not in_step:
                self._replace_process(worker)
            self._take_back(worker)
        if kind == "done":
            return content[0]
        raise rebuilt_error(*content)

    def _is_alive(self, worker: Worker) -> bool:
        """Whether it is, after all: one that was killed while it had nothing to do is replaced, and no row pays."""
        if worker.process.poll() is not None:
            self._replace_process(worker)
        return True

    def _take_back(self, worker: Worker) -> None:
        with self._idle.changing:
            if self._idle.stopped.is_set():
                worker.release()
            else:
                self._idle.give_back(worker)

    def _converse(self, worker: Worker, request: Any, on_news: Callable[[Any], None], timeout_seconds: float) -> Any:
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
            on_news(message[1])

    def _replace_process(self, worker: Worker) -> None:
        worker.release()
        with self._idle.changing:
            if not self._idle.stopped.is_set():
                worker.start()

    def close(self) -> None:
        """End every worker at once; what they had not published is lost."""
        with self._idle.changing:
            self._idle.stopped.set()
            for worker in self.workers:
                worker.kill()  # a thread in `run` reads the closed pipe, and releases its worker
            while self._idle.waiting:
                self._idle.waiting.pop().release()
