"""The other end of a worker's pipe; run as `python -m tasks.workers.process FD PARENT_PID THREADS`.

It waits for (function, job), answers with any number of ("progress", Progress), then with ("done", result) or
("failed", type name, message, traceback), and keeps what its functions cache in their modules: warm models.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tasks.workers.watchdog import end_with_parent

OOM_SCORE_PATH = Path("/proc/self/oom_score_adj")  # where the kernel is Linux
OOM_EXTRA, OOM_MOST = 500, 1000  # raising one's own score needs no rights


def answer(pipe: Connection[Any, Any], function: str, job: Any) -> None:
    """Run one job and send what came of it."""
    module, name = function.split(":")
    try:
        run = getattr(importlib.import_module(module), name)
        result = run(job, lambda news: pipe.send(("progress", news)))
        pipe.send(("done", result))
    except Exception as err:
        message = str(err).strip() or "no message"
        pipe.send(("failed", type(err).__name__, message, traceback.format_exc()))


def main() -> None:
    """Serve jobs until the pipe closes."""
    fd, parent_pid, threads = (int(argument) for argument in sys.argv[1:4])
    end_with_parent(parent_pid)
    with suppress(OSError):  # if the kernel must kill for memory, one row and not the night
        OOM_SCORE_PATH.write_text(str(min(int(OOM_SCORE_PATH.read_text()) + OOM_EXTRA, OOM_MOST)))
    pipe: Connection[Any, Any] = Connection(fd)
    os.set_inheritable(fd, False)

    import torch  # after the watchdog: importing takes seconds

    torch.set_num_threads(threads)
    # Warnings instead of errors: some CUDA kernels, such as the antialiased resize, have no deterministic form.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # A debugging aid that costs time; the stubs do not know it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    from nada.micro_batch import give_back

    while True:
        try:
            function, job = pipe.recv()
        except (EOFError, ConnectionError):
            return
        answer(pipe, function, job)
        give_back()  # what a job leaves free lies between what stays, and the next job, of other sizes, takes more


if __name__ == "__main__":
    main()
