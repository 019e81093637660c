"""Rows as the version before the keys of parts left them: format 1 of row.json, made by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nada.generators.families import family_module
from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import METHODS
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.row import Row
from tasks.keys.inputs import open_clip_version
from tasks.keys.row_keys import KeyMaker
from tasks.plan.planned_row import PlannedRow
from tasks.row.job import Source
from tasks.store.old_rows import OldRow, OldRows
from tasks.store.row_folder import Keys

KEYS = Keys(making="1" * 64, evaluation="2" * 64, retrieval="3" * 64)
SOURCE = Source(base_path="generator.safetensors", base_sha256="b" * 64, base_name="generator.pkl")
ROW = Row(line=2, domain="sepia", source="a portrait", target="a sepia portrait", recipe="colours")
CONTENT: dict[str, Any] = {
    "night": {},
    "generator": {"weights": "g.pkl"},
    "guide": {"models": [{"name": "guide", "weights": "guide.safetensors", "weight": 0.5}], "views": {"noise": 0.05}},
    "judge": {"model": {"name": "judge", "weights": "judge.safetensors"}},
    "adapt": {"iterations": 300, "ema": 0.9},
}
FAMILY = family_module("stylegan2")
METHOD = "8eab8f554e1ebf21d92e38b2b1d4a2b18a2cc8ae5d05219596338fe75043fd12"
KEPT = {"generator.safetensors": b"weights", "probes.csv": b"step\n", "trace.csv": b"step,loss\n"}
JUDGED = {"metrics.json": b"{}", "samples.png": b"picture"}
CHOICE = {"step": 160, "trained": 220, "why": "step 160 is best", "probes": 11, "seconds": 2.394}


def key_maker(**sections: dict[str, Any]) -> KeyMaker:
    """Of a night whose sections say so much beside the usual."""
    content = {name: {**CONTENT.get(name, {}), **sections.get(name, {})} for name in {**CONTENT, **sections}}
    return KeyMaker(Params.model_validate(content))


def planned_row(row: Row = ROW, config: AdaptConfig | None = None, source: Source = SOURCE) -> PlannedRow:
    """Of a night whose sections are the usual ones."""
    config = config or AdaptConfig(**CONTENT["adapt"])
    return PlannedRow(
        row=row, method=METHODS["adapt"], config=config, seed=0, source=source, keys=KEYS, state="train"
    )  # fmt: skip


def write_networks() -> None:
    """The guide and the judge of those sections, in the working folder."""
    for name in ("guide", "judge"):
        Path(f"{name}.safetensors").write_bytes(name.encode())


def find(planned: PlannedRow | None = None, keys: KeyMaker | None = None) -> OldRow | None:
    """The old row that answers a planned one, by default the usual one."""
    return OldRows(keys or key_maker()).find(planned or planned_row(), FAMILY)


def write_old_row(planned: PlannedRow, keys: KeyMaker, **changes: Any) -> Path:
    """A whole row of the older version, made from what is planned, but for `changes` of its record; its folder."""
    folder = HERE.adapted / planned.domain
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**KEPT, **JUDGED}.items():
        (folder / name).write_bytes(content)
    key = OldRows(keys).old_key(planned, METHOD)
    (folder / "row.json").write_text(json.dumps({**record_of(planned, key), **changes}))
    return folder


def record_of(planned: PlannedRow, key: str | None) -> dict[str, Any]:
    """What the older version wrote of a row."""
    return {
        "format": 1,
        "key": key,
        "domain": planned.domain,
        "row": {"line": 2, "domain": planned.domain, "recipe": "as it was called"},
        "adapt": planned.config.model_dump(mode="json"),
        "seed": planned.seed,
        "resolution": 64,
        "guides": ["guide"],
        "judge": "judge",
        "absent": {},
        "scores": {"diversity": {"value": 0.1}},
        "nearest": {},
        "storage": {"kind": "delta", "parent": planned.source.base_sha256, "rounding": None},
        "choice": None,
        "loss": {"first": 0.9, "last": 0.4},
        "seconds": {"load": 0.5, "adapt": 29.5, "judge": 2.8, "total": 32.8},
        "device": "cpu",
        "processor": "AVX512",
        "threads": 1,
        "micro_batch": 8,
        "gpu_bytes": None,
        "provenance": {"sha256 of method": METHOD, "open_clip_torch": open_clip_version()},
        "all_targets": {},
        "finished": "2026-01-01T00:00:00+00:00",
        "files": entries({**KEPT, **JUDGED}),
    }


def entries(files: Mapping[str, bytes]) -> dict[str, Any]:
    """How records list files."""
    return {name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)} for name, body in files.items()}
