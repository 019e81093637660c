"""A second method, known by one line of the registry, through a whole night: several of its rows in one pass, and light
rows of the first in one batch.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.config.project import HERE
from tasks.plan.planning import make_plan
from tasks.row.make import make_rows
from tasks.store import row_folder
from tasks.workers.news import Progress
from tests.methods.project import (
    OTHER,
    change,
    make_shift_project,
    one_thread,
    register,
    write_prompts,
)
from tests.project import Outcome, Project, run_alone

PARAMS = Path("params.yaml")
FINE = (
    "base,portrait,pencil sketch,,style",
    "left,portrait,robot,shift",
    "right,portrait,neon edges,,far",
    "follower,portrait,ink,shift,,base",
    f"own,portrait,watercolour,,shape,,{OTHER}",
    "third,portrait,cyan glass,shift,,,,3",
    "fourth,portrait,amber glass,shift,,,,3",
    "brief,portrait,gold leaf,,brief",
    "calm,portrait,oil paint,,light",
    "steady,portrait,pale chalk,,light",
)
RIDERS = ["brief", "calm", "steady", "burst"]
LIGHT = """\
  light:
    parameters: modulation
    together: 4
    iterations: 4
    learning_rate: 0.05
  brief:
    parameters: modulation
    together: 4
    iterations: 2
  burst:
    parameters: modulation
    together: 4
    iterations: 4
    global_weight: 1.0e+39
  far:
"""
LOST = (
    "wild,portrait,broken glass,,wild",
    "broken,portrait,red rust,,broken",
    "orphan,portrait,blue ink,shift,,broken",
    "burst,portrait,grey dust,,burst",
)
NOT_A_NUMBER = "step 1: the loss is nan; try a smaller shift.learning_rate (now 1e+30)"
OVERFLOW = "step 0: the loss is inf; try a smaller adapt.learning_rate (now 0.0016)"
SHIFTED = {"evaluation.json", "metrics.json", "offset.safetensors", "retrieval.json", "row.json", "samples.webp"}
# Read by every worker as it starts. Two rows die together, and not alone; light ones once, when one of them has ended.
DEADLY_COMPANY = """
import os, signal
from pathlib import Path
from nada.methods.adapt.making import AdaptedRow
from tests.methods.shift.making import ShiftPass

losses = ShiftPass._losses

def die_in_company(self, rows, index):
    if index == 2 and {row.name for row in rows} == {"third", "fourth"}:
        os.kill(os.getpid(), signal.SIGKILL)
    return losses(self, rows, index)

ShiftPass._losses = die_in_company
after, struck = AdaptedRow.after, Path(__file__).with_name("struck")

def die_once(self, step, at_once):
    if (self.assignment.row, step.index) == ("steady", 2) and not struck.exists():
        struck.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return after(self, step, at_once)

