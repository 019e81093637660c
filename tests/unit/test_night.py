from __future__ import annotations

from typing import Any

from prefect.utilities.engine import collect_task_run_inputs_sync

from flows.night import Stage, write_ledger
from flows.schedule import Waiting
from nada.errors import OutputError


class Heard:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str, style: str = "") -> None:
        self.lines.append(text)


class Shut:
    """A ledger whose store refuses."""

    def write(self) -> None:
        raise OutputError("mlflow: database is locked")

    write_last = write


def test_a_lost_mlflow_store_is_told_and_the_night_goes_on() -> None:
    stage = Stage(None, None, Heard(), None, Waiting({}), None, None)  # type: ignore[arg-type]
    stage.ledger = Shut()  # type: ignore[assignment]
    write_ledger.fn(stage)
    write_ledger.fn(stage, last=True)
    assert stage.display.lines == [  # type: ignore[attr-defined]
        "MLflow: not recorded now, tried again in minutes, at the end, and by the next night "
        "(mlflow: database is locked)",
        "MLflow: not recorded now, the next night will (mlflow: database is locked)",
    ]


class Changing(dict[str, Any]):
    """What a row of another thread may change at any time."""

    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


def test_prefect_does_not_walk_through_what_rows_write_to() -> None:
    stage = Stage(None, None, None, None, Waiting({}), None, None)  # type: ignore[arg-type]
    stage.records = Changing(sketch={})
    assert collect_task_run_inputs_sync(stage) == set()
