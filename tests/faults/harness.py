"""A real night as a process of its own: start it, wait for a moment in what it prints, do harm, see what is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.project import Outcome

ENDING_SECONDS = 20.0  # children watch their parent once a second; a loaded machine needs more
NIGHT_SECONDS = 300.0
WORKER, SERVER = "tasks.worker_process", "flows.server_process"


class NightProcess:
    """`nada run` in a session of its own; its output is read as it comes."""

    def __init__(self, folder: Path, *arguments: str, command: str = "run", **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        inherited["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self.folder = folder
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", command, *arguments],
            cwd=folder,
            env={**inherited, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> NightProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def wait_for(self, pattern: str) -> str:
        """Read on to a line that has this in it."""
        assert self.process.stdout is not None
        for line in iter(self.process.stdout.readline, ""):
            self.lines.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"the night ended without {pattern!r}:\n{''.join(self.lines)}")

    def members(self, kind: str = "") -> list[int]:
        """The night's living processes but the first, those whose command has `kind` in it."""
        return [pid for pid in session_members(self.process.pid) if pid != self.process.pid and kind in command_of(pid)]

    def signal(self, number: int) -> None:
        """To the flow alone."""
        self.process.send_signal(number)

    def end(self) -> Outcome:
        """Wait for the flow's end, and for its children to notice."""
        out, _ = self.process.communicate(timeout=NIGHT_SECONDS)
        self.lines.append(out)
        deadline = time.monotonic() + ENDING_SECONDS
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.05)
        return Outcome(self.process.returncode, "".join(self.lines), "")


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


def recorded(folder: Path) -> list[Any]:
    """Every run of MLflow's store, parents and children."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / '.mlflow' / 'mlflow.db'}")
    return list(client.search_runs([client.get_experiment_by_name("nada").experiment_id]))


def finished_rows(folder: Path) -> Iterator[str]:
    """Domains that have a folder."""
    for path in sorted((folder / "weights" / "adapted").iterdir()):
        if not path.name.startswith("."):
            yield path.name
