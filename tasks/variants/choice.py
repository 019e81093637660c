"""Which of a domain's rows is the domain: the one that was picked, else the judge's best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from tasks.report.triage import KINDS, followed, triage
from tasks.store.record import Record
from tasks.variants.names import made_with, row_name, step_of, variant_of
from tasks.variants.picks import Pick


@dataclass(frozen=True)
class Choice:
    """A domain's row, and why."""

    name: str
    """Of the row of the night."""
    why: str
    """For the report."""
    is_picked: bool = False


def choose(domain: str, records: Mapping[str, Record], pick: Pick | None, num_rows: int) -> Choice:
    """The row that is to be the domain.

    The judge's best is the one of the best verdict, and among those the one whose pictures follow the text (or the
    style pictures) most. A checkpoint that was picked is taken, and takes no part in that.

    Args:
        domain: its name.
        records: row of the night -> record of those that are finished, in the order of the night; one or more.
        pick: what a person took in place of the judge's best.
        num_rows: rows that the domain has, finished or not.
    """
    named = None if pick is None else row_name(domain, pick.variant, pick.step)
    trained = {name: record for name, record in records.items() if step_of(name) is None}
    best = None if not trained else min(trained, key=lambda name: _place(trained[name]))
    words = "" if best is None else ", ".join(filter(None, (variant_of(best), in_words(records[best]))))
    waits = "" if named is None or named in records else f"; {variant_of(named)} was picked and is not finished"
    for name in (named, None if named is None else made_with(named)):  # a checkpoint, and until it is there its row
        if name in records:
            rest = "" if best in (None, name) else f"; the judge's best is {words}"
            return Choice(str(name), f"picked by hand{rest}{waits}", is_picked=True)
    unfinished = num_rows - len(records)
    rest = f"; {unfinished} unfinished" if unfinished else ""
    return Choice(best or next(iter(records)), f"the judge's best of {len(trained)}: {words}{rest}{waits}")


def in_words(record: Record) -> str:
    """The figures by which it is compared with the others.

    Such as `good, direction 0.71`.
    """
    follows, _ = followed(record.scores)
    return f"{triage(record).kind}, direction {follows.value:.2f}"


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Of a figure over variants: the mean, and the standard deviation of the sample; 0 for one.

    >>> mean_and_spread([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    return fmean(values), stdev(values) if len(values) > 1 else 0.0


def _place(record: Record) -> tuple[int, float]:
    return KINDS.index(triage(record).kind), -followed(record.scores)[0].value


def unpicked(names: Sequence[str]) -> list[str]:
    """Without checkpoints: those that were trained.

    >>> unpicked(["a_style-0", "a_style-0_20"])
    ['a_style-0']
    """
    return [name for name in names if made_with(name) == name]
