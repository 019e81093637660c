"""The other machine's end of a row that travels: a mirror of the project's files, and one worker in it.

A `RowActor` is the body of a Ray actor and knows nothing of Ray. It lies in `~/.cache/nada/<machine>-<project>`
(`XDG_CACHE_HOME` moves that), which all stations of a project on one machine share, and which may be removed at any
time between nights: what is missing or has other bytes is sent again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import queue
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nada.atomic import replacing, writing
from nada.errors import CheckpointError, ParamsError
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.row.job import RowJob
from tasks.store import row_folder
from tasks.store.locks import alone_in
from tasks.workers.environment import differences, installed
from tasks.workers.pool import RUN_ROW, Progress, WorkerPool, WorkerSpec


class RowActor:
    """One worker of another machine, in the mirror of a project."""

    def __init__(self) -> None:
        self.machine = platform.node() or "unknown"
        self._whole: dict[str, str] = {}

    def open(self, project: str, spec: WorkerSpec, expected: Mapping[str, str]) -> str:
        """Go to the mirror and start the worker; returns the machine's name.

        Args:
            project: names the mirror.
            spec: of the worker.
            expected: `installed()` of the machine that sends the rows.

        Raises:
            ParamsError: other versions are installed here, so that rows would come out otherwise than recorded.
            OutputError: the mirror cannot be made.
        """
        if found := differences(expected, installed()):
            raise ParamsError(f"{self.machine}: {', '.join(found)}; install the same there")
        mirror = mirror_folder(self.machine, project)
        with writing(mirror):
            mirror.mkdir(parents=True, exist_ok=True)
            os.chdir(mirror)
        row_folder.sweep()
        self._pool = WorkerPool([spec])
        return self.machine

    def missing(self, files: Mapping[str, str], pictures: str | None = None) -> list[str]:
        """Those of these files (path -> sha256) that are not here, or have other bytes.

        Args:
            files: what a row reads.
            pictures: a folder among them; others in it, which an earlier night had, are removed.
        """
        if pictures is not None:
            for path in _inside(pictures).rglob("*"):
                if path.is_file() and path.as_posix() not in files:
                    path.unlink(missing_ok=True)
        for name, sha256 in files.items():
            if self._whole.get(name) != sha256 and _is(Path(name), sha256):
                self._whole[name] = sha256
        return [name for name, sha256 in files.items() if self._whole.get(name) != sha256]

    def receive(self, name: str, sha256: str, content: bytes) -> None:
        """Keep a file of the mirror, whole or not at all.

        Raises:
            CheckpointError: it has other bytes than announced, or lies outside of the mirror.
            OutputError: it cannot be written.
        """
        path = _inside(name)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise CheckpointError(f"{name}: changed while it was sent to {self.machine}; start the night again")
        with alone_in(Path()):
            if not _is(path, sha256):
                with replacing(path) as partial:
                    partial.write_bytes(content)
        self._whole[name] = sha256

    def run(self, job: RowJob, timeout_seconds: float, function: str) -> Iterator[tuple[Any, ...]]:
        """Run a job on the worker, as `WorkerPool.run` does.

        Yields:
            Any number of ("progress", Progress); then ("done", result, {name: bytes} of the row's folder) or
            ("raised", error).
        """
        news: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

        def tell(progress: Progress) -> None:
            news.put(("progress", progress))

        def work() -> None:
            message: tuple[Any, ...]
            try:
                result = self._pool.run(job, tell, timeout_seconds, function)
                message = ("done", result, _taken(job.row.domain) if function == RUN_ROW else {})
            except Exception as err:
                message = ("raised", err)
            row_folder.sweep()  # of workers that were killed, this one's or those of a station that was
            news.put(message)

        threading.Thread(target=work, daemon=True).start()
        while True:
            message = news.get()
            yield message
            if message[0] != "progress":
                return


def mirror_folder(machine: str, project: str) -> Path:
    """Where a machine keeps what it was sent; its name is in the path, for homes may be shared."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "nada" / f"{machine}-{project}"


def _inside(name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise CheckpointError(f"{name}: leads out of the mirror; expected a path within it")
    return path


def _taken(domain: str) -> dict[str, bytes]:
    """A published row's files, which then are only where they were asked for."""
    folder = HERE.adapted / domain
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    shutil.rmtree(folder)
    return files


def _is(path: Path, sha256: str) -> bool:
    try:
        return sha256_file(path) == sha256
    except OSError:
        return False
