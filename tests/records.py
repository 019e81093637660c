"""Records of finished rows, as nights write them, without a night."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nada.checkpoints import save_generator
from nada.generators.registry import Network
from nada.methods.adapt.artifact import WEIGHTS_NAME
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.record import AdaptRecord
from nada.methods.base import RecordPart
from tasks.config.row import Row
from tasks.store import row_folder
from tasks.store.record import RETRIEVAL_SCORE, Evaluation, FileEntry, Making, Record, Retrieval, ScoreEntry

KEY, EVALUATION_KEY, RETRIEVAL_KEY = "a" * 64, "e" * 64, "f" * 64
CONFIG = AdaptConfig(iterations=3, batch_size=2, learning_rate=0.002)
PART = AdaptRecord(first_loss=0.9, last_loss=0.4)


def make_score(value: float, width: float = 0.05, reference: str = "prompts of the night") -> ScoreEntry:
    """A figure of 16 pictures with its interval, `width` to either side."""
    return ScoreEntry(
        value=value,
        low=value - width,
        high=value + width,
        reference=reference,
        num_images=16,
        network="judge@1",
        resizing="bicubic",
    )


def make_record(
    domain: str = "sketch",
    target: str = "a pencil sketch",
    scores: Mapping[str, float | ScoreEntry] | None = None,
    nearest: Mapping[str, int] | None = None,
    width: float = 0.05,
    config: AdaptConfig = CONFIG,
    part: RecordPart = PART,
    making: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> Record:
    """A row that was adapted from `a portrait` and judged.

    Args:
        domain: its name.
        target: its prompt.
        scores: by name; retrieval is 0 where it is not among them, others are not there.
        nearest: prompt -> pictures.
        width: half of the intervals of scores that are plain numbers.
        config: of its method.
        part: of its method.
        making: further fields of the making, or others than the usual ones.
        evaluation: the same of the evaluation.
    """
    entries = {
        name: score if isinstance(score, ScoreEntry) else make_score(score, width)
        for name, score in {RETRIEVAL_SCORE: 0.0, **(scores or {})}.items()
    }
    return Record(
        making=make_making(domain, target, config, part, making or {}),
        retrieval=Retrieval(
            domain=domain, key=RETRIEVAL_KEY, score=entries.pop(RETRIEVAL_SCORE), nearest=dict(nearest or {})
        ),
        evaluation=make_evaluation(domain, entries, evaluation or {}),
    )


def make_making(domain: str, target: str, config: AdaptConfig, part: RecordPart, changes: Mapping[str, Any]) -> Making:
    """How the row was made, but for `changes` of its fields."""
    fields: dict[str, Any] = {
        "domain": domain,
        "key": KEY,
        "method": "adapt",
        "row": Row(line=2, domain=domain, source="a portrait", target=target, recipe="style"),
        "config": config.model_dump(mode="json"),
        "seed": 0,
        "storage": "full",
        "resolution": 8,
        "guides": ["ViT-B-32"],
        "group": {domain: KEY},
        "trained_steps": config.iterations,
        "most_steps": config.iterations,
        "kept_step": config.iterations,
        "bases": [],
        "part": part.model_dump(mode="json"),
        "seconds": {"make": 20.0},
        "device": "cpu",
        "processor": "some CPU",
        "threads": 1,
        "micro_batch": config.batch_size,
        "gpu_bytes": None,
        "provenance": {"sha256 of guide.models[0]": "fedc"},
        "finished": "2026-01-01T00:00:20+00:00",
        "files": {"generator.safetensors": FileEntry(sha256="1" * 64, num_bytes=3)},
    }
    return Making(**{**fields, **changes})


def make_evaluation(domain: str, scores: Mapping[str, ScoreEntry], changes: Mapping[str, Any]) -> Evaluation:
    """How the row was judged, but for `changes` of its fields."""
    fields: dict[str, Any] = {
        "domain": domain,
        "key": EVALUATION_KEY,
        "making_key": KEY,
        "judge": "ViT-B-16",
        "absent": {},
        "scores": dict(scores),
        "num_rendered": 16,
        "seconds": {"judge": 10.0},
        "device": "cpu",
        "finished": "2026-01-01T00:00:30+00:00",
    }
    return Evaluation(**{**fields, **changes})


def publish_made(domain: str, generator: Network, **making: Any) -> None:
    """A row's folder with this generator in it, as a worker publishes what it made; fields of its record by name."""
    folder = row_folder.partial_dir(domain)
    save_generator(folder / WEIGHTS_NAME, generator)
    row_folder.write_making(folder, make_record(domain, making=making).making)
    row_folder.publish(folder, domain)
