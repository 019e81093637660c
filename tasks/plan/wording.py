"""Counts, lengths of time and workers in words, for terminals and pages."""

from __future__ import annotations

from collections.abc import Sequence

from nada.errors import nearest
from tasks.config.project import HERE
from tasks.plan.capacity import GIB, Capacity
from tasks.plan.plan import Plan
from tasks.variants.names import domain_of
from tasks.variants.picks import load_picks

NAMES_SHOWN = 10


def workers_in_words(plan: Plan) -> str:
    """What works where, and with how many threads."""
    specs = plan.workers[: max(1, len(plan.working))]
    devices = sorted({spec.device for spec in specs})
    threads = count(specs[0].threads, "thread")
    where = " on Ray" if plan.params.night.runner == "ray" else ""
    return f"{count(len(specs), 'worker')}{where} ({', '.join(devices)}, {threads} each)"


def capacity_in_words(capacity: Capacity) -> str:
    """Why so many rows share a GPU.

    >>> from tasks.plan.capacity import Need
    >>> need = Need(num_bytes=4 << 30, basis="estimated")
    >>> capacity_in_words(Capacity(free={"cuda:0": 79 << 30}, need=need, each={"cuda:0": 4}))
    'A row needs about 4.0 GiB of a GPU (estimated): 4 at once on cuda:0 (79 GiB free).'
    """
    need, free = capacity.need, capacity.free
    shares = [f"{each} at once on {name} ({free[name] / GIB:.0f} GiB free)" for name, each in capacity.each.items()]
    return f"A row needs about {need.num_bytes / GIB:.1f} GiB of a GPU ({need.basis}): {', '.join(shares)}."


def left_out(plan: Plan) -> list[str]:
    """Of which style and reference pictures not all that is there is read, a line a folder or zip."""
    found: dict[str, list[str]] = {}
    for planned in plan.rows:
        row = planned.row
        for path, pictures in ((row.style_images, planned.style), (row.reference_images, planned.references)):
            if pictures is not None and (words := pictures.in_words(path or "")):
                found.setdefault(words, []).append(planned.domain)
    return [f"{words} ({listed(domains)})" for words, domains in found.items()]


def doubts(plan: Plan) -> list[str]:
    """Settings of rows to be made that their methods would think over, a line each."""
    found: dict[str, list[str]] = {}
    alike: dict[tuple[str, str], list[str]] = {}
    for planned in plan.to_train:
        method, row = planned.method_object, planned.row
        for words in method.doubts(planned.config):
            found.setdefault(f"{method.name}.{words}", []).append(planned.domain)
        if not method.draws_by_seed:
            words = f"{method.name}: nothing is drawn by seed, so that variants of one recipe are equal; one will do"
            alike.setdefault((words, f"{domain_of(planned.domain)} {row.recipe}"), []).append(planned.domain)
    for (words, _), domains in alike.items():
        if len(domains) > 1:
            found.setdefault(words, []).extend(domains)
    return [f"{words} ({listed(domains)})" for words, domains in found.items()]


def idle_picks(plan: Plan) -> list[str]:
    """Picks of what is no domain of the CSV, a line each: of another CSV, or misspelt."""
    domains = {domain_of(planned.domain) for planned in plan.rows}
    return [
        f"{HERE.picks}:{pick.line}: {pick.domain!r} is no domain of {plan.params.night.prompts}"
        f"{nearest(pick.domain, domains)}; the line decides nothing here"
        for pick in load_picks().values()
        if pick.domain not in domains
    ]


def minutes(value: float) -> str:
    """A length of time, as precise as a guess deserves.

    >>> minutes(0.01), minutes(0.4), minutes(7.6), minutes(200)
    ('1 second', '24 seconds', '8 minutes', '3.3 hours')
    """
    if value < 1.5:
        return count(max(1, round(value * 60)), "second")
    return f"{value:.0f} minutes" if value < 90 else f"{value / 60:.1f} hours"


def span(value: float, spread: float) -> str:
    """A length of time that is a guess: from so many times less to so many times more.

    >>> span(6, 1.6), span(0.5, 1.6), span(80, 4), span(3, 1)
    ('4 to 10 minutes', '19 to 48 seconds', '20 minutes to 5.3 hours', '3 minutes')
    """
    low, high = minutes(value / spread), minutes(value * spread)
    number, _, unit = low.partition(" ")
    return high if low == high else f"{number} to {high}" if high.endswith(f" {unit}") else f"{low} to {high}"


def listed(domains: Sequence[str]) -> str:
    """The first of many names, and how many more there are.

    >>> listed(["a", "b"]), listed([str(number) for number in range(30)])
    ('a, b', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more')
    """
    shown = ", ".join(domains[:NAMES_SHOWN])
    return shown if len(domains) <= NAMES_SHOWN else f"{shown} and {len(domains) - NAMES_SHOWN} more"


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "row"), count(2, "row")
    ('1 row', '2 rows')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
