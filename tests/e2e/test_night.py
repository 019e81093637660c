"""From a CSV to weights, scores, MLflow runs and a report, with the real Prefect, DVC aside."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from flows.cli.display import Display, make_console
from nada.checkpoints import load_generator, save_generator
from nada.errors import CheckpointError
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.library.domains import open_domain
from tasks.library.sample import samples
from tasks.plan.planning import make_plan
from tasks.store.record import FileEntry, read_record, write_entry
from tests.conftest import tiny_generator
from tests.project import BROKEN, ROBOT, SKETCH, Outcome, Project, make_project, run_alone, write_prompts

MADE = {"generator.safetensors", "row.json", "trace.csv"}
JUDGED = {"embeddings.safetensors", "evaluation.json", "metrics.json", "retrieval.json", "samples.webp"}
PATIENCE_SECONDS = 120.0
LONG = "  long:\n    iterations: 1000000\n"

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    # Prefect 3.8 defines a column type in a way that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:Type object <class 'prefect"),
]


SHOWN = 1 + 2 * 2 + 1
"""Pictures of a report: the source's strip, a sheet and a strip a domain, and the references that one has."""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Iterator[tuple[Path, Outcome]]:
    """A project after a night in which one of three rows broke, and how the command ended."""
    folder = tmp_path_factory.mktemp("night")
    make_project(folder, tiny_world)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_prompts(folder, SKETCH, BROKEN, ROBOT)
        yield folder, run_alone(folder, "run")


