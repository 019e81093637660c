"""What a night would do about each row: make it, judge it, let it find its prompts anew, or leave it as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from nada.checkpoints import save_generator
from nada.hashing import sha256_file
from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import METHODS
from tasks.config.project import HERE
from tasks.plan import beginning
from tasks.plan.beginning import plan_to_run
from tasks.plan.wording import left_out
from tasks.store.record import EVALUATION_NAME, MAKING_NAME, RETRIEVAL_NAME
from tests.conftest import tiny_stylegan3, write_tiny_clip
from tests.plans import PARAMS_PATH, change, finish, making_keys, plan, prompts, states
from tests.project import ROBOT, SKETCH, Project, project
from tests.rows import publish_made

__all__ = ["project"]

NEON = "neon,portrait,neon edges,style,"


def retrieving() -> list[str]:
    return [planned.domain for planned in plan().to_retrieve]


def test_of_a_fresh_project_everything_is_to_be_made(project: Project) -> None:
    found = plan()
    assert states() == {"sketch": "train", "robot": "train"}
    assert [planned.cost.basis for planned in found.rows] == ["guess", "guess"]
    assert (found.to_judge, found.to_retrieve, found.has_work) == ([], [], True)


def test_a_finished_project_has_nothing_to_do(project: Project) -> None:
    finish()
    assert states() == {"sketch": "current", "robot": "current"}
    assert not plan().has_work
    assert [planned.estimate for planned in plan().rows] == [None, None]


JUDGINGS: dict[str, Callable[[], object]] = {
    "more pictures": lambda: change("num_images: 16", "num_images: 32"),
    "another judge": lambda: write_tiny_clip(Path("world"), "tiny-judge", seed=9),
    "a network beside it": lambda: change("  num_images: 16", "  num_images: 16\n  inception: web"),
    "more pictures shown": lambda: change("count: 6", "count: 7"),
    "another truncation": lambda: change("count: 6", "count: 6\n  truncation_psi: 0.5"),
}


@pytest.mark.parametrize("name", JUDGINGS)
def test_a_changed_judge_makes_no_row_anew_and_judges_all(project: Project, name: str) -> None:
    finish()
    made = making_keys()
    JUDGINGS[name]()
    assert states() == {"sketch": "judge", "robot": "judge"}
    assert making_keys() == made
    found = plan()
    assert (found.to_train, found.to_retrieve, found.has_work) == ([], [], True)
    assert found.disk_bytes == 0


def test_changed_references_judge_their_row_alone(project: Project) -> None:
    finish()
    Image.new("RGB", (16, 16), (1, 2, 3)).save("world/truth/0.png")
    assert states() == {"sketch": "judge", "robot": "current"}
    project.prompts(SKETCH.replace("world/truth", ""), ROBOT)
    assert states() == {"sketch": "judge", "robot": "current"}


def test_a_row_tells_what_is_left_out_of_its_references(project: Project) -> None:
    (project.folder / "world" / "truth" / "IMG_0.HEIC").touch()
    sketch, robot = plan().rows
    assert sketch.references is not None and robot.references is None
    assert (sketch.references.num_images, sketch.references.left_out) == (8, "1 .heic (IMG_0.HEIC)")
    assert plan().job(sketch).left_out == sketch.references.left_out
    assert left_out(plan()) == ["world/truth: 8 pictures are read; left out: 1 .heic (IMG_0.HEIC) (sketch)"]


def test_a_changed_recipe_makes_its_rows_anew(project: Project) -> None:
    finish()
    change("iterations: 4", "iterations: 5")
    assert states() == {"sketch": "train", "robot": "current"}


def test_a_new_row_changes_no_other_but_lets_them_find_their_prompts_anew(project: Project) -> None:
    finish()
    before = plan()
    project.prompts(SKETCH, ROBOT, NEON)
    assert states() == {"sketch": "current", "robot": "current", "neon": "train"}
    assert retrieving() == ["sketch", "robot"]
    for domain, planned in before.by_domain.items():
        keys = plan().by_domain[domain].keys
        assert (keys.making, keys.evaluation) == (planned.keys.making, planned.keys.evaluation)
        assert keys.retrieval != planned.keys.retrieval
    finish()
    assert retrieving() == []


def test_a_row_that_left_and_another_target_change_the_prompts_of_all(project: Project) -> None:
    project.prompts(SKETCH, ROBOT, NEON)
    finish()
    project.prompts(SKETCH, ROBOT)
    assert retrieving() == ["sketch", "robot"]
    project.prompts(SKETCH, ROBOT, NEON.replace("edges", "lights"))
    assert states()["neon"] == "train"
    assert retrieving() == ["sketch", "robot"]


def test_what_names_a_row_decides_nothing_about_it(project: Project) -> None:
    change("  shape:", "  same:\n    iterations: 4\n  shape:")
    prompts("sketch,portrait,pencil sketch,style")
    before = making_keys()["sketch"]
    prompts("robot,portrait,robot", "pencil,portrait,pencil sketch,same,4,0")
    assert making_keys()["pencil"] == before


@pytest.mark.parametrize("cells", ["style,5", "style,,1", "shape", "style,,,world/cats.safetensors"])
def test_a_rows_own_cells_decide_what_is_made(project: Project, cells: str) -> None:
    save_generator(Path("world/cats.safetensors"), tiny_stylegan3())
    prompts("sketch,portrait,pencil sketch,style")
    before = making_keys()
    prompts(f"sketch,portrait,pencil sketch,{cells}")
    assert making_keys() != before


def test_a_row_resolves_its_recipe_then_its_own_iterations_and_seed(project: Project) -> None:
    change("  device: cpu", "  device: cpu\n  seed: 4")
    change("recipes:", "adapt:\n  stop: auto\nrecipes:")
    prompts("robot,portrait,robot,shape", "star,portrait,star,shape,7,8")
    robot, star = plan().rows
    assert isinstance(robot.config, AdaptConfig) and isinstance(star.config, AdaptConfig)
    assert (robot.config.iterations, robot.config.selection.k, robot.config.stop, robot.seed) == (3, 2, "auto", 4)
    assert (star.config.iterations, star.config.selection.k, star.config.stop, star.seed) == (7, 2, "fixed", 8)


@pytest.mark.parametrize(
    ("name", "state", "retrieves"),
    [
        ("generator.safetensors", "train", False),
        (MAKING_NAME, "train", False),
        ("samples.webp", "judge", False),
        (EVALUATION_NAME, "judge", False),
        (RETRIEVAL_NAME, "current", True),
    ],
)
def test_a_damaged_part_is_done_again_and_no_other(project: Project, name: str, state: str, retrieves: bool) -> None:
    finish()
    (HERE.adapted / "sketch" / name).write_text("{")
    sketch, robot = plan().rows
    assert (sketch.state, sketch.retrieves) == (state, retrieves)
    assert (robot.state, robot.retrieves) == ("current", False)


def test_rows_that_are_not_asked_for_are_left_out_unless_they_are_there(project: Project) -> None:
    project.prompts(SKETCH, ROBOT, NEON)
    finish("sketch")
    assert states("neon") == {"sketch": "current", "robot": "left out", "neon": "train"}
    change("num_images: 16", "num_images: 32")
    assert states("neon") == {"sketch": "left out", "robot": "left out", "neon": "train"}


def test_a_night_looks_for_rows_in_the_history_by_the_key_of_making_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish("robot")
    wanted: list[dict[str, str]] = []

    def restore(keys: dict[str, str]) -> list[str]:
        wanted.append(dict(keys))
        missing = plan().by_domain["sketch"]
        publish_made("sketch", missing.keys, bases=[missing.source.base_sha256])
        return ["sketch"]

    monkeypatch.setattr(beginning.dvc_history, "restore", restore)
    night, restored, *_ = plan_to_run(PARAMS_PATH)
    assert wanted == [{"sketch": night.by_domain["sketch"].keys.making}]
    assert restored == ["sketch"]
    assert {planned.domain: planned.state for planned in night.rows} == {"sketch": "judge", "robot": "current"}
    (path,) = night.base_paths
    assert [kept.name for kept in HERE.base_models.iterdir()] == [f"{sha256_file(path)}.safetensors"]


def test_the_check_loads_each_source_once_and_every_setting(project: Project) -> None:
    save_generator(Path("world/cats.safetensors"), tiny_stylegan3())
    prompts(
        "base,portrait,robot",
        "follower,robot,rusty robot,,,,,base",
        "cats,cat,robot cat,,,,world/cats.safetensors",
        "more,cat,old cat,,,,world/cats.safetensors",
    )
    job = plan().check_job()
    assert len(job.rows) == len({row.source for row in job.rows}) == 2
    recipes = ["recipes.style", "recipes.shape", "recipes.broken"]
    assert [settings.place for settings in job.settings] == [*recipes, *METHODS]
