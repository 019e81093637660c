"""How fast a recipe trains here: a few real steps in a worker, nothing written."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from itertools import islice

from tasks.row.job import RowJob
from tasks.row.make import warm_models
from tasks.row.samples import sample_set, score_row
from tasks.row.training import ProgressCallback, begin, notify

MEASURE = "tasks.row.measure:measure_row"
WARM_STEPS, STEPS = 2, 6


def measure_row(job: RowJob, progress: ProgressCallback) -> tuple[float, float]:
    """Train some steps of a row and judge it; the seconds of a step, and of judging.

    Raises:
        As `tasks.row.make.run_row`.
    """
    models = warm_models(job)
    source, references = models.source, models.references(job.row.reference_images)
    target = copy.deepcopy(models.generator)
    short = replace(job, adapt=job.adapt.model_copy(update={"iterations": WARM_STEPS + STEPS}))
    steps = iter(begin(models.generator, target, models.guide, short))
    notify(progress, job, 0, "adapt")
    _finish(islice(steps, WARM_STEPS))
    started = time.monotonic()
    _finish(steps)
    trained = time.monotonic()
    notify(progress, job, WARM_STEPS + STEPS, "judge")
    target.eval()
    samples = sample_set(target, models.judge, models.ws, job.params)
    score_row(models.judge, job.row, source, samples, references, job.all_targets)
    return (trained - started) / STEPS, time.monotonic() - trained


def _finish(steps: object) -> None:
    loss = None
    for step in steps:  # type: ignore[attr-defined]
        loss = step.loss
    if loss is not None:
        loss.item()  # a GPU runs behind; this waits for it
