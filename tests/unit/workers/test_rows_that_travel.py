"""Rows that start from each other, made and judged by two stations of a machine, in all but Ray."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from nada.hashing import sha256_file
from tasks.plan.plan import Plan
from tasks.plan.planning import make_plan
from tasks.row import models
from tasks.row.job import Job
from tasks.row.prepare import PREPARE
from tasks.store import prepared, row_folder
from tasks.workers.environment import installed
from tasks.workers.news import RowEnded
from tasks.workers.pool import EVALUATE_ROW, MAKE_ROWS, RETRIEVE_ROWS, WorkerSpec
from tasks.workers.ray import results, transfer
from tasks.workers.ray.actor import RowActor, mirror_folder
from tests.project import PARAMS, Project, project

__all__ = ["project"]

PROMPTS = """\
domain,source,target,recipe,on,reference_images
sketch,portrait,pencil sketch,style,,world/truth
child,portrait,a child,shape,sketch,
"""
DIRECTIONS = """\
directions:
  beta: 0.0
  channels:
    num_images: 2
    num_samples: 100
    max_resolution: 4
recipes:
"""
RECORDS = ("row.json", "evaluation.json")  # hold times

Tell = Callable[[Any], None]


class Worker:
    """In the place of a process."""

    def run(self, function: str, job: Job, tell: Tell = lambda news: None, timeout_seconds: float = 60.0) -> Any:
        module, name = function.split(":")
        return getattr(importlib.import_module(module), name)(job, tell)


class Station:
    """A RowActor, and our end of it."""

    def __init__(self, pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pid, self.monkeypatch = pid, monkeypatch
        self.actor = RowActor()
        with chdir(Path()):  # and back
            self.actor.open("project", WorkerSpec(device="cpu", threads=1), installed())
        self.mirror = mirror_folder(self.actor.machine, "project")

    def run(self, function: str, job: Job) -> tuple[Any, list[str]]:
        """Do what `RayPool.run` does; returns the result, and the files that were sent."""
        packed = transfer.pack(job, self.pid)
        sha256s = {name: sha256_file(path) for name, path in packed.files.items()}
        contents = {name: path.read_bytes() for name, path in packed.files.items()}
        with chdir(self.mirror), self.monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: self.pid)
            missing = self.actor.missing(sha256s, *packed.pictures)
            for name in missing:
                self.actor.receive(name, sha256s[name], contents[name])
            *news, last = self.actor.run(function, packed.job, 60.0, packed.results, packed.passing, packed.shared)
        for _, told, files in news:
            if isinstance(told, RowEnded):
                assert results.publish(job, told, files).error is None
        kind, result, files = last
        assert kind == "done", result
        return results.unpack(job, result, files), missing


@pytest.fixture
def plan(project: Project) -> Plan:
    Path("prompts.csv").write_text(PROMPTS)
    return make_plan(Path("params.yaml"))


@pytest.fixture
def stations(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[Station]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(project.folder / "caches"))
    monkeypatch.setattr("tasks.workers.ray.actor.WorkerPool", lambda specs: Worker())
    monkeypatch.setattr(row_folder, "process_lives", lambda pid: True)
    return [Station(pid, monkeypatch) for pid in (41, 42)]


def forget_what_was_made() -> None:
    """As if the next job were another process's."""
    models._warm.clear()


def test_rows_come_out_as_they_would_here(project: Project, plan: Plan, stations: list[Station]) -> None:
    for planned in plan.rows:
        Worker().run(MAKE_ROWS, plan.group_job([planned]))
        Worker().run(EVALUATE_ROW, plan.evaluate_job(planned))
    made_here = {planned.domain: figures(project, planned.domain) for planned in plan.rows}
    shutil.rmtree(project.folder / "weights" / "adapted")

    for maker, judge, planned in zip(stations, reversed(stations), plan.rows, strict=True):
        maker.run(MAKE_ROWS, plan.group_job([planned]))
        assert row_folder.state_of(planned.domain, planned.keys) == "made"
        forget_what_was_made()
        _, sent = judge.run(EVALUATE_ROW, plan.evaluate_job(planned))
        assert f"weights/adapted/.partial-{planned.domain}-{judge.pid}/generator.safetensors" in sent
        assert row_folder.state_of(planned.domain, planned.keys) == "whole"
    assert {domain: figures(project, domain) for domain in made_here} == made_here


def test_a_station_that_made_a_row_is_not_sent_it_again_and_keeps_none(plan: Plan, stations: list[Station]) -> None:
    station, planned = stations[0], plan.rows[0]
    station.run(MAKE_ROWS, plan.group_job([planned]))
    forget_what_was_made()
    _, sent = station.run(EVALUATE_ROW, plan.evaluate_job(planned))
    assert sent == []
    assert list((station.mirror / "weights" / "adapted").iterdir()) == []


def test_retrieval_is_told_again_from_kept_embeddings(plan: Plan, stations: list[Station]) -> None:
    station, planned = stations[0], plan.rows[0]
    station.run(MAKE_ROWS, plan.group_job([planned]))
    station.run(EVALUATE_ROW, plan.evaluate_job(planned))
    retrieval = Path("weights/adapted/sketch/retrieval.json")
    before = retrieval.read_bytes()
    retrieval.unlink()
    failed, sent = station.run(RETRIEVE_ROWS, plan.retrieve_job(plan.rows))
    assert sent == ["weights/adapted/sketch/embeddings.safetensors"]
    assert list(failed) == ["child"]
    assert retrieval.read_bytes() == before
    assert list((station.mirror / "weights" / "adapted").iterdir()) == []


def test_what_a_station_prepares_comes_back_and_goes_to_the_next_one(project: Project, stations: list[Station]) -> None:
    (project.folder / "params.yaml").write_text(PARAMS.replace("recipes:\n", DIRECTIONS))
    Path("prompts.csv").write_text("domain,source,target,method\nhair,portrait,pencil sketch,directions\n")
    (planned,) = plan_of().rows
    job = plan_of().job(planned)
    (path,) = (prepared.place(key).path for key in planned.prepared)
    stations[0].run(PREPARE, job)
    content = path.read_bytes()
    assert prepared.is_there(planned.prepared[0])
    assert (stations[0].mirror / path).read_bytes() == content  # and is there for further rows

    (stations[0].mirror / path).unlink()
    assert transfer.pack(job).shared == ()
    _, sent = stations[1].run(MAKE_ROWS, plan_of().group_job([planned]))
    assert path.as_posix() in sent
    assert path.read_bytes() == content


def plan_of() -> Plan:
    return make_plan(Path("params.yaml"), here=True)


def figures(project: Project, domain: str) -> dict[str, bytes]:
    """Everything that holds no times."""
    return {name: content for name, content in project.row_bytes(domain).items() if name not in RECORDS}
