"""`nada run --settle` without Prefect, MLflow and the report, which take most of a tiny night's time.

`python -m tests.plain_night` in a project's folder: a word in night.log for itself, and one for each row that it tried.
Rows named in left.txt are left as by a deadline, and a file next.csv takes the place of prompts.csv while it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tasks.plan import pipeline
from tasks.plan.beginning import plan_to_run
from tasks.plan.plan import Plan
from tasks.report import metrics
from tasks.row.evaluate import evaluate_row
from tasks.row.make import make_rows
from tasks.row.retrieval import retrieve_rows
from tasks.store import base_models, row_folder
from tasks.workers.news import RowEnded

LOG, LEFT, NEXT = Path("night.log"), Path("left.txt"), Path("next.csv")
NIGHT = "night"
"""Its own word in the log."""


def run_plan(plan: Plan, left: set[str]) -> None:
    """Make and judge what is to be made and judged, one after the other in this process."""
    lost = set(left)
    for path in plan.base_paths:
        base_models.keep(path)

    def hear(news: Any) -> None:
        if isinstance(news, RowEnded) and news.error:
            lost.add(news.domain)

    for planned in plan.to_train:
        if planned.domain not in left:
            log(planned.domain)
            make_rows(plan.group_job([planned]), hear)
    for planned in plan.working:
        if planned.domain not in lost:
            evaluate_row(plan.evaluate_job(planned), hear)
    if plan.to_retrieve:
        retrieve_rows(plan.retrieve_job(plan.to_retrieve), hear)
    records = [row_folder.read_record(planned.domain) for planned in plan.rows if planned.domain not in lost]
    metrics.write_metrics(records, dict.fromkeys(lost - left, "lost"), Path("reports"))


def log(word: str) -> None:
    with LOG.open("a") as file:
        file.write(f"{word}\n")


def logged(folder: Path) -> list[str]:
    """What was logged in a project since it was last asked."""
    path = folder / LOG
    words = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return words


if __name__ == "__main__":
    torch.set_num_threads(1)  # as workers do; spinning threads cost minutes on a busy machine
    log(NIGHT)
    night = plan_to_run(Path("params.yaml")).plan
    if NEXT.exists():
        NEXT.replace("prompts.csv")
    run_plan(night, set(LEFT.read_text().split() if LEFT.exists() else []))
    pipeline.settle(night)
