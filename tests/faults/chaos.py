"""Nights of short rows, each with something killed at a random moment, then run to the end."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.chaos_checks import Records, Rows, finished_records, found_wrong, lost_and_again, running_in_prefect
from tests.faults.chaos_strike import POLL_SECONDS, Harm, Strike, Target
from tests.faults.harness import AS_A_SCRIPT, NADA_RUN, NIGHT_SECONDS, WORKER, NightProcess
from tests.faults.services import Service, mlflow_service, prefect_service
from tests.project import HEADER, PARAMS, make_project, row_bytes

ROWS = ("one", "two", "three", "four")
STEPS = 60
MOST_RUNS = 4
MOST_TRIES = 4  # a night that is quicker than the undisturbed one may be over before its moment
EARLIER = 0.9  # each further try
DVC_REPRO = (sys.executable, "-m", "dvc", "repro", "--quiet")
DVC_YAML = {
    "stages": {
        "night": {
            "cmd": f"{sys.executable} -c '{AS_A_SCRIPT}' run",
            "deps": ["prompts.csv"],
            "params": ["recipes"],
            "outs": [{"weights/adapted": {"persist": True}}],
            "metrics": [{"reports/metrics.json": {"cache": False}}],
        }
    }
}
NAMED_PREFECT, NAMED_MLFLOW = "Prefect's own server, for good", "MLflow's server, for good"
TARGETS = (
    Target("a worker", survived=True),
    Target("a worker, SIGSEGV", signal.SIGSEGV, survived=True),
    Target("every worker", survived=True),
    Target("the flow", embeds=True),
    Target("dvc"),
    Target("everything at once", embeds=True),
    Target("Ctrl-C", signal.SIGINT),
    Target("Prefect's embedded server", survived=True, embeds=True),
    Target(NAMED_PREFECT),
    Target(NAMED_MLFLOW, survived=True),
)


def drawn(seed: int) -> tuple[Target, str, random.Random]:
    """Target and launcher of a night, and what draws the rest; every ten seeds draw every target once."""
    deck = random.Random(seed // len(TARGETS)).sample(TARGETS, len(TARGETS))
    target, rng = deck[seed % len(TARGETS)], random.Random(seed)
    launcher = rng.choice(["nada run", "dvc repro"])
    return target, "dvc repro" if target.name == "dvc" else launcher, rng


@dataclass(frozen=True)
class Ground:
    """What the nights share."""

    folder: Path
    project: Path
    """What every night's project is a copy of."""
    services: dict[str, str]
    undisturbed: Rows
    """Every row's bytes after a night that nobody disturbed."""
    seconds: dict[str, float]
    """How long its flow and its workers lived; corrected by nights that were over before their moment."""


@dataclass(kw_only=True)
class Report:
    """What one disturbed night came to."""

    seed: int
    target: str
    launcher: str
    harm: Harm = field(default_factory=Harm)
    tries: int = 0
    """Nights until something was killed: one that was over before does not count."""
    statuses: list[int] = field(default_factory=list)
    """Of all runs until the end, the harmed one first."""
    went_on: int = 0
    """Rows that went on from a saved state."""
    seconds: float = 0.0
    """Of all these runs."""
    lost: list[str] = field(default_factory=list)
    """Finished rows that were gone later."""
    again: list[str] = field(default_factory=list)
    """Finished rows that were trained again."""
    wrong: list[str] = field(default_factory=list)
    """Everything else that does not hold."""

    @property
    def is_good(self) -> bool:
        """Whether something was killed and nothing came of it."""
        return bool(self.harm.killed) and not (self.lost or self.again or self.wrong)


