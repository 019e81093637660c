"""How `nada run` ends, by what became of its rows; the night itself is not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flows.cli.run
from flows.cli.telling import Outcome
from tasks.config.project import HERE
from tasks.variants.told import Told
from tests.project import Project, project

__all__ = ["project"]

FAILED: dict[str, Any] = {"failures": {"robot": "the loss is inf"}}
LEFT: dict[str, Any] = {"left": ("robot",)}
NO_REPORT: dict[str, Any] = {"report_path": None}


@pytest.mark.parametrize(
    ("came_to", "status", "settled"),
    [({}, 0, 0), (FAILED, 1, 0), (LEFT, 3, 0), (FAILED | LEFT, 1, 0), (NO_REPORT, 1, 1), (LEFT | NO_REPORT, 1, 1)],
    ids=["whole", "failed", "left", "failed and left", "no report", "left, no report"],
)
def test_a_night_that_is_settled_ends_well_whatever_became_of_its_rows_and_badly_without_a_report(
    project: Project, monkeypatch: pytest.MonkeyPatch, came_to: dict[str, Any], status: int, settled: int
) -> None:
    ended: dict[str, Any] = {"told": Told(), "report_path": Path("index.html"), "failures": {}, **came_to}
    monkeypatch.setattr(flows.cli.run, "_run_night", lambda *_: Outcome(**ended))
    assert project.nada("run").status == status
    assert not HERE.attempts.exists()
    assert project.nada("run", "--settle").status == settled
    assert HERE.attempts.exists() == (settled == 0)


def test_a_settled_night_still_refuses_bad_input(project: Project) -> None:
    project.prompts("sketch,,pencil sketch,style,")
    assert project.nada("run", "--settle").status == 2
