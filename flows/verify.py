"""`nada verify`: finished rows made again beside themselves and compared bit by bit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.cli.display import Display
from nada.errors import InputError, NadaError
from tasks.plan.groups import may_ride_along
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.row.verify import Comparison, compare, remake_job
from tasks.store import row_folder
from tasks.store.record import Record
from tasks.variants.names import domain_of
from tasks.variants.published import finished, unpublished
from tasks.variants.rows import expanded
from tasks.workers.group import RowGroup
from tasks.workers.local import WorkerPool
from tasks.workers.pool import EVALUATE_ROW, WorkerSpec


def verify(plan: Plan, domains: Sequence[str], display: Display) -> list[str]:
    """Make finished rows again, each on the device and with the threads of its record; returns those that differ.

    Args:
        plan: of the whole project.
        domains: which ones; none means all that are finished.
        display: told of every row as it ends.

    Raises:
        InputError: a domain is not finished, its inputs have changed since, or this machine lacks its device.
    """
    asked = expanded(domains, plan.by_domain)
    chosen = [planned for planned in plan.rows if not domains or planned.domain in asked]
    chosen = [planned for planned in chosen if planned.checkpoint_of is None]  # which was not made by itself
    if domains:
        _check_finished(chosen)
    groups: dict[WorkerSpec, list[tuple[PlannedRow, Record]]] = defaultdict(list)
    for planned in chosen:
        if planned.state == "current":
            record = row_folder.read_record(planned.domain)
            making = record.making
            groups[WorkerSpec(device=making.device, threads=making.threads)].append((planned, record))
    if not groups:
        raise InputError("weights/adapted: no finished domain to verify; nada run makes them")
    known = {spec.device for spec in plan.workers} | {"cpu"}
    for spec, rows in groups.items():
        if spec.device not in known:
            names = ", ".join(planned.row.domain for planned, _ in rows)
            raise InputError(f"{names}: made on {spec.device}; night.device offers {', '.join(sorted(known))} here")
    differing = [domain for spec, rows in groups.items() for domain in _verify_group(plan, spec, rows, display)]
    return [*differing, *_unpublished(plan, {domain_of(planned.domain) for planned in chosen}, display)]


def _unpublished(plan: Plan, domains: Set[str], display: Display) -> list[str]:
    """Those of several rows whose folder does not hold, whole, the row that is to be taken."""
    wrong = []
    for domain in domains & plan.families.keys():
        rows = plan.families[domain]
        if (choice := unpublished(domain, finished(rows), plan.picks.get(domain), len(rows))) is not None:
            display.failed(domain, f"its folder is not {choice.name}, whole, which is to be taken; nada run mends it")
            wrong.append(domain)
    return sorted(wrong)


def _check_finished(chosen: Sequence[PlannedRow]) -> None:
    for planned in chosen:
        if planned.state != "current":
            raise InputError(
                f"{planned.row.domain}: not finished with the inputs of now, so there is nothing to verify; "
                f"nada run --only {planned.row.domain} trains it"
            )


def _verify_group(plan: Plan, spec: WorkerSpec, rows: list[tuple[PlannedRow, Record]], display: Display) -> list[str]:
    """Rows of one kind of worker, side by side; returns the domains that differ."""
    specs = [spec] * min(len(plan.workers), len(rows))

    def check(row: tuple[PlannedRow, Record]) -> str | None:
        planned, record = row
        try:
            verdict = _remade(plan, pool, planned, record, display)
        except NadaError as err:
            display.failed(planned.row.domain, str(err))
            return planned.row.domain
        num_files = len({**record.making.files, **record.evaluation.files})
        display.say(in_words(planned.domain, verdict, num_files), "red" if verdict.differing else "green")
        return planned.row.domain if verdict.differing else None

    with WorkerPool(specs) as pool, ThreadPoolExecutor(len(specs)) as threads:
        return [domain for domain in threads.map(check, rows) if domain is not None]


def _remade(plan: Plan, pool: WorkerPool, planned: PlannedRow, record: Record, display: Display) -> Comparison:
    """Make and judge a row again, in a pass of the same rows as it was made in, as far as they are still there.

    Raises:
        NadaError: as rows raise.
    """
    limit = plan.row_seconds
    with TemporaryDirectory(prefix="nada-verify-") as folder:
        group = [plan.by_domain[domain] for domain in record.making.group if domain in plan.by_domain]
        rows = [other for other in group if other == planned or may_ride_along(plan, planned, other)]
        job = remake_job(plan.group_job(rows, Path(folder)), record.making)
        remade = RowGroup(pool, job, limit, display.progress).result(planned.domain)
        place = Path(folder) / planned.domain
        judged = plan.evaluate_job(planned, place)
        pool.run(EVALUATE_ROW, judged, display.progress, timeout_seconds=limit, about=planned.domain)
        return compare(record.making, record.evaluation, remade, place)


def in_words(domain: str, verdict: Comparison, num_files: int) -> str:
    """A row's verdict in a line.

    >>> in_words("sepia", Comparison(differing=(), circumstances=("torch: 2.12 then, 2.13 now",)), 5)
    'sepia: the same bytes in all 5 files (torch: 2.12 then, 2.13 now)'
    """
    changed = "; ".join(verdict.circumstances)
    if not verdict.differing:
        return f"{domain}: the same bytes in all {num_files} files" + (f" ({changed})" if changed else "")
    why = changed or "nothing else that is recorded does"
    return f"{domain}: DIFFERS in {', '.join(verdict.differing)}; also different: {why}"
