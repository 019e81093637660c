"""What a row costs in time and disk, by what earlier rows and measurements took on this machine."""

from __future__ import annotations

import heapq
import json
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nada.atomic import replacing
from nada.config import Section
from nada.methods.base import Method
from tasks.config.project import HERE
from tasks.plan.guess.rough import Rough
from tasks.store.plain_data import read_json
from tasks.store.record import EVALUATION_NAME, GENERATOR, MAKING_NAME, Evaluation, Making, RecordError, read_entry
from tasks.variants.names import step_of
from tasks.workers.pool import WorkerSpec

RECORDS_READ = 300  # the newest; thousands of older ones would say the same
SIDE_FILES_BYTES = 1_000_000  # samples, trace and record of a row, beside its weights
FORWARD_SHARE = 0.25  # of what a picture costs in training: rendered twice and embedded twice, once with gradients

Basis = Literal["measured", "other recipes", "guess"]


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """What one row took, or one measurement."""

    device: str
    """Its kind: `cpu` or `cuda`."""
    threads: int
    generator: str
    """sha256 of the source generator."""
    recipe: str
    """Method and what decides the cost of its steps, as canonical JSON."""
    batch_size: int
    """Pictures a step."""
    seconds_per_step: float
    judge_seconds: float
    num_bytes: int | None = None
    """Of the published folder."""
    share: float = 1.0
    """Of its iterations that it trained: less than all of them where its checkpoint was chosen."""
    gpu_bytes: int | None = None
    """The most that it took of its GPU."""


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What a row is expected to cost."""

    seconds: float
    """Work of one worker whose models are loaded."""
    num_bytes: int
    """On disk, once."""
    basis: Basis
    preparing_seconds: float = 0.0
    """Of these: what is computed before the row, and kept for others."""
    spread: float = 1.0
    """Of a guess: the truth is as many times less or more."""

    @property
    def own_seconds(self) -> float:
        """The others, which `night.row_timeout_minutes` is about."""
        return self.seconds - self.preparing_seconds


def estimate(
    method: Method[Any, Any],
    config: Section,
    generator_sha256: str,
    generator_bytes: int,
    samples: Sequence[MeasuredRow],
    worker: WorkerSpec,
    rough: Rough,
) -> CostEstimate:
    """The median of rows of the same recipe on such a device; else of other recipes by batch size; else a guess.

    Rows of another generator say nothing, for their resolution may be another; of the same kind of row, those with
    the worker's number of threads are asked first.
    """
    device = worker.device.split(":")[0]
    alike = [sample for sample in samples if (sample.device, sample.generator) == (device, generator_sha256)]
    sizes = [sample.num_bytes for sample in alike if sample.num_bytes is not None]
    num_bytes = round(statistics.median(sizes)) if sizes else generator_bytes + SIDE_FILES_BYTES
    basis: Basis = "measured"
    same = _preferred(alike, lambda sample: sample.recipe == recipe_of(method, config), worker.threads)
    if same:
        per_step = statistics.median(sample.seconds_per_step for sample in same)
    elif same := _preferred(alike, lambda _: True, worker.threads):
        per_sample = statistics.median(sample.seconds_per_step / sample.batch_size for sample in same)
        per_step, basis = per_sample * method.pictures_per_step(config), "other recipes"
    else:
        pictures = method.num_steps(config) * method.pictures_per_step(config)
        seconds = pictures * rough.trained + _num_probed(method, config) * rough.judged + rough.judging
        return CostEstimate(seconds=seconds, num_bytes=num_bytes, basis="guess", spread=rough.spread)
    judge = statistics.median(sample.judge_seconds for sample in same)
    steps = method.num_steps(config) * (
        statistics.median(sample.share for sample in same) if basis == "measured" else 1.0
    )
    return CostEstimate(seconds=steps * per_step + judge, num_bytes=num_bytes, basis=basis)


def _num_probed(method: Method[Any, Any], config: Section) -> int:
    """Pictures that the judge looks at on the way."""
    if not method.is_judged_on_the_way(config):
        return 0
    looks = 1 + method.num_steps(config) // getattr(config, "probe_every", method.num_steps(config))
    return looks * int(getattr(config, "probe_images", 0))


def seconds_per_prepared(
    generator_sha256: str, samples: Sequence[MeasuredRow], worker: WorkerSpec, rough: Rough
) -> float:
    """What a picture that is only rendered and embedded costs, by what one in training took, or a guess."""
    device = worker.device.split(":")[0]
    alike = [one for one in samples if (one.device, one.generator) == (device, generator_sha256)]
    trained = [one.seconds_per_step / one.batch_size for one in alike]
    return FORWARD_SHARE * statistics.median(trained) if trained else rough.prepared


def judging_estimate(
    generator_sha256: str, samples: Sequence[MeasuredRow], worker: WorkerSpec, num_bytes: int, rough: Rough
) -> CostEstimate:
    """The median of what judging took on such a device, or a guess."""
    device = worker.device.split(":")[0]
    seconds = [one.judge_seconds for one in samples if (one.device, one.generator) == (device, generator_sha256)]
    if not seconds:
        return CostEstimate(seconds=rough.judging, num_bytes=num_bytes, basis="guess", spread=rough.spread)
    return CostEstimate(seconds=statistics.median(seconds), num_bytes=num_bytes, basis="measured")


def recipe_of(method: Method[Any, Any], config: Section) -> str:
    """What decides the cost of a step."""
    return json.dumps([method.name, method.step_cost(config)], sort_keys=True)


def earlier_samples() -> list[MeasuredRow]:
    """What the newest finished rows took, and what was measured; unreadable ones are left out."""
    return [*_of_records(_newest_records()), *_measured()]


def keep_measured(samples: Iterable[MeasuredRow]) -> None:
    """Keep measurements for later plans, in place of earlier ones of the same kind.

    Raises:
        OutputError: the file cannot be written.
    """
    kept = {_kind(sample): sample for sample in [*_measured(), *samples]}
    with replacing(HERE.speeds) as partial:
        partial.write_text(json.dumps([asdict(sample) for sample in kept.values()], indent=2) + "\n", encoding="utf-8")


def _kind(sample: MeasuredRow) -> tuple[str, int, str, str]:
    return sample.device, sample.threads, sample.generator, sample.recipe


def _preferred(samples: Sequence[MeasuredRow], fits: Callable[[MeasuredRow], bool], threads: int) -> list[MeasuredRow]:
    found = [sample for sample in samples if fits(sample)]
    return [sample for sample in found if sample.threads == threads] or found


def _measured() -> list[MeasuredRow]:
    try:
        return [MeasuredRow(**entry) for entry in read_json(HERE.speeds)]
    except (OSError, ValueError, TypeError):
        return []


def _is_timed(name: str) -> bool:
    """Whether a folder may hold a row that was trained: a checkpoint was not, by itself."""
    return not name.startswith(".") and step_of(name) is None


def _newest_records() -> list[tuple[Making, Evaluation]]:
    if not HERE.adapted.is_dir():
        return []
    with os.scandir(HERE.adapted) as entries:
        found = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if _is_timed(entry.name)]
    records = []
    for _, name in heapq.nlargest(RECORDS_READ, found):
        folder = HERE.adapted / name
        with suppress(RecordError):
            making = read_entry(folder / MAKING_NAME, Making)
            records.append((making, read_entry(folder / EVALUATION_NAME, Evaluation)))
    return records


def _of_records(records: Iterable[tuple[Making, Evaluation]]) -> list[MeasuredRow]:
    samples = []
    for making, evaluation in records:
        with suppress(KeyError, ZeroDivisionError, RecordError):
            method, config = making.method_object, making.method_config
            files = [*making.files.values(), *evaluation.files.values()]
            samples.append(
                MeasuredRow(
                    device=making.device.split(":")[0],
                    threads=making.threads,
                    generator=making.provenance[GENERATOR],
                    recipe=recipe_of(method, config),
                    batch_size=method.pictures_per_step(config),
                    seconds_per_step=making.seconds["make"] / len(making.group) / making.trained_steps,
                    judge_seconds=evaluation.seconds["judge"],
                    num_bytes=sum(file.num_bytes for file in files),
                    share=making.trained_steps / making.most_steps,
                    gpu_bytes=making.gpu_bytes,
                )
            )
    return samples
