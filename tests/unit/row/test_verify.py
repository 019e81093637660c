"""A row that is made again is compared file by file, and told what else was different."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tasks.row.job import GroupJob, RowJob
from tasks.row.verify import compare, remake_job
from tasks.store import row_folder
from tasks.store.record import EVALUATION_NAME, MAKING_NAME, Evaluation, Making, read_entry
from tests.jobs import job
from tests.records import make_record
from tests.rows import fill_judged, fill_made

__all__ = ["job"]

Made = tuple[Path, Making, Evaluation]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(folder: Path, weights: bytes = b"weights", **circumstances: Any) -> Made:
    """A row's folder with its records."""
    folder.mkdir()
    fill_made(folder, weights=weights, **circumstances)
    fill_judged(folder)
    return folder, read_entry(folder / MAKING_NAME, Making), read_entry(folder / EVALUATION_NAME, Evaluation)


def test_equal_rows_differ_in_nothing(folder: Path) -> None:
    _, making, evaluation = make(folder / "then", provenance={"torch": "2.13"}, seconds={"make": 1.0})
    place, remade, _ = make(folder / "now", provenance={"torch": "2.13"}, seconds={"make": 2.0})
    verdict = compare(making, evaluation, remade, place)
    assert (verdict.differing, verdict.circumstances) == ((), ())


def test_a_difference_names_the_file_and_what_else_is_different(folder: Path) -> None:
    _, making, evaluation = make(folder / "then", provenance={"torch": "2.12", "commit": "abc"})
    place, remade, _ = make(folder / "now", weights=b"others", provenance={"torch": "2.13", "commit": "abc"})
    verdict = compare(making, evaluation, remade, place)
    assert verdict.differing == ("generator.safetensors",)
    assert verdict.circumstances == ("provenance.torch: 2.12 then, 2.13 now",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"threads": 2}, "threads: 1 then, 2 now"),
        ({"processor": "another CPU"}, "processor: some CPU then, another CPU now"),
        ({"micro_batch": 1}, "micro_batch: 2 then, 1 now"),
        ({"group": {"sketch": "a" * 64, "robot": "b" * 64}}, f"group.robot: not recorded then, {'b' * 64} now"),
        ({"config": {"iterations": 3}}, "config.batch_size: 2 then, not recorded now"),
    ],
)
def test_whatever_decides_the_last_bits_is_told(folder: Path, change: dict[str, Any], told: str) -> None:
    _, making, evaluation = make(folder / "then")
    place, remade, _ = make(folder / "now", **change)
    assert told in compare(making, evaluation, remade, place).circumstances


@pytest.mark.parametrize("name", row_folder.JUDGED_NAMES)
def test_what_was_judged_is_compared_as_well(folder: Path, name: str) -> None:
    _, making, evaluation = make(folder / "then")
    place, remade, _ = make(folder / "now")
    (place / name).write_bytes(b"other")
    assert compare(making, evaluation, remade, place).differing == (name,)


def test_a_file_that_only_one_of_them_has_is_a_difference(folder: Path) -> None:
    _, making, evaluation = make(folder / "then")
    place, remade, _ = make(folder / "now")
    (place / "samples.webp").unlink()
    assert compare(making, evaluation, remade, place).differing == ("samples.webp",)
    (place / "samples.webp").write_text("samples.webp")
    (place / "probes.csv").write_text("step\n1\n")
    with_probes = remade.model_copy(update={"files": {**remade.files, "probes.csv": remade.files["trace.csv"]}})
    assert compare(making, evaluation, with_probes, place).differing == ("probes.csv",)


def test_what_an_earlier_version_kept_in_another_form_is_no_difference(folder: Path) -> None:
    _, making, evaluation = make(folder / "then")
    place, remade, _ = make(folder / "now")
    files = dict(evaluation.files)
    files["samples.png"] = files.pop("samples.webp")
    files["embeddings.safetensors"] = files["samples.png"]
    earlier = evaluation.model_copy(update={"files": files})
    assert compare(making, earlier, remade, place).differing == ()
    (place / "metrics.json").write_text("other")
    assert compare(making, earlier, remade, place).differing == ("metrics.json",)


def test_a_row_is_made_again_as_its_record_says_and_beside_it(job: RowJob) -> None:
    circumstances = {"device": "cuda:1", "threads": 7, "micro_batch": 1, "storage": "fp16"}
    making = make_record(making=circumstances).making
    again = remake_job(GroupJob(rows=(job,), folder="beside", device="cpu", threads=1), making)
    assert (again.folder, again.device, again.threads) == ("beside", "cuda:1", 7)
    (row,) = again.rows
    assert (row.device, row.threads, row.resumes) == ("cuda:1", 7, False)
    assert (row.params.night.micro_batch, row.params.night.storage) == (1, "fp16")
    assert dataclasses.replace(row, device="cpu", threads=1, resumes=True, params=job.params) == job
