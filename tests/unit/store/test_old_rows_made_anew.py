"""A row of an older version is made anew where it is not proven that the making would be the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import METHODS
from tasks.config.project import HERE
from tasks.keys.inputs import open_clip_version
from tasks.keys.row_keys import KeyMaker
from tasks.plan.planned_row import PlannedRow
from tasks.row.job import OnRow
from tasks.store import old_rows
from tests.old_library import (
    CONTENT,
    KEPT,
    METHOD,
    ROW,
    SOURCE,
    entries,
    find,
    key_maker,
    planned_row,
    write_networks,
    write_old_row,
)

FOLDER = HERE.adapted / "sepia"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with two networks."""
    monkeypatch.chdir(tmp_path)
    write_networks()


DAMAGES: dict[str, Callable[[], object]] = {
    "truncated weights": lambda: (FOLDER / "generator.safetensors").write_bytes(b"weigh"),
    "other weights of that size": lambda: (FOLDER / "generator.safetensors").write_bytes(b"garbage"),
    "a missing trace": lambda: (FOLDER / "trace.csv").unlink(),
    "another picture": lambda: (FOLDER / "samples.png").write_bytes(b"another"),
    "a damaged record": lambda: (FOLDER / "row.json").write_text("{"),
    "an endless record": lambda: (FOLDER / "row.json").write_text("[" * 100_000),
    "no record": lambda: (FOLDER / "row.json").unlink(),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_row_with_a_damaged_file_is_made_anew(name: str) -> None:
    write_old_row(planned_row(), key_maker())
    assert find() is not None
    DAMAGES[name]()
    assert find() is None


CLAIMS: dict[str, dict[str, Any]] = {
    "of another format": {"format": 2},
    "of another key": {"key": "0" * 64},
    "of another domain": {"domain": "robot"},
    "without weights": {"files": entries({"trace.csv": KEPT["trace.csv"]})},
    "of a file elsewhere": {"files": entries({**KEPT, "../sepia/trace.csv": KEPT["trace.csv"]})},
    "of a file that cannot be": {"files": entries({**KEPT, "\0": b""})},
    "of an unknown method": {"provenance": {"sha256 of method": "0" * 64, "open_clip_torch": open_clip_version()}},
    "of another open_clip": {"provenance": {"sha256 of method": METHOD, "open_clip_torch": "1.0.0"}},
    "of no method": {"provenance": {}},
    "of no loss": {"loss": None},
    "of a loss that is no number": {"loss": {"first": float("nan"), "last": 0.4}},
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_row_with_such_a_record_is_made_anew(name: str) -> None:
    write_old_row(planned_row(), key_maker(), **CLAIMS[name])
    assert find() is None


def other_networks(name: str) -> KeyMaker:
    Path(f"{name}.safetensors").write_bytes(b"other")
    return key_maker()


NIGHTS: dict[str, Callable[[], KeyMaker]] = {
    "the share of a guide": lambda: key_maker(guide={"models": [{**CONTENT["guide"]["models"][0], "weight": 0.4}]}),
    "the views": lambda: key_maker(guide={"views": {"noise": 0.1}}),
    "antialiasing": lambda: key_maker(guide={"antialias": False}),
    "the bytes of a guide": lambda: other_networks("guide"),
    "the bytes of the judge": lambda: other_networks("judge"),
    "the number of judged pictures": lambda: key_maker(judge={"num_images": 7}),
    "the truncation of samples": lambda: key_maker(samples={"truncation_psi": 0.5}),
    "rounding": lambda: key_maker(night={"storage": "fp16"}),
}


@pytest.mark.parametrize("name", NIGHTS)
def test_a_night_that_changed_makes_rows_anew(name: str) -> None:
    write_old_row(planned_row(), key_maker())
    assert find(keys=NIGHTS[name]()) is None


ON = OnRow(domain="robot", key="4" * 64, method=METHODS["adapt"], source=SOURCE)
ROWS: dict[str, Callable[[], PlannedRow]] = {
    "the target": lambda: planned_row(replace(ROW, target="a sepia photo")),
    "the source": lambda: planned_row(replace(ROW, source="a photo")),
    "the seed": lambda: replace(planned_row(), seed=1),
    "the settings": lambda: planned_row(config=AdaptConfig(iterations=301, ema=0.9)),
    "the generator": lambda: planned_row(source=replace(SOURCE, base_sha256="c" * 64)),
    "the method": lambda: planned_row(replace(ROW, method="another")),
    "what it starts from": lambda: planned_row(replace(ROW, on="robot"), source=replace(SOURCE, on=ON)),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_changed_is_made_anew(name: str) -> None:
    write_old_row(planned_row(), key_maker())
    assert find(ROWS[name]()) is None


def test_other_reference_pictures_make_a_row_anew() -> None:
    Path("truth").mkdir()
    for index in range(2):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(f"truth/{index}.png")
    planned = planned_row(replace(ROW, reference_images="truth"))
    write_old_row(planned, key_maker())
    assert find(planned) is not None
    Image.new("RGB", (4, 4), (9, 0, 0)).save("truth/1.png")
    assert find(planned) is None


def test_what_decides_no_result_may_change() -> None:
    write_old_row(planned_row(), key_maker())
    assert find(planned_row(replace(ROW, line=9, recipe="renamed", generator="g.pkl"))) is not None
    assert find(keys=key_maker(night={"storage": "full", "seed": 0}, judge={"batch_size": 3})) is not None


class NewerConfig(AdaptConfig):
    """With an option that the older version did not know."""

    dropout: float = 0.0


def test_an_option_that_came_later_must_be_neutral() -> None:
    write_old_row(planned_row(), key_maker())
    assert find(planned_row(config=NewerConfig(**CONTENT["adapt"]))) is not None
    assert find(planned_row(config=NewerConfig(**CONTENT["adapt"], dropout=0.1))) is None


def test_other_code_of_making_takes_nothing_over(monkeypatch: pytest.MonkeyPatch) -> None:
    write_old_row(planned_row(), key_maker())
    monkeypatch.setattr(old_rows, "making_code", lambda method, family: "0" * 64)
    assert find() is None
