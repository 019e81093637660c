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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nada.atomic import replacing, writing
from nada.errors import CheckpointError, ParamsError
from nada.hashing import sha256_file
from tasks.caches import cache_size
from tasks.config.project import HERE
from tasks.row.job import GroupJob, Job
from tasks.store import row_folder
from tasks.store.locks import alone_in
from tasks.workers.environment import differences, installed
from tasks.workers.local import WorkerPool
from tasks.workers.news import RowEnded
from tasks.workers.pool import WorkerSpec
from tasks.workers.ray.transfer import kept_folder

Message = tuple[str, Any, dict[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a station is."""

    machine: str
    """Its name."""
    pid: int
    """Of the station there."""


class RowActor:
    """One worker of another machine, in the mirror of a project.

    What it made in its last pass it keeps in folders of its own, as its worker keeps it in memory, until that was
    judged: so it is not sent here again.
    """

    def __init__(self) -> None:
        self.machine = platform.node() or "unknown"
        self._whole: dict[str, str] = {}

    def open(self, project: str, spec: WorkerSpec, expected: Mapping[str, str]) -> Place:
        """Go to the mirror and start the worker.

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
        cache_size.prune()
        self._pool = WorkerPool([spec])
        return Place(machine=self.machine, pid=os.getpid())

    def missing(self, files: Mapping[str, str], *pictures: str) -> list[str]:
        """Those of these files (path -> sha256) that are not here, or have other bytes.

        Args:
            files: what a job reads.
            pictures: folders among them; others in these, which an earlier night had, are removed.
        """
        for folder in pictures:
            for path in _inside(folder).rglob("*"):
                if path.is_file() and path.as_posix() not in files:
                    path.unlink(missing_ok=True)
        for name, sha256 in files.items():
            if self._whole.get(name) != sha256 and _is(_inside(name), sha256):
                self._whole[name] = sha256
        return [name for name, sha256 in files.items() if self._whole.get(name) != sha256 or not Path(name).is_file()]

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

    def run(
        self,
        function: str,
        job: Job,
        timeout_seconds: float,
        results: Sequence[str] = (),
        passing: Sequence[str] = (),
        shared: Sequence[str] = (),
    ) -> Iterator[Message]:
        """Run a job on the worker, as `WorkerPool.run` does.

        Args:
            function: that does it.
            job: with paths of the mirror.
            timeout_seconds: its limit.
            results: files that it writes and that go back; in the end they are not here.
            passing: files and folders that in the end are not here either.
            shared: files that it may write, that go back as well, and stay for other rows.

        Yields:
            Any number of ("news", what the worker tells, {name: bytes} of the row's folder if it tells that one was
            made); then ("done", result, {path: bytes} of the results and of what is shared) or ("raised", error, {}).
        """
        news: queue.SimpleQueue[Message] = queue.SimpleQueue()

        def tell(told: Any) -> None:
            news.put(("news", told, self._made(told)))

        def work() -> None:
            last: Message
            try:
                if isinstance(job, GroupJob):
                    self._forget_made()
                try:
                    result = self._pool.run(function, job, tell, timeout_seconds=timeout_seconds)
                    written = [path for path in map(_inside, (*results, *shared)) if path.is_file()]
                    last = ("done", result, _contents(written))
                finally:
                    _remove([*results, *passing])
                    row_folder.sweep()  # of workers that were killed, this one's or those of a station that was
            except Exception as err:
                last = ("raised", err, {})
            news.put(last)

        threading.Thread(target=work, daemon=True).start()
        while True:
            message = news.get()
            yield message
            if message[0] != "news":
                return

    def _made(self, told: Any) -> dict[str, bytes]:
        """A row's files, if that is what the worker tells of; its folder then is this station's own."""
        if not isinstance(told, RowEnded) or told.error is not None:
            return {}
        folder = HERE.adapted / told.domain
        files = {Path(name).name: content for name, content in _contents(sorted(folder.iterdir())).items()}
        folder.replace(row_folder.partial_dir(told.domain))
        return files

    def _forget_made(self) -> None:
        """Remove what was made in an earlier pass and judged elsewhere, or never."""
        for folder in HERE.adapted.glob(kept_folder("*", os.getpid()).name):
            shutil.rmtree(folder, ignore_errors=True)


def mirror_folder(machine: str, project: str) -> Path:
    """Where a machine keeps what it was sent; its name is in the path, for homes may be shared."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "nada" / f"{machine}-{project}"


def _inside(name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise CheckpointError(f"{name}: leads out of the mirror; expected a path within it")
    return path


def _contents(paths: Sequence[Path]) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in paths}


def _remove(names: Sequence[str]) -> None:
    """Remove files and folders, and the folder of a file that was the last one in it."""
    with alone_in(Path()):  # nobody makes a folder for a file that arrives while it is removed
        for path in map(_inside, names):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file():
                path.unlink()
                with suppress(OSError):
                    path.parent.rmdir()


def _is(path: Path, sha256: str) -> bool:
    try:
        return sha256_file(path) == sha256
    except OSError:
        return False
