"""The command line: help that teaches, and bad input that costs nothing."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nada.checkpoints import save_generator
from tasks.config.project import HERE
from tasks.status.status_file import load_status
from tests.conftest import tiny_stylegan3
from tests.project import PARAMS, SKETCH, Project, project

__all__ = ["project"]

COMMANDS = (
    "plan", "run", "report", "compare", "sample", "strip", "mix", "video", "invert", "apply", "pretrained", "inputs",
    "complete", "bench",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_a_command_to_copy(command: str, project: Project) -> None:
    outcome = project.nada(command, "--help")
    assert outcome.status == 0
    assert re.search(rf"^ *nada {command}", outcome.out, re.MULTILINE)


def test_help_imports_nothing_heavy() -> None:
    heavy = ["torch", "prefect", "mlflow", "open_clip", "pandas"]
    code = f"import sys, flows.cli.main; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_plan_of_prompts_that_were_looked_at_imports_nothing_heavy(project: Project) -> None:
    assert project.nada("plan").status == 0
    heavy = ["torch", "prefect", "mlflow", "open_clip", "pandas"]
    code = (
        "import sys; sys.argv = ['nada', 'plan']; from flows.cli.main import main\n"
        f"try: main()\nfinally: print('\\n' + str([name for name in {heavy} if name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "to train" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_plan_shows_rows_cost_and_devices(project: Project) -> None:
    outcome = project.nada("plan")
    assert outcome.status == 0
    assert "pencil sketch" in outcome.out
    assert "2 domains: 2 to train, 0 current. About " in outcome.out
    assert "on 2 workers (cpu, " in outcome.out
    assert "\x1b" not in outcome.out
    assert not (project.folder / "weights" / "adapted").exists()


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_csv_of_the_command_line_that_is_absent_is_not_laid_to_the_settings(project: Project, command: str) -> None:
    outcome = project.nada(command, "nowhere.csv")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "nowhere.csv: no such file; name a CSV that is there, or none for night.prompts\n"


def test_plan_warns_of_a_generator_without_noise_whose_views_are_all_zero(project: Project) -> None:
    warning = (
        "world/generator.safetensors has no noise of its own, and guide.views are all zero: edits may vanish; "
        "set them, such as crop: 0.2, flip: true, noise: 0.05."
    )
    assert warning not in project.nada("plan", "--no-preflight").out
    save_generator(project.folder / "world" / "generator.safetensors", tiny_stylegan3())
    assert warning in project.nada("plan", "--no-preflight").out
    (project.folder / "params.yaml").write_text(PARAMS.replace("guide:\n", "guide:\n  views: {flip: true}\n"))
    assert warning not in project.nada("plan", "--no-preflight").out


def test_retrieval_is_judged_among_some_prompts_of_a_very_long_night(project: Project) -> None:
    from tasks.plan.planning import make_plan

    project.prompts(*(f"d{index},portrait,thing {index},style," for index in range(1000)))
    planned = make_plan(Path("params.yaml"))
    assert list(planned.targets)[:3] == ["d0", "d5", "d10"]
    assert len(planned.job(planned.rows[0]).targets) == 200


def test_a_plan_that_measures_guesses_no_longer(project: Project) -> None:
    assert "not measured yet" in project.nada("plan", "--no-preflight").out
    outcome = project.nada("plan", "--no-preflight", "--measure")
    assert outcome.status == 0, outcome
    assert "Measuring shape, style" in outcome.out
    assert "not measured yet" not in outcome.out
    assert "(by what was measured here)" in outcome.out
    assert not (project.folder / "weights" / "adapted").exists()
    assert "Measuring" not in project.nada("plan", "--no-preflight", "--measure").out


def test_plan_can_be_narrowed_to_one_domain(project: Project) -> None:
    outcome = project.nada("plan", "--only", "robot")
    assert "2 domains: 1 to train, 0 current, 1 left out." in outcome.out


def test_an_unknown_domain_is_answered_with_the_nearest(project: Project) -> None:
    outcome = project.nada("run", "--only", "sketsh")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "prompts.csv: no domain 'sketsh'; did you mean 'sketch'?\n"


def test_a_malformed_csv_is_refused_before_anything(project: Project) -> None:
    project.prompts(SKETCH, "sketch,portrait,,style,")
    outcome = project.nada("run")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("prompts.csv:3: ")
    assert not (project.folder / "weights").exists()
    assert not (project.folder / "reports").exists()


def test_malformed_params_are_refused_before_anything(project: Project) -> None:
    (project.folder / "params.yaml").write_text(PARAMS.replace("num_images", "num_image"))
    outcome = project.nada("run")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == ("params.yaml: 1 invalid key\n  judge.num_image: unknown key; did you mean 'num_images'?\n")


def test_a_device_that_is_not_there_is_refused(project: Project) -> None:
    (project.folder / "params.yaml").write_text(PARAMS.replace("device: cpu", "device: cuda:99"))
    outcome = project.nada("plan")
    assert outcome.status == 2
    assert outcome.err.startswith("night.device: 'cuda:99' cannot be used; allowed are 'auto', 'cpu' and GPUs")


def test_a_truncated_generator_is_refused(project: Project) -> None:
    path = project.folder / "world" / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    outcome = project.nada("run")
    assert outcome.status == 2
    assert outcome.err.startswith("world/generator.safetensors: ")
    assert not (project.folder / "weights" / "adapted").exists()


@pytest.mark.parametrize(("command", "status"), [("plan", None), ("run", "broken")])
def test_damaged_clip_weights_are_found_before_any_training(project: Project, command: str, status: str | None) -> None:
    path = project.folder / "world" / "tiny-judge.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    outcome = project.nada(command)
    assert outcome.status == 2
    assert outcome.err.startswith("world/tiny-judge.safetensors: not a whole safetensors file")
    assert len(outcome.err.splitlines()) == 1 and not list(HERE.adapted.glob("*"))
    told = load_status()
    assert (told and told.state) == status and ": loading" not in outcome.out


def test_an_unwritable_output_is_refused(project: Project) -> None:
    (project.folder / "weights").mkdir()
    (project.folder / "weights" / "adapted").write_text("a file where the folder should be")
    outcome = project.nada("run")
    assert outcome.status == 2
    assert outcome.err.startswith("weights/adapted: cannot be written")


def test_a_second_night_in_the_same_project_is_refused(project: Project) -> None:
    (project.folder / "weights").mkdir()
    with (project.folder / "weights" / ".night.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        outcome = project.nada("run")
    assert outcome.status == 2
    assert outcome.err == "weights/.night.lock: another night runs here (process 4711); wait for it\n"


def test_samples_of_the_source_need_no_night(project: Project) -> None:
    outcome = project.nada("sample", "source", "--count", "5", "--out", "grid.png")
    assert (outcome.status, outcome.out) == (0, "grid.png\n")
    assert (project.folder / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_of_samples_begins_with_those_of_a_shorter_one(project: Project) -> None:
    for count, name in ((3, "few"), (20, "many")):
        assert project.nada("sample", "source", "--count", str(count), "--folder", name).status == 0
    few = {path.name: path.read_bytes() for path in Path("few").iterdir()}
    many = {path.name: path.read_bytes() for path in Path("many").iterdir()}
    assert sorted(few) == ["000000.png", "000001.png", "000002.png"]
    assert len(many) == 20
    assert few.items() <= many.items()


def test_samples_of_an_unfinished_domain_name_the_finished_ones(project: Project) -> None:
    outcome = project.nada("sample", "sketch")
    assert outcome.status == 2
    assert outcome.err == "weights/adapted: no finished domain 'sketch'; there is 'source' alone yet\n"


def test_a_grid_and_a_folder_together_are_refused(project: Project) -> None:
    outcome = project.nada("sample", "source", "--out", "a.png", "--folder", "b")
    assert outcome.status == 2
    assert "not both" in outcome.err


def test_a_recipe_with_too_many_layers_is_refused_before_training(project: Project) -> None:
    project.prompts(SKETCH)
    params = project.folder / "params.yaml"
    params.write_text(params.read_text().replace("k: 2", "k: 99"))
    outcome = project.nada("run")
    assert outcome.status == 2
    assert "recipes.shape.selection.k: 99 layers of 5; at most 5, or 'all'" in outcome.err
    assert not list((project.folder / "weights" / "adapted").iterdir())


def test_the_plan_doubts_pairs_of_pictures_where_there_are_few(project: Project) -> None:
    project.prompts(SKETCH)
    params = project.folder / "params.yaml"
    params.write_text(params.read_text().replace("iterations: 4", "in_domain_angle_weight: 1"))
    outcome = project.nada("plan", "--no-preflight")
    assert outcome.status == 0
    doubt = "adapt.in_domain_angle_weight: 1 with a batch_size of 2; 4 or more tell how pictures differ (sketch)"
    assert doubt in outcome.out


def test_too_many_samples_for_one_grid_are_refused(project: Project) -> None:
    outcome = project.nada("sample", "source", "--count", "1000000")
    assert outcome.status == 2
    assert "--count: 1000000 pictures are too many for one grid; use --folder, or 390625" in outcome.err