def make_chaos_project(folder: Path, world: Path) -> None:
    """A project of four rows under git and DVC, whose rows save their state after every step."""
    folder.mkdir(parents=True)
    make_project(folder, world)
    params = PARAMS.replace("night:\n", "night:\n  checkpoint_minutes: 0\n")
    (folder / "params.yaml").write_text(params.replace("iterations: 4", f"iterations: {STEPS}"))
    lines = [f"{domain},portrait,the number {domain},style," for domain in ROWS]
    (folder / "prompts.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    (folder / "dvc.yaml").write_text(json.dumps(DVC_YAML))  # JSON is YAML
    (folder / ".dvcignore").write_text(".partial-*\n.old-*\n*.partial\n")
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def start(folder: Path, launcher: str, services: dict[str, Any]) -> NightProcess:
    return NightProcess(folder, command=DVC_REPRO if launcher == "dvc repro" else NADA_RUN, **services)


def to_the_end(night: NightProcess) -> tuple[int, str]:
    """Status and output of a run, when nothing of it lives any more."""
    outcome = night.end()
    deadline = time.monotonic() + NIGHT_SECONDS  # a flow whose dvc was killed goes on
    while night.members() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return outcome.status, outcome.out


def make_ground(folder: Path, world: Path, services: dict[str, str]) -> Ground:
    """Run a night that nobody disturbs, and watch how long its processes live."""
    project, undisturbed = folder / "project", folder / "undisturbed"
    make_chaos_project(project, world)
    shutil.copytree(project, undisturbed)
    began, working = time.monotonic(), []
    with start(undisturbed, "nada run", services) as night:

        def watch() -> None:
            while night.process.poll() is None:
                working.extend([time.monotonic()] if night.members(WORKER) else [])
                time.sleep(POLL_SECONDS)

        watching = threading.Thread(target=watch)
        watching.start()
        status, out = to_the_end(night)
        watching.join()
    assert status == 0, out
    seconds = {"flow": time.monotonic() - began, "worker": working[-1] - working[0]}
    return Ground(folder, project, services, {domain: row_bytes(undisturbed, domain) for domain in ROWS}, seconds)


@contextmanager
def services_of(target: Target, ground: Ground) -> Iterator[tuple[dict[str, str], Service | None]]:
    """What a night's environment names, and the server among it that may be killed."""
    named, service = dict(ground.services), None
    if target.name == NAMED_MLFLOW:
        service = mlflow_service(ground.services["MLFLOW_TRACKING_URI"])
    elif target.name == NAMED_PREFECT:
        service = prefect_service(ground.folder / "prefect")
        named["PREFECT_CLIENT_MAX_RETRIES"] = "1"  # a question to a server that is gone then costs seconds
    elif target.embeds:
        del named["PREFECT_API_URL"]
        named["PREFECT_HOME"] = str(ground.folder / "prefect")
    try:
        yield {**named, **(service.environment if service else {})}, service
    finally:
        if service is not None:
            service.kill()


def chaos_night(ground: Ground, seed: int) -> Report:
    """Harm one night in a fresh project, run it to its end, and look.

    Args:
        ground: from `make_ground`.
        seed: decides target, launcher and moment.
    """
    target, launcher, rng = drawn(seed)
    report = Report(seed=seed, target=target.name, launcher=launcher)
    share = rng.random()
    while not report.harm.killed and report.tries < MOST_TRIES:
        report.tries += 1
        delay = share * ground.seconds["worker" if "worker" in target.name else "flow"]
        folder = ground.folder / f"night-{seed}-{report.tries}"
        shutil.copytree(ground.project, folder)
        began = time.monotonic()
        outputs, snapshots = run_until_whole(ground, folder, target, delay, report)
        report.seconds = round(time.monotonic() - began, 1)
        if not report.harm.killed:
            share *= EARLIER
            pace = min(1.0, report.seconds / len(outputs) / ground.seconds["flow"])
            ground.seconds.update({kind: pace * seconds for kind, seconds in ground.seconds.items()})
    report.went_on = sum(out.count("goes on after step") for out in outputs)
    report.lost, report.again = lost_and_again(snapshots)
    uri = ground.services["MLFLOW_TRACKING_URI"]
    num_cut_off = sum(status != 0 for status in report.statuses)
    report.wrong += found_wrong(folder, uri, ground.undisturbed, launcher, outputs, num_cut_off)
    report.wrong += running_in_prefect(ground.folder / "prefect") if target.embeds else []
    if report.statuses[-1] != 0:
        report.wrong.append(f"ended with status {report.statuses[-1]}: {outputs[-1][-500:]}")
    if report.statuses[0] != 0 and must_survive(target, report.harm):
        report.wrong.append(f"did not outlive it, status {report.statuses[0]}: {outputs[0][-500:]}")
    if not report.harm.killed:
        report.wrong.append("nothing was killed")
    return report


def must_survive(target: Target, harm: Harm) -> bool:
    """Whether the harmed run must end well by itself; without the Prefect that the settings name no night starts."""
    return target.survived or (target.name == NAMED_PREFECT and harm.phase in ("training", "closing"))


def run_until_whole(
    ground: Ground, folder: Path, target: Target, delay: float, report: Report
) -> tuple[list[str], list[Records]]:
    """Run until nothing is left to do, harmed once; what each run printed, and which rows were finished when.

    A night that went on without the server that it names is run again with it, by hand: DVC has nothing to repeat.
    """
    outputs: list[str] = []
    snapshots: list[Records] = []
    report.statuses, launcher, was_left_alone = [], report.launcher, False
    while len(outputs) < MOST_RUNS and (not outputs or report.statuses[-1] != 0 or was_left_alone):
        with services_of(target, ground) as (named, service), start(folder, launcher, named) as night:
            if not outputs:
                strike = Strike(night, folder, target, service, delay)
                strike.start()
                status, out = to_the_end(night)
                strike.over.set()
                strike.join()
                report.harm = strike.harm
                snapshots.append(strike.harm.records)
            else:
                status, out = to_the_end(night)
            report.wrong += [f"a process of the night is left: {pid}" for pid in night.members()]
        outputs.append(out)
        report.statuses.append(status)
        was_left_alone = service is not None and len(outputs) == 1
        launcher = "nada run" if was_left_alone and status == 0 else report.launcher
        snapshots.append(finished_records(folder))
    return outputs, snapshots
