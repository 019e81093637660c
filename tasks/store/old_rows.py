"""Rows that an older version made, taken over where it is proven that this one would make the same.

Format 1 of row.json knew one key for all of a row, how it is judged included. Such a row is taken over if

1. every file that its record lists is whole;
2. the code that made it is known to give the same bytes as today's (`KNOWN_METHODS`), with today's open_clip;
3. its key, computed once more from today's inputs, is the record's.

All else is made anew; so is a row of which only the judging changed, for its key does not tell that from a change of
the making. What is taken over keeps its weights and curves, and gets a record of this version in place of the old one;
what was judged is judged again, in seconds. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from nada.atomic import writing
from nada.config import Section
from nada.methods.adapt.record import AdaptRecord, EarlyStoppingRecord
from tasks.caches import reference_pictures
from tasks.config.project import HERE
from tasks.config.row import Row
from tasks.keys.inputs import OPEN_CLIP, hashed, making_code, open_clip_version
from tasks.keys.row_keys import NO_OPTIONS, KeyMaker, options
from tasks.plan.planned_row import PlannedRow
from tasks.store.old_record import OldRecord, read_old
from tasks.store.record import MAKING_NAME, Making, write_entry
from tasks.store.row_folder import all_match

KNOWN_METHODS: Mapping[str, tuple[str, ...]] = {
    # The versions up to commit 354ebce. Made by both on one machine, equal byte for byte: the nine rows of the bundled
    # night, their traces, probes and sheets; and a tiny StyleGAN2 and StyleGAN3 with three settings each (convolutions;
    # both with selection, mixing, average and a falling rate; toRGB with the global loss).
    "8eab8f554e1ebf21d92e38b2b1d4a2b18a2cc8ae5d05219596338fe75043fd12": (
        "8481bdbdd539b46674b422d7ba232a09bb12c79667c192bc44f7c648957e37bd",  # StyleGAN2
        "a67639b0ab0763905ed1801d8d90563b4807b5f0f3e39fad746a2bd72d0bfe93",  # StyleGAN3
    ),
}
"""An old hash of a method's source -> hashes of today's (`tasks.keys.inputs.making_code`), one a family of generators,
that were proven to give the same bytes. Later code that does so too is put on record as `tasks.keys.code` says."""

# What an old key held, as it stood. Options that came later are no part of it, and must be at their neutral values.
OLD_ADAPT: dict[str, Any] = {
    **dict.fromkeys(("iterations", "stop", "probe_every", "probe_images", "batch_size", "learning_rate"), True),
    **dict.fromkeys(("beta2", "decay", "ema", "train", "style_mixing", "directional_weight", "global_weight"), True),
    "selection": {"k", "batch_size", "iterations", "learning_rate"},
}
OLD_GUIDE: dict[str, Any] = {
    "models": {"__all__": {"name", "weight"}},
    "antialias": True,
    "views": {"crop", "flip", "noise"},
}
OLD_JUDGE: dict[str, Any] = {"model": {"name"}, "num_images": True}
OLD_SAMPLES: dict[str, Any] = {"count": True, "truncation_psi": True}
OLD_ROW = ("line", "domain", "source", "target", "recipe", "iterations", "seed", "reference_images")
OLD_WEIGHTS, OLD_JUDGED = "generator.safetensors", ("metrics.json", "samples.png")
METHOD_NAME = "sha256 of method"


@dataclass(frozen=True)
class OldRow:
    """A row that may be taken over."""

    record: OldRecord
    """As it was found."""
    making: Making
    """What takes its place."""


class OldRows:
    """Finds them.

    Args:
        keys: of the night, for its settings and networks.
    """

    def __init__(self, keys: KeyMaker) -> None:
        self.params, self.networks = keys.params, keys.networks

    def find(self, planned: PlannedRow, family_module: str) -> OldRow | None:
        """What an older version left of a row, if it may be taken over.

        Args:
            planned: a row of which nothing of this version is there.
            family_module: of its generator's family.
        """
        folder = HERE.adapted / planned.domain
        record = read_old(folder)
        if record is None or record.domain != planned.domain or not _has_old_columns_alone(planned.row):
            return None
        method, version = (record.provenance.get(name, "") for name in (METHOD_NAME, OPEN_CLIP))
        is_known = making_code(planned.method_object, family_module) in KNOWN_METHODS.get(method, ())
        if not is_known or version != open_clip_version() or self.old_key(planned, method) != record.key:
            return None
        if OLD_WEIGHTS not in record.files or not all_match(folder, record.files):
            return None
        return OldRow(record, as_making(record, planned))

    def old_key(self, planned: PlannedRow, method_sha256: str) -> str | None:
        """The key that the older version would give a row today; None where an option says what it did not know."""
        params, row = self.params, planned.row
        adapt, guide = _as_it_was(planned.config, OLD_ADAPT), _as_it_was(params.guide, OLD_GUIDE)
        if not (_covers(adapt, options(planned.config)) and _covers(guide, options(params.guide, NO_OPTIONS))):
            return None
        references = row.reference_images
        content = {
            "format": 1,
            "row": {"domain": row.domain, "source": row.source, "target": row.target},
            "seed": planned.seed,
            "adapt": adapt,
            "guide": guide,
            "judge": _as_it_was(params.judge, OLD_JUDGE),
            "samples": _as_it_was(params.samples, OLD_SAMPLES),
            "rounded": params.night.storage == "fp16",
            "generator": planned.source.base_sha256,
            "clips": self.networks,
            "references": None if references is None else reference_pictures.look(references).sha256,
            "method": method_sha256,
        }
        return hashed(content)


def take_over(rows: Iterable[OldRow]) -> list[str]:
    """Give rows records of this version, and take away what was judged of them; the night's lock is held.

    The new record replaces the old one in one step; whatever ends this before or after it loses nothing.

    Returns:
        The domains that are there now: all but those that somebody changed since they were found.

    Raises:
        OutputError: a row's folder cannot be written.
    """
    taken = []
    for row in rows:
        folder = HERE.adapted / row.making.domain
        if read_old(folder) != row.record:
            continue
        write_entry(folder / MAKING_NAME, row.making)
        for name in OLD_JUDGED:
            with writing(folder / name):
                (folder / name).unlink(missing_ok=True)
        taken.append(row.making.domain)
    return taken


def as_making(record: OldRecord, planned: PlannedRow) -> Making:
    """An old record as one of this version."""
    choice, most_steps = record.choice, planned.method_object.num_steps(planned.config)
    part = AdaptRecord(
        first_loss=record.loss.first,
        last_loss=record.loss.last,
        rounding=record.storage.rounding,
        early_stopping=choice and EarlyStoppingRecord(why=choice.why, probes=choice.probes, seconds=choice.seconds),
    )
    return Making(
        domain=planned.domain,
        key=planned.keys.making,
        method=planned.row.method,
        row=planned.row,
        config=planned.config.model_dump(mode="json"),
        seed=planned.seed,
        storage=record.storage.kind,
        resolution=record.resolution,
        guides=record.guides,
        group={planned.domain: planned.keys.making},
        trained_steps=most_steps if choice is None else choice.trained,
        most_steps=most_steps,
        kept_step=most_steps if choice is None else choice.step,
        bases=[planned.source.base_sha256] if record.storage.kind == "delta" else [],
        part=part.model_dump(mode="json"),
        seconds={"load": record.seconds.load, "make": record.seconds.adapt},
        device=record.device,
        processor=record.processor,
        threads=record.threads,
        micro_batch=record.micro_batch,
        gpu_bytes=record.gpu_bytes,
        provenance=record.provenance,
        finished=record.finished,
        files={name: entry for name, entry in record.files.items() if name not in OLD_JUDGED},
    )


def _has_old_columns_alone(row: Row) -> bool:
    """Whether columns that came later say nothing; a row's own generator is in its key by its bytes."""
    later = [field for field in fields(Row) if field.name not in (*OLD_ROW, "generator")]
    return all(getattr(row, field.name) == field.default for field in later)


def _as_it_was(section: Section, names: dict[str, Any]) -> dict[str, Any]:
    return section.model_dump(include=names)


def _covers(content: Any, said: Any) -> bool:
    """Whether nothing is said that the content does not hold."""
    if isinstance(said, dict):
        return all(name in content and _covers(content[name], value) for name, value in said.items())
    return not isinstance(said, list) or all(map(_covers, content, said))
