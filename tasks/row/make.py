"""Rows from prompts to published folders, in one pass of their method; runs inside a worker process.

The method decides what is made; this file drives it: it resumes, saves states, tells the parent, and publishes each
row as it ends. A row that fails leaves the others alone.
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nada.clip.goal import Goal
from nada.errors import InputError, NonFiniteLossError, OutputError, StateError
from nada.methods.base import Pass, RowError, Step
from nada.methods.picture_goal import PictureGoal
from nada.methods.sheets import save_webp
from tasks.live.pausing import makes_way
from tasks.live.saved import forget
from tasks.row import resume_state
from tasks.row.glimpses import NOTHING, Glimpses, Shown
from tasks.row.job import GroupJob, RowJob
from tasks.row.models import WarmModels, warm_models
from tasks.row.prepare import prepare
from tasks.row.resume_state import Left, Unfinished, processor
from tasks.store import row_folder
from tasks.store.record import STYLE_NAME, Making
from tasks.workers.gpus import forget_peak, peak_bytes
from tasks.workers.news import Progress, RowEnded

REPORT_SECONDS = 0.3  # between two messages to the parent, each of which reads a loss off the device

Tell = Callable[[Any], None]


@dataclass
class RowClock:
    """What one row of a pass took."""

    load_seconds: float = 0.0
    prepare_seconds: float | None = None
    """Of what is kept for other rows as well; None where there is no such thing."""
    earlier_seconds: float = 0.0
    """In processes that ended."""
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    @property
    def made_seconds(self) -> float:
        """Of making so far, in all processes."""
        return self.earlier_seconds + time.monotonic() - self.started

    @property
    def seconds(self) -> dict[str, float]:
        """By phase, for the record."""
        phases = {"load": self.load_seconds, "prepare": self.prepare_seconds, "make": self.made_seconds}
        return {phase: round(seconds, 3) for phase, seconds in phases.items() if seconds is not None}


def make_rows(job: GroupJob, tell: Tell) -> None:
    """Make the rows of a group in one pass, and tell of each as it ends: `RowEnded` with its `Making` or its error.

    Raises:
        NadaError: what ends the whole pass; rows that were not told of are lost with it.
    """
    rows = [replace(row, device=job.device, threads=job.threads) for row in job.rows]
    Maker(rows, tell, None if job.folder is None else Path(job.folder)).run()


class Maker:
    """Drives one pass.

    Args:
        rows: of one method, source and guides.
        tell: tells the parent.
        folder: where to, a folder a row within; None publishes the rows as results.
    """

    def __init__(self, rows: Sequence[RowJob], tell: Tell, folder: Path | None) -> None:
        self.rows = {row.domain: row for row in rows}
        self.tell, self.folder = tell, folder
        self.clocks = {domain: RowClock() for domain in self.rows}
        self.glimpses = {domain: Glimpses() for domain in self.rows}
        self.group: dict[str, str] = {}
        """All rows that began together, also in a process that ended: domain -> key of making."""
        self.goals: dict[str, Goal] = {}
        self.resumes = rows[0].resumes
        """Whether a state is gone on from and saved."""
        self.saved = time.monotonic()

    def run(self) -> None:
        """From loading models to the last row's end."""
        started = time.monotonic()
        for row in self.rows.values():
            self.progress(row, 0, "load")
        warm = warm_models(next(iter(self.rows.values())))
        for row in list(self.rows.values()):
            try:
                warm.check_references(row.row.reference_images)
                self.goals[row.domain] = warm.goal(row)
            except InputError as err:
                self.fail(row.domain, err)
        if not self.rows:
            return
        self.group = {domain: row.keys.making for domain, row in self.rows.items()}
        first = next(iter(self.rows.values()))
        forget_peak(first.device)
        loaded = time.monotonic()
        prepare(first, warm, self.tell)
        prepared = time.monotonic() - loaded if first.prepared else None
        self.clocks = {domain: RowClock(loaded - started, prepared) for domain in self.rows}
        making = self.begin(warm)
        self.saved = time.monotonic()
        for news in making:
            if news.row not in self.rows:
                continue  # it could not be saved, and was told of
            if isinstance(news, RowError):
                self.fail(news.row, news.error)
                if isinstance(news.error, NonFiniteLossError) and self.resumes:
                    forget(news.row)  # it would only lead there again
            else:
                self.after(making, news, warm)
                if makes_way() and self.make_way(making, news):
                    return

    def begin(self, warm: WarmModels) -> Pass:
        """The pass, before its first step or where a process that ended had come to."""

        def fresh() -> Pass:
            making: Pass = rows[0].method_object.begin(
                [replace(row.assignment, goal=self.goals[row.domain]) for row in rows], warm.models
            )
            return making

        rows = list(self.rows.values())
        making = fresh()
        if not self.resumes:
            return making
        try:
            if (left := resume_state.load(rows)) is not None:
                for domain, unfinished in left.rows.items():
                    self.go_on(making, self.rows[domain], unfinished)
                self.group = dict(left.group)
                return making
        except StateError as err:
            making = fresh()
            for row in rows:
                self.clocks[row.domain].earlier_seconds = 0.0
                self.progress(row, 0, "make", note=f"starts over, for its saved state is of no use: {err}")
        for row in rows:
            forget(row.domain)
        return making

    def go_on(self, making: Pass, row: RowJob, left: Unfinished) -> None:
        """Take a row to where it was."""
        done, total = making.load_state_dict(row.domain, left.tensors), row.method_object.num_steps(row.config)
        self.clocks[row.domain].earlier_seconds = left.seconds
        self.progress(row, done, "make", note=f"goes on after step {done} of {total}")

    def after(self, making: Pass, step: Step, warm: WarmModels) -> None:
        """What follows a step: news to the parent now and then, a saved state, and in the end the row's folder."""
        row, clock, now = self.rows[step.row], self.clocks[step.row], time.monotonic()
        if step.note:
            self.progress(row, step.done, "make", note=step.note)
            return
        if step.is_last or now - clock.told >= REPORT_SECONDS:
            clock.told = now
            loss = None if step.loss is None else step.loss.item()
            shown = NOTHING if step.is_last else self.glimpses[step.row].take(making, step.row)
            self.progress(row, step.done, "make", loss, shown=shown)
        if step.is_last:
            try:
                self.finish(making, row, warm)
            except Exception as err:
                self.fail(row.domain, err)
        elif self.resumes and now - self.saved >= row.params.night.checkpoint_minutes * 60:
            self.saved = now
            self.save_state(making, row, step.done)

    def make_way(self, making: Pass, step: Step) -> bool:
        """Save the states of all rows and end the pass, to be begun again later; whether that can be."""
        if step.is_last or not self.resumes or not self.save_state(making, self.rows[step.row], step.done):
            return False
        for domain in self.rows:
            self.tell(RowEnded(domain=domain, result=None))
        return True

    def finish(self, making: Pass, row: RowJob, warm: WarmModels) -> None:
        """Write a row's folder, publish it, and tell of it."""
        shown = self.glimpses[row.domain].take(making, row.domain, is_last=True)
        self.progress(row, row.method_object.num_steps(row.config), "save", shown=shown)
        folder = row_folder.partial_dir(row.domain) if self.folder is None else self.folder / row.domain
        folder.mkdir(parents=True, exist_ok=True)
        try:
            record = self.write(making, row, warm, folder)
            if self.folder is None:
                row_folder.publish(folder, row.domain)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        warm.made = row.keys.making, making.domain(row.domain)
        del self.rows[row.domain]
        if self.folder is None:
            forget(row.domain)
        self.tell(RowEnded(domain=row.domain, result=record))

    def write(self, making: Pass, row: RowJob, warm: WarmModels, folder: Path) -> Making:
        """The row's files and its record."""
        clock, method = self.clocks[row.domain], row.method_object
        made = making.save(row.domain, folder)
        if isinstance(goal := self.goals[row.domain], PictureGoal):
            save_webp(goal.strip(), folder / STYLE_NAME)
        return row_folder.write_making(
            folder,
            Making(
                domain=row.domain,
                key=row.keys.making,
                method=method.name,
                row=row.row,
                config=row.config.model_dump(mode="json"),
                seed=row.seed,
                storage=row.params.night.storage,
                resolution=warm.models.source.resolution,
                guides=[clip.name for clip in row.params.guide.models],
                on_key=None if row.source.on is None else row.source.on.key,
                group=self.group,
                trained_steps=made.trained_steps,
                most_steps=method.num_steps(row.config),
                kept_step=made.kept_step,
                bases=list(made.bases),
                part=made.part.model_dump(mode="json"),
                seconds=clock.seconds,
                device=row.device,
                processor=processor(row.device),
                threads=row.threads,
                micro_batch=made.micro_batch,
                gpu_bytes=peak_bytes(row.device),
                provenance=dict(row.provenance),
                finished=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )

    def fail(self, domain: str, error: Exception) -> None:
        """Tell of a row that is lost."""
        self.rows.pop(domain)
        details = "".join(traceback.format_exception(error))
        message = str(error).strip() or "no message"
        self.tell(RowEnded(domain=domain, error=(type(error).__name__, message, details)))

    def save_state(self, making: Pass, row: RowJob, done: int) -> bool:
        """Save the state of every row of the pass, and whether that went well; it costs no row where it did not."""
        try:
            states = {
                domain: Unfinished(making.state_dict(domain), self.clocks[domain].made_seconds) for domain in self.rows
            }
            resume_state.save(list(self.rows.values()), Left(self.group, states))
        except OutputError as err:
            self.progress(row, done, "make", note=f"its state is not saved: {err}")
            return False
        return True

    def progress(
        self,
        row: RowJob,
        step: int,
        phase: str,
        loss: float | None = None,
        note: str = "",
        shown: Shown = NOTHING,
    ) -> None:
        """Tell the parent where a row is."""
        self.tell(
            Progress(
                domain=row.domain,
                step=step,
                total=row.method_object.num_steps(row.config),
                loss=loss,
                phase=phase,
                note=note,
                picture=shown.jpeg,
                pictured_step=shown.step,
            )
        )
