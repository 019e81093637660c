"""A night on a real Ray of two workers: a station is killed under one row, and a worker process under the other."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import AS_A_SCRIPT, WORKER, NightProcess, statuses
from tests.faults.held import Held
from tests.project import HEADER, PARAMS, Outcome, make_project, write_own_tasks

pytest.importorskip("ray", reason="needs the extra that dev includes: pip install -e '.[ray]'")

STATION = "ray::RowActor"  # what an actor calls itself
STEPS, HELD = 40, 20  # of a long row, and after how many it waits to be killed
SETTINGS = "night:\n  runner: ray\n  checkpoint_minutes: 0   # saved after every step\n"
RECIPES = f"    iterations: 3\n  long:\n    iterations: {STEPS}\n"  # the broken one is the last so far
ROWS = {"long": "long", "twin": "long", "fine": "style", "broken": "broken"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    make_project(folder, tiny_world)
    write_own_tasks(folder)
    (folder / "params.yaml").write_text(PARAMS.replace("night:\n", SETTINGS) + RECIPES)
    lines = [f"{row},portrait,a {row} one,{recipe},world/truth" for row, recipe in ROWS.items()]
    (folder / "prompts.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def night(folder: Path, services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """A night in which both long rows lose what they run on."""
    held = Held(tmp_path_factory.mktemp("night") / "held", long=HELD, twin=HELD)
    with NightProcess(folder, **services, **held.environment, XDG_CACHE_HOME=str(folder / "caches")) as night:
        for row in ("long", "twin"):
            held.wait_for(row, HELD, night)
        for station, is_lost in zip(night.members(STATION), (True, False), strict=True):
            (worker,) = [pid for pid in night.members(WORKER) if parent_of(pid) == station]
            os.kill(station if is_lost else worker, signal.SIGKILL)
        for row in ("long", "twin"):
            held.let_go(row, HELD)
        yield night.end()
        assert night.members() == []


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_both_rows_are_tried_again_and_the_others_go_on(folder: Path, night: Outcome, services: dict[str, str]) -> None:
    assert night.status == 1, night.out
    again = dict(re.findall(r"(\w+): tried again; the worker (on|process)", night.out))
    assert {"long", "twin"} == set(again), night.out
    assert {"on", "process"} == set(again.values())
    assert "raylet" not in night.out
    assert "broken: FAILED; step 0: the loss is inf" in night.out
    assert statuses(folder, services["MLFLOW_TRACKING_URI"]) == {
        "": ["FAILED"],
        "broken": ["FAILED"],
        "fine": ["FINISHED"],
        "long": ["FINISHED"],
        "twin": ["FINISHED"],
    }


def test_a_row_that_lost_its_station_has_the_bytes_of_this_machines_own_worker(folder: Path, night: Outcome) -> None:
    (row,) = re.findall(r"(\w+): tried again; the worker on", night.out)
    command = [sys.executable, "-c", AS_A_SCRIPT, "verify", row]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    made_here = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert made_here.returncode == 0, made_here.stdout + made_here.stderr
    assert f"{row}: the same bytes in all 5 files" in made_here.stdout


def test_the_other_machine_keeps_what_rows_read_and_no_row(folder: Path, night: Outcome) -> None:
    (mirror,) = (folder / "caches" / "nada").iterdir()
    for name in ("world/tiny-guide.safetensors", "world/truth/0.png", "weights/pretrained/generator.safetensors"):
        assert (mirror / name).read_bytes() == (folder / name).read_bytes()
    assert list((mirror / "weights" / "adapted").iterdir()) == []
