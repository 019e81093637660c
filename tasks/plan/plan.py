"""What a night would do, and what it would cost, before it does anything."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Literal

from nada.errors import OutputError, PromptsError, nearest
from nada.hashing import sha256_file
from nada.methods.adapt.config import AdaptConfig
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.config.prompts import Row, load_prompts
from tasks.plan.capacity import Capacity, Need, largest_need, models_bytes
from tasks.plan.deadline import deadline_after
from tasks.plan.devices import check_runner, find_workers, open_pool
from tasks.plan.estimate import CostEstimate, MeasuredRow, earlier_samples, estimate, recipe_of
from tasks.plan.queue import Forecast, RowQueue, forecast
from tasks.row.job import RowJob, resolve_adapt, resolve_seed
from tasks.status.status_file import left_by_the_last_night
from tasks.store import dvc_history, pretrained, reference_pictures, row_folder, versioning
from tasks.store.whole_rows import whole_rows
from tasks.workers.environment import installed
from tasks.workers.pool import Pool, WorkerSpec

COPIES = 2  # the working copy and DVC's cache
START_UP_SECONDS = 15.0  # models, Prefect and MLflow
MAX_CANDIDATES = 200  # prompts among which retrieval is judged: each costs 79 texts, once a worker
RowState = Literal["train", "current", "left out"]


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """One row, resolved, with what it would cost."""

    row: Row
    adapt: AdaptConfig
    seed: int
    key: str
    state: RowState
    """`current`: a whole result of exactly this key is there; `left out`: not among those asked for."""
    estimate: CostEstimate | None
    """What it is expected to cost, if it is to train."""

    @property
    def cost(self) -> CostEstimate:
        """The estimate of a row that is to train."""
        assert self.estimate is not None
        return self.estimate


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A night to come."""

    params_path: Path
    params: Params
    rows: tuple[PlannedRow, ...]
    workers: tuple[WorkerSpec, ...]
    generator_path: Path
    provenance: dict[str, str]
    capacity: Capacity | None = None
    """What decided the number of workers on each GPU, if anything did."""
    first: frozenset[str] = frozenset()
    """Domains for which the last night had no time: they go before all others."""

    @cached_property
    def to_train(self) -> list[PlannedRow]:
        """Rows without a whole result of exactly this key, as far as asked for."""
        return [planned for planned in self.rows if planned.state == "train"]

    def deadline(self, started: datetime) -> datetime | None:
        """When a night that starts then takes no more rows."""
        text = self.params.night.deadline
        return None if text is None else deadline_after(started, text)

    def waiting(self, started: datetime) -> RowQueue:
        """The rows to train, in the order in which a night that starts then takes them."""
        seconds = {planned.row.domain: planned.cost.seconds for planned in self.to_train}
        deadline = self.deadline(started)
        limit = math.inf if deadline is None else (deadline - started).total_seconds()
        return RowQueue(seconds, first=self.first, deadline=limit)

    @cached_property
    def forecast(self) -> Forecast:
        """The night as it would go if it started now."""
        return forecast(self.waiting(datetime.now().astimezone()), [START_UP_SECONDS] * len(self.workers))

    @cached_property
    def makes_noise(self) -> bool:
        """Whether the generator draws noise by itself; without it `guide.views` must do so."""
        return pretrained.makes_noise(self.generator_path)

    @property
    def disk_bytes(self) -> int:
        """Expected growth on disk."""
        return COPIES * sum(planned.cost.num_bytes for planned in self.to_train)

    @property
    def free_bytes(self) -> int:
        """Free space where the results go."""
        return shutil.disk_usage(Path.cwd()).free

    @cached_property
    def candidates(self) -> dict[str, str]:
        """Domain -> target prompt of the rows among which retrieval is judged: all, or some of very many."""
        stride = math.ceil(len(self.rows) / MAX_CANDIDATES)
        return {planned.row.domain: planned.row.target for planned in self.rows[::stride]}

    def job(self, planned: PlannedRow) -> RowJob:
        """What a worker needs for a row; the pool fills in its own device and threads."""
        return RowJob(
            row=planned.row,
            adapt=planned.adapt,
            params=self.params,
            key=planned.key,
            seed=planned.seed,
            generator_path=str(self.generator_path),
            device=self.workers[0].device,
            threads=self.workers[0].threads,
            all_targets=self.candidates,
            provenance=self.provenance,
        )

    def open_pool(self, num_workers: int) -> Pool:
        """Start workers of the plan, at most so many. Raises as `tasks.plan.devices.open_pool`."""
        return open_pool(self.params.night, self.workers[:num_workers])

    def check_disk(self, rows: Sequence[PlannedRow]) -> None:
        """Refuse to train rows that would fill the disk.

        Raises:
            OutputError: less space than their results need.
        """
        need, free = COPIES * sum(planned.cost.num_bytes for planned in rows), self.free_bytes
        if need > free:
            what = rows[0].row.domain if len(rows) == 1 else f"{len(rows)} rows"
            raise OutputError(
                f"{Path.cwd()}: {free / 1e6:.0f} MB free; {what} needs {need / 1e6:.0f} MB; free some space"
            )


