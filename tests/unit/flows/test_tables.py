"""What a plan says of its rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli.tables import plan_summary, plan_table
from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import METHODS
from tasks.config.model import Params
from tasks.config.row import Row
from tasks.plan.estimate import CostEstimate
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow, PlannedState
from tasks.report.files import current_records
from tasks.row.job import Source
from tasks.store.record import EVALUATION_NAME, MAKING_NAME, RETRIEVAL_NAME, write_entry
from tasks.store.row_folder import Keys
from tasks.workers.pool import WorkerSpec
from tests.records import make_record

CLIPS = [{"name": name, "weights": "openai"} for name in ("ViT-B-32", "ViT-B-16")]
PARAMS = Params.model_validate(
    {
        "night": {},
        "generator": {"weights": "g.safetensors"},
        "guide": {"models": CLIPS[:1], "views": {"flip": True}},
        "judge": {"model": CLIPS[1]},
    }
)


def planned(domain: str, state: PlannedState, config: AdaptConfig, recipe: str = "style") -> PlannedRow:
    cost = CostEstimate(seconds=120.0 if state == "train" else 30.0, num_bytes=1_000_000, basis="measured")
    return PlannedRow(
        row=Row(line=2, domain=domain, source="a portrait", target=f"a {domain}", recipe=recipe),
        method=METHODS["adapt"],
        config=config,
        seed=0,
        source=Source(base_path="g.safetensors", base_sha256="1" * 64, base_name="g.pkl"),
        keys=Keys("1" * 64, "2" * 64, "3" * 64),
        state=state,
        estimate=cost,
    )


def plan(*rows: PlannedRow) -> Plan:
    worker = WorkerSpec(device="cpu", threads=1)
    return Plan(params_path=Path("params.yaml"), params=PARAMS, rows=rows, workers=(worker, worker), provenance={})


def test_rows_that_only_leaves_out_are_not_asked_for() -> None:
    asked = plan(planned("sketch", "train", CHOSEN), planned("robot", "left out", FIXED), ROWS[2]).asked_for
    assert [row.domain for row in asked] == ["sketch", "sepia"]


FIXED, CHOSEN = AdaptConfig(iterations=150), AdaptConfig(iterations=300, stop="auto")
ROWS = (
    planned("sketch", "train", CHOSEN),
    planned("robot", "judge", FIXED, recipe=""),
    planned("sepia", "current", FIXED),
    planned("wolf", "left out", FIXED),
)


def shown(rows: tuple[PlannedRow, ...]) -> list[str]:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(plan_table(plan(*rows)))
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_each_row_tells_its_recipe_or_method_its_steps_and_what_will_be_done_about_it() -> None:
    assert shown(ROWS) == [
        "domain from to recipe steps state",
        "sketch a portrait a sketch style <= 300 to train, about 2 minutes",
        "robot a portrait a robot adapt 150 to judge, about 30 seconds",
        "sepia a portrait a sepia style 150 current",
        "wolf a portrait a wolf style 150 left out",
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROWS, "4 domains: 1 to train, 1 to judge, 1 current, 1 left out. About 2 minutes (by what was measured "),
        (ROWS[:1], "1 domain: 1 to train, 0 current. About 2 minutes (by what was measured here) on 1 worker (cpu, "),
        (ROWS[1:3], "2 domains: 0 to train, 1 to judge, 1 current. About 45 seconds (by what was measured here)"),
        (ROWS[2:3], "1 domain: 0 to train, 1 current. Nothing to train."),
    ],
)
def test_the_summary_counts_and_costs_what_keeps_workers_busy(
    rows: tuple[PlannedRow, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Plan, "makes_noise", True)
    assert plan_summary(plan(*rows)).startswith(words)


def test_a_row_that_a_killed_night_left_without_its_retrieval_is_in_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for domain in ("sketch", "robot"):
        record = make_record(domain)
        folder = Path("weights/adapted") / domain
        folder.mkdir(parents=True)
        write_entry(folder / MAKING_NAME, record.making)
        write_entry(folder / EVALUATION_NAME, record.evaluation)
    write_entry(folder / RETRIEVAL_NAME, record.retrieval)
    current = [replace(row, state="current") for row in ROWS]
    assert [record.domain for record in current_records(plan(*current))] == ["robot"]
