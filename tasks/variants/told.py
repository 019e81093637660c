"""What a night's rows come to for readers: one record a domain, and how the variants of each compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.plan.plan import Plan
from tasks.store.record import Record
from tasks.variants.choice import Choice, choose, mean_and_spread, unpicked
from tasks.variants.published import among, renamed


@dataclass(frozen=True, kw_only=True)
class Family:
    """A domain of several rows, as far as they are finished."""

    domain: str
    choice: Choice
    records: dict[str, Record]
    """Row -> its record, in the order of the night."""

    def spread(self, score: str) -> tuple[float, float] | None:
        """Mean and spread of a score over the variants that were trained; None where none has it."""
        found = [self.records[name].scores for name in unpicked(list(self.records))]
        values = [scores[score].value for scores in found if score in scores]
        return mean_and_spread(values) if values else None


@dataclass(frozen=True)
class Told:
    """Finished domains."""

    records: list[Record] = field(default_factory=list)
    """One a domain, under its name."""
    families: dict[str, Family] = field(default_factory=dict)
    """Of domains that have several rows."""

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


def tell(plan: Plan, records: Mapping[str, Record]) -> Told:
    """What readers are told of the finished rows of a plan; row -> its record."""
    families = {}
    for domain, rows in plan.families.items():
        if found := among(records, rows):
            choice = choose(domain, found, plan.picks.get(domain), len(rows))
            families[domain] = Family(domain=domain, choice=choice, records=found)
    several = {planned.domain for rows in plan.families.values() for planned in rows}
    alone = [record for name, record in records.items() if name not in several]
    taken = [renamed(family.records[family.choice.name], domain) for domain, family in families.items()]
    return Told([*alone, *taken], families)


def by_row(records: Sequence[Record]) -> dict[str, Record]:
    """Row -> its record."""
    return {record.domain: record for record in records}
