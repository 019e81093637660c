"""A row's run in a real MLflow store from its first step to its end, whatever becomes of its process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import METHODS
from tasks.config.model import Params
from tasks.config.row import Row
from tasks.plan.planned_row import PlannedRow
from tasks.row.job import Source
from tasks.store.record import FileEntry, Record
from tasks.store.row_folder import Keys
from tasks.tracking import live_rows, mlflow_client, mlflow_store, row_runs
from tasks.tracking.live_rows import LiveRows
from tasks.variants.published import renamed
from tasks.workers.news import Progress
from tests.records import EVALUATION_KEY, KEY, make_record, make_score

CONFIG = AdaptConfig(iterations=10)
ROW = Row(line=2, domain="sketch", source="a portrait", target="a pencil sketch", recipe="style")
SCORES = {"structure_ratio": make_score(0.9), "directional_similarity": make_score(0.3)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One store for all tests: making the database takes seconds."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        lines = [f"{step},{1 / step}" for step in range(1, CONFIG.iterations + 1)]
        (folder / "trace.csv").write_text("\n".join(["step,loss", *lines]) + "\n")
        yield folder


@pytest.fixture(scope="module")
def night(project: Path) -> mlflow_store.NightRun:
    return begin("night 1")


@pytest.fixture(autouse=True)
def _told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_rows, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(live_rows, "SHARE", 1e9)


def params() -> Params:
    clips = [{"name": name, "weights": "openai"} for name in ("ViT-B-32", "ViT-B-16")]
    sections = {"generator": {"weights": "g"}, "guide": {"models": clips[:1]}, "judge": {"model": clips[1]}}
    return Params.model_validate({"night": {}, **sections})


def begin(name: str) -> mlflow_store.NightRun:
    return mlflow_store.start_night(params(), [ROW], name)


def planned(key: str) -> PlannedRow:
    return PlannedRow(
        row=ROW,
        method=METHODS["adapt"],
        config=CONFIG,
        seed=0,
        source=Source(base_path="g.safetensors", base_sha256="1" * 64, base_name="g.pkl"),
        keys=Keys(key, EVALUATION_KEY, "2" * 64),
        state="train",
    )


def record(key: str) -> Record:
    files = {"generator.safetensors": FileEntry(sha256="beef", num_bytes=3)}
    making = {"key": key, "files": files}
    return make_record("sketch", ROW.target, SCORES, {ROW.target: 16}, config=CONFIG, making=making)


def news(step: int, picture: bool = False) -> Progress:
    file = io.BytesIO()
    Image.new("RGB", (64, 16), "red").save(file, format="JPEG")
    jpeg = file.getvalue() if picture else None
    loss = 1 / step
    return Progress(domain="sketch", step=step, total=10, loss=loss, phase="make", picture=jpeg, pictured_step=step)


def client(night: mlflow_store.NightRun) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(night.tracking_uri)


def runs(night: mlflow_store.NightRun, key: str) -> list[Any]:
    return list(client(night).search_runs([night.experiment_id], f"tags.`nada.key` = '{key}'"))


def losses(night: mlflow_store.NightRun, run: Any) -> list[int]:
    return sorted(point.step for point in client(night).get_metric_history(run.info.run_id, "train/loss"))


def made_until(night: mlflow_store.NightRun, key: str, first: int, last: int) -> LiveRows:
    """A row that has come so far, and was told of at every step."""
    live = LiveRows({"sketch": planned(key)}.__getitem__)
    for step in range(first, last + 1):
        live.hear(news(step, picture=step % 2 == 0))
        live.tell(night)
    return live


def test_a_row_has_its_run_from_its_first_step_with_its_loss_and_pictures(night: mlflow_store.NightRun) -> None:
    key = "1" * 64
    live = LiveRows({"sketch": planned(key)}.__getitem__)
    live.hear(replace(news(1), phase="load", step=0))
    live.tell(night)
    assert runs(night, key) == []
    live.hear(news(1))
    live.tell(night)
    (run,) = runs(night, key)
    assert (run.info.status, run.data.metrics) == ("RUNNING", {"train/loss": 1.0})
    assert run.data.params["target"] == "a pencil sketch"
    assert run.data.params["adapt.iterations"] == "10"
    for step in (2, 3):
        live.hear(news(step, picture=True))
        live.tell(night)
    assert losses(night, run) == [1, 2, 3]
    shown = [file.path for file in client(night).list_artifacts(run.info.run_id, "images")]
    assert len([path for path in shown if path.endswith(".png")]) == 2


def test_the_run_of_a_row_whose_night_was_killed_is_gone_on_with_and_is_the_only_one(
    project: Path, night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "2" * 64
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_client.os, "getpid", lambda: process.pid)
        made_until(night, key, 1, 5)
    (killed,) = runs(night, key)
    tonight = begin("night 2")
    assert [run.info.status for run in runs(night, key)] == ["KILLED"]
    made_until(tonight, key, 4, 8)  # from the state that was saved last
    (going,) = runs(tonight, key)
    assert (going.info.run_id, going.info.status) == (killed.info.run_id, "RUNNING")
    assert going.data.tags["mlflow.parentRunId"] == tonight.run_id
    assert row_runs.record_row(tonight, record(key), project) == killed.info.run_id
    (whole,) = runs(tonight, key)
    assert whole.info.status == "FINISHED"
    assert losses(tonight, whole) == list(range(1, 11))  # each step once
    assert whole.data.tags["nada.verdict"] == "unproven"
    assert sorted(entry.dataset.name for entry in whole.inputs.dataset_inputs) == ["prompts"]


def test_a_row_that_fails_on_the_way_ends_its_run_with_the_reason(night: mlflow_store.NightRun) -> None:
    key = "3" * 64
    live = made_until(night, key, 1, 2)
    live.ended("sketch")
    row_runs.record_failure(night, ROW, key, "the loss is inf")
    live.tell(night)
    (run,) = runs(night, key)
    assert (run.info.status, run.data.tags["nada.error"], losses(night, run)) == ("FAILED", "the loss is inf", [1, 2])
    made_until(night, key, 1, 1)  # the next night tries again
    assert sorted(run.info.status for run in runs(night, key)) == ["FAILED", "RUNNING"]


def test_a_night_that_is_broken_off_leaves_no_run_that_seems_to_go_on(night: mlflow_store.NightRun) -> None:
    key, other = "4" * 64, begin("night 3")
    live = made_until(other, key, 1, 1)
    row_runs.leave_runs(other, [*live.run_ids, other.run_id])
    statuses = [client(other).get_run(run_id).info.status for run_id in (*live.run_ids, other.run_id)]
    assert statuses == ["KILLED", "KILLED"]


def test_what_is_registered_names_its_weights_and_has_one_version_however_often_it_is_recorded(
    project: Path, night: mlflow_store.NightRun
) -> None:
    for key in (KEY, "5" * 64, "5" * 64):
        run_id = row_runs.record_row(night, record(key), project)
    model = client(night).get_model_version_by_alias("nada-sketch", "best")
    assert (model.run_id, model.tags["nada.key"], model.tags["nada.weights.sha256"]) == (run_id, "5" * 64, "beef")
    versions = client(night).search_model_versions("name='nada-sketch'")
    assert sorted(version.tags["nada.key"] for version in versions if version.tags["nada.key"] in (KEY, "5" * 64)) == [
        "5" * 64, KEY
    ]  # fmt: skip


def test_the_best_version_of_a_domain_of_several_rows_is_the_row_that_was_taken(
    project: Path, night: mlflow_store.NightRun
) -> None:
    def best() -> tuple[str, str, str]:
        model = client(night).get_model_version_by_alias("nada-sketch", "best")
        facts = json.loads((project / model.source.removeprefix("file://") / "domain.json").read_text())
        return model.run_id, model.tags["nada.key"], facts["domain"]

    row_runs.record_row(night, record("7" * 64), project)  # the domain's only row
    variants = {key: renamed(record(key), f"sketch_style-{key[0]}") for key in ("8" * 64, "9" * 64)}
    row_runs.register_taken(night, variants["8" * 64], "sketch")  # before it is recorded
    assert best()[1] == "7" * 64
    run_ids = {key: row_runs.record_row(night, variant, project) for key, variant in variants.items()}
    assert best()[1] == "7" * 64
    for key in ("9" * 64, "8" * 64, "8" * 64, "9" * 64):
        row_runs.register_taken(night, variants[key], "sketch")
        assert best() == (run_ids[key], key, "sketch")
    versions = client(night).search_model_versions("name='nada-sketch'")
    assert [version.tags["nada.key"][0] for version in versions if version.run_id in run_ids.values()] == ["8", "9"]


def test_rows_that_join_a_night_are_among_its_prompts(project: Path) -> None:
    night = begin("night of more")
    before = night.prompts.sha256
    more = [ROW, replace(ROW, line=3, domain="robot", target="a robot")]
    mlflow_store.add_rows(night, params(), more)
    logged = client(night).get_run(night.run_id).inputs.dataset_inputs
    assert {one.dataset.digest for one in logged} == {before[:36], night.prompts.sha256[:36]}
    row_runs.begin_row(night, planned("b" * 64))
    (run,) = runs(night, "b" * 64)
    assert [one.dataset.digest for one in run.inputs.dataset_inputs] == [night.prompts.sha256[:36]]


def test_a_store_that_refuses_is_told_later_what_was_not_written(
    night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, live = "6" * 64, LiveRows({"sketch": planned("6" * 64)}.__getitem__)
    live.hear(news(1))
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_batch", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "refused")))
        with pytest.raises(Exception, match="refused"):
            live.tell(night)
    live.hear(news(2))
    live.tell(night)
    (run,) = runs(night, key)
    assert losses(night, run) == [1, 2]
