"""A row is whole or absent, each part of it by itself, and recognised by content alone."""

from __future__ import annotations

import hashlib
import json
import operator
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.store import base_models, row_folder
from tasks.store.record import MAKING_NAME, FileEntry
from tasks.store.row_folder import RowState, state_of
from tests.records import CONFIG, PART, make_making, make_score
from tests.rows import KEYS, OTHER_KEYS, fill_judged, fill_made, fill_retrieved, publish_made, publish_whole


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def test_a_row_is_made_then_judged_then_whole() -> None:
    states = [state_of("sketch", KEYS)]
    folder = publish_made()
    for fill in (fill_judged, fill_retrieved):
        states.append(state_of("sketch", KEYS))
        fill(folder)
    assert [*states, state_of("sketch", KEYS)] == ["absent", "made", "judged", "whole"]


def test_a_published_row_is_there_for_its_keys_alone() -> None:
    publish_whole()
    assert state_of("robot", KEYS) == "absent"
    assert row_folder.is_made(HERE.adapted / "sketch", "sketch", KEYS.making)
    assert not row_folder.is_made(HERE.adapted / "sketch", "sketch", OTHER_KEYS.making)
    parts: dict[str, RowState] = {"making": "absent", "evaluation": "made", "retrieval": "judged"}
    for part, left in parts.items():
        assert state_of("sketch", replace(KEYS, **{part: "9" * 64})) == left


def test_what_was_judged_of_another_making_does_not_count() -> None:
    fill_judged(publish_made(), keys=replace(KEYS, making="9" * 64))
    assert state_of("sketch", KEYS) == "made"


def test_the_record_lists_every_file_with_size_and_hash() -> None:
    folder = publish_made(weights=b"")
    files = row_folder.read_making("sketch").files
    assert sorted(files) == ["generator.safetensors", "trace.csv"]
    empty_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert files["generator.safetensors"] == FileEntry(sha256=empty_sha256, num_bytes=0)
    content = json.loads((folder / MAKING_NAME).read_text())
    assert content["files"]["generator.safetensors"] == {"sha256": empty_sha256, "bytes": 0}


def test_a_record_is_read_as_it_was_written() -> None:
    publish_whole()
    record = row_folder.read_record("sketch")
    assert record.making == row_folder.read_making("sketch")
    assert (record.making.key, record.evaluation.key, record.retrieval.key) == (
        KEYS.making,
        KEYS.evaluation,
        KEYS.retrieval,
    )
    assert record.scores["retrieval_accuracy"] == make_score(0.25)
    assert sorted(record.evaluation.files) == ["embeddings.safetensors", "metrics.json", "samples.webp"]


def test_publishing_again_replaces_the_whole_folder() -> None:
    folder = publish_whole()
    (folder / "stray.txt").touch()
    publish_made(keys=OTHER_KEYS, weights=b"new")
    assert names(folder) == ["generator.safetensors", MAKING_NAME, "trace.csv"]
    assert names(HERE.adapted) == ["sketch"]
    assert state_of("sketch", OTHER_KEYS) == "made"


def test_files_that_no_record_lists_do_not_count() -> None:
    (publish_whole() / "stray.txt").touch()
    assert state_of("sketch", KEYS) == "whole"


def test_a_folder_that_was_never_published_is_not_finished() -> None:
    fill_made(row_folder.partial_dir("sketch"))
    assert state_of("sketch", KEYS) == "absent"


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
    publish_made("sketch", bases=[needed]), publish_made("robot")
    assert base_models.prune() == [HERE.base_models / f"{unneeded}.safetensors"]
    assert names(HERE.base_models) == [f"{needed}.safetensors"]
    row_folder.prune({"robot"})
    assert len(base_models.prune()) == 1 and names(HERE.base_models) == []


def test_a_record_that_cannot_be_read_may_need_any_parent() -> None:
    keep(b"one")
    (publish_made("sketch") / MAKING_NAME).write_text("{")
    assert base_models.prune() == []


def test_prune_removes_rows_that_left_the_csv_and_nothing_else() -> None:
    publish_made("sketch"), publish_made("robot")
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
    HERE.unfinished.joinpath("robot.safetensors.999999999-0.partial").touch()
    assert row_folder.prune({"sketch"}) == []
    assert names(HERE.unfinished) == ["sketch.safetensors"]


def test_prune_follows_no_link_out_of_the_folder(project: Path) -> None:
    publish_made("sketch")
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / MAKING_NAME).touch()
    (HERE.adapted / "linked").symlink_to(project / "elsewhere")
    assert row_folder.prune({"sketch"}) == []
    assert (project / "elsewhere" / MAKING_NAME).exists()


def test_sweep_removes_what_dead_processes_left_and_spares_the_living() -> None:
    publish_made("sketch")
    row_folder.partial_dir("mine")
    for name in (f".partial-dead-one-{dead_pid()}", f".old-sketch-{dead_pid()}", ".hidden"):
        (HERE.adapted / name).mkdir()
    row_folder.sweep()
    assert names(HERE.adapted) == [".hidden", f".partial-mine-{os.getpid()}", "sketch"]


def test_nothing_to_prune_or_sweep_in_a_fresh_checkout() -> None:
    row_folder.sweep()
    assert row_folder.prune(set()) == []


def test_a_failed_publication_puts_the_old_result_back() -> None:
    publish_whole()
    with pytest.raises(OutputError, match=r"weights/adapted/sketch: cannot be written \(No such file or directory\)"):
        row_folder.publish(HERE.adapted / ".partial-absent-1", "sketch")
    assert state_of("sketch", KEYS) == "whole"
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
    making = make_making("sketch", "a sketch", CONFIG, PART, {"seconds": {"make": float("nan")}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        row_folder.write_making(row_folder.partial_dir("sketch"), making)


def test_what_stands_in_a_rows_place_and_is_no_folder_is_replaced(project: Path) -> None:
    (project / "elsewhere").mkdir()
    HERE.adapted.mkdir(parents=True)
    place = HERE.adapted / "sketch"
    for target in (None, project / "elsewhere", "absent"):
        place.touch() if target is None else place.symlink_to(target)
        publish_made()
        assert names(HERE.adapted) == ["sketch"]
        assert state_of("sketch", KEYS) == "made"
        row_folder.prune(set())
    assert (project / "elsewhere").is_dir()


def test_what_rows_have_in_common_is_in_memory_once() -> None:
    publish_whole()
    one, other = (row_folder.read_record("sketch") for _ in range(2))
    for first, second in zip(one.scores.values(), other.scores.values(), strict=True):
        assert first is not second
        assert first.network is second.network
        assert not hasattr(first, "__dict__")
    assert all(map(operator.is_, one.scores, other.scores))
