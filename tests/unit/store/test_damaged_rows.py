"""A damaged, cut, edited or foreign file costs the part of a row that it tells of, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.store.record import EVALUATION_NAME, MAKING_NAME, MOST_BYTES, RETRIEVAL_NAME, digest
from tasks.store.row_folder import RowState, state_of
from tests.rows import KEYS, publish_made, publish_whole

WITHOUT: dict[str, RowState] = {MAKING_NAME: "absent", EVALUATION_NAME: "made", RETRIEVAL_NAME: "judged"}
"""What is left of a whole row that lost a record."""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("generator.safetensors", "absent"),
        ("trace.csv", "absent"),
        ("samples.webp", "made"),
        ("metrics.json", "made"),
        ("embeddings.safetensors", "made"),
    ],
)
@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink])
def test_a_damaged_file_costs_its_own_part(damage: Callable[[Path], None], name: str, left: RowState) -> None:
    damage(publish_whole() / name)
    assert state_of("sketch", KEYS) == left


def halve(path: Path) -> None:
    text = path.read_text()
    path.write_text(text[: len(text) // 2])


def edit(path: Path, change: Callable[[dict[str, Any]], object], signed: bool = False) -> None:
    content = json.loads(path.read_text())
    change(content)
    if signed:
        content.pop("sha256")
        content["sha256"] = digest(content)
    path.write_text(json.dumps(content))


def raise_a_figure(path: Path) -> None:
    """The best score of the night, by hand."""

    def raised(content: dict[str, Any]) -> None:
        scores = content.get("scores", {})
        entry = content.get("score") or scores.get("directional_similarity") or content
        entry.update({"value": 0.999} if "value" in entry else {"seed": 7})

    edit(path, raised)


def take_another_rows(path: Path) -> None:
    """As if the folder had been copied."""
    path.write_bytes((publish_whole("robot") / path.name).read_bytes())


def replace_by_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_an_endless_file(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def grow(path: Path) -> None:
    """The same content, in more bytes than any record has."""
    path.write_text(path.read_text() + " " * MOST_BYTES)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "absent": Path.unlink,
    "cut": halve,
    "empty": lambda path: path.write_bytes(b""),
    "edited": raise_a_figure,
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "null": lambda path: path.write_text("null"),
    "list": lambda path: path.write_text("[]"),
    "number of many digits": lambda path: path.write_text('{"key": ' + "1" * 100_000 + "}"),
    "deep lists": lambda path: path.write_text("[" * 5_000_000),
    "deep sections": lambda path: path.write_text('{"a":' * 1_000_000),
    "fifo": replace_by_a_fifo,
    "folder": replace_by_a_folder,
    "endless": replace_by_an_endless_file,
    "large": grow,
    "another row's": take_another_rows,
    "of an older format": lambda path: edit(path, lambda content: content.update(format=1), signed=True),
    "a field missing": lambda path: edit(path, lambda content: content.pop("finished", content.pop("score", 0)), True),
    "an empty key": lambda path: edit(path, lambda content: content.update(key=None), signed=True),
}


@pytest.mark.parametrize("name", WITHOUT)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_costs_its_own_part(name: str, damage: str) -> None:
    DAMAGES[damage](publish_whole() / name)
    assert state_of("sketch", KEYS) == WITHOUT[name]


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "..", ".", "", "../robot/trace.csv", "x" * 5000])
def test_a_record_of_files_that_no_row_has_is_none_of_ours(name: str) -> None:
    path = publish_made() / MAKING_NAME
    publish_made("robot")
    edit(path, lambda content: content["files"].update({name: content["files"]["trace.csv"]}), signed=True)
    assert state_of("sketch", KEYS) == "absent"


def test_a_record_without_files_is_of_no_row() -> None:
    edit(publish_made() / MAKING_NAME, lambda content: content.update(files={}), signed=True)
    assert state_of("sketch", KEYS) == "absent"


@pytest.mark.parametrize("damage", [replace_by_a_fifo, replace_by_an_endless_file])
def test_an_empty_file_that_became_endless_is_not_read(damage: Callable[[Path], None]) -> None:
    damage(publish_made(weights=b"") / "generator.safetensors")
    assert state_of("sketch", KEYS) == "absent"
