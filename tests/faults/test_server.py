"""Prefect's embedded server is replaced when it dies and leaves with the night, however that ends."""

from __future__ import annotations

import os
import signal
import sqlite3

from tests.faults.harness import SERVER, WORKER, NightProcess, finished_rows
from tests.project import PARAMS, Project, project

__all__ = ["project"]


def states(project: Project) -> list[str]:
    """What became of the nights, as Prefect's database tells it."""
    with sqlite3.connect(project.folder / ".prefect" / "prefect.db") as database:
        return [state for (state,) in database.execute("select state_type from flow_run order by created")]


def test_a_night_outlives_its_server_and_a_killed_night_leaves_none(project: Project) -> None:
    (project.folder / "params.yaml").write_text(PARAMS.replace("iterations: 4", "iterations: 1000000"))
    with NightProcess(project.folder) as night:
        night.wait_for("adapting, step")
        assert len(night.members(WORKER)) == 2
        assert len(night.members(SERVER)) == 1
        night.signal(signal.SIGKILL)
        assert night.end().status == -signal.SIGKILL
        assert night.members() == []
    assert states(project) == ["RUNNING"]

    (project.folder / "params.yaml").write_text(PARAMS)
    with NightProcess(project.folder) as night:
        night.wait_for("loading models")
        (first,) = night.members(SERVER)
        os.kill(first, signal.SIGKILL)
        outcome = night.end()
        assert night.members() == []
    assert outcome.status == 0, outcome.out
    assert "Prefect:" not in outcome.out
    assert list(finished_rows(project.folder)) == ["robot", "sketch"]
    assert states(project) == ["CRASHED", "COMPLETED"]
