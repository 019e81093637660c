"""The other machine's end: what its mirror takes in, what it gives back, and what it does not keep."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nada.errors import CheckpointError, ParamsError
from nada.hashing import sha256_file
from tasks.row.job import GroupJob, Job
from tasks.workers.environment import installed
from tasks.workers.news import Progress, RowEnded
from tasks.workers.pool import WorkerSpec
from tasks.workers.ray.actor import Place, RowActor, mirror_folder

SPEC = WorkerSpec(device="cpu", threads=1)
JOB = Job(device="cpu", threads=1)
PASS = GroupJob(rows=(), device="cpu", threads=1)
MAKING = Progress(domain="sketch", step=1, total=2, loss=0.5, phase="make")
MADE = RowEnded(domain="sketch", result="record")
LOST = RowEnded(domain="robot", error=("ValueError", "no such colour", ""))

Work = Callable[[Callable[[Any], None]], Any]


class Worker:
    """In the place of a pool: does in this thread what a test sets."""

    work: Work

    def run(self, function: str, job: Job, tell: Callable[[Any], None], timeout_seconds: float) -> Any:
        return self.work(tell)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: Worker) -> Iterator[RowActor]:
    """A station in a mirror of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr("tasks.workers.ray.actor.WorkerPool", lambda specs: worker)
    monkeypatch.chdir(tmp_path)  # and back
    station = RowActor()
    assert station.open("project", SPEC, installed()) == Place(machine=station.machine, pid=os.getpid())
    assert Path.cwd() == mirror_folder(station.machine, "project")
    yield station


def test_a_file_is_sent_once_and_again_when_it_was_touched(station: RowActor, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"weights")
    files = {"clip/a.bin": sha256_file(tmp_path / "a.bin")}
    assert station.missing(files) == ["clip/a.bin"]
    station.receive("clip/a.bin", files["clip/a.bin"], b"weights")
    assert station.missing(files) == []
    neighbour = RowActor()
    assert neighbour.missing(files) == []
    Path("clip/a.bin").write_bytes(b"damaged")
    assert RowActor().missing(files) == ["clip/a.bin"]


def test_a_file_that_was_removed_meanwhile_is_sent_again(station: RowActor) -> None:
    files = {"clip/a.bin": hashlib.sha256(b"x").hexdigest()}
    station.receive("clip/a.bin", files["clip/a.bin"], b"x")
    Path("clip/a.bin").unlink()
    assert station.missing(files) == ["clip/a.bin"]


def test_a_picture_that_is_no_longer_among_the_true_ones_is_removed(station: RowActor) -> None:
    for name in ("truth/a.png", "truth/old/b.png", "clip/c.bin"):
        station.receive(name, hashlib.sha256(b"x").hexdigest(), b"x")
    files = {"truth/a.png": hashlib.sha256(b"x").hexdigest()}
    assert station.missing(files, "truth") == []
    assert sorted(path.name for path in Path().rglob("?.*")) == ["a.png", "c.bin"]


def test_other_bytes_than_announced_are_refused(station: RowActor) -> None:
    with pytest.raises(CheckpointError, match=r"^a\.bin: changed while it was sent to .+; start the night again$"):
        station.receive("a.bin", "0" * 64, b"weights")
    assert not Path("a.bin").exists()


@pytest.mark.parametrize("name", ["../a.bin", "/a.bin", "clip/../../a.bin"])
def test_a_path_that_leads_out_of_the_mirror_is_refused(station: RowActor, worker: Worker, name: str) -> None:
    with pytest.raises(CheckpointError, match="leads out of the mirror"):
        station.receive(name, "0" * 64, b"weights")
    with pytest.raises(CheckpointError, match="leads out of the mirror"):
        station.missing({name: "0" * 64})
    worker.work = lambda tell: None
    (last,) = station.run("module:function", JOB, 60.0, results=[name])
    assert last[0] == "raised"
    assert "leads out of the mirror" in str(last[1])


def test_a_machine_with_other_versions_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"^.+: torch \S+ in place of 1\.0; install the same there$"):
        RowActor().open("project", SPEC, {**installed(), "torch": "1.0"})


def make_row() -> None:
    """What a worker has published when it tells of it."""
    folder = Path("weights/adapted/sketch")
    folder.mkdir(parents=True)
    for name in ("generator.safetensors", "row.json"):
        (folder / name).write_bytes(name.encode())


def make_and_fail(tell: Callable[[Any], None]) -> None:
    tell(MAKING)
    make_row()
    tell(MADE)
    tell(LOST)


def test_news_arrive_in_order_and_a_made_row_with_its_files(station: RowActor, worker: Worker) -> None:
    worker.work = make_and_fail
    *news, last = station.run("module:function", PASS, 60.0)
    assert [told for _, told, _ in news] == [MAKING, MADE, LOST]
    made = {name: name.encode() for name in ("generator.safetensors", "row.json")}
    assert [files for _, _, files in news] == [{}, made, {}]
    assert last == ("done", None, {})


def test_a_station_keeps_what_it_made_until_its_next_pass(station: RowActor, worker: Worker) -> None:
    worker.work = make_and_fail
    list(station.run("module:function", PASS, 60.0))
    kept = Path(f"weights/adapted/.partial-sketch-{os.getpid()}")
    assert list(Path("weights/adapted").iterdir()) == [kept]
    assert station.missing({f"{kept}/row.json": hashlib.sha256(b"row.json").hexdigest()}) == []
    worker.work = lambda tell: None
    list(station.run("module:function", JOB, 60.0))
    assert (kept / "row.json").exists()
    list(station.run("module:function", PASS, 60.0))
    assert not kept.exists()


def test_results_come_back_and_stay_nowhere_else(station: RowActor, worker: Worker) -> None:
    """Of two rows; one of them is another row's source as well."""
    results, sent = (("a/out.json", "b/out.json", "c/out.json"), ("a/in.bin", "b/in.bin", "own"))
    for name in (*results[:2], *sent[:2], "b/row.json", "own/generator.bin"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(name)
    worker.work = lambda tell: "result"
    (last,) = station.run("module:function", JOB, 60.0, results, sent)
    assert last == ("done", "result", {name: name.encode() for name in results[:2]})
    assert [path.as_posix() for path in Path().glob("[!.]*/*")] == ["b/row.json"]
    assert not Path("a").exists()
    assert not Path("own").exists()


def test_a_job_that_raises_leaves_nothing_behind(station: RowActor, worker: Worker) -> None:
    Path("own").mkdir()

    def fail(tell: Callable[[Any], None]) -> None:
        raise CheckpointError("a.bin: damaged")

    worker.work = fail
    (last,) = station.run("module:function", JOB, 60.0, passing=["own"])
    assert (last[0], str(last[1]), last[2]) == ("raised", "a.bin: damaged", {})
    assert not Path("own").exists()
