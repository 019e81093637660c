"""Prompts worth a second look, as sentences, before a night is paid for."""

from __future__ import annotations

from collections.abc import Sequence

from nada.config import Params
from tasks.prompts import Row

MAX_ROWS = 200
"""With more rows than this the texts alone take minutes on a CPU; the first ones are looked at."""


def prompt_warnings(rows: Sequence[Row], params: Params) -> list[str]:
    """One line a finding, `prompts.csv:7: sketch: what is the matter`, by the guides that will lead the training.

    Args:
        rows: those that are to be trained.
        params: whose guide and prompts file.

    Raises:
        GuideError, CheckpointError: a guide cannot be loaded.
    """
    if not rows:
        return []
    from nada.guide import PromptPair, load_guide
    from nada.preflight import preflight

    looked_at = rows[:MAX_ROWS]
    pairs = [PromptPair(row.source, row.target) for row in looked_at]
    found: dict[tuple[int, str], list[str]] = {}
    for model in load_guide(params.guide, "cpu").models:
        for finding in preflight(model, pairs):
            row = looked_at[finding.index]
            names = row.domain if finding.other is None else f"{row.domain} and {looked_at[finding.other].domain}"
            found.setdefault((row.line, f"{names}: {finding.text}"), []).append(model.name)
    lines = [
        f"{params.night.prompts}:{line}: {text} ({', '.join(names)})" for (line, text), names in sorted(found.items())
    ]
    if len(rows) > MAX_ROWS:
        lines.append(f"{params.night.prompts}: only the first {MAX_ROWS} of {len(rows)} rows to train were looked at")
    return lines
