"""Rows that are added to the CSV while its night runs: taken up between rows, as long as nothing else of it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nada.errors import InputError
from tasks.caches.whole_rows import whole_rows
from tasks.config.model import Params
from tasks.config.prompts import load_prompts
from tasks.config.row import Row
from tasks.plan.estimate import earlier_samples
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.plan.planning import Prices, Resolver, planned_state
from tasks.plan.wording import listed
from tasks.store.pretrained import Pretrained, find_main, prepare_file
from tasks.variants.picks import picks_of

LATER = "its new rows wait for the next night"
CHANGED = "files or code changed while the night runs"


@dataclass(frozen=True)
class Grown:
    """A look at a CSV that is another one than before."""

    plan: Plan | None = None
    """With the new rows; None where there are none, or none can be taken up."""
    added: tuple[PlannedRow, ...] = ()
    problem: str = ""
    """Why they cannot."""


class Growth:
    """Looks at the CSV of a plan now and then.

    Args:
        path: of the CSV.
        takes: whether new rows are wanted; a night of some domains alone wants none.
    """

    def __init__(self, path: Path, takes: bool = True) -> None:
        self.path, self.takes = path, takes
        self._version: tuple[int, int, int] | None = None  # it may be another one since the night was planned

    def look(self, plan: Plan) -> Grown:
        """What is new; nothing while nobody touched the file."""
        version = self._stat()
        if version == self._version or not self.takes:
            return Grown()
        self._version = version
        try:
            return grown(plan, load_prompts(self.path, plan.params))
        except InputError as err:
            return Grown(problem=f"{' '.join(str(err).split())}; {LATER}")

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def grown(plan: Plan, rows: list[Row]) -> Grown:
    """A plan with the rows that it does not have yet, its own as they were.

    Raises:
        InputError: a new row's files cannot be used, or what the night's own start from changed.
    """
    by_name = {row.domain: row for row in rows}
    changed = [name for name, own in plan.by_domain.items() if not _is_as_it_was(own.row, by_name.get(name))]
    if changed:
        return Grown(problem=f"{plan.params.night.prompts}: {listed(changed)} changed while the night runs; {LATER}")
    if len(by_name) == len(plan.rows):
        return Grown()
    resolver = Resolver(plan.params, rows, _as_it_was)
    keyed = {one.domain: one for one in resolver.keyed()}
    if any(keyed[name].keys.making != own.keys.making for name, own in plan.by_domain.items()):
        return Grown(problem=f"{plan.params.night.prompts}: {CHANGED}; {LATER}")
    added = _new_rows(plan, keyed)
    kept = [replace(own, row=keyed[name].row, keys=keyed[name].keys) for name, own in plan.by_domain.items()]
    picks = picks_of(by_name)
    return Grown(plan=replace(plan, rows=(*kept, *added), picks=picks), added=tuple(added))


def _as_it_was(weights: str, params: Params) -> Pretrained:
    """A generator in the canonical format. The main one is not written anew: rows that begin later read its place."""
    if weights != params.generator.weights:
        return prepare_file(weights, params)
    if (found := find_main(params)) is None:
        raise InputError(f"{params.night.prompts}: {CHANGED}")
    return found


def _new_rows(plan: Plan, keyed: Mapping[str, PlannedRow]) -> list[PlannedRow]:
    prices = Prices(earlier_samples(), plan.workers[0], plan.params)
    with whole_rows() as whole:
        states = {name: whole.state_of(name, one.keys) for name, one in keyed.items()}
    added = []
    for name, one in keyed.items():
        if name not in plan.by_domain:
            found = states[name]
            with_state = replace(one, state=planned_state(found, name, ()), retrieves=found == "judged")
            added.append(replace(with_state, estimate=prices.of(with_state)))
    return added


def _is_as_it_was(own: Row, now: Row | None) -> bool:
    return now is not None and replace(now, line=own.line) == own
