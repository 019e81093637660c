"""A real night as a process of its own: start it, wait for a moment in what it prints, do harm, see what is left."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.project import Outcome

ENDING_SECONDS = 120.0  # children watch their parent once a second; a loaded machine needs more
NIGHT_SECONDS = 300.0
# As the console script starts it. Under `python -m`, Python ends by SIGINT itself if Ctrl-C once fell into `exec` of a
# text, as named tuples are made while modules load, whatever status was asked for.
AS_A_SCRIPT = "import sys; from flows.cli.main import main; sys.exit(main())"
NADA_RUN = (sys.executable, "-c", AS_A_SCRIPT, "run")
# Makes the terminal that is standard input the session's own, so that closing it is felt, and becomes the command that
# follows. Not done between fork and exec: of this process's threads one may hold a lock that is then held for ever.
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)
IN_TERMINAL = (sys.executable, "-c", TAKE_TERMINAL)
WORKER, SERVER = "tasks.workers.process", "flows.server_process"


class NightProcess:
    """`nada run` in a session of its own; its output is read as it comes.

    Args:
        folder: the project.
        arguments: of the command.
        command: another one than `nada run`.
        terminal: whether the night has a terminal, that a test may close; by default it has a pipe.
        environment: beside what the test session has.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        command: tuple[str, ...] = NADA_RUN,
        terminal: bool = False,
        **environment: str,
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        inherited["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        inherited["DVC_NO_ANALYTICS"] = "1"  # sent by a process that would be taken for one of the night's that is left
        self.lines: list[str] = []
        ours, theirs = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            [*(IN_TERMINAL if terminal else ()), *command, *arguments],
            cwd=folder,
            env={**inherited, "MLFLOW_EXPERIMENT_NAME": experiment(folder), **environment},
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.output = open(ours, errors="replace")  # noqa: SIM115, PTH123 (closed by whoever leaves the block)

    def __enter__(self) -> NightProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.output.close()
        for pid in session_members(self.process.pid):
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def wait_for(self, pattern: str) -> str:
        """Read on to a line that has this in it."""
        for line in self.read():
            if re.search(pattern, line):
                return line
        raise AssertionError(f"the night ended without {pattern!r}:\n{''.join(self.lines)}")

    def read(self) -> Iterator[str]:
        """Lines as they come, to the end."""
        with suppress(OSError):  # a terminal ends with an error
            for line in iter(self.output.readline, ""):
                self.lines.append(line)
                yield line

    def members(self, kind: str = "") -> list[int]:
        """The night's living processes but the first, those whose command has `kind` in it."""
        return [pid for pid in session_members(self.process.pid) if pid != self.process.pid and kind in command_of(pid)]

    @property
    def worker(self) -> int:
        """The only worker, also when it is just being started."""
        deadline = time.monotonic() + ENDING_SECONDS
        while len(found := self.members(WORKER)) != 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        (pid,) = found
        return pid

    def signal(self, number: int) -> None:
        """To the flow alone."""
        self.process.send_signal(number)

    def end(self) -> Outcome:
        """Wait for the flow's end, and for its children to notice."""
        if not self.output.closed:
            list(self.read())
        status = self.process.wait(NIGHT_SECONDS)
        deadline = time.monotonic() + ENDING_SECONDS
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.05)
        return Outcome(status, "".join(self.lines), "")


def session_members(session: int) -> list[int]:
    """Living processes of a session; a zombie is none."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, *_, sid = (path / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(sid) == session and state != "Z":
            found.append(int(path.name))
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def experiment(folder: Path) -> str:
    """The project's experiment in a store that projects share."""
    return f"nada of {folder.name}"


def recorded(folder: Path, uri: str) -> list[Any]:
    """Every run of the project in MLflow, parents and children."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment(folder))
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def statuses(folder: Path, uri: str) -> dict[str, list[str]]:
    """Domain -> the statuses of its runs; the nights themselves under ''."""
    found: dict[str, list[str]] = {}
    for run in recorded(folder, uri):
        found.setdefault(run.data.tags.get("nada.domain", ""), []).append(run.info.status)
    return {name: sorted(found[name]) for name in sorted(found)}


def finished_rows(folder: Path) -> Iterator[str]:
    """Domains that have a folder."""
    for path in sorted((folder / "weights" / "adapted").glob("[!.]*/generator.safetensors")):
        yield path.parent.name
