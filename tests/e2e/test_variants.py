"""Variants of a domain through a whole night, to which a row is added and which is paused, and what is picked after it.

The night is one for all tests; those that go on from it work on a copy, in this process and without another night.
"""

from __future__ import annotations

import csv
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.config.params import load_params
from tasks.config.project import HERE
from tasks.context import NightContext
from tasks.live.adding import append_row
from tasks.live.pausing import pause, resume
from tasks.plan.beginning import plan_to_run
from tasks.plan.pipeline import missing_rows, write_inputs
from tasks.plan.planned_row import PlannedRow
from tasks.row.evaluate import evaluate_row
from tasks.status.status_file import Status, load_status
from tasks.store import row_folder
from tasks.tracking.address import tracking_uri
from tasks.variants.checkpoints import kept_steps, take_checkpoint
from tasks.variants.names import domain_of, variant_of
from tests.methods.project import one_thread
from tests.plans import states
from tests.project import Outcome, Project, make_project, run_alone, write_prompts

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    # Prefect 3.8 defines a column type in a way that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:Type object <class 'prefect"),
]

PARAMS = Path("params.yaml")
HEADER = "domain,source,target,recipe,seed,tries,seeds,priority,on"
SKETCH = "sketch,portrait,pencil sketch,kept,0,2"
ROBOT = "robot,portrait,robot,shape|broken,,,7"
MINED = "mined,portrait,red ink,shape,,,,,sketch_kept-1"
RECIPES = """\
  kept:
    iterations: 12
    stop: auto
    probe_every: 1
    probe_images: 4
    checkpoints: 3
"""
OTHERS = ("robot", "red ink", "blue ink")
MOST_SECONDS = 900.0


