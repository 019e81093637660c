"""Workers of a cluster that cannot start: their place is kept, and another is asked for. No cluster is needed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tasks.workers import idle
from tasks.workers.idle import IdleWorkers, RowTimeoutError
from tasks.workers.pool import WorkerDiedError, WorkerSpec
from tasks.workers.ray.actor import Place
from tasks.workers.ray.transfer import Packed

pytest.importorskip("ray", reason="needs the extra that dev includes: pip install -e '.[ray]'")

from tasks.workers.ray import pool as ray_pool
from tasks.workers.ray import transfer
from tasks.workers.ray.cluster import ray
from tasks.workers.ray.pool import RayPool
from tasks.workers.ray.worker import SOMEWHERE, RayWorker

HERE = Place(machine="here", pid=1)


class Station(RayWorker):
    """A worker whose actors are not there."""

    def __init__(self) -> None:
        self.refusals, self.starts, self.kills = 0, 0, 0
        super().__init__(WorkerSpec(device="cpu", threads=1), 1.0, threading.Event())

    def start(self) -> None:
        self.starts += 1
        self.about, self.place, self.is_lost = "", SOMEWHERE, False

    def is_ready(self) -> bool:
        if self.refusals:
            self.refusals -= 1
            raise ray().exceptions.RayError("The actor died.")
        self.place = HERE
        return True

    def kill(self) -> None:
        self.kills += 1
        self.is_lost = True

    def send(self, *_: Any) -> None:
        pass

    def converse(self, *_: Any) -> Any:
        return "done", "an answer", {}


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> Station:
    monkeypatch.setattr(idle, "START_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(transfer, "pack", lambda job, pid: Packed(job, {}))
    monkeypatch.setattr(ray_pool.results, "unpack", lambda job, said, files: said)
    return Station()


@pytest.fixture
def pool(station: Station) -> RayPool:
    made = RayPool.__new__(RayPool)
    made.workers, made._sha256 = [station], str  # type: ignore[assignment]
    made._idle = IdleWorkers(made.workers, made._has_started)
    return made


def run(pool: RayPool) -> Any:
    return pool.run("module:function", None, timeout_seconds=60.0)


def test_a_worker_that_cannot_start_stays_in_the_pool_and_another_is_asked_for(pool: RayPool, station: Station) -> None:
    station.refusals = 2
    assert run(pool) == "an answer"
    assert (pool.workers, station.starts) == ([station], 3)


def test_a_cluster_that_starts_nothing_is_told_and_asked_again(
    pool: RayPool, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "START_PATIENCE_SECONDS", 0.0)
    station.refusals = 1
    with pytest.raises(WorkerDiedError, match=r"^no worker can be started \(The actor died\)$"):
        run(pool)
    assert run(pool) == "an answer"


def test_a_worker_that_is_lost_while_no_other_can_be_asked_for_is_given_back(
    pool: RayPool, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pool)

    def is_lost(*_: Any) -> None:
        raise ray().exceptions.RayError("The node died.")

    with monkeypatch.context() as patch:
        patch.setattr(station, "converse", is_lost)
        patch.setattr(station, "start", is_lost)
        with pytest.raises(WorkerDiedError, match=r"^the worker on here was lost \(The node died\)$"):
            run(pool)
    assert run(pool) == "an answer"


def test_a_station_that_takes_no_files_is_ended_at_the_rows_limit(
    pool: RayPool, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.actor = silent = Silent()
    monkeypatch.setattr(Station, "send", RayWorker.send)
    monkeypatch.setattr("tasks.workers.ray.worker.ray", lambda: silent)
    for module in ("idle", "ray.worker"):
        monkeypatch.setattr(f"tasks.workers.{module}.time", silent)
    with pytest.raises(RowTimeoutError, match=r"^its files did not arrive in time; the worker was killed$"):
        run(pool)
    assert station.kills == 1


class Silent:
    """A Ray whose actors never answer, and its clock: whoever waits for them waits for an hour."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Silent:
        return self

    def __call__(self, *_: Any, **__: Any) -> Silent:
        return self

    def wait(self, references: Any, timeout: float) -> tuple[list[Any], list[Any]]:
        self.now += 3600.0
        return [], references
