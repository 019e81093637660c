"""Rows of the night out of rows of the CSV: one each, or one a variant; and a checkpoint's, where one was picked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nada.errors import PromptsError
from tasks.config.model import Params
from tasks.config.row import Row
from tasks.config.row_checks import Problem, checked_row, override_problems
from tasks.variants.cells import CellsError, variants_in
from tasks.variants.names import domain_of, row_name
from tasks.variants.picks import Pick, checked


@dataclass(frozen=True)
class Tries:
    """What one row of the CSV asks for."""

    variants: dict[str, Row]
    """Variant -> its row, which still bears the domain's name."""
    problems: list[str]


def tries_of(line: int, row: Mapping[str, str], params: Params) -> Tries:
    """The variants of a row, or what is wrong with its cells beside the prompts."""
    try:
        variants = variants_in(row, params)
    except CellsError as err:
        return Tries({}, [str(err)])
    cells = {variant.name: {**row, "recipe": variant.recipe, "seed": variant.seed} for variant in variants}
    problems = [problem for one in cells.values() for problem in override_problems(one, params)]
    if problems:
        return Tries({}, list(dict.fromkeys(problems)))
    return Tries({name: checked_row(line, one, params) for name, one in cells.items()}, [])


def named(variants: Mapping[str, Row], pick: Pick | None) -> list[Row]:
    """A domain's rows of the night, with their names.

    A row with one variant is its domain. One whose checkpoint was picked is a variant, so that its own result stays
    beside the checkpoint that is the domain.
    """
    domain = next(iter(variants.values())).domain
    if len(variants) == 1 and (pick is None or pick.step is None):
        return list(variants.values())
    rows = [replace(row, domain=row_name(domain, variant)) for variant, row in variants.items()]
    if pick is not None and pick.step is not None:
        rows.append(replace(variants[pick.variant], domain=row_name(domain, pick.variant, pick.step)))
    return rows


def all_named(tries: Iterable[Mapping[str, Row]], picks: Mapping[str, Pick], path: Path) -> list[Row]:
    """Rows of the night of a whole CSV.

    Raises:
        PromptsError: a pick names a variant that is not there.
    """
    rows: list[Row] = []
    problems = []
    for variants in tries:
        pick = picks.get(next(iter(variants.values())).domain)
        if pick is not None and (problem := checked(pick, list(variants))):
            problems.append(f"{path}:{pick.line}: {problem}")
        else:
            rows += named(variants, pick)
    if problems:
        raise PromptsError(*problems)
    return rows


def resolved(rows: Sequence[Row], picks: Mapping[str, Pick]) -> tuple[list[Row], list[Problem]]:
    """Rows whose `on` names a row of the night: of a domain with variants the one that was picked."""
    families: dict[str, list[str]] = {}
    for row in rows:
        families.setdefault(domain_of(row.domain), []).append(row.domain)
    found, problems = [], []
    for row in rows:
        names = [] if row.on is None else families.get(row.on, [])
        if not names or row.on in names:
            found.append(row)
        elif pick := picks.get(row.on or ""):
            found.append(replace(row, on=row_name(pick.domain, pick.variant, pick.step)))
        else:
            found.append(row)
            advice = f"name one, such as {names[0]}, or choose one: nada pick {row.on} VARIANT"
            problems.append((row.line, f"'on' is {row.on!r}, which has {len(names)} variants; {advice}"))
    return found, problems


def expanded(names: Sequence[str], rows: Iterable[str]) -> list[str]:
    """Rows that a person names, each by its own name or all of a domain at once.

    >>> expanded(["sketch"], ["sketch_style-0", "sketch_style-1", "robot"])
    ['sketch_style-0', 'sketch_style-1']
    """
    known: dict[str, list[str]] = {}
    for row in rows:
        known.setdefault(domain_of(row), []).append(row)
    known |= {row: [row] for of in known.values() for row in of}
    return list(dict.fromkeys(found for name in names for found in known.get(name, ())))
