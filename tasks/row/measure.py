"""How fast a row's settings are here: a few real steps in a worker, and a judging; nothing is written."""

from __future__ import annotations

import time
from dataclasses import replace

from nada.judge.samples import render
from nada.methods.base import RowError, Step
from tasks.row.job import RowJob
from tasks.row.make import Tell
from tasks.row.models import warm_models
from tasks.workers.news import Progress

MEASURE = "tasks.row.measure:measure_row"
WARM_STEPS, STEPS = 2, 6


def measure_row(job: RowJob, tell: Tell) -> tuple[float, float]:
    """Make some steps of a row and render and embed what came of it; the seconds of a step, and of judging.

    Raises:
        As `tasks.row.make.make_rows`.
    """
    warm, method = warm_models(job), job.method_object
    total = WARM_STEPS + STEPS
    short = replace(job, config=method.with_steps(job.config, total))
    started = trained = time.monotonic()
    making = method.begin([replace(short.assignment, goal=warm.goal(job))], warm.models)
    tell(Progress(domain=job.domain, step=0, total=total, loss=None, phase="make"))
    for news in making:
        if isinstance(news, RowError):
            raise news.error
        if news.done == WARM_STEPS and not news.note:
            started = _now(news)
        trained = _now(news) if news.is_last else trained
    tell(Progress(domain=job.domain, step=total, total=total, loss=None, phase="judge"))
    for img_u8 in render(making.domain(job.domain), warm.ws, job.params.judge.batch_size):
        warm.judge.features(img_u8)
    return (trained - started) / STEPS, time.monotonic() - trained


def _now(step: Step) -> float:
    """The time, once what runs behind on a GPU is done."""
    if step.loss is not None:
        step.loss.item()
    return time.monotonic()
