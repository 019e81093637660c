"""One row's damage is that row's alone, and generators that rows rebuild from are missed while they can be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.plan.beginning import plan_to_run
from tasks.report.score_catalogue import SCORES
from tasks.store.record import EVALUATION_NAME, MAKING_NAME, RETRIEVAL_NAME
from tasks.store.row_folder import METRICS_NAME
from tests.plans import PARAMS_PATH, plan, states
from tests.project import Project, project
from tests.records import make_score
from tests.rows import fill_judged, publish_whole
from tests.unit.store.test_damaged_rows import DAMAGES, flip_a_bit

__all__ = ["project"]

ROWS = {"made": MAKING_NAME, "evaluated": EVALUATION_NAME, "retrieved": RETRIEVAL_NAME}


def finish(*domains: str, **making: object) -> None:
    for planned in plan().rows:
        if planned.domain in domains:
            folder = publish_whole(planned.domain, planned.keys, **making)
            fill_judged(folder, planned.domain, planned.keys, scores={score.name: make_score(0.5) for score in SCORES})


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_stops_no_plan_and_no_report(project: Project, damage: str) -> None:
    project.prompts(*(f"{domain},portrait,{domain} thing,style," for domain in (*ROWS, "intact")))
    finish(*ROWS, "intact")
    for domain, name in ROWS.items():
        DAMAGES[damage](HERE.adapted / domain / name)
    assert states() == {"made": "train", "evaluated": "judge", "retrieved": "current", "intact": "current"}
    assert [planned.domain for planned in plan().to_retrieve] == ["retrieved"]
    outcome = project.nada("report")
    assert (outcome.status, outcome.err) == (0, "")
    assert "intact" in outcome.out


@pytest.mark.parametrize("damage", ["absent", "cut", "null", "fifo", "folder", "endless"])
def test_scores_that_are_missing_or_edited_are_judged_anew(project: Project, damage: str) -> None:
    finish("sketch", "robot")
    DAMAGES[damage](HERE.adapted / "sketch" / METRICS_NAME)
    assert states() == {"sketch": "judge", "robot": "current"}
    assert project.nada("report").status == 0


PARENT = "weights/adapted/_parents/{}.safetensors"


@pytest.fixture
def parent(project: Project) -> Path:
    """Two rows that rebuild from the project's generator; where its copy lies."""
    sha256 = sha256_file(Path(plan().rows[0].source.base_path))
    finish("sketch", "robot", bases=[sha256])
    return Path(PARENT.format(sha256))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


@pytest.mark.parametrize("damage", [Path.unlink, cut, flip_a_bit, into_a_folder, DAMAGES["fifo"], DAMAGES["endless"]])
@pytest.mark.parametrize("storage", ["delta", "full"])
def test_a_lost_copy_of_a_generator_is_noticed_by_plans_and_healed_by_runs(
    project: Project, parent: Path, damage: object, storage: str
) -> None:
    text = PARAMS_PATH.read_text()
    PARAMS_PATH.write_text(text.replace("night:\n", f"night:\n  storage: {storage}\n"))
    assert plan_to_run(PARAMS_PATH).healed == [parent]
    assert plan_to_run(PARAMS_PATH).healed == []
    assert "missing or damaged" not in project.nada("plan", "--no-preflight").out
    damage(parent)  # type: ignore[operator]
    told = project.nada("plan", "--no-preflight").out
    assert f"Finished domains rebuild from {parent}, which is missing or damaged" in told
    assert "Nothing to train." in told
    outcome = project.nada("run")  # which has nothing else to do
    assert outcome.status == 0
    assert f"{parent}: was missing or damaged, and finished domains rebuild from it" in outcome.out
    assert sha256_file(parent) == parent.stem
    assert "missing or damaged" not in project.nada("plan", "--no-preflight").out


def test_of_whole_rows_no_generator_is_kept(project: Project) -> None:
    finish("sketch", "robot")
    assert plan().lost_copies == []
    assert plan_to_run(PARAMS_PATH).healed == []
    assert not HERE.base_models.exists()
