"""picks.csv: which variant, or which kept checkpoint, a person took in place of the judge's best.

    domain,variant,step
    sketch,style-3,
    robot,style-0,120

It lies beside prompts.csv, is tracked like it, and is an input of the night like it: whoever clones the project comes
to the same choice.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nada.atomic import replacing
from nada.errors import PromptsError, nearest, quoted, shown
from tasks.config.project import HERE
from tasks.store.plain_data import read_csv
from tasks.variants.names import domain_of

COLUMNS = ("domain", "variant", "step")
STEP = re.compile(r"[1-9]\d{0,8}")


@dataclass(frozen=True)
class Pick:
    """One line."""

    domain: str
    variant: str
    step: int | None = None
    """Of a checkpoint that the variant's training kept; None: what the training itself came to."""
    line: int = 0


def load_picks(path: Path | None = None) -> dict[str, Pick]:
    """Domain -> what was picked; nothing where there is no file.

    Raises:
        PromptsError: one line a problem: `picks.csv:3: 'step' is 'x'; ...`.
    """
    path = path or HERE.picks
    if not path.exists():
        return {}
    records = list(read_csv(path, "nada pick writes it"))
    if not records or tuple(records[0][1]) != COLUMNS:
        line = records[0][0] if records else 1
        raise PromptsError(f"{path}:{line}: the first line is {','.join(COLUMNS)}")
    picks: dict[str, Pick] = {}
    problems = []
    for line, cells in records[1:]:
        if problem := _problem(cells, picks):
            problems.append(f"{path}:{line}: {problem}; nada pick writes such lines")
        else:
            domain, variant, step = cells
            picks[domain] = Pick(domain, variant, int(step) if step else None, line)
    if problems:
        raise PromptsError(*problems)
    return picks


def picks_of(rows: Iterable[str]) -> dict[str, Pick]:
    """`load_picks`, for the domains of these rows alone."""
    domains = set(map(domain_of, rows))
    return {domain: pick for domain, pick in load_picks().items() if domain in domains}


def save_picks(picks: Mapping[str, Pick], path: Path | None = None) -> None:
    """Write the file anew, whole or not at all; its lines keep their order.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for pick in picks.values():
        writer.writerow([pick.domain, pick.variant, "" if pick.step is None else pick.step])
    with replacing(path or HERE.picks) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def checked(pick: Pick, variants: Sequence[str]) -> str:
    """What is wrong with a pick of a domain that has these variants; empty where nothing is."""
    if pick.variant in variants:
        return ""
    hint = nearest(pick.variant, variants) or f"; {pick.domain} has {quoted(variants)}"
    return f"'variant' is {shown(pick.variant)}{hint}; nada pick {pick.domain} --judge takes the line back"


def matching(text: str, variants: Sequence[str]) -> list[str]:
    """The variants that a person means: by name, or by seed or recipe where that tells them apart.

    >>> matching("2", ["style-1", "style-2"]), matching("drawing", ["style-0", "drawing-0"])
    (['style-2'], ['drawing-0'])
    >>> matching("2", ["style-2", "drawing-2"])
    ['style-2', 'drawing-2']
    """
    if text in variants:
        return [text]
    return [variant for variant in variants if text in variant.rpartition("-")[::2]]


def _problem(cells: Sequence[str], picks: Mapping[str, Pick]) -> str:
    if len(cells) != len(COLUMNS):
        return f"{len(cells)} cells for {len(COLUMNS)} columns"
    domain, variant, step = cells
    if not domain or not variant:
        return f"{'variant' if domain else 'domain'!r} is empty"
    if domain in picks:
        return f"'domain' is {shown(domain)}, which is picked on line {picks[domain].line} already"
    if step and not STEP.fullmatch(step):
        return f"'step' is {shown(step)}; expected a whole number of steps, or nothing"
    return ""
