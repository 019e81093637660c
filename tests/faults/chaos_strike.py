"""The one who kills something of a night at a given moment, and tells what it was and what the night was at."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.chaos_checks import Records, finished_records
from tests.faults.harness import AS_A_SCRIPT, SERVER, WORKER, NightProcess, command_of
from tests.faults.services import Service

DYING_SECONDS = 10.0
POLL_SECONDS = 0.02
ENDS = ("done", "FAILED")
KINDS = {WORKER: "worker", SERVER: "Prefect", "mlflow server": "MLflow", "dvc repro": "dvc", AS_A_SCRIPT: "flow"}


@dataclass(frozen=True)
class Target:
    """What is killed, and how."""

    name: str
    number: signal.Signals = signal.SIGKILL
    survived: bool = False
    """Whether the night that is harmed must still end well, without another run."""
    embeds: bool = False
    """Whether the night has a Prefect server of its own."""


@dataclass(kw_only=True)
class Harm:
    """What was done to a night."""

    killed: list[str] = field(default_factory=list)
    """Processes that ended by it: their ids and kinds."""
    moment: float = 0.0
    """In seconds since the night began."""
    phase: str = ""
    doing: dict[str, str] = field(default_factory=dict)
    """Domain -> what its row was at, of those under way."""
    records: Records = field(default_factory=dict)
    """Of the rows that were finished then."""


class Strike(threading.Thread):
    """Waits until its target lives, then some seconds of its life, and kills it; unless the night is over before."""

    def __init__(self, night: NightProcess, folder: Path, target: Target, service: Service | None, delay: float):
        super().__init__()
        self.night, self.folder, self.target, self.service, self.delay = night, folder, target, service, delay
        self.began = time.monotonic()
        self.over = threading.Event()
        self.harm = Harm()

    def run(self) -> None:
        """Strike once."""
        while not self.victims():
            if self.over.wait(POLL_SECONDS):
                return
        if self.over.wait(self.delay):
            return
        phase, doing = phase_of("".join(self.night.lines))
        records, moment = finished_records(self.folder), time.monotonic() - self.began
        killed = self.kill()
        self.harm = Harm(killed=killed, moment=round(moment, 2), phase=phase, doing=doing, records=records)

    def victims(self) -> list[int]:
        """Living processes of the target's kind."""
        leader = self.night.process.pid
        everyone = [*self.night.members(), *([leader] if is_alive(leader) else [])]
        flow = [pid for pid in everyone if command_of(pid).startswith(sys.executable) and is_kind(pid, AS_A_SCRIPT)]
        workers = [pid for pid in everyone if is_kind(pid, WORKER)]
        kinds = {
            "a worker": workers[:1],
            "a worker, SIGSEGV": workers[:1],
            "every worker": workers,
            "the flow": flow,
            "dvc": [pid for pid in everyone if pid == leader],
            # Not a `dvc` before or after it: see `kill`.
            "everything at once": everyone if flow else [],
            "Ctrl-C": [pid for pid in everyone if group_of(pid) == leader] if flow else [],
            "Prefect's embedded server": [pid for pid in everyone if is_kind(pid, SERVER)],
        }
        return kinds.get(self.target.name, [self.service.process.pid] if self.service and flow else [])

    def kill(self) -> list[str]:
        """Send the signal; who dies of it within seconds.

        Those that are killed together are frozen first: otherwise one notices that another is gone, and is killed at
        what it does then, as no power cut would do. A `dvc` that is killed amid the file of its locks, which it
        writes before and after the flow, leaves it empty, and no later one begins.
        """
        victims = {pid: f"{pid} {kind_of(pid)}" for pid in self.victims()}
        at_once = len(victims) > 1 and self.target.number == signal.SIGKILL
        for number in [signal.SIGSTOP, self.target.number] if at_once else [self.target.number]:
            for pid in victims:
                with suppress(ProcessLookupError):  # it ended meanwhile
                    os.killpg(pid, number) if self.service else os.kill(pid, number)
        deadline = time.monotonic() + DYING_SECONDS
        while any(is_alive(pid) for pid in victims) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return [words for pid, words in victims.items() if not is_alive(pid)]


def phase_of(said: str) -> tuple[str, dict[str, str]]:
    """What the night was at, by what it had said: planning, starting, training or closing; and each row under way."""
    doing = dict(re.findall(r"^\d\d:\d\d:\d\d (\w+): (\w+)", said, re.MULTILINE))
    under_way = {domain: state for domain, state in doing.items() if state not in ENDS}
    if "Loading the models" not in said:
        return "planning", {}
    if not doing:
        return "starting", {}
    to_train = re.search(r"(\d+) to train", said)
    assert to_train is not None
    return "closing" if len(doing) - len(under_way) == int(to_train[1]) else "training", under_way


def group_of(pid: int) -> int:
    """The process group; 0 where the process is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def is_kind(pid: int, mark: str) -> bool:
    return mark in command_of(pid)


def kind_of(pid: int) -> str:
    return next((kind for mark, kind in KINDS.items() if is_kind(pid, mark)), command_of(pid)[:60])


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
