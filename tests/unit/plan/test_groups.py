"""Which rows ride in one pass: as many as their method takes, of one source, that it says belong together."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from flows.cli.tables import plan_summary
from nada.methods.base import Assignment
from tasks.config.project import HERE
from tasks.live.saved import Together
from tasks.plan.estimate import earlier_samples
from tasks.plan.groups import foreseen, may_ride_along, together
from tasks.plan.planning import make_plan
from tasks.plan.queue import RowQueue
from tasks.store.record import EVALUATION_NAME, MAKING_NAME, write_entry
from tests.methods.project import OTHER, change, shift_project, write_prompts
from tests.methods.shift.config import ShiftConfig
from tests.methods.shift.method import Shift
from tests.records import KEY, make_record

__all__ = ["shift_project"]

pytestmark = pytest.mark.usefixtures("shift_project")
PARAMS = Path("params.yaml")
ROWS = (
    "one,portrait,robot,shift",
    "two,portrait,neon edges,,far",
    "three,portrait,ink,shift,,,,3",
    f"four,portrait,glass,shift,,,{OTHER}",
    "five,portrait,rust,shift",
    "six,portrait,pencil,,style",
    "seven,portrait,chalk,,style",
)


def passes() -> list[list[str]]:
    """The rows of a night, pass by pass."""
    plan = make_plan(PARAMS)
    waiting = plan.waiting(datetime.now().astimezone())
    found = []
    while (domain := waiting.take(0.0)) is not None:
        found.append([planned.domain for planned in together(plan, domain, waiting, 0.0)])
    return found


def test_rows_of_one_method_source_and_group_ride_together() -> None:
    write_prompts(*ROWS)
    assert sorted(passes()) == [["four"], ["one", "two", "five"], ["seven"], ["six"], ["three"]]


def test_a_pass_takes_no_more_than_its_method_says() -> None:
    write_prompts(*(f"row-{index},portrait,robot {index},shift" for index in range(6)))
    assert passes() == [[f"row-{index}" for index in range(4)], ["row-4", "row-5"]]


def test_a_pass_is_in_the_order_of_the_csv_whoever_was_taken_first() -> None:
    change("learning_rate: 0.2", "learning_rate: 0.2\n    iterations: 500")
    write_prompts("short,portrait,robot,shift", "long,portrait,ink,,far")
    assert make_plan(PARAMS).waiting(datetime.now().astimezone()).take(0.0) == "long"
    assert passes() == [["short", "long"]]


def test_rows_that_start_from_one_that_is_to_be_made_do_not_ride_before_it() -> None:
    write_prompts("base,portrait,robot,shift", "one,portrait,ink,shift,,base", "two,portrait,rust,shift,,base")
    plan = make_plan(PARAMS)
    waiting = plan.waiting(datetime.now().astimezone())
    assert waiting.take(0.0) == "base"
    assert [planned.domain for planned in together(plan, "base", waiting, 0.0)] == ["base"]
    assert waiting.take(0.0) is None
    waiting.release("base")
    assert waiting.take(0.0) == "one"
    assert [planned.domain for planned in together(plan, "one", waiting, 0.0)] == ["one", "two"]


def test_whether_rows_could_ride_together_does_not_ask_what_is_there() -> None:
    write_prompts(*ROWS)
    rows = make_plan(PARAMS).by_domain
    plan = make_plan(PARAMS)
    assert may_ride_along(plan, rows["one"], rows["two"])
    assert not any(may_ride_along(plan, rows["one"], rows[name]) for name in ("three", "four", "six"))


def test_a_pass_takes_no_row_that_the_deadline_leaves_no_time_for() -> None:
    write_prompts(*(f"row-{index},portrait,robot {index},shift" for index in range(4)))
    plan = make_plan(PARAMS)
    each = plan.by_domain["row-0"].cost.seconds
    waiting = RowQueue(dict.fromkeys(plan.by_domain, each), deadline=100 + 2.5 * each)
    assert waiting.take(100.0) == "row-0"
    assert [planned.domain for planned in together(plan, "row-0", waiting, 100.0)] == ["row-0", "row-1"]


def test_rows_that_may_ride_together_leave_no_worker_without_work() -> None:
    write_prompts(*(f"row-{index},portrait,robot {index},shift" for index in range(4)))
    plan = make_plan(PARAMS)
    waiting = plan.waiting(datetime.now().astimezone())
    for idle, expected in ((2, ["row-0", "row-1"]), (1, ["row-2", "row-3"])):
        domain = waiting.take(0.0)
        assert domain is not None
        assert [planned.domain for planned in together(plan, domain, waiting, 0.0, idle)] == expected


def test_a_worker_with_enough_other_rows_to_come_takes_as_many_as_may_ride() -> None:
    rows = [f"row-{index},portrait,robot {index},shift" for index in range(4)]
    write_prompts(*rows, "six,portrait,pencil,,style", "seven,portrait,chalk,,style")
    plan = make_plan(PARAMS)
    seconds = dict.fromkeys(plan.by_domain, 1.0) | {"six": 2.0, "seven": 2.0}
    waiting = RowQueue(seconds)
    waiting.take_these(["row-0"])
    assert len(together(plan, "row-0", waiting, 0.0, idle=2)) == 4


def test_rows_that_left_a_state_go_on_with_those_in_it_and_with_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    write_prompts(*(f"row-{index},portrait,robot {index},shift" for index in range(4)))
    keys = {name: planned.keys.making for name, planned in make_plan(PARAMS).by_domain.items()}
    group = tuple(keys.items())
    moments = {"row-0": "late", "row-1": "early", "row-3": "early"}
    saved = {(name, keys[name]): Together(group, moment) for name, moment in moments.items()}
    saved |= {("row-2", "of another key"): Together(group, "early")}
    monkeypatch.setattr("tasks.plan.groups.saved_rows", lambda: saved)
    assert passes() == [["row-0"], ["row-1", "row-3"], ["row-2"]]


def test_the_plan_tells_which_rows_ride_together() -> None:
    write_prompts(*ROWS)
    plan = make_plan(PARAMS)
    assert foreseen(plan) == [["one", "two", "five"]]
    assert "Made together: one, two, five." in plan_summary(plan)
    write_prompts("six,portrait,pencil,,style", "seven,portrait,chalk,,style")
    assert "Made together" not in plan_summary(make_plan(PARAMS))


def test_rows_of_one_pass_share_its_seconds() -> None:
    making = {"group": {"sketch": KEY, "sepia": KEY}, "seconds": {"load": 2.0, "make": 30.0}, "trained_steps": 3}
    record = make_record(making={**making, "provenance": {"sha256 of generator": "g"}})
    assert record.worker_seconds == (2.0 + 30.0) / 2 + 10.0
    for name, entry in {MAKING_NAME: record.making, EVALUATION_NAME: record.evaluation}.items():
        write_entry(HERE.adapted / "sketch" / name, entry)
    (sample,) = earlier_samples()
    assert sample.seconds_per_step == 30.0 / 2 / 3


def test_a_method_says_once_of_each_row_with_whom_it_rides(monkeypatch: pytest.MonkeyPatch) -> None:
    write_prompts(*(f"row-{index},portrait,robot {index},shift,,,,{index}" for index in range(6)))
    asked: list[str] = []
    group = Shift.group

    def noted(self: Shift, assignment: Assignment[ShiftConfig]) -> str:
        asked.append(assignment.row)
        return group(self, assignment)

    monkeypatch.setattr(Shift, "group", noted)
    assert sorted(passes()) == [[f"row-{index}"] for index in range(6)]
    assert sorted(asked) == [f"row-{index}" for index in range(6)]
