"""Rows that a CSV gained while its night runs, and changes of it that wait."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tasks.live.growing import Growth
from tests.plans import plan
from tests.plans import prompts as write_prompts
from tests.project import Project, project

__all__ = ["project"]

SKETCH, ROBOT = "sketch,portrait,pencil sketch,style", "robot,portrait,robot,shape"
INK = "ink,portrait,ink,shape,,,,sketch"
PROMPTS = Path("prompts.csv")


def test_new_rows_are_taken_up_wherever_they_stand_and_know_all_prompts(project: Project) -> None:
    write_prompts(SKETCH, ROBOT)
    before, growth = plan(), Growth(PROMPTS)
    assert growth.look(before).plan is None
    write_prompts(SKETCH, INK, ROBOT)
    found = growth.look(before)
    assert found.plan is not None
    assert [(one.domain, one.state, one.waits_for) for one in found.added] == [("ink", "train", "sketch")]
    assert set(found.plan.targets) == {"sketch", "robot", "ink"}
    keys, whole = found.plan.by_domain["robot"].keys, plan().by_domain["robot"].keys
    assert keys == whole
    assert keys.making == before.by_domain["robot"].keys.making
    assert growth.look(found.plan).plan is None


def test_a_csv_that_changed_otherwise_waits_for_the_next_night(project: Project) -> None:
    write_prompts(SKETCH, ROBOT)
    before, growth = plan(), Growth(PROMPTS)
    write_prompts(SKETCH, "robot,portrait,iron robot,shape", INK)
    said = "prompts.csv: robot changed while the night runs; its new rows wait for the next night"
    assert growth.look(before).problem == said
    assert growth.look(before).problem == ""  # once
    write_prompts(SKETCH, ROBOT, "ink,portrait,,shape")
    assert growth.look(before).problem.startswith("prompts.csv:4: 'target' is empty")
    write_prompts(SKETCH, ROBOT)
    assert growth.look(before) == growth.look(before)


def test_what_a_night_starts_from_is_not_written_anew_while_it_runs(project: Project) -> None:
    write_prompts(SKETCH)
    before, growth = plan(), Growth(PROMPTS)
    copy = Path(before.by_domain["sketch"].source.base_path)
    own = copy.read_bytes()
    checkpoint = Path(before.params.generator.weights)
    tensors = load_file(checkpoint)
    name = next(iter(tensors))
    with safe_open(checkpoint, "np") as file:
        save_file({**tensors, name: tensors[name] + 1}, checkpoint, file.metadata())
    write_prompts(SKETCH, ROBOT)
    said = "prompts.csv: files or code changed while the night runs; its new rows wait for the next night"
    assert growth.look(before).problem == said
    assert copy.read_bytes() == own


def test_what_was_picked_of_a_domain_that_joins_counts(project: Project) -> None:
    write_prompts(SKETCH)
    before = plan()
    Path("picks.csv").write_text("domain,variant,step\nink,style-1,\n")
    header, row = "domain,source,target,recipe,seeds", "ink,portrait,ink,style,0-1"
    PROMPTS.write_text("\n".join([header, SKETCH + ",", row]) + "\n")
    found = Growth(PROMPTS).look(before)
    assert found.plan is not None, found
    assert found.plan.picks["ink"].variant == "style-1"


def test_a_night_of_some_domains_alone_takes_up_nothing(project: Project) -> None:
    write_prompts(SKETCH, ROBOT)
    before = plan("robot")
    assert before.is_part
    write_prompts(SKETCH, ROBOT, INK)
    assert Growth(PROMPTS, takes=not before.is_part).look(before).plan is None
