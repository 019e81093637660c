"""A plan made: everything read and checked, and what is left to do found out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from nada.config import Section
from nada.errors import InputError, PromptsError, nearest, quoted
from nada.methods.base import Method
from nada.methods.registry import METHODS, find_method
from tasks.caches import reference_pictures
from tasks.caches.checked_clips import check_clips
from tasks.caches.whole_rows import whole_rows
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.config.prompts import load_prompts
from tasks.config.row import PICTURES, Row
from tasks.keys.inputs import file_hashes
from tasks.keys.row_keys import KeyMaker, checkpoint_key, retrieval_key
from tasks.plan.capacity import Need, largest_need, models_bytes
from tasks.plan.devices import check_runner, find_workers
from tasks.plan.estimate import (
    CostEstimate,
    MeasuredRow,
    earlier_samples,
    estimate,
    judging_estimate,
    recipe_of,
    seconds_per_prepared,
)
from tasks.plan.guess.rough import Rough, rough_costs
from tasks.plan.plan import Plan, candidates
from tasks.plan.planned_row import PlannedRow, PlannedState
from tasks.row.job import OnRow, Source
from tasks.status.status_file import left_by_the_last_night
from tasks.store import prepared, pretrained, versioning
from tasks.store.old_rows import OldRow, OldRows
from tasks.store.pretrained import Pretrained
from tasks.store.row_folder import Keys, RowState
from tasks.variants.names import domain_of, step_of
from tasks.variants.picks import picks_of
from tasks.variants.rows import expanded
from tasks.workers.environment import installed
from tasks.workers.pool import WorkerSpec


def make_plan(
    params_path: Path,
    only: Sequence[str] = (),
    here: bool = False,
    prompts: Path | None = None,
    *,
    loads_clips: bool = True,
) -> Plan:
    """Read and check everything, and find out which rows are left to make and to judge.

    Args:
        params_path: params.yaml; paths within are relative to the working folder.
        only: make and judge none but these domains.
        here: whatever is done with the plan is done on this machine, and no Ray is asked.
        prompts: the CSV, in place of `night.prompts`.
        loads_clips: whether CLIPs are loaded, once, to see that they can be. It takes seconds, and a night's workers do
            it before any training.

    Raises:
        InputError: params, prompts, weights or reference images cannot be used.
    """
    params = read_params(params_path, here, prompts)
    check_runner(params.night)
    rows = load_prompts(Path(params.night.prompts), params)
    check_only(only, rows, params)
    only = expanded(only, [row.domain for row in rows])
    resolver = Resolver(params, rows)
    samples = earlier_samples()
    workers, capacity = find_workers(params, len(rows), partial(_need, resolver, samples))
    prices = Prices(samples, workers[0], params)
    planned, old, missing = [], [], set()
    with whole_rows() as whole:
        for one in resolver.keyed():
            found = whole.state_of(one.domain, one.keys)
            if found == "absent" and one.checkpoint_of is None and (left := resolver.left_by_older(one)) is not None:
                found = "made"
                old.append(left)
            state = planned_state(found, one.domain, only)
            if (found, state) == ("absent", "left out"):
                missing.add(one.domain)
            with_state = replace(one, state=state, retrieves=found == "judged")
            planned.append(replace(with_state, estimate=prices.of(with_state)))
    check_followers(planned, missing, params)
    if loads_clips and not here and any(one.state in ("train", "judge") for one in planned):
        check_clips(params, resolver.keys.networks)
    return Plan(
        params_path=params_path,
        params=params,
        rows=tuple(planned),
        workers=tuple(workers),
        capacity=capacity,
        provenance=provenance(resolver.keys),
        first=frozenset(left_by_the_last_night()),
        old=tuple(old),
        is_part=bool(only),
        picks=picks_of(row.domain for row in rows),
    )


def read_params(params_path: Path, here: bool, prompts: Path | None) -> Params:
    """params.yaml, with what the command line says in place of it."""
    params = load_params(params_path)
    if prompts is not None and not prompts.exists():
        raise PromptsError(f"{prompts}: no such file; name a CSV that is there, or none for night.prompts")
    changes: dict[str, Any] = {} if prompts is None else {"prompts": prompts.as_posix()}
    if here and params.night.runner == "ray":
        changes |= {"runner": "local", "device": "auto"}
    return params.model_copy(update={"night": params.night.model_copy(update=changes)}) if changes else params


class Resolver:
    """Rows with their settings, sources and keys; what they share is computed once.

    Args:
        params: all settings.
        rows: of the CSV, checked.
        prepare: finds a checkpoint in the canonical format, or writes it so.
    """

    def __init__(
        self,
        params: Params,
        rows: Sequence[Row],
        prepare: Callable[[str, Params], Pretrained] = pretrained.prepare_file,
    ) -> None:
        self.params = params
        self.rows = {row.domain: row for row in rows}
        self.keys = KeyMaker(params)
        self.old = OldRows(self.keys)
        self._planned: dict[str, PlannedRow] = {}
        self._prepare = prepare
        self._pretrained: dict[str, Pretrained] = {}

    def pretrained(self, row: Row) -> Pretrained:
        """The pretrained generator behind a row."""
        while row.on is not None:
            row = self.rows[row.on]
        weights = row.generator or self.params.generator.weights
        if weights not in self._pretrained:
            self._pretrained[weights] = self._prepare(weights, self.params)
        return self._pretrained[weights]

    def settings(self, row: Row) -> tuple[Method[Any, Any], Section]:
        """The row's method, and its section, overridden by the recipe, then by the row's own iterations."""
        method = find_method(row.method)
        config = self.params.recipe(row.recipe) if row.recipe else self.params.methods[row.method]
        return method, config if row.iterations is None else method.with_steps(config, row.iterations)

    def keyed(self) -> list[PlannedRow]:
        """Every row with all its keys; whether it is finished is found out later."""
        rows = [self.planned(row) for row in self.rows.values()]
        named = (getattr(one.row, column) for one in rows for column in ("style_images", *PICTURES))
        reference_pictures.keep(path for path in named if path is not None)
        targets = candidates(rows).values()
        retrieval = [retrieval_key(one.keys.evaluation, targets) for one in rows]
        return [replace(one, keys=replace(one.keys, retrieval=key)) for one, key in zip(rows, retrieval, strict=True)]

    def planned(self, row: Row) -> PlannedRow:
        """One row, its key of retrieval aside."""
        if row.domain not in self._planned:
            other = None if row.on is None else self.planned(self.rows[row.on])
            self._planned[row.domain] = self._keyed(row, other)
        return self._planned[row.domain]

    def left_by_older(self, planned: PlannedRow) -> OldRow | None:
        """What an older version left of a row that is absent, if it may be taken over."""
        return self.old.find(planned, self.pretrained(planned.row).family_module)

    def _keyed(self, row: Row, other: PlannedRow | None) -> PlannedRow:
        method, config = self.settings(row)
        base, keys = self.pretrained(row), self.keys
        family, seed = base.family_module, self.params.night.seed if row.seed is None else row.seed
        on = None
        if other is not None:
            on = OnRow(domain=other.domain, key=other.keys.making, method=other.method, source=other.source)
        source = Source(base_path=str(base.path), base_sha256=base.sha256, base_name=base.source_name, on=on)
        try:
            files = file_hashes(method, config, base.sha256)
        except InputError as err:
            raise PromptsError(f"{self.params.night.prompts}:{row.line}: {row.domain!r}: {err}") from err
        on_key = None if on is None else on.key
        prompts = (row.source, row.target)
        style = None if row.style_images is None else reference_pictures.look(row.style_images)
        style_sha256 = None if style is None else style.sha256
        prepared = keys.prepared(method, config, family, base.sha256)
        making = keys.making(method, config, prompts, seed, family, base.sha256, on_key, files, style_sha256, prepared)
        if (step := step_of(row.domain)) is not None:
            making = checkpoint_key(making, step)
        references, truth = (
            None if path is None else reference_pictures.look(path) for path in (row.reference_images, row.true_images)
        )
        of_references, of_truth = (None if found is None else found.sha256 for found in (references, truth))
        evaluation = keys.evaluation(making, family, of_references, of_truth, None if style is None else prompts)
        return PlannedRow(
            row=row,
            method=METHODS[row.method],
            config=config,
            seed=seed,
            source=source,
            keys=Keys(making=making, evaluation=evaluation, retrieval=""),
            state="train",
            prepared=prepared,
            references=references,
            style=style,
        )


class Prices:
    """What rows cost, by earlier rows on such a worker."""

    def __init__(self, samples: Sequence[MeasuredRow], worker: WorkerSpec, params: Params) -> None:
        self.samples, self.worker, self.params = samples, worker, params
        self._of = cache(self._estimate)
        self._priced: set[str] = set()

    def of(self, planned: PlannedRow) -> CostEstimate | None:
        """The estimate of a row that is to be made or judged."""
        if planned.state not in ("train", "judge"):
            return None
        state: PlannedState = planned.state if planned.checkpoint_of is None else "judge"
        cost = self._of(state, planned.method_object, planned.config, planned.source)
        missing = {key for key in planned.prepared if not prepared.is_there(key)} - self._priced
        if planned.state == "judge" or not missing:
            return cost
        self._priced |= missing  # the first of the rows that need it bears the cost
        return self._with_preparation(planned, cost)

    def _with_preparation(self, planned: PlannedRow, cost: CostEstimate) -> CostEstimate:
        from nada.checkpoints.canonical import read_header  # which imports torch, as the night will that does the work

        architecture = read_header(Path(planned.source.base_path)).config
        pictures = planned.method_object.pictures_to_prepare(planned.config, architecture)
        rough = self._rough(planned.source)
        seconds = pictures * seconds_per_prepared(planned.source.base_sha256, self.samples, self.worker, rough)
        return replace(cost, seconds=cost.seconds + seconds, preparing_seconds=seconds)

    def _estimate(self, state: PlannedState, method: Method[Any, Any], config: Section, source: Source) -> CostEstimate:
        if state == "judge":
            return judging_estimate(source.base_sha256, self.samples, self.worker, 0, self._rough(source))
        size = Path(source.base_path).stat().st_size
        return estimate(method, config, source.base_sha256, size, self.samples, self.worker, self._rough(source))

    def _rough(self, source: Source) -> Rough:
        return rough_costs(self.params, Path(source.base_path), self.worker.device.split(":")[0])


def planned_state(found: RowState, domain: str, only: Sequence[str]) -> PlannedState:
    """What a night does about a row of which so much is there."""
    if found in ("judged", "whole"):
        return "current"
    if only and domain not in only:
        return "left out"
    return "train" if found == "absent" else "judge"


def check_followers(planned: Sequence[PlannedRow], missing: Collection[str], params: Params) -> None:
    """Refuse rows that start from one that is neither there nor to be made.

    Args:
        planned: all rows.
        missing: domains of which nothing is there, and that are left out.
        params: for the message.

    Raises:
        PromptsError: names both.
    """
    for one in planned:
        if one.state in ("train", "judge") and one.waits_for in missing:
            raise PromptsError(
                f"{params.night.prompts}:{one.row.line}: {one.domain!r} starts from {one.waits_for!r}, which is not "
                f"finished; add --only {one.waits_for}"
            )


def _need(resolver: Resolver, samples: Sequence[MeasuredRow]) -> Need:
    """What the largest row needs on a GPU, by earlier rows of the same generators."""
    from nada.checkpoints.canonical import read_header  # which imports torch; where there is a GPU that was done

    needs = []
    params, rows = resolver.params, list(resolver.rows.values())
    for base in {resolver.pretrained(row) for row in rows}:
        alike = [sample for sample in samples if sample.generator == base.sha256]
        settings = [resolver.settings(row) for row in rows if resolver.pretrained(row) == base]
        configs = {recipe_of(method, config): (method, config) for method, config in settings}
        architecture, size = read_header(base.path).config, models_bytes(base.path, params)
        needs.append(largest_need(list(configs.values()), params, architecture, size, alike))
    return max(needs, key=lambda need: need.num_bytes)


def provenance(keys: KeyMaker) -> dict[str, str]:
    """Hashes of the networks, versions of what computes, and the commit of the working folder."""
    named: Mapping[str, str] = {f"sha256 of {name}": value for name, value in keys.networks.items()}
    return {**installed(), **versioning.commit(Path.cwd()), **named}


def check_only(only: Sequence[str], rows: Sequence[Row], params: Params) -> None:
    """Refuse names of domains that are not there.

    Raises:
        PromptsError: names the nearest.
    """
    names = {row.domain for row in rows}
    domains = list(dict.fromkeys(domain_of(row.domain) for row in rows))
    for name in only:
        if name not in names and name not in domains:
            hint = nearest(name, domains) or f"; it has {quoted(domains)}"
            raise PromptsError(f"{params.night.prompts}: no domain {name!r}{hint}")