AdaptedRow.after = die_once
"""

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    # Prefect 3.8 defines a column type in a way that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:Type object <class 'prefect"),
]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Iterator[tuple[Path, Outcome]]:
    """A project after a night of both methods, and how the command ended.

    The night before broke off in the pass of `left`, `right` and `wild`, and left its state. In this one a worker is
    killed in the middle of a pass, and three rows are lost.
    """
    folder, deadly = tmp_path_factory.mktemp("night"), tmp_path_factory.mktemp("deadly")
    make_shift_project(folder, tiny_world)
    (deadly / "sitecustomize.py").write_text(DEADLY_COMPANY)
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        write_prompts(*FINE, *LOST)
        change("workers: 2", "workers: 2\n  checkpoint_minutes: 0")
        change("  far:\n", LIGHT)
        break_off("left", "right", "wild")
        patch.setattr(sys, "path", [str(deadly), *sys.path])  # of the workers: this process is past its start
        yield folder, run_alone(folder, "run")


def break_off(*domains: str) -> None:
    """Make rows in one pass until the first has done three steps; the state after every step is saved."""
    plan = make_plan(PARAMS)
    job = plan.group_job([plan.by_domain[domain] for domain in domains])

    def end(news: Any) -> None:
        if isinstance(news, Progress) and (news.domain, news.step) == (domains[0], 3):
            raise EOFError

    with pytest.MonkeyPatch.context() as patch, one_thread(), pytest.raises(EOFError):
        patch.setattr("tasks.row.make.REPORT_SECONDS", 0)
        make_rows(job, end)


@pytest.fixture
def after_night(night: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Project:
    """A copy of that project without the rows that cannot be made, to go on with."""
    shutil.copytree(night[0], tmp_path, dirs_exist_ok=True)
    register(monkeypatch)
    monkeypatch.chdir(tmp_path)
    write_prompts(*FINE)
    return Project(tmp_path, capsys)


def states() -> dict[str, str]:
    return {planned.domain: planned.state for planned in make_plan(PARAMS).rows}


def test_the_night_plans_makes_and_judges_rows_of_both_methods(night: tuple[Path, Outcome]) -> None:
    folder, outcome = night
    assert outcome.status == 1, outcome
    assert "14 domains: 14 to train, 0 current." in outcome.out
    for domain, shown in {"left": "shift +5", "right": "far +5", "base": "style +4"}.items():
        assert re.search(rf"^{domain} .* {shown} +to train, about ", outcome.out, re.MULTILINE)
        assert f"{domain}: done in " in outcome.out
    assert {path.name for path in (folder / HERE.adapted / "left").iterdir()} == {
        *SHIFTED,
        "embeddings.safetensors",
        "trace.csv",
    }
    assert not (folder / HERE.unfinished).exists()


def test_rows_that_may_ride_together_are_made_in_one_pass(after_night: Project) -> None:
    groups = {row.split(",")[0]: list(row_folder.read_making(row.split(",")[0]).group) for row in FINE}
    assert groups["left"] == groups["right"] == ["left", "right", "wild"]
    assert all(groups[domain] == [domain] for domain in ("base", "follower", "own"))


def test_a_pass_goes_on_where_an_earlier_night_was_and_verifies_from_its_start(
    night: tuple[Path, Outcome], after_night: Project
) -> None:
    for domain in ("left", "right"):
        assert f"{domain}: goes on after step 2 of 5" in night[1].out
    write_prompts(*FINE, *LOST)
    outcome = after_night.nada("verify", "left", "follower")
    assert outcome.status == 0, outcome
    assert "wild: loading models" in outcome.out  # it was in the pass, and is remade with it
    for domain in ("left", "follower"):
        assert f"{domain}: the same bytes in all 5 files\n" in outcome.out


def test_light_rows_ride_in_one_batch_and_those_that_are_left_go_on_to_the_same_bytes(
    night: tuple[Path, Outcome], after_night: Project
) -> None:
    out = night[1].out
    assert "brief, calm, steady, burst" in " ".join(out.split()).partition("Made together: ")[2]
    for domain in ("calm", "steady"):
        assert list(row_folder.read_making(domain).group) == RIDERS
        assert f"{domain}: tried again; the worker process died (signal SIGKILL" in out
        assert f"{domain}: goes on after step 2 of 4" in out
    assert "brief: tried again" not in out and "burst: tried again" not in out
    write_prompts(*FINE, *LOST)
    outcome = after_night.nada("verify", "steady", "brief")
    assert outcome.status == 0, outcome
    for domain in ("steady", "brief"):
        assert f"{domain}: the same bytes in all 5 files\n" in outcome.out


def test_a_worker_that_dies_in_the_middle_of_a_pass_loses_and_doubles_no_row(
    night: tuple[Path, Outcome], after_night: Project
) -> None:
    for domain in ("third", "fourth"):
        tries = night[1].out.count(f"{domain}: tried again; the worker process died (signal SIGKILL")
        assert tries == 2  # together again, where they go on from their state, and then each alone
        assert night[1].out.count(f"{domain}: done in ") == 1
        assert list(row_folder.read_making(domain).group) == [domain]
    assert [path.name for path in HERE.adapted.iterdir() if path.name.startswith(".")] == []


def test_lost_rows_take_no_other_along_but_those_that_start_from_them(night: tuple[Path, Outcome]) -> None:
    out = night[1].out
    for line in (
        f"wild: FAILED; {NOT_A_NUMBER}",
        f"broken: FAILED; {OVERFLOW}",
        f"orphan: FAILED; starts from 'broken', which failed: {OVERFLOW}",
        f"burst: FAILED; {OVERFLOW}",
        "4 failed; the rest is whole.",
    ):
        assert line in out
    assert "Traceback" not in out + night[1].err


def test_its_rows_are_in_leaderboard_report_and_mlflow_with_their_settings(night: tuple[Path, Outcome]) -> None:
    from mlflow import MlflowClient

    folder = night[0]
    board = list(csv.DictReader((folder / "reports/leaderboard.csv").read_text().splitlines()))
    assert {line["domain"] for line in board} == {row.split(",")[0] for row in FINE}
    assert all(line["directional_similarity"] for line in board)

    (page,) = (folder / "reports").glob("20*/index.html")
    html = page.read_text()
    card = html[html.index('<article id="right"') :].partition("</article>")[0]
    assert "<dt>method</dt><dd>shift</dd>" in card
    assert "<dt>recipe</dt><dd>far: 5 steps of 2, learning rate 0.2</dd>" in card
    assert "<dt>moved</dt><dd>every latent by 0." in card
    assert "weights/adapted/right/offset.safetensors</code>, what changed against the generator with sha256" in card
    assert "Loss over 5 steps" in card

    client = MlflowClient(f"sqlite:///{folder / '.mlflow' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("nada").experiment_id], "tags.`nada.domain` = 'right'")
    (run,) = runs
    assert (run.info.status, run.data.tags["nada.method"]) == ("FINISHED", "shift")
    assert run.data.params["shift.learning_rate"] == "0.2"
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 5


def test_a_second_night_has_nothing_to_do(after_night: Project) -> None:
    write_prompts(*FINE, *LOST)
    outcome = after_night.nada("run", *(f"--only={row.split(',')[0]}" for row in FINE))
    assert outcome.status == 0, outcome
    assert "14 domains: 0 to train, 10 current, 4 left out. Nothing to train." in outcome.out
    assert "loading" not in outcome.out.lower()


def test_a_changed_option_makes_the_rows_of_its_method_anew_and_those_that_start_from_them(
    after_night: Project,
) -> None:
    assert set(states().values()) == {"current"}
    shifts, adapted = {"left", "right", "follower", "third", "fourth"}, {"base", "own", "follower", *RIDERS} - {"burst"}
    change("shift:\n  iterations: 5", "shift:\n  iterations: 6")
    assert {domain for domain, state in states().items() if state == "train"} == shifts
    change("shift:\n  iterations: 6", "adapt:\n  ema: 0.5\nshift:\n  iterations: 5")
    assert {domain for domain, state in states().items() if state == "train"} == adapted
    outcome = after_night.nada("plan", "--no-preflight")
    assert "10 domains: 6 to train, 4 current." in outcome.out


def test_its_section_and_recipes_are_checked_by_name(after_night: Project) -> None:
    change("shift:\n  iterations: 5", "shift:\n  iterashuns: 5")
    change("    learning_rate: 0.2", "    learning_rat: 0.2")
    outcome = after_night.nada("plan")
    assert outcome.status == 2
    assert outcome.err == (
        "params.yaml: 2 invalid keys\n"
        "  shift.iterashuns: unknown key; did you mean 'iterations'?\n"
        "  recipes.far.learning_rat: unknown key; did you mean 'learning_rate'?\n"
    )


def test_what_it_left_is_drawn_and_filmed_and_neither_mixed_nor_exported(after_night: Project) -> None:
    for command in (
        ["sample", "follower"],
        ["strip"],
        ["video", "left", "--seconds", "0.3", "--keys", "3", "--out", "left.gif"],
    ):
        assert after_night.nada(*command, "--count", "2").status == 0, command
    assert all(Path(name).is_file() for name in ("follower.png", "strip.png", "left.gif"))
    for command in (["mix", "left:0.5"], ["weights", "export", "left"]):
        outcome = after_night.nada(*command)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert outcome.err.startswith(
            "left: made by 'shift', which leaves no generator that could be exported or mixed"
        )
