"""The variants of a domain side by side: pictures, figures, which was taken and why, and how to take another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.report.score_catalogue import SCORES, at_a_glance
from tasks.report.thumbnails import read_sheet, side_of, strips_shown
from tasks.report.triage import triage
from tasks.store.row_folder import sheet_path
from tasks.variants.choice import unpicked
from tasks.variants.names import step_of, variant_of
from tasks.variants.told import Family


def variants_shown(family: Family | None, adapted_dir: Path, num_cards: int) -> dict[str, Any] | None:
    """What the template shows of a domain that has several rows; None of any other.

    Args:
        family: the domain's.
        adapted_dir: where the rows' folders are.
        num_cards: cards with pictures on the page.
    """
    if family is None:
        return None
    scores = {name for record in family.records.values() for name in record.scores}
    glance = [meaning for meaning in SCORES if meaning in at_a_glance(scores)]
    lines = []
    for name, record in family.records.items():
        sheet = read_sheet(sheet_path(adapted_dir / name)) if num_cards else None
        strips = [] if sheet is None else strips_shown(sheet, side_of(record), num_cards * len(family.records))
        figures = [
            (meaning.label, meaning.pattern.format(record.scores[meaning.name].value))
            for meaning in glance
            if meaning.name in record.scores
        ]
        lines.append(
            {
                "name": name,
                "variant": variant_of(name),
                "step": step_of(name),
                "kept_step": record.making.kept_step,
                "strip": strips[1] if len(strips) > 1 else None,
                "triage": triage(record),
                "figures": figures,
                "is_taken": name == family.choice.name,
                "command": f"nada pick {family.domain} {variant_of(name).partition('_')[0]}"
                + ("" if step_of(name) is None else f" --step {step_of(name)}"),
            }
        )
    spreads = [(meaning, spread) for meaning in glance if (spread := family.spread(meaning.name)) is not None]
    trained = unpicked(list(family.records))
    return {
        "taken": f"{variant_of(family.choice.name)} of {len(trained)}",
        "lines": lines,
        "why": family.choice.why,
        "is_picked": family.choice.is_picked,
        "spread": ", ".join(
            f"{meaning.label} {meaning.pattern.format(mean)} ±{meaning.pattern.format(deviation)}"
            for meaning, (mean, deviation) in spreads
        ),
    }
