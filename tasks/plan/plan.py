"""What a night would do, and what it would cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from nada.errors import OutputError
from nada.methods.registry import METHODS, find_method
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.plan.capacity import Capacity
from tasks.plan.deadline import deadline_after
from tasks.plan.planned_row import PlannedRow
from tasks.plan.queue import Forecast, RowQueue, forecast
from tasks.row.job import CheckedSettings, CheckJob, EvaluateJob, GroupJob, RetrieveJob, RowJob
from tasks.store import base_models, pretrained, row_folder
from tasks.store.disk import Disk, disks
from tasks.store.old_rows import OldRow
from tasks.store.record import GENERATOR, NUM_STYLE, STYLE, RecordError
from tasks.variants.names import domain_of
from tasks.variants.picks import Pick
from tasks.workers.pool import WorkerSpec

START_UP_SECONDS = 15.0  # models, Prefect and MLflow
MAX_CANDIDATES = 200  # prompts among which retrieval is judged: each costs 79 texts, once a worker


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A night to come."""

    params_path: Path
    params: Params
    rows: tuple[PlannedRow, ...]
    workers: tuple[WorkerSpec, ...]
    provenance: dict[str, str]
    """Names -> hashes and versions of what all rows share."""
    capacity: Capacity | None = None
    """What decided the number of workers on each GPU, if anything did."""
    first: frozenset[str] = frozenset()
    """Domains for which the last night had no time: they go before all others."""
    old: tuple[OldRow, ...] = ()
    """What an older version left of rows, which counts as made."""
    is_part: bool = False
    """Whether some domains alone were asked for."""
    picks: Mapping[str, Pick] = field(default_factory=dict)
    """Domain -> what was picked in place of the judge's best."""

    @cached_property
    def by_domain(self) -> dict[str, PlannedRow]:
        """Domain -> its row."""
        return {planned.domain: planned for planned in self.rows}

    @cached_property
    def families(self) -> dict[str, list[PlannedRow]]:
        """Domain -> its rows, of those that have several, of which one is taken."""
        return families_of(self.rows)

    @property
    def folders(self) -> set[str]:
        """Names of everything that finished rows leave in `weights/adapted`."""
        return {*self.by_domain, *self.families}

    @cached_property
    def to_train(self) -> list[PlannedRow]:
        """Rows of which nothing whole is there, as far as asked for."""
        return [planned for planned in self.rows if planned.state == "train"]

    @cached_property
    def to_judge(self) -> list[PlannedRow]:
        """Rows that are made and whose scores are not of these inputs."""
        return [planned for planned in self.rows if planned.state == "judge"]

    @cached_property
    def to_retrieve(self) -> list[PlannedRow]:
        """Rows that are whole but for their pictures' places among the night's prompts."""
        return [planned for planned in self.rows if planned.retrieves]

    @property
    def asked_for(self) -> list[PlannedRow]:
        """Rows that are finished, or to be: all but those that `--only` leaves out."""
        return [planned for planned in self.rows if planned.state != "left out"]

    @property
    def to_take_over(self) -> list[OldRow]:
        """Rows of an older version, as far as they are to be judged."""
        return [row for row in self.old if self.by_domain[row.making.domain].state == "judge"]

    @property
    def has_work(self) -> bool:
        """Whether a night would do anything."""
        return bool(self.to_train or self.to_judge or self.to_retrieve)

    @property
    def working(self) -> list[PlannedRow]:
        """Rows that keep a worker busy."""
        return [*self.to_train, *self.to_judge]

    @property
    def needed_workers(self) -> tuple[WorkerSpec, ...]:
        """As many workers as there are rows for."""
        return self.workers[: max(len(self.working), bool(self.to_retrieve))]

    @property
    def base_paths(self) -> list[Path]:
        """The pretrained generators of all rows, in the canonical format."""
        return [Path(path) for path in dict.fromkeys(planned.source.base_path for planned in self.rows)]

    @property
    def rebuilt_from(self) -> list[Path]:
        """Those of them that results of this night, or finished ones, rebuild from."""
        paths = {
            planned.source.base_path: Path(planned.source.base_path)
            for planned in self.working
            if self.params.night.storage == "delta" or planned.method_object.weights_name is None
        }
        return list({*paths.values(), *self.kept_for_rows})

    @cached_property
    def kept_for_rows(self) -> list[Path]:
        """Those of them that finished rows rebuild from, as far as their records tell; most often the first does."""
        paths: dict[str, Path] = {}
        for planned in self.rows:
            source = planned.source
            if planned.state in ("current", "judge") and source.base_sha256 not in paths:
                with suppress(RecordError):
                    if source.base_sha256 in row_folder.read_making(planned.domain).bases:
                        paths[source.base_sha256] = Path(source.base_path)
        return list(paths.values())

    @cached_property
    def lost_copies(self) -> list[Path]:
        """Copies of these that are missing or damaged: the next night makes them anew."""
        return [path for path in map(base_models.missing, self.kept_for_rows) if path is not None]

    def deadline(self, started: datetime) -> datetime | None:
        """When a night that starts then takes no more rows."""
        text = self.params.night.deadline
        return None if text is None else deadline_after(started, text)

    def waiting(self, started: datetime) -> RowQueue:
        """The rows that need a worker, in the order in which a night that starts then takes them."""
        seconds = {planned.domain: planned.cost.seconds for planned in self.working}
        made = {planned.domain for planned in self.to_train}
        after = {planned.domain: on for planned in self.working if (on := planned.waits_for) in made and on}
        deadline = self.deadline(started)
        limit = math.inf if deadline is None else (deadline - started).total_seconds()
        priority = {planned.domain: planned.row.priority for planned in self.working}
        return RowQueue(seconds, first=self.first, deadline=limit, after=after, priority=priority)

    @cached_property
    def forecast(self) -> Forecast:
        """The night as it would go if it started now."""
        return forecast(self.waiting(datetime.now().astimezone()), [START_UP_SECONDS] * len(self.workers))

    @cached_property
    def makes_noise(self) -> bool:
        """Whether every generator draws noise by itself; without it `guide.views` must do so."""
        return all(pretrained.makes_noise(path) for path in self.base_paths)

    @property
    def disk_bytes(self) -> int:
        """Expected growth on all disks."""
        return sum(disk.need for disk in self.disks)

    @cached_property
    def disks(self) -> list[Disk]:
        """What the results need of each disk that they go to, and what is free there."""
        return disks(sum(planned.cost.num_bytes for planned in self.to_train))

    @cached_property
    def targets(self) -> dict[str, str]:
        """Domain -> target prompt of the rows among which retrieval is judged: all, or some of very many."""
        return candidates(self.rows)

    def job(self, planned: PlannedRow) -> RowJob:
        """What a worker needs for a row; the pool fills in its own device and threads."""
        return RowJob(
            row=planned.row,
            method=planned.method,
            config=planned.config,
            params=self.params,
            keys=planned.keys,
            seed=planned.seed,
            source=planned.source,
            targets=self.targets,
            left_out="" if planned.references is None else planned.references.left_out,
            prepared=planned.prepared,
            provenance={GENERATOR: planned.source.base_sha256, **_style(planned), **self.provenance},
            **self._worker(),
        )

    def group_job(self, group: Sequence[PlannedRow], folder: Path | None = None) -> GroupJob:
        """Rows to be made in one pass."""
        rows = tuple(self.job(planned) for planned in group)
        return GroupJob(rows=rows, folder=None if folder is None else str(folder), **self._worker())

    def ride(self, planned: PlannedRow) -> str:
        """What the method calls those of its rows that could be made in one pass with this one; asked once a row."""
        if planned.domain not in self._rides:
            self._rides[planned.domain] = planned.method_object.group(self.job(planned).assignment)
        return self._rides[planned.domain]

    @cached_property
    def _rides(self) -> dict[str, str]:
        return {}

    def evaluate_job(self, planned: PlannedRow, folder: Path | None = None) -> EvaluateJob:
        """A row to be judged, where its result lies, or in another folder."""
        return EvaluateJob(row=self.job(planned), folder=str(folder or HERE.adapted / planned.domain), **self._worker())

    def retrieve_job(self, rows: Sequence[PlannedRow]) -> RetrieveJob:
        """Rows whose pictures are to find their prompts anew."""
        entries = tuple((planned.domain, planned.goal, planned.keys.retrieval) for planned in rows)
        return RetrieveJob(params=self.params, rows=entries, targets=self.targets, **self._worker())

    def check_job(self) -> CheckJob:
        """Every model that the night needs, and every setting of it."""
        sources = {planned.source: planned for planned in self.working if planned.source.on is None}
        rows = tuple(sources.values()) or tuple(self.working[:1])
        params, used = self.params, defaultdict[str, set[str]](set)
        for planned in self.working:
            row = planned.row
            used[f"recipes.{row.recipe}" if row.recipe else row.method].add(planned.source.base_sha256)
        recipes = dict.fromkeys([*params.recipes, *(one.row.recipe for one in self.working if one.row.recipe)])
        named = {f"recipes.{name}": (params.recipe_method(name), params.recipe(name)) for name in recipes}
        named |= {name: (name, config) for name, config in params.methods.items()}
        every = {planned.source.base_sha256 for planned in rows}
        settings = []
        for place, (method, config) in named.items():
            # What no row uses is checked as well, but for files, which belong to one generator.
            bases = used[place] or (set() if find_method(method).files(config) else every)
            settings.append(CheckedSettings(place, METHODS[method], config, tuple(sorted(bases))))
        return CheckJob(rows=tuple(map(self.job, rows)), settings=tuple(settings), **self._worker())

    @property
    def row_seconds(self) -> float:
        """A row may take."""
        return self.params.night.row_timeout_minutes * 60

    def _worker(self) -> dict[str, Any]:
        return {"device": self.workers[0].device, "threads": self.workers[0].threads}

    def check_disk(self, rows: Sequence[PlannedRow]) -> None:
        """Refuse to make rows that would fill the disk.

        Raises:
            OutputError: less space than their results need.
        """
        for disk in disks(sum(planned.cost.num_bytes for planned in rows)):
            if disk.need > disk.free:
                what = rows[0].domain if len(rows) == 1 else f"{len(rows)} rows"
                raise OutputError(
                    f"{disk.folder}: {disk.free / 1e6:.0f} MB free; {what} needs {disk.need / 1e6:.0f} MB there; "
                    "free some space"
                )


def families_of(rows: Sequence[PlannedRow]) -> dict[str, list[PlannedRow]]:
    """Domain -> its rows, of those that have several, of which one is taken."""
    families: dict[str, list[PlannedRow]] = {}
    for planned in rows:
        if planned.domain != (domain := domain_of(planned.domain)):
            families.setdefault(domain, []).append(planned)
    return families


def candidates(rows: Sequence[PlannedRow]) -> dict[str, str]:
    """Domain -> target prompt of all rows, or of some of very many, evenly spread."""
    domains: dict[str, str] = {}
    for planned in rows:
        domains.setdefault(domain_of(planned.domain), planned.row.target)  # variants are of one prompt
    stride = math.ceil(len(domains) / MAX_CANDIDATES)
    return {domain: target for domain, target in list(domains.items())[::stride] if target}


def _style(planned: PlannedRow) -> dict[str, str]:
    """What is told of the pictures that a row learns from."""
    style = planned.style
    return {} if style is None else {STYLE: style.sha256, NUM_STYLE: str(style.num_images)}
