"""A night takes over what an older version left, alone in the project; a plan only says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import flows.cli.run
from flows.cli.telling import Outcome
from nada.errors import OutputError
from tasks.keys.row_keys import KeyMaker
from tasks.plan import beginning
from tasks.plan.beginning import plan_to_run
from tasks.plan.plan import Plan
from tasks.plan.planning import make_plan
from tasks.store import row_folder
from tasks.store.old_record import read_old
from tasks.variants.told import Told
from tests.locks import held_by_another
from tests.old_library import write_old_row
from tests.project import Project, project

__all__ = ["project"]

PARAMS = Path("params.yaml")


@pytest.fixture
def folder(project: Project) -> Iterator[Path]:
    """A project of two rows, the first of which an older version made; the folder of that one."""
    plan = make_plan(PARAMS)
    yield write_old_row(plan.by_domain["sketch"], KeyMaker(plan.params))


def states(plan: Plan) -> dict[str, str]:
    return {planned.domain: planned.state for planned in plan.rows}


def test_a_plan_counts_the_row_as_made_and_leaves_it_as_it_is(folder: Path) -> None:
    plan = make_plan(PARAMS)
    assert states(plan) == {"sketch": "judge", "robot": "train"}
    assert [row.making.key for row in plan.to_take_over] == [plan.by_domain["sketch"].keys.making]
    assert read_old(folder) is not None


def test_a_night_takes_it_over(folder: Path) -> None:
    plan, restored, taken, _ = plan_to_run(PARAMS)
    assert (restored, taken) == ([], ["sketch"])
    assert states(plan) == {"sketch": "judge", "robot": "train"}
    assert not plan.old
    assert row_folder.read_making("sketch").key == plan.by_domain["sketch"].keys.making


def test_a_row_that_is_left_out_stays_as_it_is(folder: Path) -> None:
    plan, _, taken, _ = plan_to_run(PARAMS, only=["robot"])
    assert taken == []
    assert states(plan) == {"sketch": "left out", "robot": "train"}
    assert read_old(folder) is not None


def test_nothing_is_fetched_while_another_night_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[object] = []
    monkeypatch.setattr(beginning.dvc_history, "restore", restored.append)
    with held_by_another(), pytest.raises(OutputError, match="another night runs here"):
        plan_to_run(PARAMS)
    assert not restored
    assert read_old(folder) is not None


def test_a_run_says_what_it_took_over(folder: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        flows.cli.run, "_run_night", lambda planned, display: Outcome(told=Told(), report_path=None, failures={})
    )
    assert "Taken over from an older version, to be judged anew: sketch." in project.nada("run").out
