"""Everything that must hold after a night that was harmed and then run to its end, in words where it does not."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from tests.faults.harness import experiment, finished_rows, recorded, statuses
from tests.project import row_bytes

Rows = Mapping[str, Mapping[str, bytes]]
"""Domain -> file -> its bytes."""
Records = Mapping[str, bytes]
"""Domain -> the record of its finished row, which tells when it was trained."""
UNFINISHED = (".partial-*", ".old-*", "*.partial", ".unfinished")


def finished_records(folder: Path) -> Records:
    return {name: (folder / "weights" / "adapted" / name / "row.json").read_bytes() for name in finished_rows(folder)}


def lost_and_again(snapshots: Sequence[Records]) -> tuple[list[str], list[str]]:
    """Rows that were finished once and gone later, and those that were trained once more."""
    lost, again = set(), set()
    for earlier, later in itertools.pairwise(snapshots):
        lost |= set(earlier) - set(later)
        again |= {domain for domain, record in earlier.items() if later.get(domain, record) != record}
    return sorted(lost), sorted(again)


def found_wrong(
    folder: Path, uri: str, undisturbed: Rows, launcher: str, outputs: Sequence[str], num_cut_off: int
) -> list[str]:
    """What does not hold.

    Args:
        folder: the project.
        uri: MLflow's database.
        undisturbed: every row's bytes.
        launcher: `nada run` or `dvc repro`.
        outputs: what each run printed.
        num_cut_off: runs that did not end by themselves.
    """
    wrong = [*wrong_in_weights(folder, undisturbed), *wrong_in_mlflow(folder, uri, undisturbed, num_cut_off)]
    wrong += wrong_in_reports(folder, undisturbed)
    wrong += wrong_in_dvc(folder, undisturbed) if launcher == "dvc repro" else []
    wrong += ["a traceback"] if any("Traceback" in out for out in outputs) else []
    wrong += [f"a process is left: {pid}" for pid in orphans(folder)]
    return wrong


def wrong_in_weights(folder: Path, undisturbed: Rows) -> Iterator[str]:
    """Each row has the bytes of an undisturbed night, and nothing is half made."""
    found = set(finished_rows(folder))
    yield from (f"{domain} is missing" for domain in undisturbed if domain not in found)
    yield from (f"{domain} was not asked for" for domain in found if domain not in undisturbed)
    for domain in found & set(undisturbed):
        if row_bytes(folder, domain) != undisturbed[domain]:
            yield f"{domain} has other bytes"
    for place, pattern in itertools.product(("weights", "reports"), UNFINISHED):
        yield from (f"left behind: {path.relative_to(folder)}" for path in (folder / place).rglob(pattern))


def wrong_in_mlflow(folder: Path, uri: str, undisturbed: Rows, num_cut_off: int) -> Iterator[str]:
    """One finished run a row, beside those that failed; one run a night; none that seems to run."""
    runs = statuses(folder, uri)
    for name, found in runs.items():
        if "RUNNING" in found:
            yield f"MLflow: {name or 'a night'} is still RUNNING"
    for domain in undisturbed:
        found = [status for status in runs.get(domain, []) if status != "FAILED"]
        if found != ["FINISHED"]:
            yield f"MLflow: the runs of {domain} are {found}"
    nights = [run for run in recorded(folder, uri) if "nada.domain" not in run.data.tags]
    if len({run.info.run_name for run in nights}) != len(nights):
        yield "MLflow: a night has two runs"
    if sum(run.info.status == "KILLED" for run in nights) > num_cut_off:
        yield "MLflow: a night that came to its end is KILLED"
    known = {run.info.run_id for run in nights}
    if any(run.data.tags.get("mlflow.parentRunId", run.info.run_id) not in known for run in recorded(folder, uri)):
        yield "MLflow: a row belongs to no night"


def wrong_in_reports(folder: Path, undisturbed: Rows) -> Iterator[str]:
    """The metrics tell of every row, and the night's status of its end."""
    if not (path := folder / "reports" / "metrics.json").is_file():
        yield "metrics: there are none"
        return
    metrics = json.loads(path.read_text())
    if set(metrics["domains"]) != set(undisturbed) or metrics["num_failed"]:
        yield f"metrics: {sorted(metrics['domains'])}, {metrics['num_failed']} failed"
    status = json.loads((folder / "weights" / ".night.json").read_text())
    if status["state"] != "finished":
        yield f"nada status: {status['state']}"


def wrong_in_dvc(folder: Path, undisturbed: Rows) -> Iterator[str]:
    """DVC holds these very bytes, and nothing is left to do."""
    said = dvc(folder, "status")
    if "up to date" not in said:
        yield f"dvc status: {said}"
    shutil.rmtree(folder / "weights" / "adapted")
    if said := dvc(folder, "checkout", "--quiet"):
        yield f"dvc checkout: {said}"
    yield from (f"from DVC's cache: {words}" for words in wrong_in_weights(folder, undisturbed))


def dvc(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return " ".join((result.stdout + result.stderr).split())


def running_in_prefect(home: Path) -> list[str]:
    """Runs that seem to run in the database of an embedded server whose nights are over."""
    if not (path := home / "prefect.db").is_file():
        return ["Prefect: there is no database"]
    with closing(sqlite3.connect(path)) as database:
        states = {
            kind: database.execute(f"select name from {kind} where state_type = 'RUNNING'").fetchall()
            for kind in ("flow_run", "task_run")
        }
    return [f"Prefect: {kind} {name} is still RUNNING" for kind, names in states.items() for (name,) in names]


def orphans(folder: Path) -> list[int]:
    """Living processes that a night of this project started, whatever session they are in."""
    mark, found = f"MLFLOW_EXPERIMENT_NAME={experiment(folder)}\0".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found
