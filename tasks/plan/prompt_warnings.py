"""Prompts worth a second look, as sentences, before a night is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING

from nada.config import GuideClipConfig
from tasks.caches.known_answers import keep_answers, read_answers
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.row import Row
from tasks.keys.code import code_hash
from tasks.keys.inputs import guide_hashes, hashed
from tasks.variants.names import domain_of

if TYPE_CHECKING:
    from nada.clip.model import ClipModel
    from tasks.caches.text_cache import KnownTexts

Told = tuple[int, int | None, str]
"""A finding: of which row, of a second one that is concerned, what is the matter."""
DISTRIBUTIONS = ("torch", "open_clip_torch")
FORMAT = "1"
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
    rows = [row for row in rows if row.target]  # the others are shown, and not told
    rows = list({domain_of(row.domain): row for row in reversed(rows)}.values())[::-1]  # variants are of one prompt
    looked_at = rows[:MAX_ROWS]
    found: dict[tuple[int, str], list[str]] = {}
    identities = guide_hashes(params.guide)
    for index, clip in enumerate(params.guide.models):
        for at, other, text in _findings(clip, params, identities[f"guide.models.{index}"], looked_at):
            row = looked_at[at]
            both = [row] if other is None else [row, looked_at[other]]
            names = " and ".join(domain_of(one.domain) for one in both)
            found.setdefault((row.line, f"{names}: {text}"), []).append(clip.name)
    lines = [
        f"{params.night.prompts}:{line}: {text} ({', '.join(names)})" for (line, text), names in sorted(found.items())
    ]
    if len(rows) > MAX_ROWS:
        lines.append(f"{params.night.prompts}: only the first {MAX_ROWS} of {len(rows)} rows to train were looked at")
    return lines


def _findings(clip: GuideClipConfig, params: Params, identity: str, rows: Sequence[Row]) -> list[Told]:
    """What a guide makes of prompts; it is not asked, nor torch imported, where the last plan asked it the same."""
    versions = [metadata.version(name) for name in DISTRIBUTIONS]
    ways = [(row.method, row.recipe, row.on, row.generator, row.style_images) for row in rows]
    texts = [(row.source, row.target) for row in rows]
    key = hashed([texts, ways, code_hash(["nada.clip.prompt_checks"]), *versions])
    path = HERE.text_cache / f"{identity}.json"
    known = read_answers(path, FORMAT)
    if isinstance(kept := known.get(key), list):
        with suppress(TypeError, ValueError):
            told = [(int(at), None if other is None else int(other), str(text)) for at, other, text in kept]
            if all(0 <= place < len(rows) for at, other, _ in told for place in (at, other or 0)):
                return told
    from nada.clip.prompt_checks import preflight

    reader = _reader(clip, params, identity)
    told = [(finding.index, finding.other, finding.text) for finding in preflight(reader, rows, ways)]
    reader.keep()
    keep_answers(path, FORMAT, {key: told}, [key])
    return told


def _reader(clip: GuideClipConfig, params: Params, identity: str) -> KnownTexts:
    """A guide that is loaded if it is asked something new."""
    from tasks.caches.text_cache import KnownTexts

    def load() -> ClipModel:
        from nada.clip.loading import load_clip

        return load_clip(clip, params.guide.config_dir, params.guide.antialias, "cpu")

    return KnownTexts(identity, load)
