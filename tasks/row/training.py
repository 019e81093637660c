"""A row's training, driven from its first step, or from where an ended process left it, to its last."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.errors import NonFiniteLossError, OutputError, StateError
from nada.generators.protocol import Generator
from nada.methods.adapt.loop import Adaptation
from tasks.row import resume_state
from tasks.row.job import RowJob
from tasks.row.resume_state import Unfinished
from tasks.row.validation import EarlyStopping, Seen
from tasks.workers.pool import Progress

CHOICE = "choice."  # begins the names of the chooser's tensors in a saved state
REPORT_SECONDS = 0.3  # between two messages to the parent, each of which reads a loss off the device

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class Trained:
    """A row's training, at its end."""

    adaptation: Adaptation
    chooser: EarlyStopping | None
    """Of `stop: auto`."""
    earlier_seconds: float
    """In processes that ended."""


def train(adaptation: Adaptation, chooser: EarlyStopping | None, job: RowJob, progress: ProgressCallback) -> Trained:
    """Drive the loop to its end, or to where the chooser stops it; tell the parent and save the state now and then.

    Args:
        adaptation: the row's; it goes on from the state that an ended process left, if there is one that fits and
            the job `resumes`.
        chooser: of its checkpoint; without one the last is kept.
        job: the row.
        progress: tells the parent.

    Raises:
        NonFiniteLossError, OutOfMemoryError: as `Adaptation` does.
    """
    earlier_seconds = resume(adaptation, chooser, job, progress) if job.resumes else 0.0
    started = told = saved = time.monotonic()
    micro_batch = adaptation.micro_batch.size
    try:
        for step in adaptation:
            done = step.index + 1
            stops = chooser is not None and chooser.after(done)
            is_last = stops or done == job.adapt.iterations
            now = time.monotonic()
            if adaptation.micro_batch.size < micro_batch:
                micro_batch = adaptation.micro_batch.size
                notify(progress, job, done, "adapt", note=f"out of memory; at most {micro_batch} at once from here on")
            if is_last or now - told >= REPORT_SECONDS:
                told = now
                notify(progress, job, done, "adapt", step.loss.item())
            if job.resumes and not is_last and now - saved >= job.params.night.checkpoint_minutes * 60:
                saved = now
                save(adaptation, chooser, job, progress, earlier_seconds + now - started)
            if stops:
                break
        if chooser is not None:
            adaptation.end(chooser.seen.best)
    except NonFiniteLossError:
        if job.resumes:
            resume_state.remove(job.row.domain)  # it would only lead there again
        raise
    return Trained(adaptation, chooser, earlier_seconds)


def begin(source: Generator, target: Generator, guide: Guide, job: RowJob) -> Adaptation:
    """The row's adaptation, before its first step."""
    micro_batch = None if job.params.night.micro_batch == "auto" else job.params.night.micro_batch
    pair = PromptPair(job.row.source, job.row.target)
    return Adaptation(source, target, guide, pair, job.adapt, job.seed, micro_batch)


def resume(adaptation: Adaptation, chooser: EarlyStopping | None, job: RowJob, progress: ProgressCallback) -> float:
    """Go on from the state that an ended process left, if there is one that fits; returns the seconds behind it."""
    try:
        left = resume_state.load(job)
        if left is not None:
            restore(adaptation, chooser, left.tensors)
            done = len(adaptation.trace)
            notify(progress, job, done, "adapt", note=f"goes on after step {done} of {job.adapt.iterations}")
            return left.seconds
    except StateError as err:
        notify(progress, job, 0, "adapt", note=f"starts over, for its saved state is of no use: {err}")
    resume_state.remove(job.row.domain)
    return 0.0


def restore(adaptation: Adaptation, chooser: EarlyStopping | None, tensors: dict[str, Tensor]) -> None:
    """Put a saved state back: the chooser's tensors begin with `choice.`."""
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(CHOICE)}
    if chooser is None:
        adaptation.load_state_dict(own)
        return
    chosen = {name.removeprefix(CHOICE): tensor for name, tensor in tensors.items() if name not in own}
    seen = Seen.from_state_dict(chosen, adaptation.weights())
    adaptation.load_state_dict(own)  # either both are changed or none
    chooser.seen = seen


def save(
    adaptation: Adaptation, chooser: EarlyStopping | None, job: RowJob, progress: ProgressCallback, seconds: float
) -> None:
    """Save the state; that it cannot be written costs no row."""
    chosen = {} if chooser is None else chooser.seen.state_dict()
    tensors = adaptation.state_dict() | {f"{CHOICE}{name}": tensor for name, tensor in chosen.items()}
    try:
        resume_state.save(job, Unfinished(tensors, seconds))
    except OutputError as err:
        notify(progress, job, len(adaptation.trace), "adapt", note=f"its state is not saved: {err}")


def notify(
    progress: ProgressCallback, job: RowJob, step: int, phase: str, loss: float | None = None, note: str = ""
) -> None:
    """Tell the parent where the row is."""
    total = job.adapt.iterations
    progress(Progress(domain=job.row.domain, step=step, total=total, loss=loss, phase=phase, note=note))
