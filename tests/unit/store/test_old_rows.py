"""A row of an older version is taken over with all that it kept, and nothing is lost on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from nada.generators.families import family_module
from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import find_method
from tasks.caches.reference_pictures import References
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.keys.inputs import making_code
from tasks.keys.row_keys import KeyMaker
from tasks.store import old_rows, row_folder
from tasks.store.old_rows import KNOWN_METHODS, OldRows, take_over
from tasks.store.record import Making
from tests.old_library import (
    CHOICE,
    JUDGED,
    KEPT,
    KEYS,
    METHOD,
    ROW,
    SOURCE,
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


def taken(**changes: Any) -> Making:
    """Take over a row whose record says so; what its record says then."""
    write_old_row(planned_row(), key_maker(), **changes)
    found = find()
    assert found is not None
    assert take_over([found]) == ["sepia"]
    return row_folder.read_making("sepia")


def names() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir())


def test_a_row_that_is_taken_over_is_made_and_waits_for_the_judge() -> None:
    making = taken()
    assert row_folder.state_of("sepia", KEYS) == "made"
    assert names() == sorted([*KEPT, "row.json"])
    assert {name: (FOLDER / name).read_bytes() for name in KEPT} == KEPT
    assert set(making.files) == set(KEPT)


def test_its_record_says_what_the_old_one_said() -> None:
    making = taken(choice=CHOICE, gpu_bytes=7)
    assert (making.key, making.row, making.group) == (KEYS.making, ROW, {"sepia": KEYS.making})
    assert making.config == planned_row().config.model_dump(mode="json")
    assert (making.kept_step, making.trained_steps, making.most_steps) == (160, 220, 300)
    assert (making.storage, making.bases) == ("delta", [SOURCE.base_sha256])
    assert making.seconds == {"load": 0.5, "make": 29.5}
    assert (making.device, making.processor, making.micro_batch, making.gpu_bytes) == ("cpu", "AVX512", 8, 7)
    assert making.provenance["sha256 of method"] == METHOD
    assert making.finished == "2026-01-01T00:00:00+00:00"
    assert making.part == {
        "first_loss": 0.9,
        "last_loss": 0.4,
        "rounding": None,
        "early_stopping": {"why": "step 160 is best", "probes": 11, "seconds": 2.394},
        "shared_sources": None,
    }


def test_a_row_of_a_fixed_length_kept_its_last_step() -> None:
    making = taken()
    assert (making.kept_step, making.trained_steps) == (300, 300)
    assert making.part["early_stopping"] is None


def test_whole_and_rounded_weights_rebuild_from_nothing() -> None:
    rounding = {"largest_levels": 3, "mean_levels": 0.5, "num_images": 12}
    assert taken(storage={"kind": "full", "rounding": None}).bases == []
    making = taken(storage={"kind": "fp16", "rounding": rounding})
    assert (making.storage, making.bases, making.part["rounding"]) == ("fp16", [], rounding)


def test_the_old_key_is_the_one_that_the_older_version_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of the bundled world, as that version recorded it."""
    clip = {"weights": "somewhere.safetensors"}
    guides = [{"name": f"nada-avatars-guide{kind}", "weight": 0.5, **clip} for kind in ("", "-conv")]
    sections = {
        "night": {},
        "generator": {"weights": "g.pkl"},
        "guide": {"models": guides, "views": {"crop": 0.2, "flip": True, "noise": 0.05}},
        "judge": {"model": {"name": "nada-avatars-judge", **clip}},
        "samples": {"truncation_psi": 1.0},
    }
    networks = {
        "guide.models.0": "ab43d62611d061e678ce7109106d0fc8d42e4b0c488f98b374593698d0c2d5ee",
        "guide.models.1": "3b92a59d84ce4b408e7c8b72910911d91126c283feae6d07da682f1305083ffd",
        "judge.model": "13a88077ebff9884d0ef436faa43b1c8438625860d1eb856708ebab3a5a68c44",
    }
    truth = References("91b20bbcce3c6ff407eca329c550dae9cfe780c19ca53fab8260411d1e76da59", 400, "")
    monkeypatch.setattr(old_rows.reference_pictures, "look", lambda path: truth)
    config = AdaptConfig(stop="auto", batch_size=4, learning_rate=0.02, ema=0.9, train="rgb")
    source = replace(SOURCE, base_sha256="ea39d10d320b20fd5866e6d8cd1be702e4ce99318d176c0fd0d7d05107c07b41")
    row = replace(ROW, source="cartoon portrait", target="sepia portrait", reference_images="sepia.zip")

    class Networks:
        params = Params.model_validate(sections)

    Networks.networks = networks  # type: ignore[attr-defined]
    old = OldRows(cast(KeyMaker, Networks))
    key = "d546ad1aa6b32b3e94164bc9824aa0226e60b776cbb5b7eda4cbf022c8b4cf11"
    assert old.old_key(planned_row(row, config, source), METHOD) == key


@pytest.mark.parametrize("family", ["stylegan2", "stylegan3"])
def test_todays_code_makes_what_the_older_version_made(family: str) -> None:
    """Where code that makes rows was edited: if the bytes are equal, put its hash on record (`tasks.keys.code`)."""
    assert making_code(find_method("adapt"), family_module(family)) in KNOWN_METHODS[METHOD]


def killed(*args: object, **kwargs: object) -> None:
    raise KeyboardInterrupt


def test_a_row_whose_new_record_was_not_written_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_old_row(planned_row(), key_maker())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = find()
    assert found is not None
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("pathlib.Path.replace", killed)  # the last thing that writing a record does
        take_over([found])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert find() == found


def test_a_row_that_was_killed_after_its_new_record_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    write_old_row(planned_row(), key_maker())
    found = find()
    assert found is not None
    unlink = Path.unlink
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", lambda path, **kw: killed() if path.name in JUDGED else unlink(path, **kw))
        take_over([found])
    assert row_folder.state_of("sepia", KEYS) == "made"
    assert set(JUDGED) < set(names())  # judging replaces them


def test_a_row_that_somebody_changed_meanwhile_is_left_alone() -> None:
    folder = write_old_row(planned_row(), key_maker())
    found = find()
    assert found is not None
    assert take_over([found]) == ["sepia"]
    (folder / "samples.png").write_bytes(b"judged by another night")
    assert take_over([found]) == []
    assert (folder / "samples.png").read_bytes() == b"judged by another night"


def test_a_record_of_this_version_is_no_old_one() -> None:
    taken()
    assert json.loads((FOLDER / "row.json").read_text())["format"] == 2
    assert find() is None
