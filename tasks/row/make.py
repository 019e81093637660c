"""One row from prompts to a published folder; runs inside a worker process.

Models, the source's samples and reference features stay in this module between rows, so that a worker loads
them once a night.
"""

from __future__ import annotations

import copy
import csv
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nada.checkpoints import load_generator
from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.clip.loading import load_guide
from nada.errors import ParamsError
from nada.generators.registry import Network
from nada.images import before_after, read_images, save_png
from nada.judge import Judge, Judgement, SetFeatures
from nada.methods.adapt.layer_selection import num_selected
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.state import Step
from tasks.row import resume_state
from tasks.row.job import RemakeJob, RowJob
from tasks.row.judge_networks import LoadedJudge, load_judge
from tasks.row.resume_state import processor
from tasks.row.samples import SampleSet, judge_ws, sample_set, score_row, scores_as_json
from tasks.row.storage import round_as_stored, store
from tasks.row.training import ProgressCallback, Trained, begin, notify, train
from tasks.row.validation import EarlyStopping, Validator, write_probes
from tasks.store import row_folder
from tasks.store.feature_cache import kept_features, reference_features
from tasks.workers.gpus import forget_peak, peak_bytes

SHEET_COLUMNS = 6
FORMAT = 1


@dataclass
class WarmModels:
    """What every row of a night needs; loaded at first use."""

    job: RowJob
    _references: dict[str, SetFeatures] = field(default_factory=dict)
    _eyes: dict[int, tuple[Validator, SetFeatures]] = field(default_factory=dict)

    @cached_property
    def generator(self) -> Network:
        """The frozen source."""
        return load_generator(Path(self.job.generator_path), self.job.device)

    @cached_property
    def guide(self) -> Guide:
        """The CLIP models of the loss."""
        return load_guide(self.job.params.guide, self.job.device)

    @cached_property
    def loaded_judge(self) -> LoadedJudge:
        """The networks of the scores, and why some are not there."""
        return load_judge(self.job.params, self.job.device)

    @property
    def judge(self) -> Judge:
        """The networks of the scores."""
        return self.loaded_judge.judge

    @cached_property
    def ws(self) -> Tensor:
        """Latents of the judged pictures."""
        return judge_ws(self.generator, self.job.params)

    @cached_property
    def source(self) -> SampleSet:
        """The source's samples."""
        return sample_set(self.generator, self.judge, self.ws, self.job.params)

    def references(self, path: str | None) -> SetFeatures | None:
        """Features of a row's true images, if it has any."""
        if path is None:
            return None
        if path not in self._references:
            self._references[path] = reference_features(path, self.judge, self.generator.resolution)
        return self._references[path]

    def check_references(self, path: str | None) -> None:
        """Find a damaged picture before a row is paid for: read those whose features are not known yet.

        Raises:
            ImageError: the folder or zip holds an unreadable picture, or none.
        """
        if path is None or path in self._references:
            return
        if (kept := kept_features(path, self.judge, self.generator.resolution)) is not None:
            self._references[path] = kept
        else:
            read_images(Path(path), self.generator.resolution)

    def chooser(self, adaptation: Adaptation, job: RowJob) -> EarlyStopping | None:
        """Who chooses the checkpoint of a row, if it asks for that."""
        if job.adapt.stop == "fixed":
            return None
        num = job.adapt.probe_images
        if num not in self._eyes:
            eye = Validator.of(self.judge.clip, self.generator, num, job.params, job.device)
            self._eyes[num] = eye, eye.see(self.generator)
        return EarlyStopping(adaptation, *self._eyes[num], PromptPair(job.row.source, job.row.target))


_warm: dict[str, WarmModels] = {}


def warm_models(job: RowJob) -> WarmModels:
    """This process's models for a job; those of another set-up are dropped first."""
    sections = job.params.model_dump(mode="json", include={"guide", "judge", "samples", "generator"})
    key = json.dumps([sections, job.generator_path, job.device], sort_keys=True)
    if key not in _warm:
        _warm.clear()
        _warm[key] = WarmModels(job)
    return _warm[key]


def check_models(job: RowJob, progress: ProgressCallback) -> dict[str, str]:
    """Load every model once, so that a wrong name or a damaged file is found before any training.

    Returns:
        Names -> sha256 of the CLIP models' weights.

    Raises:
        CheckpointError, GuideError: as the loaders do.
        ParamsError: a recipe selects more layers than the generator has.
    """
    models = warm_models(job)
    for name in job.params.recipes:
        try:
            num_selected(job.params.recipe(name).selection.k, models.generator)
        except ParamsError as err:
            raise ParamsError(f"recipes.{name}.{err}") from err
    return {clip.name: clip.fingerprint for clip in [*models.guide.models, models.judge.clip]}


