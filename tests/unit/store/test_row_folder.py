"""A row is whole or absent, and recognised by content alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.store import base_models, row_folder
from tasks.store.row_folder import RECORD_NAME

KEY = "0" * 64


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def publish(domain: str = "sketch", key: str = KEY, weights: bytes = b"weights", parent: str | None = None) -> Path:
    folder = row_folder.partial_dir(domain)
    (folder / "generator.safetensors").write_bytes(weights)
    (folder / "trace.csv").write_text("step,loss\n1,0.5\n")
    row_folder.write_record(folder, {"key": key, "domain": domain, "storage": {"parent": parent}})
    row_folder.publish(folder, domain)
    return HERE.adapted / domain


def keep(content: bytes) -> str:
    """Keep a parent of this content; returns its sha256."""
    Path("parent").write_bytes(content)
    base_models.keep(Path("parent"))
    return hashlib.sha256(content).hexdigest()


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_published_row_is_finished_for_its_key_alone() -> None:
    publish()
    assert row_folder.is_finished("sketch", KEY)
    assert not row_folder.is_finished("sketch", "1" * 64)
    assert not row_folder.is_finished("robot", KEY)


def test_the_record_lists_every_file_with_size_and_hash() -> None:
    publish(weights=b"")
    files = row_folder.read_record("sketch")["files"]
    assert sorted(files) == ["generator.safetensors", "trace.csv"]
    empty_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert files["generator.safetensors"] == {"sha256": empty_sha256, "bytes": 0}


def test_publishing_again_replaces_the_whole_folder() -> None:
    folder = publish()
    (folder / "stray.txt").touch()
    publish(key="1" * 64, weights=b"new")
    assert names(folder) == ["generator.safetensors", RECORD_NAME, "trace.csv"]
    assert names(HERE.adapted) == ["sketch"]
    assert row_folder.is_finished("sketch", "1" * 64)


def truncate(folder: Path) -> None:
    (folder / "generator.safetensors").write_bytes(b"weigh")


def flip_a_bit(folder: Path) -> None:
    (folder / "generator.safetensors").write_bytes(b"weightz")


def lose_the_trace(folder: Path) -> None:
    (folder / "trace.csv").unlink()


def lose_the_record(folder: Path) -> None:
    (folder / RECORD_NAME).unlink()


def truncate_the_record(folder: Path) -> None:
    text = (folder / RECORD_NAME).read_text()
    (folder / RECORD_NAME).write_text(text[: len(text) // 2])


def replace_the_record_by_a_list(folder: Path) -> None:
    (folder / RECORD_NAME).write_text("[]")


def record_bytes_that_are_no_text(folder: Path) -> None:
    (folder / RECORD_NAME).write_bytes(b"\xff\xfe\x00")


def drop_the_weights_from_the_record(folder: Path) -> None:
    edit(folder, lambda record: record["files"].pop("generator.safetensors"))


def empty_an_entry_of_the_record(folder: Path) -> None:
    edit(folder, lambda record: record["files"].update({"trace.csv": None}))


def rename_the_domain_in_the_record(folder: Path) -> None:
    edit(folder, lambda record: record.update(domain="robot"))


def edit(folder: Path, change: Any) -> None:
    record = json.loads((folder / RECORD_NAME).read_text())
    change(record)
    (folder / RECORD_NAME).write_text(json.dumps(record))


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_bit,
        lose_the_trace,
        lose_the_record,
        truncate_the_record,
        replace_the_record_by_a_list,
        record_bytes_that_are_no_text,
        drop_the_weights_from_the_record,
        empty_an_entry_of_the_record,
        rename_the_domain_in_the_record,
    ],
)
def test_a_damaged_row_is_not_finished(damage: Any) -> None:
    damage(publish())
    assert not row_folder.is_finished("sketch", KEY)


def test_a_folder_that_was_never_published_is_not_finished() -> None:
    folder = row_folder.partial_dir("sketch")
    (folder / "generator.safetensors").touch()
    row_folder.write_record(folder, {"key": KEY, "domain": "sketch"})
    assert not row_folder.is_finished("sketch", KEY)


def test_a_parent_is_kept_once_under_its_hash_and_mended() -> None:
    kept = HERE.base_models / f"{keep(b'whole')}.safetensors"
    assert kept.read_bytes() == b"whole"
    before = kept.stat().st_mtime_ns
    keep(b"whole")
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(b"wh")
    keep(b"whole")
    assert kept.read_bytes() == b"whole" and names(HERE.base_models) == [kept.name]


def test_parents_that_no_domain_rebuilds_from_are_pruned() -> None:
    needed, unneeded = keep(b"one"), keep(b"two")
    publish("sketch", parent=needed), publish("robot")
    assert base_models.prune() == [HERE.base_models / f"{unneeded}.safetensors"]
    assert names(HERE.base_models) == [f"{needed}.safetensors"]
    row_folder.prune({"robot"})
    assert len(base_models.prune()) == 1 and names(HERE.base_models) == []


def test_a_record_that_cannot_be_read_may_need_any_parent() -> None:
    keep(b"one")
    truncate_the_record(publish("sketch"))
    assert base_models.prune() == []


def test_prune_removes_rows_that_left_the_csv_and_nothing_else() -> None:
    publish("sketch"), publish("robot")
    (HERE.adapted / "notes").mkdir()
    (HERE.adapted / "readme.txt").touch()
    row_folder.partial_dir("other")
    assert row_folder.prune({"sketch"}) == ["robot"]
    assert names(HERE.adapted) == [f".partial-other-{os.getpid()}", "notes", "readme.txt", "sketch"]
    assert row_folder.prune({"sketch"}) == []


def test_prune_removes_states_of_rows_that_left_the_csv() -> None:
    for domain in ("sketch", "robot"):
        row_folder.state_path(domain).parent.mkdir(parents=True, exist_ok=True)
        row_folder.state_path(domain).touch()
    assert row_folder.prune({"sketch"}) == []
    assert names(HERE.unfinished) == ["sketch.safetensors"]


def test_prune_follows_no_link_out_of_the_folder(project: Path) -> None:
    publish("sketch")
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / RECORD_NAME).touch()
    (HERE.adapted / "linked").symlink_to(project / "elsewhere")
    assert row_folder.prune({"sketch"}) == []
    assert (project / "elsewhere" / RECORD_NAME).exists()


def test_sweep_removes_what_dead_processes_left_and_spares_the_living() -> None:
    publish("sketch")
    row_folder.partial_dir("mine")
    for name in (f".partial-dead-one-{dead_pid()}", f".old-sketch-{dead_pid()}", ".hidden"):
        (HERE.adapted / name).mkdir()
    row_folder.sweep()
    assert names(HERE.adapted) == [".hidden", f".partial-mine-{os.getpid()}", "sketch"]


def test_nothing_to_prune_or_sweep_in_a_fresh_checkout() -> None:
    row_folder.sweep()
    assert row_folder.prune(set()) == []


def test_a_failed_publication_puts_the_old_result_back() -> None:
    publish()
    with pytest.raises(OutputError, match=r"weights/adapted/sketch: cannot be written \(No such file or directory\)"):
        row_folder.publish(HERE.adapted / ".partial-absent-1", "sketch")
    assert row_folder.is_finished("sketch", KEY)
    assert names(HERE.adapted) == ["sketch"]


def test_a_partial_folder_starts_empty() -> None:
    (row_folder.partial_dir("sketch") / "left over").touch()
    assert names(row_folder.partial_dir("sketch")) == []


def test_an_unwritable_place_is_one_clear_error(project: Path) -> None:
    (project / "weights").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"weights/adapted: cannot be written \(Not a directory\)"):
        row_folder.check_writable()


def test_a_writable_place_stays_as_it_was() -> None:
    row_folder.check_writable()
    assert names(HERE.adapted) == []


def test_a_record_holds_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        row_folder.write_record(row_folder.partial_dir("sketch"), {"key": KEY, "scores": {"a": float("nan")}})