@pytest.fixture
def after_night(night: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Project:
    """A copy of that project, to go on with."""
    shutil.copytree(night[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / '.mlflow' / 'mlflow.db'}")
    return Project(tmp_path, capsys)


def test_a_row_that_breaks_leaves_the_others_whole(night: tuple[Path, Outcome]) -> None:
    folder, outcome = night
    assert outcome.status == 1, outcome
    adapted = folder / "weights" / "adapted"
    assert sorted(path.name for path in adapted.iterdir()) == ["_parents", "robot", "sketch"]
    for domain in ("robot", "sketch"):
        assert {path.name for path in (adapted / domain).iterdir()} == MADE | JUDGED


def test_the_terminal_tells_the_whole_night_in_plain_lines(night: tuple[Path, Outcome]) -> None:
    out = night[1].out
    assert "\x1b" not in out
    for words in (
        "3 domains: 3 to train, 0 current.",
        "sketch: making, step 4/4, loss ",
        "robot: done in ",
        "Live     file://",
        "/#/experiments/1/runs?workflowType=machine_learning",
        "broken: FAILED; step 0: the loss is inf",
        "Report   ",
        "MLflow   mlflow ui --backend-store-uri sqlite:///",
        "Prefect  PREFECT_HOME=",
        "1 failed; the rest is whole. Try again with: nada run --only broken",
    ):
        assert words in out
    assert "Traceback" not in out + night[1].err


def test_scores_name_their_reference_and_number(night: tuple[Path, Outcome]) -> None:
    scores = read_record(night[0] / "weights/adapted/sketch").scores
    assert scores["frechet_to_reference"].reference == "8 images of the target domain"
    assert {score.num_images for score in scores.values()} == {16}
    metrics = json.loads((night[0] / "reports/metrics.json").read_text())
    assert metrics["num_failed"] == 1
    assert set(metrics["domains"]) == {"sketch", "robot"}


def test_every_score_has_an_interval_and_a_resizing_and_none_without_truth_is_called_a_distance_to_it(
    night: tuple[Path, Outcome],
) -> None:
    sketch, robot = (read_record(night[0] / "weights/adapted" / domain).scores for domain in ("sketch", "robot"))
    for score in sketch.values():
        assert score.low <= score.value <= score.high
        assert score.resizing
    assert any(name.endswith("_to_reference") for name in sketch)
    assert not any(name.endswith("_to_reference") for name in robot)
    assert robot["frechet_drift_from_source"].reference == "16 samples of the source generator"


def test_the_confusion_matrix_of_the_night_is_kept(night: tuple[Path, Outcome]) -> None:
    (path,) = (night[0] / "reports").glob("*/confusion.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    for domain in ("robot", "sketch"):
        own = [row for row in rows if row["domain"] == domain]
        assert sum(float(row["share"]) for row in own) == pytest.approx(1)
        assert {row["prompt"] for row in own} <= {"broken glass", "pencil sketch", "portrait", "robot"}
        found = sum(float(row["share"]) for row in own if row["prompt"] == row["target"])
        assert found == read_record(night[0] / "weights/adapted" / domain).scores["retrieval_accuracy"].value


def test_the_report_shows_pictures_and_the_lost_row(night: tuple[Path, Outcome]) -> None:
    (page,) = (night[0] / "reports").glob("20*/index.html")
    html = page.read_text()
    assert html.count("data:image/webp;base64,") == SHOWN
    assert "step 0: the loss is inf" in html
    assert "nada run --only broken" in html


def test_prefect_names_its_tasks_by_domain_and_keeps_what_workers_tell(night: tuple[Path, Outcome]) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName, LogFilter, LogFilterTaskRunId
    from prefect.logging.handlers import APILogWorker

    expected = {"make sketch", "judge sketch", "make broken", "retrieve", "report", "record in MLflow"}
    name_of_night = json.loads((night[0] / HERE.status).read_text())["name"]
    this_night = FlowRunFilter(name=FlowRunFilterName(any_=[name_of_night]))

    def told_by(name: str) -> list[str]:
        """Asked for by task, since the server answers with 200 lines at most, of all nights that it knows."""
        ids = [run for run, its_name in runs.items() if its_name == name]
        return [log.message for log in client.read_logs(LogFilter(task_run_id=LogFilterTaskRunId(any_=ids)))]

    APILogWorker.drain_all(timeout=PATIENCE_SECONDS, at_exit=False)  # as at exit: the last lines go off with a delay
    runs: dict[Any, str] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    with get_client(sync_client=True) as client:
        while not expected <= set(runs.values()) and time.monotonic() < deadline:
            time.sleep(0.1)  # the server writes tasks down from events, which it is sent beside the night
            runs = {run.id: run.name for run in client.read_task_runs(flow_run_filter=this_night)}
        sketch, broken = told_by("make sketch"), told_by("make broken")
    assert expected <= set(runs.values())
    assert not [name for name in runs.values() if re.search(r"-[0-9a-f]{3}$", name)]
    assert any(message.startswith("making, step 4/4, loss ") for message in sketch), sketch
    assert any("NonFiniteLossError" in message for message in broken), broken


def test_the_live_page_has_the_whole_night_and_each_row_as_it_is_kept(night: tuple[Path, Outcome]) -> None:
    live = night[0] / "reports" / "live"
    assert sorted(path.name for path in live.iterdir()) == ["index.html", "night.js", "robot.jpg", "sketch.jpg"]
    news = json.loads((live / "night.js").read_text().removeprefix("show(").removesuffix(");\n"))
    assert (news["state"], set(news["done"]), set(news["failed"])) == ("finished", {"robot", "sketch"}, {"broken"})
    assert (live / news["report_href"]).is_file()
    assert json.loads((night[0] / HERE.status).read_text())["report"].startswith("reports/")  # also of a copy


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning", "ignore::FutureWarning")  # of MLflow, as it is loaded
def test_the_registry_gives_a_domain_that_draws_from_seeds_or_says_what_brings_it(after_night: Project) -> None:
    import mlflow
    import numpy as np

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    sketch = mlflow.pyfunc.load_model("models:/nada-sketch@best")
    pictures = sketch.predict([3, 5])
    assert (pictures.shape, pictures.dtype) == ((2, 16, 16, 3), np.uint8)
    expected = next(samples(open_domain("sketch", HERE.params, "cpu"), 1, 5, 1.0))[0].permute(1, 2, 0).numpy()
    assert np.array_equal(pictures[1], expected)
    assert np.array_equal(sketch.predict([5])[0], expected)
    assert not np.array_equal(sketch.predict([5], params={"truncation_psi": 0.3})[0], expected)

    weights = HERE.adapted / "sketch" / "generator.safetensors"
    shutil.copyfile(HERE.adapted / "robot" / "generator.safetensors", weights)
    with pytest.raises(
        CheckpointError, match=r"^weights/adapted/sketch/generator.safetensors: other bytes than this ver"
    ):
        mlflow.pyfunc.load_model("models:/nada-sketch@best")
    weights.unlink()
    with pytest.raises(
        CheckpointError, match=r"not here; `dvc checkout weights/adapted` or, where its cache lacks them,"
    ):
        mlflow.pyfunc.load_model("models:/nada-sketch@best")
    os.chdir("weights")
    with pytest.raises(CheckpointError, match=r"no project here; run this in the project's folder \(/"):
        mlflow.pyfunc.load_model("models:/nada-sketch@best")


def test_mlflow_has_a_parent_with_a_child_per_row(night: tuple[Path, Outcome]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{night[0] / '.mlflow' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("nada").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = {run.info.run_name: run for run in runs if run is not parent}
    assert parent.info.status == "FAILED"
    assert {name: run.info.status for name, run in children.items()} == {
        "sketch": "FINISHED",
        "robot": "FINISHED",
        "broken": "FAILED",
    }
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}


def test_a_second_run_trains_only_what_failed(after_night: Project) -> None:
    before = {domain: stamps(after_night, domain) for domain in ("sketch", "robot")}
    outcome = after_night.nada("run")
    assert outcome.status == 1
    assert "3 domains: 1 to train, 2 current." in outcome.out
    assert {domain: stamps(after_night, domain) for domain in before} == before


def test_a_run_with_nothing_left_trains_nothing_and_says_so(after_night: Project) -> None:
    after_night.prompts(SKETCH, ROBOT)
    outcome = after_night.nada("run")
    assert outcome.status == 0
    assert "2 domains: 0 to train, 2 current. Nothing to train." in outcome.out
    assert "making" not in outcome.out


def test_a_run_with_nothing_left_records_what_a_night_that_was_cut_off_could_not(after_night: Project) -> None:
    from mlflow import MlflowClient

    after_night.prompts(SKETCH, ROBOT)
    assert after_night.nada("run").status == 0  # their pictures find their prompts among two
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiments = [client.get_experiment_by_name("nada").experiment_id]
    for run in client.search_runs(experiments, "attributes.run_name = 'sketch'"):
        client.delete_run(run.info.run_id)
    Path(".mlflow/recorded").unlink()
    HERE.status.write_text(HERE.status.read_text().replace('"state": "finished"', '"state": "running"'))
    outcome = after_night.nada("run")
    assert outcome.status == 0
    assert "The last night did not come to its end; this one reports and records what it made." in outcome.out
    assert "making" not in outcome.out
    (run,) = client.search_runs(experiments, "attributes.run_name = 'sketch'")
    assert run.info.status == "FINISHED"
    assert "The last night" not in after_night.nada("run").out


def test_a_new_row_is_trained_alone_and_a_removed_one_is_kept_until_pruned(after_night: Project) -> None:
    before = stamps(after_night, "robot")
    retrieved = before.pop("retrieval.json")
    after_night.prompts(ROBOT, "neon,portrait,neon edges,style,")
    outcome = after_night.nada("run")
    assert outcome.status == 0
    assert "Kept, though not in prompts.csv: sketch. nada run --prune removes them." in outcome.out
    adapted = after_night.folder / "weights" / "adapted"
    assert (adapted / "sketch").is_dir()
    outcome = after_night.nada("run", "--prune")
    assert "sketch: no longer in prompts.csv; its results were removed" in outcome.out
    assert sorted(path.name for path in adapted.iterdir()) == ["_parents", "neon", "robot"]
    after = stamps(after_night, "robot")
    assert after.pop("retrieval.json") > retrieved  # its pictures found their prompts among others
    assert after == before


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(after_night: Project) -> None:
    before = after_night.row_bytes("sketch")
    HERE.params.write_text(HERE.params.read_text().replace("workers: 2", "workers: 1"))
    shutil.rmtree(after_night.folder / "weights" / "adapted" / "sketch")
    assert after_night.nada("run", "--only", "sketch").status == 0
    assert after_night.row_bytes("sketch") == before
    assert "2 domains: 1 trained, 1 kept from before" in after_night.nada("status").out  # broken was not asked for


SMALL_DEVICE = """
import torch
import torch.nn.functional as F

convolve = F.conv2d

def of_one_at_most(pictures, *arguments, **named):
    if len(pictures) > 1:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return convolve(pictures, *arguments, **named)

F.conv2d = of_one_at_most
"""


def test_a_row_that_runs_out_of_memory_goes_on_in_halves_to_the_same_result(
    after_night: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapted = after_night.folder / "weights" / "adapted"
    before = losses(adapted / "sketch"), load_generator(adapted / "sketch" / "generator.safetensors").state_dict()
    shutil.rmtree(adapted / "sketch")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "sitecustomize.py").write_text(SMALL_DEVICE)  # for the workers alone: we run already
    monkeypatch.syspath_prepend(str(tmp_path / "small"))
    outcome = after_night.nada("run", "--only", "sketch")
    assert outcome.status == 0, outcome
    assert "sketch: out of memory; at most 1 at once from here on" in outcome.out
    assert json.loads((adapted / "sketch" / "row.json").read_text())["micro_batch"] == 1
    assert losses(adapted / "sketch") == pytest.approx(before[0], rel=1e-4)
    for name, tensor in load_generator(adapted / "sketch" / "generator.safetensors").state_dict().items():
        torch.testing.assert_close(tensor, before[1][name], rtol=1e-3, atol=1e-4)


def losses(row: Path) -> list[float]:
    return [float(line["loss"]) for line in csv.DictReader((row / "trace.csv").read_text().splitlines())]


def test_finished_rows_verify_and_a_changed_one_is_told(after_night: Project) -> None:
    adapted = after_night.folder / "weights" / "adapted"
    samples = adapted / "robot" / "samples.webp"
    samples.write_bytes(samples.read_bytes() + b"more")
    record = read_record(adapted / "robot")
    changed = FileEntry(sha256=sha256_file(samples), num_bytes=samples.stat().st_size)
    files = {**record.evaluation.files, "samples.webp": changed}
    write_entry(adapted / "robot" / "evaluation.json", record.evaluation.model_copy(update={"files": files}))
    provenance = {**record.making.provenance, "torch": "1.0"}
    write_entry(adapted / "robot" / "row.json", record.making.model_copy(update={"provenance": provenance}))
    before = {domain: stamps(after_night, domain) for domain in ("robot", "sketch")}
    outcome = after_night.nada("verify")
    assert outcome.status == 1
    assert "sketch: the same bytes in all 5 files\n" in outcome.out
    assert "robot: DIFFERS in samples.webp; also different: provenance.torch: 1.0 then, " in outcome.out
    assert {domain: stamps(after_night, domain) for domain in before} == before

    outcome = after_night.nada("verify", "broken")
    assert outcome.status == 2
    assert outcome.err == (
        "broken: not finished with the inputs of now, so there is nothing to verify; nada run --only broken trains it\n"
    )


def test_a_domain_can_be_exported_to_stand_alone(
    after_night: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert "what changed against 'generator.safetensors'" in after_night.nada("weights", "inspect", "sketch").out
    alone = tmp_path_factory.mktemp("elsewhere") / "sketch.safetensors"
    assert after_night.nada("weights", "export", "sketch", str(alone)).status == 0
    whole = load_generator(alone).state_dict()
    rebuilt = load_generator(HERE.adapted / "sketch" / "generator.safetensors").state_dict()
    assert all(torch.equal(whole[name], tensor) for name, tensor in rebuilt.items())


def test_a_domain_outlives_the_generator_that_it_was_adapted_from(after_night: Project) -> None:
    assert after_night.nada("sample", "sketch", "--out", "before.png").status == 0
    first = shutil.copy("world/generator.safetensors", "first.safetensors")
    save_generator(Path("world/generator.safetensors"), tiny_generator(seed=5))
    assert after_night.nada("pretrained").status == 0
    assert after_night.nada("sample", "sketch", "--out", "after.png").status == 0
    assert Path("before.png").read_bytes() == Path("after.png").read_bytes()
    assert "3 domains: 2 to train, 0 current" in after_night.nada("plan", "--only", "robot", "--only", "sketch").out

    (parent,) = HERE.base_models.iterdir()
    parent.unlink()
    outcome = after_night.nada("sample", "sketch")
    assert outcome.status == 2
    for words in (
        "sketch/generator.safetensors: holds only what changed against 'generator.safetensors'",
        f"(sha256 {parent.stem}) is in none of weights/adapted/sketch, weights/adapted/_parents, weights/pretrained;",
        "`nada pretrained` makes it from the generator.weights of that time, `dvc checkout`",
    ):
        assert words in outcome.err

    shutil.copy(first, "world/generator.safetensors")
    assert after_night.nada("pretrained").status == 0
    assert after_night.nada("sample", "sketch", "--out", "again.png").status == 0
    assert "3 domains: 1 to train, 2 current" in after_night.nada("plan").out


def test_the_report_can_be_written_again_from_what_is_there(after_night: Project) -> None:
    shutil.rmtree(after_night.folder / "reports")
    outcome = after_night.nada("report")
    assert outcome.status == 0
    (page,) = (after_night.folder / "reports").glob("20*/index.html")
    assert page.read_text().count("data:image/webp;base64,") == SHOWN
    assert "1 domain still to train: nada run" in outcome.out


def test_the_flow_runs_by_itself_as_a_deployment_would(after_night: Project) -> None:
    from flows.night import night

    after_night.prompts(SKETCH, ROBOT)
    state = night(return_state=True)
    assert state.is_completed()
    assert len(list((after_night.folder / "reports").glob("20*/index.html"))) == 2


def test_a_deadline_leaves_long_rows_and_the_next_night_takes_them_first(after_night: Project) -> None:
    after_night.prompts(SKETCH, "soon,portrait,soon,shape,", "long,portrait,long,long,")
    HERE.params.write_text(HERE.params.read_text().replace("device: cpu", "device: cpu\n  deadline: 20m") + LONG)
    outcome = after_night.nada("run")
    assert outcome.status == 3, outcome
    assert "The deadline (in 20 minutes) leaves 1 domain for the next night: long" in outcome.out
    assert "soon: done in " in outcome.out
    assert "The deadline left no time for long. The next night takes them first: nada run" in outcome.out
    assert make_plan(HERE.params).first == {"long"}
    (page,) = [path for path in Path("reports").glob("20*/index.html") if "left for the next night" in path.read_text()]
    assert "2 of 3 domains ready, 1 trained in this night, 1 kept from before, 1 left" in page.read_text()


def test_a_settled_night_ends_well_and_owes_the_rows_that_failed_or_were_left(after_night: Project) -> None:
    after_night.prompts(SKETCH, BROKEN, "long,portrait,long,long,")
    HERE.params.write_text(HERE.params.read_text().replace("device: cpu", "device: cpu\n  deadline: 20m") + LONG)
    outcome = after_night.nada("run", "--settle")
    assert outcome.status == 0, outcome
    assert "1 failed; the rest is whole." in outcome.out
    assert json.loads(HERE.attempts.read_text()) == {"broken": 1, "long": 1}
    outcome = after_night.nada("complete")
    assert outcome.status == 1
    broken, long = outcome.out.splitlines()
    assert broken.startswith("broken: not made from the inputs of now; the last night: step 0: the loss is inf")
    assert long == "long: not made from the inputs of now; the last night: the deadline left no time for it"


@pytest.fixture
def one_worker(after_night: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of one core, so that rows come one after the other."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    HERE.params.write_text(HERE.params.read_text().replace("workers: 2", "workers: 1"))


class Impatient(Display):
    """A reader who presses Ctrl-C when the first row is done, and the next one is just being written."""

    def finished(self, record: Any) -> None:
        (pid,) = worker_pids()
        Path(f"weights/adapted/.partial-two-{pid}").mkdir(exist_ok=True)
        raise KeyboardInterrupt


def test_an_interrupted_night_keeps_what_is_finished_and_ends_its_workers(
    after_night: Project, one_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.cli.display.make_display", lambda: Impatient(make_console()))
    after_night.prompts("one,portrait,one line,shape,", "two,portrait,two lines,shape,")
    outcome = after_night.nada("run")
    assert outcome.status == 130
    assert "Stopped. Finished domains are kept; nada run goes on with the others." in outcome.out
    assert worker_pids() == []
    finished = {path.name for path in Path("weights/adapted").iterdir() if path.name[0] != "_"}
    assert finished <= {"one", "two", "robot", "sketch"}
    assert 1 <= len(finished & {"one", "two"}) <= 2
    assert {"robot", "sketch"} <= finished


def stamps(project: Project, domain: str) -> dict[str, int]:
    """When each file of a row was written."""
    folder = project.folder / "weights" / "adapted" / domain
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def worker_pids() -> list[int]:
    """This process's workers that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == os.getpid() and b"tasks.workers.process" in command:
            found.append(int(path.name))
    return found
