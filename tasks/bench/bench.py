"""Cases one after the other, each in a process with a worker's environment, and what a night would make of them."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata

from nada.errors import NadaError
from tasks.bench.case import Case, Measured
from tasks.plan.devices import cores
from tasks.workers.local import DETERMINISTIC_CUBLAS, KEEP_MEMORY

NIGHT_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class Result:
    """A case and what came of it."""

    case: Case
    measured: Measured | None = None
    error: str = ""
    """Why nothing did."""


@dataclass(frozen=True, kw_only=True)
class Night:
    """What a night of such rows would take; seconds are the estimate's, none was run."""

    rows: int
    workers: int
    judged: int
    """Pictures of a row, rendered and embedded once more."""

    def seconds(self, measured: Measured) -> float:
        """From start to end: every worker starts, makes its first row, and later ones of the same source."""
        phases, batch = measured.phases, measured.batch_size
        rendered = phases["source"] or phases["target"]
        judging = self.judged * (rendered + phases["embed"] / 2) / batch  # the guide sees a batch twice a step
        start = measured.import_seconds + measured.load_seconds
        later = math.ceil(self.rows / self.workers) - 1
        steps = measured.step_seconds + later * measured.next_step_seconds
        return start + measured.iterations * steps + (1 + later) * judging

    def domains_per_hour(self, measured: Measured) -> float:
        """Of the whole night."""
        return 3600 * self.rows / self.seconds(measured)


def run_cases(cases: Sequence[Case]) -> Iterator[Result]:
    """Each as it ends."""
    for case in cases:
        try:
            yield Result(case=case, measured=run_case(case))
        except NadaError as err:
            yield Result(case=case, error=str(err))


def run_case(case: Case) -> Measured:
    """In a process of its own.

    Raises:
        NadaError: it could not be measured.
    """
    threads = str(case.threads)
    environment = {**KEEP_MEMORY, **DETERMINISTIC_CUBLAS, **os.environ}
    environment |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-P", "-m", "tasks.bench.case", json.dumps(asdict(case))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"]
        raise NadaError(f"{case.name}: could not be measured ({said[-1]})")
    found = json.loads(lines[-1])
    if "error" in found:
        raise NadaError(f"{case.name}: {found['error']}")
    return Measured(**found)


def machine() -> dict[str, str | int]:
    """Where it ran."""
    versions = {name: metadata.version(name) for name in ("torch", "open_clip_torch")}
    return {"python": platform.python_version(), **versions, "machine": platform.machine(), "cores": cores()}
