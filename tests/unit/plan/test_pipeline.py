"""What DVC is told: the keys that `nada plan` knows rows by, and which rows are missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nada.checkpoints import save_generator
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.plan.pipeline import settle, write_inputs
from tasks.plan.planning import make_plan
from tasks.plan.queue import RowQueue
from tasks.status.writer import StatusWriter
from tasks.store.attempts import load_attempts
from tests.conftest import tiny_generator
from tests.locks import held_by_another
from tests.plain_night import run_plan
from tests.project import BROKEN, PARAMS, ROBOT, SKETCH, Project, project

__all__ = ["project"]

OTHER = "other,portrait,oil painting,style,"


def inputs() -> dict[str, Any]:
    """What is written now, by row."""
    rows: dict[str, Any] = json.loads(write_inputs(HERE.params).read_text())["rows"]
    return rows


def test_a_row_is_told_by_the_keys_of_the_plan(project: Project) -> None:
    assert inputs() == {planned.domain: asdict(planned.keys) for planned in make_plan(HERE.params).rows}


def test_equal_inputs_are_equal_bytes_in_a_file_that_is_not_touched(project: Project) -> None:
    write_inputs(HERE.params)
    written = (HERE.inputs, HERE.preparations, HERE.generators)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in written]
    project.prompts(ROBOT, SKETCH)  # another order
    write_inputs(HERE.params)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in written] == before


def replace_picture() -> None:
    Image.new("RGB", (16, 16), (1, 2, 3)).save("world/truth/0.png")


def replace_generator() -> None:
    save_generator(Path("world/generator.safetensors"), tiny_generator(seed=5))


def widen(architecture: str) -> Callable[[], None]:
    def replace_architecture() -> None:
        path = Path(f"world/{architecture}.json")
        path.write_text(path.read_text().replace('"width": 32', '"width": 64'))

    return replace_architecture


def append_to(path: str) -> Callable[[], None]:
    def replace_file() -> None:
        with Path(path).open("ab") as file:
            file.write(b" ")

    return replace_file


MAKING, EVALUATION = {"making", "evaluation", "retrieval"}, {"evaluation", "retrieval"}


@pytest.mark.parametrize(
    ("replace", "sketch", "robot"),
    [
        (replace_picture, EVALUATION, set()),
        (replace_generator, MAKING, MAKING),
        (append_to("world/tiny-guide.safetensors"), MAKING, MAKING),
        (widen("tiny-guide"), MAKING, MAKING),
        (append_to("world/tiny-judge.safetensors"), EVALUATION, EVALUATION),
        (widen("tiny-judge"), EVALUATION, EVALUATION),
    ],
    ids=["picture", "generator", "guide", "guide's architecture", "judge", "judge's architecture"],
)
def test_a_replaced_file_is_seen_where_it_decides_something(
    project: Project, replace: Callable[[], None], sketch: set[str], robot: set[str]
) -> None:
    before = inputs()
    replace()
    after = inputs()
    for domain, expected in (("sketch", sketch), ("robot", robot)):
        assert {name for name, key in after[domain].items() if key != before[domain][name]} == expected


def test_generators_are_told_by_the_bytes_that_they_are_made_from(project: Project) -> None:
    save_generator(Path("world/second.safetensors"), tiny_generator(seed=5))
    project.prompts(SKETCH)
    text = (project.folder / "prompts.csv").read_text().replace("reference_images", "generator").replace("/truth", "")
    (project.folder / "prompts.csv").write_text(text.replace(",world\n", ",world/second.safetensors\n"))
    write_inputs(HERE.params)
    first, second = (sha256_file(Path(f"world/{name}.safetensors")) for name in ("generator", "second"))
    assert json.loads(HERE.generators.read_text()) == {
        "generator.safetensors": first,
        f"generator-{second[:16]}.safetensors": second,
    }


def test_options_that_decide_nothing_change_nothing(project: Project) -> None:
    before = inputs()
    HERE.params.write_text(PARAMS.replace("batch_size: 8", "batch_size: 4").replace("workers: 2", "workers: 1"))
    assert inputs() == before


def test_nothing_is_written_while_a_night_runs(project: Project) -> None:
    with held_by_another():
        outcome = project.nada("inputs")
    assert outcome.status == 2
    assert outcome.err == "weights/.night.lock: another night runs here (process 4711); wait for it\n"
    assert not HERE.inputs.exists()


def test_a_row_that_a_night_owes_is_another_input_each_time_and_one_that_it_made_is_not(project: Project) -> None:
    project.prompts(SKETCH, BROKEN, ROBOT)
    first = inputs()
    told = []
    for _ in range(2):
        plan = make_plan(HERE.params)
        run_plan(plan, left={"robot"})
        settle(plan)
        told.append({domain: keys.get("attempts") for domain, keys in inputs().items()})
    assert told == [{"sketch": None, "broken": nights, "robot": nights} for nights in (1, 2)]

    project.prompts(SKETCH, ROBOT)
    before = inputs()
    plan = make_plan(HERE.params)
    run_plan(plan, left=set())
    settle(plan)
    assert inputs() == before
    assert {**before["sketch"], "retrieval": ""} == {**first["sketch"], "retrieval": ""}


def test_a_row_among_other_prompts_than_before_is_owed_too(project: Project) -> None:
    run_plan(make_plan(HERE.params), left=set())
    project.prompts(SKETCH, ROBOT, OTHER)
    settle(make_plan(HERE.params))
    assert load_attempts() == {"other": 1, "robot": 1, "sketch": 1}


def test_complete_names_what_is_missing_and_why(project: Project) -> None:
    run_plan(make_plan(HERE.params), left=set())
    assert project.nada("complete").out == "Every row is finished.\n"

    (HERE.adapted / "robot" / "evaluation.json").unlink()
    project.prompts(SKETCH, BROKEN, ROBOT, OTHER)
    status = StatusWriter("night", datetime.now().astimezone(), 4)
    status.running(RowQueue({"other": 9.0}), workers=1, current=2)
    status.failed("broken", "step 0: the loss is inf")
    status.state("finished")
    outcome = project.nada("complete")
    assert outcome.status == 1
    assert outcome.out.splitlines() == [
        "sketch: judged, not among the prompts of now",
        "broken: not made from the inputs of now; the last night: step 0: the loss is inf",
        "robot: made, not judged with the inputs of now",
        "other: not made from the inputs of now; the last night: the deadline left no time for it",
    ]


def test_a_clone_without_the_status_of_a_night_still_says_what_is_missing(project: Project) -> None:
    shutil.rmtree(HERE.weights, ignore_errors=True)
    assert project.nada("complete").out.splitlines() == [
        f"{domain}: not made from the inputs of now" for domain in ("sketch", "robot")
    ]
