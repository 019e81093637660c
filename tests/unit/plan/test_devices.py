"""On what a night runs, on this machine and on Ray; the workers themselves are in test_workers."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import pytest

from nada.errors import ParamsError
from tasks.config.model import NightConfig
from tasks.plan.devices import ray_workers
from tasks.workers.ray import cluster
from tests.project import PARAMS, ROBOT, SKETCH, Project, project

__all__ = ["project"]

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs the extra that dev includes: pip install -e '.[ray]'"
)

CLUSTER = {"CPU": 16.0, "GPU": 4.0, "memory": 1e11}


def layout(resources: dict[str, float], num_rows: int = 100, **night: Any) -> list[tuple[str, int]]:
    specs = ray_workers(NightConfig(runner="ray", **night), resources, num_rows)
    return [(spec.device, spec.threads) for spec in specs]


def test_every_gpu_of_a_cluster_gets_a_worker_or_as_many_as_asked_for() -> None:
    assert layout(CLUSTER) == layout(CLUSTER, device="cuda") == [("cuda:0", 4)] * 4
    assert layout(CLUSTER, workers=2) == [("cuda:0", 2)] * 8


def test_a_cluster_without_gpus_works_on_its_cores() -> None:
    assert layout({"CPU": 8.0}) == [("cpu", 1)] * 8
    assert layout(CLUSTER, device="cpu", num_rows=3) == [("cpu", 1)] * 3


@pytest.mark.parametrize(("device", "resources"), [("cuda:1", CLUSTER), ("cuda", {"CPU": 8.0})])
def test_ray_chooses_the_gpu_itself(device: str, resources: dict[str, float]) -> None:
    with pytest.raises(ParamsError, match=r"^night\.device: 'cuda(:1)?' cannot be used; on Ray, which chooses among"):
        layout(resources, device=device)


@pytest.fixture
def on_ray(project: Project) -> Project:
    """A project whose nights run on Ray, with a mistake in its CSV that would be found next."""
    (project.folder / "params.yaml").write_text(PARAMS.replace("night:\n", "night:\n  runner: ray\n"))
    project.prompts("Not A Slug,,,,")
    return project


def hide_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find(name))


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_missing_extra_is_told_before_anything_else(
    on_ray: Project, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_ray(monkeypatch)
    outcome = on_ray.nada(command)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == (
        "night.runner: 'ray' needs Ray, which is not installed; "
        "pip install --constraint constraints.txt --editable '.[ray]'\n"
    )


def test_reading_a_night_needs_no_ray(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    params = PARAMS.replace("night:\n", "night:\n  runner: ray\n  ray_address: ray-head:6379\n")
    (project.folder / "params.yaml").write_text(params.replace("device: cpu", "device: cuda"))
    hide_ray(monkeypatch)
    assert project.nada("report").status == 0


@needs_ray
def test_a_plan_says_that_it_is_for_ray_and_starts_none(on_ray: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    on_ray.prompts(SKETCH, ROBOT)
    monkeypatch.setattr(cluster, "_init", lambda **_: pytest.fail("Ray was started"))
    assert "on 2 workers on Ray (cpu, 1 thread each)" in on_ray.nada("plan", "--no-preflight").out


@needs_ray
def test_a_cluster_that_does_not_answer_ends_the_night_at_once(project: Project) -> None:
    address = "night:\n  runner: ray\n  ray_address: 127.0.0.1:1\n"
    (project.folder / "params.yaml").write_text(PARAMS.replace("night:\n", address))
    outcome = project.nada("run")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == (
        "night.ray_address: no cluster at '127.0.0.1:1' ([Errno 111] Connection refused); "
        "ray start --head begins one; without night.ray_address the night starts a Ray of its own\n"
    )


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port", "a b:1"])
def test_an_address_that_ray_cannot_join_by_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="expected 'auto' or host:port of a cluster to which this machine belongs"):
        NightConfig(ray_address=address)


def test_a_second_ray_of_one_process_has_the_token_that_the_process_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", *cluster.LOOPBACK):
        monkeypatch.setenv(name, "")  # and back
        monkeypatch.delenv(name)
    tokens: list[str] = []
    monkeypatch.setattr(cluster, "_init", lambda **_: tokens.append(os.environ["RAY_AUTH_TOKEN"]))
    cluster.start("folder", 1)
    cluster.start("folder", 1)
    assert tokens[0] == tokens[1]
    assert len(tokens[0]) == 64


@needs_ray
def test_ray_is_told_to_report_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cluster.QUIET:
        monkeypatch.setenv(name, "1")
    cluster.ray()
    assert {name: os.environ[name] for name in cluster.QUIET} == cluster.QUIET
