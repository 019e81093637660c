"""A row's training, driven from its first step, or from where an ended process left it, to its last."""

from __future__ import annotations

import time
from collections.abc import Callable

from nada.adapt import Adaptation
from nada.errors import NonFiniteLossError, OutputError, StateError
from nada.generator import Generator
from nada.guide import Guide, PromptPair
from tasks import unfinished
from tasks.job import RowJob
from tasks.unfinished import Unfinished
from tasks.workers import Progress

REPORT_SECONDS = 0.3  # between two messages to the parent, each of which reads a loss off the device

ProgressCallback = Callable[[Progress], None]


def train(
    source: Generator, target: Generator, guide: Guide, job: RowJob, progress: ProgressCallback
) -> tuple[Adaptation, float]:
    """Drive the loop to its end; tell the parent and save the state now and then.

    Returns:
        The finished adaptation, and the seconds that it took in processes that ended.

    Raises:
        NonFiniteLossError, OutOfMemoryError: as `Adaptation` does.
    """
    adaptation, earlier_seconds = begin(source, target, guide, job, progress)
    started = told = saved = time.monotonic()
    micro_batch = adaptation.micro_batch.size
    try:
        for step in adaptation:
            now, done = time.monotonic(), step.index + 1
            is_last = done == job.adapt.iterations
            if adaptation.micro_batch.size < micro_batch:
                micro_batch = adaptation.micro_batch.size
                notify(progress, job, done, "adapt", note=f"out of memory; at most {micro_batch} at once from here on")
            if is_last or now - told >= REPORT_SECONDS:
                told = now
                notify(progress, job, done, "adapt", step.loss.item())
            if not is_last and now - saved >= job.params.night.checkpoint_minutes * 60:
                saved = now
                save(adaptation, job, progress, earlier_seconds + now - started)
    except NonFiniteLossError:
        unfinished.remove(job.row.domain)  # it would only lead there again
        raise
    return adaptation, earlier_seconds


def begin(
    source: Generator, target: Generator, guide: Guide, job: RowJob, progress: ProgressCallback
) -> tuple[Adaptation, float]:
    """The row's adaptation, gone on from the state that an ended process left, if there is one that fits.

    Returns:
        The adaptation, and the seconds of training behind it.
    """
    micro_batch = None if job.params.night.micro_batch == "auto" else job.params.night.micro_batch
    pair = PromptPair(job.row.source, job.row.target)
    adaptation = Adaptation(source, target, guide, pair, job.adapt, job.seed, micro_batch)
    try:
        left = unfinished.load(job)
        if left is not None:
            adaptation.load_state_dict(left.tensors)
            done = len(adaptation.trace)
            notify(progress, job, done, "adapt", note=f"goes on after step {done} of {job.adapt.iterations}")
            return adaptation, left.seconds
    except StateError as err:
        notify(progress, job, 0, "adapt", note=f"starts over, for its saved state is of no use: {err}")
    unfinished.remove(job.row.domain)
    return adaptation, 0.0


def save(adaptation: Adaptation, job: RowJob, progress: ProgressCallback, seconds: float) -> None:
    """Save the state; that it cannot be written costs no row."""
    try:
        unfinished.save(job, Unfinished(adaptation.state_dict(), seconds))
    except OutputError as err:
        notify(progress, job, len(adaptation.trace), "adapt", note=f"its state is not saved: {err}")


def notify(
    progress: ProgressCallback, job: RowJob, step: int, phase: str, loss: float | None = None, note: str = ""
) -> None:
    """Tell the parent where the row is."""
    total = job.adapt.iterations
    progress(Progress(domain=job.row.domain, step=step, total=total, loss=loss, phase=phase, note=note))