def run_row(job: RowJob, progress: ProgressCallback) -> dict[str, Any]:
    """Adapt, judge, write and publish one row.

    Returns:
        The record, as in row.json.

    Raises:
        NonFiniteLossError: training left the real numbers.
        OutOfMemoryError: memory ran out with one picture at a time.
        InputError: models or reference images cannot be read, or the folder cannot be written.
    """
    partial = row_folder.partial_dir(job.row.domain)
    try:
        record = make_row(job, progress, partial)
        row_folder.publish(partial, job.row.domain)
        resume_state.remove(job.row.domain)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return record


def remake_row(job: RemakeJob, progress: ProgressCallback) -> dict[str, Any]:
    """Make a row again in a folder of its own, from its first step, and publish nothing; raises as `run_row` does."""
    return make_row(job, progress, Path(job.folder))


def make_row(job: RowJob, progress: ProgressCallback, folder: Path) -> dict[str, Any]:
    """Adapt and judge one row, and fill a folder with it; returns the record. Raises as `run_row` does."""
    clock = Clock()
    notify(progress, job, 0, "load")
    models = warm_models(job)
    models.check_references(job.row.reference_images)
    clock.lap("load")

    torch.manual_seed(job.seed)  # adapt seeds itself; this covers anything that draws without asking
    target = copy.deepcopy(models.generator)
    forget_peak(job.device)
    adaptation = begin(models.generator, target, models.guide, job)
    trained = train(adaptation, models.chooser(adaptation, job), job, progress)
    target.eval()
    rounding = round_as_stored(target, models.ws[: job.params.samples.count], job)
    clock.lap("adapt", trained.earlier_seconds)

    notify(progress, job, job.adapt.iterations, "judge")
    source, references = models.source, models.references(job.row.reference_images)
    clock.lap("load")  # once a night, and not before the training: nothing there needs them
    samples = sample_set(target, models.judge, models.ws, job.params)
    verdict = score_row(models.judge, job.row, source, samples, references, job.all_targets)
    clock.lap("judge")

    notify(progress, job, job.adapt.iterations, "save")
    storage = {**store(folder, target, job), "rounding": rounding}
    save_png(before_after(source.pictures, samples.pictures, SHEET_COLUMNS), folder / "samples.png")
    write_trace(folder / "trace.csv", adaptation.trace, len(target.conv_layers()))
    if trained.chooser is not None:
        write_probes(folder / "probes.csv", trained.chooser.seen.probes)
    (folder / "metrics.json").write_text(json.dumps(scores_as_json(verdict), indent=2, sort_keys=True) + "\n")
    return row_folder.write_record(folder, make_record(job, models, verdict, storage, trained, clock))


def write_trace(path: Path, trace: Sequence[Step], num_layers: int) -> None:
    """One line a step: its loss, the terms of the loss, the layers that it trained (`all`, or their names)."""
    terms = list(trace[0].terms)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", "loss", *terms, "layers"])
        for step in trace:
            values = [f"{value.item():.6g}" for value in (step.loss, *(step.terms[name] for name in terms))]
            layers = "all" if len(step.layers) == num_layers else " ".join(step.layers)
            writer.writerow([step.index + 1, *values, layers])


def make_record(
    job: RowJob,
    models: WarmModels,
    verdict: Judgement,
    storage: dict[str, Any],
    trained: Trained,
    clock: Clock,
) -> dict[str, Any]:
    """The row's record: everything that a reader needs to know about the result, hashes of files aside."""
    adaptation = trained.adaptation
    return {
        "format": FORMAT,
        "key": job.key,
        "domain": job.row.domain,
        "row": asdict(job.row),
        "adapt": job.adapt.model_dump(mode="json"),
        "seed": job.seed,
        "resolution": models.generator.resolution,
        "guides": [clip.name for clip in models.guide.models],
        "judge": models.judge.clip.name,
        "absent": models.loaded_judge.absent,
        "scores": scores_as_json(verdict),
        "nearest": verdict.nearest,
        "storage": storage,
        "choice": None if trained.chooser is None else trained.chooser.record(),
        "loss": {"first": adaptation.trace[0].loss.item(), "last": adaptation.trace[-1].loss.item()},
        "seconds": {**clock.seconds, "total": sum(clock.seconds.values())},
        "device": job.device,
        "processor": processor(job.device),
        "threads": job.threads,
        "micro_batch": adaptation.micro_batch.size,
        "gpu_bytes": peak_bytes(job.device),
        "provenance": job.provenance,
        "all_targets": job.all_targets,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, phase: str, earlier: float = 0.0) -> None:
        """Book the time since the last lap under a phase, and what it took in a process that ended."""
        now = time.monotonic()
        self.seconds[phase] = round(self.seconds.get(phase, 0.0) + now - self._since + earlier, 3)
        self._since = now
