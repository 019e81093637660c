"""A night in a real MLflow store: parent, children, curves, hashes, and what a crash leaves."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nada.errors import OutputError
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from tasks.config.model import Params
from tasks.config.row import Row
from tasks.store.record import NUM_STYLE, STYLE, FileEntry, Record
from tasks.tracking import mlflow_client, mlflow_store, row_runs
from tasks.tracking.address import ui_command
from tasks.tracking.refusals import StoreRefusedError
from tests.records import EVALUATION_KEY, KEY, make_record, make_score

ROW = Row(line=2, domain="sketch", source="a portrait", target="a pencil sketch", recipe="style")
NUM_STEPS = 300


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One store for all tests: making the database takes seconds."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield folder


@pytest.fixture(scope="module")
def night(project: Path) -> mlflow_store.NightRun:
    return mlflow_store.start_night(params(), [ROW], "night 1", {"nada.commit": "abc"})


def params() -> Params:
    clips = [{"name": name, "weights": "openai"} for name in ("ViT-B-32", "ViT-B-16")]
    return Params.model_validate(
        {
            "night": {},
            "generator": {"weights": "g.safetensors"},
            "guide": {"models": clips[:1]},
            "judge": {"model": clips[1]},
        }
    )


def record(key: str = KEY, evaluation: str = EVALUATION_KEY, domain: str = ROW.domain) -> Record:
    nothing = make_score(math.inf)  # no night writes such a figure
    return make_record(
        domain,
        ROW.target,
        {
            "retrieval_accuracy": make_score(0.75),
            "structure_ratio": make_score(0.9),
            "directional_similarity": make_score(0.3),
            "colour_distance": nothing,
        },
        {ROW.target: 16},
        config=AdaptConfig(selection=SelectionConfig(k="auto")),
        making={"key": key, "files": {"generator.safetensors": FileEntry(sha256="beef", num_bytes=3)}},
        evaluation={"key": evaluation, "making_key": key},
    )


def folder_of_a_row(project: Path) -> Path:
    folder = project / "weights" / "adapted" / "sketch"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{step},{1 / step},{2 / step},,nan,all" for step in range(1, NUM_STEPS + 1)]
    (folder / "trace.csv").write_text("\n".join(["step,loss,directional,global,odd,layers", *lines]) + "\n")
    Image.new("RGB", (20, 10), "teal").save(folder / "samples.webp")
    (folder / "generator.safetensors").write_bytes(b"big")
    return folder


def client(night: mlflow_store.NightRun) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(night.tracking_uri)


def test_the_store_lies_in_the_project(project: Path, night: mlflow_store.NightRun) -> None:
    assert night.tracking_uri == f"sqlite:///{project}/.mlflow/mlflow.db"
    page = f"http://127.0.0.1:5000/#/experiments/{night.experiment_id}/runs?workflowType=machine_learning"
    assert ui_command() == f"mlflow ui --backend-store-uri {night.tracking_uri} --port 5000    # then open {page}"
    assert (project / ".mlflow" / "mlflow.db").is_file()
    assert not (project / "mlruns").exists()


def test_the_parent_tells_parameters_prompts_and_tags(project: Path, night: mlflow_store.NightRun) -> None:
    run = client(night).get_run(night.run_id)
    assert run.info.run_name == "night 1"
    assert run.data.params["guide.models.0.name"] == "ViT-B-32"
    assert run.data.tags["nada.commit"] == "abc"
    assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["prompts"]
    prompts = json.loads((project / ".mlflow" / "artifacts" / night.run_id / "artifacts" / "prompts.json").read_text())
    assert prompts["rows"][0]["target"] == "a pencil sketch"


def test_the_pictures_that_a_row_learned_from_are_its_dataset(project: Path, night: mlflow_store.NightRun) -> None:
    other = record("9" * 64)
    row = replace(other.making.row, style_images="photos.zip")
    told = {STYLE: "c" * 64, NUM_STYLE: "12"}
    styled = replace(other, making=other.making.model_copy(update={"row": row, "provenance": told}))
    run = client(night).get_run(row_runs.record_row(night, styled, folder_of_a_row(project)))
    prompts, entry = sorted(run.inputs.dataset_inputs, key=lambda entry: entry.dataset.name)
    assert (prompts.dataset.name, prompts.dataset.digest) == ("prompts", night.prompts.sha256[:36])
    assert (entry.dataset.name, entry.dataset.digest) == ("style_images", "c" * 36)
    assert json.loads(entry.dataset.source) == {"uri": "photos.zip"}
    assert json.loads(entry.dataset.profile) == {"num_images": 12}


def test_a_finished_row_is_one_child_with_curves_scores_and_hashes(project: Path, night: mlflow_store.NightRun) -> None:
    assert mlflow_store.unrecorded(night, [record()]) == [record()]
    run_id = row_runs.record_row(night, record(), folder_of_a_row(project))
    assert mlflow_store.unrecorded(night, [record(), record("f" * 64)]) == [record("f" * 64)]

    run = client(night).get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "sketch")
    assert run.info.end_time - run.info.start_time == 30_000
    assert run.data.tags["mlflow.parentRunId"] == night.run_id
    assert run.data.tags["nada.weights.sha256"] == "beef"
    assert {name: run.data.tags[f"nada.{name}"] for name in ("domain", "key", "evaluation", "method")} == {
        "domain": "sketch",
        "key": KEY,
        "evaluation": EVALUATION_KEY,
        "method": "adapt",
    }
    assert run.data.tags["nada.sha256 of guide.models_0_"] == "fedc"
    assert run.data.params["adapt.selection.k"] == "auto"
    assert "iterations" not in run.data.params
    assert run.data.metrics["retrieval_accuracy"] == 0.75
    assert set(run.data.metrics) == {
        "retrieval_accuracy", "retrieval_accuracy/low", "retrieval_accuracy/high",
        "structure_ratio", "structure_ratio/low", "structure_ratio/high",
        "directional_similarity", "directional_similarity/low", "directional_similarity/high",
        "seconds/make", "seconds/judge", "seconds/total", "train/loss", "train/directional", "kept_step",
    }  # fmt: skip

    curve = client(night).get_metric_history(run_id, "train/loss")
    assert [point.step for point in curve] == list(range(1, NUM_STEPS + 1))
    assert curve[-1].value == pytest.approx(1 / NUM_STEPS)

    assert run.data.tags["nada.verdict"] == "unproven"
    assert run.data.tags["mlflow.note.content"].startswith(
        "unproven: 100% find their prompt, 90% of the variety kept; "
    )
    assert run.data.metrics["kept_step"] == NUM_STEPS

    artifacts = {file.path for file in client(night).list_artifacts(run_id)}
    assert artifacts == {"samples.jpg", "trace.csv", "model"}


def test_three_hundred_steps_are_written_in_few_calls(
    project: Path, night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    sizes: list[int] = []
    log_batch = MlflowClient.log_batch

    def counting(self: Any, run_id: str, metrics: Any = (), **rest: Any) -> None:
        sizes.append(len(metrics))
        log_batch(self, run_id, metrics=metrics, **rest)

    monkeypatch.setattr(MlflowClient, "log_batch", counting)
    row_runs.record_row(night, record("b" * 64), folder_of_a_row(project))
    assert [size for size in sizes if size] == [2 * NUM_STEPS + 13]


def test_a_failed_row_is_one_failed_child_with_its_reason(night: mlflow_store.NightRun) -> None:
    run_id = row_runs.record_failure(night, ROW, "c" * 64, "NonFiniteLossError: loss is nan at step 3" + "." * 9000)
    run = client(night).get_run(run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["nada.error"].startswith("NonFiniteLossError: loss is nan at step 3")
    assert not mlflow_store.is_recorded(night, record("c" * 64))


def test_a_store_is_asked_about_a_row_only_until_it_is_known(
    project: Path, night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_runs.record_row(night, record("d" * 64), folder_of_a_row(project))
    known = project / ".mlflow" / "recorded"
    known.write_text("torn line\n")
    assert mlflow_store.unrecorded(night, [record("d" * 64)]) == []  # asked, and remembered again
    monkeypatch.setattr(mlflow_store, "is_recorded", lambda *_: pytest.fail("asked again"))
    assert mlflow_store.unrecorded(night, [record("d" * 64)]) == []


def test_a_store_that_was_made_anew_knows_nothing(
    project: Path, night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_runs.record_row(night, record("e" * 64), folder_of_a_row(project))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    another = mlflow_store.start_night(params(), [ROW], "night")
    assert mlflow_store.unrecorded(another, [record("e" * 64)]) == [record("e" * 64)]


@pytest.mark.parametrize(("failed", "status"), [(False, "FINISHED"), (True, "FAILED")])
def test_the_end_of_a_night_has_a_leaderboard(project: Path, failed: bool, status: str) -> None:
    other = mlflow_store.start_night(params(), [ROW], f"night {status}")
    (project / "index.html").write_text("<html>")
    board = [{"domain": "sketch", "a": 0.5}, {"domain": "robot", "b": 0.25}]
    mlflow_store.finish_night(other, board, failed, [project / "index.html", project / "absent.html"])

    run = client(other).get_run(other.run_id)
    assert run.info.status == status
    assert run.data.metrics == {"num_domains": 2}
    folder = project / ".mlflow" / "artifacts" / other.run_id / "artifacts"
    table = json.loads((folder / "leaderboard.json").read_text())
    assert table == {"columns": ["domain", "a", "b"], "data": [["sketch", 0.5, None], ["robot", None, 0.25]]}
    assert (folder / "index.html").is_file()


def test_a_run_that_a_kill_left_running_is_closed_at_the_next_start(night: mlflow_store.NightRun) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = {**mlflow_client.own_tags("night"), "nada.pid": str(process.pid)}
    reused = {**dead, "nada.pid": str(os.getppid())}  # its id belongs to another process by now
    neighbour = {**reused, "nada.project": "/another/project"}
    elsewhere = {**dead, "nada.host": "another machine"}
    every = (dead, reused, neighbour, elsewhere, {})
    runs = [client(night).create_run(night.experiment_id, tags=tags) for tags in every]

    mlflow_store.start_night(params(), [ROW], "next night")
    statuses = [
        client(night).get_run(run.info.run_id).info.status for run in (*runs, client(night).get_run(night.run_id))
    ]
    assert statuses == ["KILLED", "KILLED", "RUNNING", "RUNNING", "RUNNING", "RUNNING"]


def test_a_night_that_could_not_tell_its_end_has_it_from_the_next_one(
    project: Path, night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = {**mlflow_client.own_tags("night"), "nada.pid": str(os.getppid())}
    ended = {"a good night": False, "a bad night": True}
    for name, failed in ended.items():
        mlflow_store.end_night(name, failed)
    with (project / ".mlflow" / "ended").open("a") as file:
        file.write("FIN")  # torn by a kill
    mlflow_store.end_night("another", failed=False)
    runs = [
        client(night).create_run(night.experiment_id, start_time=1, run_name=name, tags=dead)
        for name in (*ended, "another")
    ]
    before = time.time()
    mlflow_store.start_night(params(), [ROW], "the next night")
    found = [client(night).get_run(run.info.run_id).info for run in runs]
    assert [info.status for info in found] == ["FINISHED", "FAILED", "KILLED"]
    assert found[0].end_time <= 1000 * before <= found[2].end_time


def test_a_server_that_is_gone_is_one_clear_error_and_not_asked_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    here, sleep = threading.get_ident(), time.sleep

    def refuse_to_wait(seconds: float) -> None:
        if threading.get_ident() == here:
            pytest.fail("asked again later")
        sleep(seconds)

    monkeypatch.setattr("time.sleep", refuse_to_wait)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(OutputError, match=r"^MLflow at http://127\.0\.0\.1:1: API request to .* failed"):
        mlflow_store.start_night(params(), [ROW], "night")


def runs_of(night: mlflow_store.NightRun, key: str) -> list[str]:
    runs = client(night).search_runs([night.experiment_id], f"tags.`nada.key` = '{key}'")
    return [run.info.status for run in runs]


def test_a_locked_store_refuses_within_seconds_and_takes_the_row_later_once(
    project: Path, night: mlflow_store.NightRun
) -> None:
    key, folder = "1" * 64, folder_of_a_row(project)
    with closing(sqlite3.connect(project / ".mlflow" / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match=r"mlflow.db: database is locked"):
            row_runs.record_row(night, record(key), folder)
    assert mlflow_store.unrecorded(night, [record(key)]) == [record(key)]
    row_runs.record_row(night, record(key), folder)
    assert runs_of(night, key) == ["FINISHED"]


def test_a_row_that_was_recorded_by_half_or_before_has_one_run_in_the_end(
    project: Path, night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, folder = "2" * 64, folder_of_a_row(project)
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifact", refuse)
        with pytest.raises(OutputError, match="No space left"):
            row_runs.record_row(night, record(key), folder)
    assert runs_of(night, key) == ["RUNNING"]
    for _ in range(2):
        row_runs.record_row(night, record(key), folder)
    assert runs_of(night, key) == ["FINISHED"]
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifact", refuse)
        with pytest.raises(OutputError, match="No space left"):
            row_runs.record_row(night, record(key), folder)
    assert mlflow_store.unrecorded(night, [record(key), record()]) == [record(key)]  # though it was, for a while


def test_two_domains_that_are_made_alike_keep_their_runs(project: Path, night: mlflow_store.NightRun) -> None:
    key, folder = "3" * 64, folder_of_a_row(project)
    one, two = record(key), record(key, domain="twin")
    row_runs.record_row(night, one, folder)
    assert mlflow_store.unrecorded(night, [one, two]) == [two]
    row_runs.record_row(night, two, folder)
    assert mlflow_store.unrecorded(night, [one, two]) == []
    assert runs_of(night, key) == ["FINISHED", "FINISHED"]


def test_a_row_that_is_lost_ends_no_run_of_a_domain_that_is_made_alike(
    project: Path, night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, folder = "5" * 64, folder_of_a_row(project)
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifact", refuse)
        with pytest.raises(OutputError, match="No space left"):
            row_runs.record_row(night, record(key), folder)
    row_runs.record_failure(night, replace(ROW, domain="twin"), key, "lost")
    assert sorted(runs_of(night, key)) == ["FAILED", "RUNNING"]
    row_runs.record_failure(night, ROW, key, "lost")
    assert runs_of(night, key) == ["FAILED", "FAILED"]


def test_a_row_that_is_judged_anew_has_a_new_run_tonight_and_keeps_that_of_the_night_before(
    project: Path, night: mlflow_store.NightRun
) -> None:
    key, folder = "4" * 64, folder_of_a_row(project)
    before, anew = record(key), record(key, evaluation="9" * 64)
    row_runs.record_row(night, before, folder)
    tonight = mlflow_store.start_night(params(), [ROW], "tonight")
    assert mlflow_store.unrecorded(tonight, [before, anew]) == [anew]
    for _ in range(2):
        row_runs.record_row(tonight, anew, folder)
    runs = client(night).search_runs([night.experiment_id], f"tags.`nada.key` = '{key}'")
    assert {run.data.tags["nada.evaluation"]: run.data.tags["mlflow.parentRunId"] for run in runs} == {
        EVALUATION_KEY: night.run_id,
        "9" * 64: tonight.run_id,
    }
    assert len(runs) == 2


def test_a_night_that_could_not_be_opened_has_one_parent_in_the_end(
    night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_dict", refuse)
        with pytest.raises(OutputError, match="No space left"):
            mlflow_store.start_night(params(), [ROW], "late night")
    mlflow_store.start_night(params(), [ROW], "late night")
    runs = client(night).search_runs([night.experiment_id], "attributes.run_name = 'late night'")
    assert len(runs) == 1


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_names_that_mlflow_does_not_accept_are_recorded_under_others(
    project: Path, night: mlflow_store.NightRun
) -> None:
    odd = {f"{'long' * 100}": {"k": 0}, "a//b": {"k": 1}, "a?b": {"k": 2}, "a*b": {"k": 3}, "../c/": {"k": 4}}
    run_id = client(night).create_run(night.experiment_id).info.run_id
    mlflow_client.log_params(client(night), run_id, {"recipes": odd})
    recorded = client(night).get_run(run_id).data.params
    assert sorted(recorded.values()) == ["0", "1", "2", "3", "4"]
    assert recorded["recipes.a__b.k"] == "1"


def test_a_deleted_experiment_is_refused_with_the_line_that_brings_it_back(
    night: mlflow_store.NightRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "dropped")
    dropped = mlflow_store.start_night(params(), [ROW], "night")
    client(night).delete_experiment(dropped.experiment_id)
    with pytest.raises(
        StoreRefusedError, match=f"'dropped' was deleted; .*restore --experiment-id {dropped.experiment_id}"
    ):
        mlflow_store.start_night(params(), [ROW], "night")


def test_a_store_that_a_kill_left_half_made_is_moved_aside_and_one_is_made_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = tmp_path / ".mlflow" / "mlflow.db"
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.store.db.utils._upgrade_db", refuse)  # with the first tables made, as MLflow makes them
        patch.setattr("tasks.tracking.sqlite.TemporaryDirectory", lambda **_: nullcontext(tmp_path / "killed"))
        (tmp_path / "killed").mkdir()
        with pytest.raises(OutputError, match="No space left"):
            mlflow_store.start_night(params(), [ROW], "night")
    assert not store.exists()
    (tmp_path / "killed" / "mlflow.db").rename(store)  # as older versions left it
    made = mlflow_store.start_night(params(), [ROW], "night")
    (note,) = made.notes
    assert f"{store}: was cut short while it was made, and holds nothing; moved to {store}.half-made" in note
    again = mlflow_store.start_night(params(), [ROW], "another night")
    assert again.notes == ()
    assert client(again).get_run(made.run_id).info.run_name == "night"


def test_a_copy_of_a_project_keeps_its_artifacts_to_itself(
    project: Path, night: mlflow_store.NightRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "it's a copy"
    shutil.copytree(project / ".mlflow", copy / ".mlflow")
    before = sorted((project / ".mlflow").rglob("*"))
    monkeypatch.chdir(copy)
    there = mlflow_store.start_night(params(), [ROW], "night of the copy")
    row_runs.record_row(there, record(), folder_of_a_row(copy))
    assert sorted((project / ".mlflow").rglob("*")) == before
    assert (copy / ".mlflow" / "artifacts" / there.run_id / "artifacts" / "prompts.json").is_file()
    assert [file.path for file in client(there).list_artifacts(night.run_id)] == ["prompts.json"]  # of before, too
    assert client(there).get_run(night.run_id).info.artifact_uri.startswith((copy / ".mlflow").as_uri())


@pytest.mark.parametrize(
    "uri", ["./mlruns", "mysql://me@127.0.0.1:9/runs?password=secret", "sqlite:////proc/no/runs.db"]
)
def test_a_store_that_cannot_be_used_is_refused_for_good(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreRefusedError, match=r"or unset MLFLOW_TRACKING_URI for the project's own store$") as caught:
        mlflow_store.start_night(params(), [ROW], "night")
    assert "secret" not in str(caught.value)


def test_a_damaged_store_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"no database at all" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    with pytest.raises(OutputError, match=r"mlflow.db: file is not a database"):
        mlflow_store.start_night(params(), [ROW], "night")


def test_a_store_that_cannot_be_made_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".mlflow").touch()
    with pytest.raises(OutputError, match=r"^MLflow at sqlite:///.*/.mlflow/mlflow.db: .*File exists"):
        mlflow_store.start_night(params(), [ROW], "night")


def test_an_unknown_kind_of_store_hides_the_secret_in_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "odd://me:secret@host/path")
    with pytest.raises(OutputError) as caught:
        mlflow_store.start_night(params(), [ROW], "night")
    assert "secret" not in str(caught.value)
    assert "odd://***@host/path" in str(caught.value)
    assert "secret" not in ui_command()
