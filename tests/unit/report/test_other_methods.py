"""A method that report and triage have never heard of speaks for itself in both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nada.methods.base import RecordPart, Trouble
from nada.methods.directions.method import Directions
from nada.methods.registry import METHODS
from tasks.report.cards import change
from tasks.report.page import Night, write_report
from tasks.report.triage import triage
from tasks.store.record import FileEntry, Record
from tests.methods.dream import Dream, DreamConfig
from tests.records import make_record


class DreamRecord(RecordPart):
    woke: str


class TalkingDream(Dream):
    record_model = DreamRecord
    entry = __name__
    leaves_generator = False
    needs_generator = False

    def num_steps(self, config: DreamConfig) -> int:
        return 9

    def settings_in_words(self, config: DreamConfig) -> str:
        return f"{config.depth} deep"

    def facts(self, part: DreamRecord) -> dict[str, str]:
        return {"woke": part.woke, "stored": "on a pillow"}

    def pictures(self, part: DreamRecord) -> dict[str, str]:
        return {"dream.png": "Seen <asleep>.", "lost.png": "Never drawn.", "forged.png": "Of no record."}

    def advice(self, trouble: Trouble, config: DreamConfig) -> list[str]:
        return [] if trouble == "too little" else [f"depth {config.depth - 1}", "coffee"]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "dream", f"{__name__}:TalkingDream")


def dream(making: dict[str, Any] | None = None, **scores: float) -> Record:
    slept = {"method": "dream", "config": {"depth": 2}, "part": {"woke": "at <dawn>"}, "most_steps": 9, "kept_step": 9}
    figures = {"structure_ratio": 0.9, "directional_similarity": 0.9, **scores}
    return make_record(nearest={"a pencil sketch": 1}, scores=figures, making={**slept, **(making or {})})


def test_its_settings_and_facts_are_in_the_report(tmp_path: Path) -> None:
    night = Night(name="Night", started="2026-01-01T00:00:00", seconds=1, workers="")
    html = write_report([dream()], night, tmp_path / "index.html", tmp_path).read_text()
    assert "<dt>recipe</dt><dd>style: 9 steps 2 deep</dd>" in html
    assert "<dt>method</dt><dd>dream</dd>" in html
    assert "<dt>woke</dt><dd>at &lt;dawn&gt;</dd>" in html
    assert "generator.safetensors</code>, on a pillow</dd>" in html


def test_its_own_pictures_are_on_its_card(tmp_path: Path) -> None:
    (tmp_path / "sketch").mkdir()
    for name in ("dream.png", "forged.png"):
        Image.new("RGB", (40, 10), "teal").save(tmp_path / "sketch" / name)
    files = {name: FileEntry(sha256="1" * 64, num_bytes=1) for name in ("dream.png", "lost.png")}
    night = Night(name="Night", started="2026-01-01T00:00:00", seconds=1, workers="")
    html = write_report([dream(making={"files": files})], night, tmp_path / "index.html", tmp_path).read_text()
    assert html.count("<figcaption>Seen &lt;asleep&gt;.</figcaption>") == html.count("<img loading") == 1
    assert "Never drawn." not in html and "Of no record." not in html


def test_its_advice_is_in_the_triage() -> None:
    assert triage(dream(structure_ratio=0.1)).advice == "try depth 1, or coffee"
    further = dream(frechet_to_reference=2.0, frechet_source_to_reference=1.0)
    assert triage(further).advice == "try a target text that fits the true images better, or depth 1"


def test_another_seed_is_offered_where_a_seed_draws_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    record = dream(directional_similarity=0.0)
    offered = change(record.making, triage(record), ["domain", "seed"])
    assert offered is not None and offered["what"] == "seed 1"
    monkeypatch.setattr(TalkingDream, "draws_by_seed", False)
    assert change(record.making, triage(record), ["domain", "seed"]) is None
    assert not Directions.draws_by_seed


def test_a_method_without_advice_gives_none() -> None:
    assert triage(dream(directional_similarity=0.0)).advice == ""