class Meddler(threading.Thread):
    """Adds a row while the night is paused, then lets it go on."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.saw: list[Status] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        try:
            self._meddle()
        finally:
            resume()  # whatever went wrong: a night that is paused does not end

    def _meddle(self) -> None:
        self._wait(lambda now: now.paused and not now.running and any(HERE.unfinished.glob("*")))  # it made way
        append_row(
            Path("prompts.csv"), load_params(PARAMS), {"source": "portrait", "target": "blue ink", "recipe": "shape"}
        )
        self._wait(lambda now: "blue-ink" in now.added)

    def _wait(self, fits: Callable[[Status], bool]) -> None:
        ends = time.monotonic() + MOST_SECONDS
        while time.monotonic() < ends and not self.is_over.is_set():
            if (now := load_status()) is not None and fits(now):
                self.saw.append(now)
                return
            time.sleep(0.02)


def pausing_at(domain: str) -> Callable[[NightContext, Sequence[PlannedRow]], None]:
    """`NightContext.gather` that pauses the night when a row of this domain is about to begin: it makes one step."""
    gather, paused = NightContext.gather, threading.Event()

    def gather_and_pause(context: NightContext, rows: Sequence[PlannedRow]) -> None:
        gather(context, rows)
        if not paused.is_set() and any(domain_of(planned.domain) == domain for planned in rows):
            paused.set()
            pause(at_once=True)

    return gather_and_pause


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Iterator[tuple[Path, Outcome, list[Status]]]:
    """A project after its night: a domain tried twice, one by two recipes of which one fails, one on a variant."""
    folder = tmp_path_factory.mktemp("variants")
    make_project(folder, tiny_world)
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("workers: 2", "workers: 1") + RECIPES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr("flows.night.LOOK_SECONDS", 0.05)
        patch.setattr("tasks.status.writer.WRITE_SECONDS", 0.0)
        write_prompts(folder, SKETCH, ROBOT, MINED, header=HEADER)
        patch.setattr(NightContext, "gather", pausing_at("sketch"))
        meddler = Meddler()
        meddler.start()
        outcome = run_alone(folder, "run")
        meddler.is_over.set()
        meddler.join(MOST_SECONDS)
        yield folder, outcome, meddler.saw


@pytest.fixture
def after_night(
    night: tuple[Path, Outcome, list[Status]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Project:
    """A copy of that project to go on with."""
    shutil.copytree(night[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, capsys)


def rows_in(folder: Path) -> set[str]:
    return {path.parent.name for path in (folder / "weights" / "adapted").glob("*/row.json")}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def taken(domain: str) -> int:
    """The seed of what a domain is."""
    return row_folder.read_making(domain).seed


def test_variants_are_rows_of_the_night_and_the_best_is_the_domain(night: tuple[Path, Outcome, list[Status]]) -> None:
    folder, outcome, _ = night
    assert outcome.status == 1, outcome.err
    variants = {"sketch_kept-0", "sketch_kept-1", "robot_shape-7"}
    assert rows_in(folder) == {*variants, "sketch", "robot", "mined", "blue-ink"}
    assert "3 domains in 5 rows: 5 to train" in outcome.out
    assert "robot_broken-7: FAILED; step 0: the loss is inf" in outcome.out
    adapted = folder / "weights" / "adapted"
    files = {path.name for path in (adapted / "robot").iterdir()}
    for name in files - {"row.json", "evaluation.json", "retrieval.json"}:
        assert (adapted / "robot" / name).read_bytes() == (adapted / "robot_shape-7" / name).read_bytes()


def test_retrieval_has_one_prompt_a_domain_and_the_board_mean_and_spread(
    night: tuple[Path, Outcome, list[Status]],
) -> None:
    folder = night[0]
    adapted = folder / "weights" / "adapted"
    found = [read(path)["nearest"] for path in adapted.glob("*/retrieval.json")]
    assert {prompt for nearest in found for prompt in nearest} <= {"portrait", "pencil sketch", *OTHERS}
    against = read(adapted / "mined" / "retrieval.json")["score"]["reference"]
    assert against == "prompt 'red ink' among 5 prompts"  # of four domains, the added one among them, and the source
    lines = (folder / "reports" / "leaderboard.csv").read_text().splitlines()
    board = {row["domain"]: row for row in csv.DictReader(lines)}
    assert set(board) == {"sketch", "robot", "mined", "blue-ink"}
    figures = [read(adapted / f"sketch_kept-{seed}" / "metrics.json") for seed in range(2)]
    directions = [scores["directional_similarity"]["value"] for scores in figures]
    sketch = board["sketch"]
    assert (sketch["variants"], sketch["taken"]) == ("2", f"kept-{directions.index(max(directions))}")
    assert float(sketch["directional_similarity_mean"]) == pytest.approx(sum(directions) / 2)
    assert float(sketch["directional_similarity_spread"]) == pytest.approx(abs(directions[0] - directions[1]) / 2**0.5)
    assert (board["mined"]["variants"], board["mined"]["directional_similarity_mean"]) == ("1", "")


def test_a_row_joins_the_night_and_a_pause_costs_no_row(night: tuple[Path, Outcome, list[Status]]) -> None:
    _, outcome, saw = night
    assert len(saw) == 2, outcome.out  # nothing was in the making, and the new row had joined
    assert saw[0].paused
    assert "not all of its news are shown" not in outcome.out
    assert "Joined the night: blue-ink" in outcome.out
    assert "paused; its state is saved" in outcome.out
    assert "goes on after step" in outcome.out
    assert not HERE.pause.exists()


def test_mlflow_has_every_run_closed_and_the_taken_variant_as_the_best_of_its_domain(
    night: tuple[Path, Outcome, list[Status]],
) -> None:
    from mlflow import MlflowClient

    assert "MLflow:" not in night[1].out
    client = MlflowClient(tracking_uri())
    found = client.search_runs([one.experiment_id for one in client.search_experiments()])
    by_name = {run.info.run_name: run for run in found}
    assert {run.info.status for run in found} == {"FINISHED", "FAILED"}
    assert len(client.get_metric_history(by_name["blue-ink"].info.run_id, "train/loss")) == 3
    prompts = {json.loads(one.dataset.profile)["num_rows"] for one in by_name["blue-ink"].inputs.dataset_inputs}
    assert prompts == {6}
    for domain, variant in (("sketch", f"sketch_kept-{taken('sketch')}"), ("robot", "robot_shape-7")):
        best = client.get_model_version_by_alias(f"nada-{domain}", "best")
        assert best.run_id == by_name[variant].info.run_id


def test_the_report_shows_variants_side_by_side(night: tuple[Path, Outcome, list[Status]]) -> None:
    (path,) = (night[0] / "reports").glob("20*/index.html")
    page = path.read_text()
    assert page.count('<section class="variants"') == 2
    assert page.count('<li class="taken">') == 2
    assert "judge&#39;s best of 2" in page
    assert "nada pick sketch kept-" in page
    assert "4 of 4 domains ready" in page


def test_a_pick_overrules_the_judge_until_it_is_taken_back(after_night: Project) -> None:
    best = taken("sketch")
    other = 1 - best
    inputs = write_inputs(PARAMS).read_bytes()
    outcome = after_night.nada("pick", "sketch", str(other))
    assert (outcome.status, outcome.err) == (0, "")
    assert taken("sketch") == other
    assert HERE.picks.read_text() == f"domain,variant,step\nsketch,kept-{other},\n"
    assert write_inputs(PARAMS).read_bytes() != inputs  # so that dvc repro comes to the same choice
    shutil.rmtree(HERE.adapted / "sketch")
    plan_to_run(PARAMS)
    assert taken("sketch") == other
    assert "picked by hand" in after_night.nada("pick", "sketch").out
    assert after_night.nada("pick", "sketch", "--judge").status == 0
    assert taken("sketch") == best
    assert write_inputs(PARAMS).read_bytes() == inputs


def test_a_checkpoint_that_was_picked_is_judged_as_a_row_and_is_the_domain(after_night: Project) -> None:
    name = f"sketch_kept-{taken('sketch')}"
    kept, steps = row_folder.read_making(name).kept_step, kept_steps(row_folder.read_making(name))
    step, absent = steps[0], next(step for step in range(1, 13) if step not in (kept, *steps))
    asked = after_night.nada("pick", "sketch", "--step", str(absent))
    others = ", ".join(map(str, steps))
    said = f"sketch: kept-{name[-1]} has no checkpoint of step {absent}; it is step {kept} and kept {others}"
    assert (asked.status, asked.err.strip()) == (2, said)
    assert after_night.nada("pick", "sketch", "--step", str(step)).status == 0
    assert (taken("sketch"), row_folder.read_making("sketch").kept_step) == (int(name[-1]), kept)
    row = f"{name}_{step}"
    assert states()[row] == "train"
    plan = plan_to_run(PARAMS).plan
    take_checkpoint(plan.by_domain[row])
    assert states()[row] == "judge"
    with one_thread():
        evaluate_row(plan.evaluate_job(plan.by_domain[row]), lambda _: None)
    plan_to_run(PARAMS)
    making = row_folder.read_making("sketch")
    assert making.kept_step == step
    weights = (HERE.adapted / "sketch" / "generator.safetensors").read_bytes()
    assert weights == (HERE.adapted / name / f"checkpoint-{step}.safetensors").read_bytes()
    assert weights != (HERE.adapted / name / "generator.safetensors").read_bytes()


def test_a_picked_step_that_is_the_kept_one_is_the_row_itself(after_night: Project) -> None:
    name = f"sketch_kept-{taken('sketch')}"
    step = row_folder.read_making(name).kept_step
    HERE.picks.write_text(f"domain,variant,step\nsketch,{variant_of(name)},{step}\n")
    take_checkpoint(plan_to_run(PARAMS).plan.by_domain[f"{name}_{step}"])
    weights = [HERE.adapted / row / "generator.safetensors" for row in (name, f"{name}_{step}")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_folder_that_is_not_the_row_that_is_to_be_taken_is_told(after_night: Project) -> None:
    assert set(missing_rows(PARAMS)) == {"robot_broken-7"}
    best = taken("sketch")
    HERE.picks.write_text(f"domain,variant,step\nsketch,kept-{1 - best},\n")
    said = f"its folder is not sketch_kept-{1 - best}, which is to be taken; nada run does it"
    assert missing_rows(PARAMS)["sketch"] == said
    outcome = after_night.nada("verify", f"sketch_kept-{best}")
    assert outcome.status == 1
    assert f"sketch_kept-{best}: the same bytes" in outcome.out
    assert f"its folder is not sketch_kept-{1 - best}, whole" in outcome.out + outcome.err
    shutil.rmtree(HERE.adapted / "sketch")
    assert "sketch" in missing_rows(PARAMS)


def test_a_row_of_one_variant_that_becomes_one_of_two_is_not_made_again(after_night: Project) -> None:
    rows = [SKETCH, ROBOT, MINED, "blue-ink,portrait,blue ink,shape,,2"]
    write_prompts(after_night.folder, *rows, header=HEADER)
    plan = plan_to_run(PARAMS).plan
    assert {planned.domain: planned.state for planned in plan.families["blue-ink"]} == {
        "blue-ink_shape-0": "current",
        "blue-ink_shape-1": "train",
    }
