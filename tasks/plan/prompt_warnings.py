"""Prompts worth a second look, as sentences, before a night is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nada.config import GuideClipConfig
from tasks.config.model import Params
from tasks.config.row import Row
from tasks.keys.inputs import guide_hashes
from tasks.variants.names import domain_of

if TYPE_CHECKING:
    from nada.clip.model import ClipModel
    from tasks.caches.text_cache import KnownTexts

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
    if not any(row.target for row in rows):
        return []
    from nada.clip.prompt_checks import preflight

    rows = [row for row in rows if row.target]  # the others are shown, and not told
    rows = list({domain_of(row.domain): row for row in reversed(rows)}.values())[::-1]  # variants are of one prompt
    looked_at = rows[:MAX_ROWS]
    found: dict[tuple[int, str], list[str]] = {}
    identities = guide_hashes(params.guide)
    for index, clip in enumerate(params.guide.models):
        reader = _reader(clip, params, identities[f"guide.models.{index}"])
        for finding in preflight(reader, looked_at):
            row = looked_at[finding.index]
            both = [row] if finding.other is None else [row, looked_at[finding.other]]
            names = " and ".join(domain_of(one.domain) for one in both)
            found.setdefault((row.line, f"{names}: {finding.text}"), []).append(clip.name)
        reader.keep()
    lines = [
        f"{params.night.prompts}:{line}: {text} ({', '.join(names)})" for (line, text), names in sorted(found.items())
    ]
    if len(rows) > MAX_ROWS:
        lines.append(f"{params.night.prompts}: only the first {MAX_ROWS} of {len(rows)} rows to train were looked at")
    return lines


def _reader(clip: GuideClipConfig, params: Params, identity: str) -> KnownTexts:
    """A guide that is loaded if it is asked something new."""
    from tasks.caches.text_cache import KnownTexts

    def load() -> ClipModel:
        from nada.clip.loading import load_clip

        return load_clip(clip, params.guide.config_dir, params.guide.antialias, "cpu")

    return KnownTexts(identity, load)
