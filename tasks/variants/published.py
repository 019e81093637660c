"""The folder of a domain that has several rows: a copy of the one that was taken, under the domain's name.

Whoever samples, exports, mixes or versions the domain finds a row like any other. Files are shared with the row where
the disk can; nobody changes one in place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nada.atomic import writing
from tasks.config.project import HERE
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.store import row_folder
from tasks.store.record import (
    EVALUATION_NAME,
    MAKING_NAME,
    RETRIEVAL_NAME,
    Making,
    Record,
    RecordError,
    read_entry,
    read_record,
    write_entry,
)
from tasks.store.row_folder import Keys
from tasks.variants.choice import Choice, choose
from tasks.variants.names import domain_of
from tasks.variants.picks import Pick


def publish_domains(
    plan: Plan, records: Mapping[str, Record] | None = None, domains: Collection[str] | None = None
) -> dict[str, Choice]:
    """Let every domain of several rows be what was picked, or the judge's best of what is finished.

    Args:
        plan: of the night.
        records: row -> record of what is finished; by default of what was when it was planned.
        domains: these alone; by default all.

    Returns:
        Domain -> what was taken, where that is another row than before.

    Raises:
        OutputError: a folder cannot be written.
    """
    changed = {}
    for domain in plan.families if domains is None else [name for name in domains if name in plan.families]:
        rows = plan.families[domain]
        found = finished(rows) if records is None else among(records, rows)
        if (choice := unpublished(domain, found, plan.picks.get(domain), len(rows))) is not None:
            copy_row(choice.name, domain)
            changed[domain] = choice
    return changed


def unpublished(domain: str, records: Mapping[str, Record], pick: Pick | None, num_rows: int) -> Choice | None:
    """What is to be a domain of several rows, where its folder does not hold that, whole; arguments as of `choose`."""
    if not records:
        return None
    choice = choose(domain, records, pick, num_rows)
    taken = records[choice.name]
    keys = Keys(taken.making.key, taken.evaluation.key, taken.retrieval.key)
    return None if row_folder.state_of(domain, keys) == "whole" else choice


def finished(rows: Sequence[PlannedRow]) -> dict[str, Record]:
    """Row -> record of those that were finished when they were planned."""
    records = {}
    for planned in rows:
        if planned.state == "current":
            with suppress(RecordError):  # of a night that was killed before its pictures found their prompts
                records[planned.domain] = row_folder.read_record(planned.domain)
    return records


def among(records: Mapping[str, Record], rows: Sequence[PlannedRow]) -> dict[str, Record]:
    """Those of these rows, in their order."""
    return {planned.domain: records[planned.domain] for planned in rows if planned.domain in records}


def renamed(record: Record, name: str) -> Record:
    """The record of a row under another name."""
    making = record.making.model_copy(update={"domain": name, "row": replace(record.row, domain=name)})
    return Record(
        making=making,
        evaluation=record.evaluation.model_copy(update={"domain": name}),
        retrieval=record.retrieval.model_copy(update={"domain": name}),
    )


def copy_row(name: str, other: str) -> None:
    """Publish a finished row under another name as well.

    Args:
        name: of a row, which is made and may be judged.
        other: of the domain, or of the row of the same making that it is to be.

    Raises:
        OutputError: the folder cannot be written.
        RecordError: nothing is made there.
    """
    source, partial = HERE.adapted / name, row_folder.partial_dir(other)
    try:
        making = read_entry(source / MAKING_NAME, Making)
        files = {*making.files, *row_folder.JUDGED_NAMES, row_folder.sheet_path(source).name}
        with writing(partial):
            for file in files:
                if (source / file).is_file():
                    _share(source / file, partial / file)
        with suppress(RecordError):  # not judged: the row under the other name is not either
            record = renamed(read_record(source), other)
            write_entry(partial / EVALUATION_NAME, record.evaluation)
            write_entry(partial / RETRIEVAL_NAME, record.retrieval)
        row = replace(making.row, domain=other)
        write_entry(partial / MAKING_NAME, making.model_copy(update={"domain": other, "row": row}))
        row_folder.publish(partial, other)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def adopt(plan: Plan) -> list[str]:
    """Rows that were made under another name of their domain: a row of the CSV that became one of several, or one of
    several that is the only one now. Returns those that are there now.

    Raises:
        OutputError: a folder cannot be written.
    """
    wanted = [planned for planned in plan.to_train if planned.checkpoint_of is None]
    if not wanted or not HERE.adapted.is_dir():
        return []
    there: dict[str, list[str]] = {}
    for path in sorted(HERE.adapted.iterdir()):
        there.setdefault(domain_of(path.name), []).append(path.name)
    return [planned.domain for planned in wanted if _adopted(planned, there.get(domain_of(planned.domain), []))]


def _adopted(planned: PlannedRow, names: Sequence[str]) -> bool:
    for name in names:
        if name != planned.domain and row_folder.is_made(HERE.adapted / name, name, planned.keys.making):
            copy_row(name, planned.domain)
            return True
    return False


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another kind of disk
        shutil.copyfile(source, target)