def make_plan(params_path: Path, only: Sequence[str] = (), here: bool = False) -> Plan:
    """Read and check everything, and find out which rows are left to train.

    Args:
        params_path: params.yaml; paths within are relative to the working folder.
        only: train none but these domains.
        here: whatever is done with the plan is done on this machine, and no Ray is asked.

    Raises:
        InputError: params, prompts, weights or reference images cannot be used.
    """
    params = load_params(params_path)
    if here and params.night.runner == "ray":
        night = params.night.model_copy(update={"runner": "local", "device": "auto"})
        params = params.model_copy(update={"night": night})
    check_runner(params.night)
    rows = load_prompts(Path(params.night.prompts), params)
    _check_only(only, rows, params)
    generator_path = pretrained.prepare(params)
    generator_sha256 = sha256_file(generator_path)
    clips = row_folder.clip_hashes(params)
    generator_bytes = generator_path.stat().st_size
    samples = earlier_samples()
    alike = [sample for sample in samples if sample.generator == generator_sha256]
    workers, capacity = find_workers(params, len(rows), partial(_need, rows, params, generator_path, alike))

    @cache
    def cost(adapt: AdaptConfig) -> CostEstimate:
        return estimate(adapt, generator_sha256, generator_bytes, samples, workers[0])

    planned = []
    with whole_rows() as whole:
        for row in rows:
            adapt, seed = resolve_adapt(row, params), resolve_seed(row, params)
            truth = None if row.reference_images is None else reference_pictures.look(row.reference_images).sha256
            key = row_folder.row_key(row, adapt, params, generator_sha256, clips, truth)
            state: RowState = "train"
            if whole.is_finished(row.domain, key):
                state = "current"
            elif only and row.domain not in only:
                state = "left out"
            costs = cost(adapt) if state == "train" else None
            planned.append(PlannedRow(row=row, adapt=adapt, seed=seed, key=key, state=state, estimate=costs))
    reference_pictures.keep(row.reference_images for row in rows if row.reference_images is not None)
    return Plan(
        params_path=params_path,
        params=params,
        rows=tuple(planned),
        workers=tuple(workers),
        capacity=capacity,
        generator_path=generator_path,
        provenance=provenance(generator_sha256, clips),
        first=frozenset(left_by_the_last_night()),
    )


def plan_to_run(params_path: Path, only: Sequence[str] = ()) -> tuple[Plan, list[str]]:
    """`make_plan` for a night that begins now: rows that DVC's cache still holds are brought back first.

    Returns:
        The plan, and the domains brought back.

    Raises:
        InputError: as for `make_plan`, or a row cannot be written.
    """
    plan = make_plan(params_path, only)
    restored = dvc_history.restore({planned.row.domain: planned.key for planned in plan.to_train}, plan.generator_path)
    return (make_plan(params_path, only) if restored else plan), restored


def _need(rows: Sequence[Row], params: Params, generator_path: Path, samples: Sequence[MeasuredRow]) -> Need:
    """What the largest row needs on a GPU, by earlier rows of the generator."""
    from nada.checkpoints.canonical import read_header  # which imports torch; where there is a GPU that was done

    configs = {recipe_of(adapt): adapt for adapt in (resolve_adapt(row, params) for row in rows)}
    architecture = read_header(generator_path).config
    return largest_need(list(configs.values()), params, architecture, models_bytes(generator_path, params), samples)


def provenance(generator_sha256: str, clips: dict[str, str]) -> dict[str, str]:
    """Hashes of what went in, versions of what computed it, and the commit of the working folder."""
    hashes = {"generator": generator_sha256, **clips}
    named = {f"sha256 of {name}": value for name, value in hashes.items()}
    return {**installed(), **versioning.commit(Path.cwd()), **named}


def _check_only(only: Sequence[str], rows: Sequence[Row], params: Params) -> None:
    domains = [row.domain for row in rows]
    for name in only:
        if name not in domains:
            hint = nearest(name, domains) or f"; its domains are {', '.join(domains)}"
            raise PromptsError(f"{params.night.prompts}: no domain {name!r}{hint}")
