"""`nada init` writes a project that git, DVC, Prefect and nada take as it is, and never touches what is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nada.config import ClipConfig
from tasks.config.params import load_params, parse_params
from tasks.config.prompts import load_prompts
from tasks.scaffold.clips import BUNDLED, choose_clips
from tasks.scaffold.project import ESSENTIAL, TEMPLATES, VERSIONED
from tests.e2e.test_dvc_restores_weights import no_identity
from tests.project import Project, project, write_own_tasks

__all__ = ["no_identity", "project"]

ROOT = Path(__file__).parents[3]
OWN = ["--generator", "world/generator.safetensors", "--guide", "world/tiny-guide.safetensors"]
OWN += ["--judge", "world/tiny-judge.safetensors"]


@pytest.fixture(autouse=True)
def no_git_above(no_identity: None, project: Project) -> Iterator[None]:
    """The project's two files are what init writes."""
    for name in ("params.yaml", "prompts.csv"):
        Path(name).unlink()
    yield


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_project_of_ones_own_weights_is_sound_and_versioned(project: Project) -> None:
    outcome = project.nada("init", "mine", *OWN)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == "mine: generator generator.safetensors (stylegan2, 16 px)"
    assert outcome.out.splitlines()[-4:] == [
        "  cd mine",
        "  nada doctor    # what is missing, and the command that brings it",
        "  nada plan      # what a night would do; your own domains are lines of prompts.csv",
        "  dvc repro      # the night, its results versioned; or nada run",
    ]
    params = load_params(Path("mine/params.yaml"))
    assert params.generator.weights == str(project.folder / "world/generator.safetensors")
    assert params.guide.models[0].name == "tiny-guide" and params.judge.model.name == "tiny-judge"
    assert [row.domain for row in load_prompts(Path("mine/prompts.csv"), params)] == ["pencil-sketch", "sepia"]

    Path("mine/weights/own.safetensors").touch()
    for name in (".cache/x", ".mlflow/mlflow.db", ".prefect/prefect.db", "clip/guide.safetensors", "weights/a/b.npz"):
        Path("mine", name).parent.mkdir(parents=True, exist_ok=True)
        Path("mine", name).touch()
    shown = run(Path("mine"), "git", "status", "--short", "--untracked-files=all").split()[1::2]
    assert sorted(shown) == sorted([*ESSENTIAL, *VERSIONED])
    assert "weights/inputs.json" in run(Path("mine"), "dvc", "status")
    dry = run(Path("mine"), "dvc", "repro", "--dry")
    assert [line for line in dry.splitlines() if line.startswith("> ")][-1] == "> nada complete"
    assert run(Path("mine"), "dvc", "remote", "list").split()[0] == "local"


def test_nothing_that_is_there_is_touched(project: Project) -> None:
    mine = {name: f"{name} of mine\n" for name in (*ESSENTIAL, "dvc.yaml", ".gitignore", "prefect.yaml")}
    for name, content in mine.items():
        Path(name).write_text(content)
    outcome = project.nada("init", ".", *OWN)
    assert outcome.status == 0
    assert {name: Path(name).read_text() for name in mine} == mine
    assert "  there already, and left as they are: params.yaml, prompts.csv, dvc.yaml, .gitignore" in outcome.out
    assert "    /weights/*\n" in outcome.out and "  cd " not in outcome.out
    again = project.nada("init", ".", *OWN)
    assert "written" not in again.out


def test_settings_that_are_there_decide_and_no_other_generator_is_named(project: Project) -> None:
    settings = "# of mine\n"
    Path("params.yaml").write_text(settings)
    outcome = project.nada("init", ".")
    assert (outcome.status, Path("params.yaml").read_text()) == (0, settings)
    assert outcome.out.startswith(
        ".: params.yaml is there and decides; --generator, --guide and --judge change nothing"
    )
    assert "mobilestylegan" not in outcome.out and "guided by" not in outcome.out


def test_minimal_is_two_files(project: Project) -> None:
    assert "  nada run       # the night\n" in project.nada("init", "mine", "--minimal", *OWN).out
    assert sorted(path.name for path in Path("mine").iterdir()) == ["params.yaml", "prompts.csv"]


def test_a_public_generator_is_to_be_fetched(project: Project) -> None:
    outcome = project.nada("init", "mine", "--generator", "ffhq-1024", "--guide", "ViT-B-16-quickgelu")
    assert "  nada weights fetch ffhq-1024\n" in outcome.out
    params = parse_params(Path("mine/params.yaml"))
    assert params.generator.weights == "weights/stylegan2-ffhq-1024x1024.pkl"
    assert params.judge.model == ClipConfig(name="RN50-quickgelu", weights="openai")
    assert (params.methods["adapt"].learning_rate, params.guide.views.crop) == (0.0016, 0.0)  # type: ignore[attr-defined]


def test_without_a_word_it_is_the_public_generator_of_faces(project: Project) -> None:
    assert "  nada weights fetch mobilestylegan-ffhq-256\n" in project.nada("init", "mine", "--minimal").out
    params = parse_params(Path("mine/params.yaml"))
    assert (params.methods["adapt"].learning_rate, params.guide.views.crop) == (0.0004, 0.2)  # type: ignore[attr-defined]
    assert params.recipe("gentle").learning_rate == 0.0002  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--generator", "ffhqq-1024"],
            "--generator: ffhqq-1024: no such file, and no generator of the registry; did you mean 'ffhq-1024'?",
        ),
        (["--guide", "ViT-B-33"], "--guide: open_clip has no model 'ViT-B-33'; did you mean 'ViT-B-32'?"),
        (["--guide", "clip/none.pt"], "--guide: clip/none.pt: no such file"),
        (["--judge", "ViT-B-32=none.pt"], "--judge: none.pt: no such file"),
        (["--guide", "RN50", "--judge", "RN50"], "--judge: RN50 guides too; a judge must not have guided the training"),
        (
            ["--guide", "world/generator.safetensors"],
            "--guide: world/generator.safetensors has no generator.json beside it, which would say its architecture; "
            "write it as NAME=world/generator.safetensors, with an open_clip name",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_and_nothing_is_written(
    project: Project, arguments: list[str], line: str
) -> None:
    outcome = project.nada("init", "mine", *arguments)
    assert (outcome.status, outcome.err, outcome.out) == (2, f"{line}\n", "")
    assert not Path("mine").exists()


def test_a_file_is_its_name_alone_or_name_and_file(project: Project) -> None:
    for folder, text in (
        ("alone", "world/tiny-guide.safetensors"),
        ("both", "tiny-guide=world/tiny-guide.safetensors"),
    ):
        outcome = project.nada("init", folder, *OWN[:2], "--guide", text, "--judge", "world/tiny-judge.safetensors")
        assert outcome.status == 0, outcome.err
    assert Path("alone/params.yaml").read_bytes() == Path("both/params.yaml").read_bytes()


def test_a_file_that_is_no_generator_is_refused(project: Project) -> None:
    Path("cat.pkl").write_bytes(b"nothing of the kind")
    outcome = project.nada("init", "mine", "--generator", "cat.pkl")
    assert outcome.status == 2 and outcome.err.startswith("cat.pkl: ")
    assert not Path("mine").exists()


def test_odd_names_are_read_back_as_they_are(project: Project) -> None:
    shutil.copytree("world", "my: 'world' #1")
    odd = ["--generator", "my: 'world' #1/generator.safetensors", *OWN[2:]]
    assert project.nada("init", "a b", "--minimal", *odd).out.count("  cd 'a b'\n") == 1
    params = load_params(Path("a b/params.yaml"))
    assert params.generator.weights.endswith("/my: 'world' #1/generator.safetensors")


def test_the_bundled_clips_are_taken_for_faces_where_they_are_unpacked(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BUNDLED == ROOT / "examples" / "faces" / "clip"
    for folder, name in ((Path("world"), "nada-faces-guide"), (Path("none"), "ViT-B-32-quickgelu")):
        monkeypatch.setattr("tasks.scaffold.clips.BUNDLED", folder)
        for part in ("guide", "judge"):
            for suffix in ("json", "safetensors"):
                shutil.copy(f"world/tiny-{part}.{suffix}", f"world/nada-faces-{part}.{suffix}")
        assert choose_clips([], None, Path("mine"), of_faces=True).guides[0].name == name
    assert choose_clips([], None, Path("mine"), of_faces=False).guides[0].name == "ViT-B-32-quickgelu"


@pytest.mark.parametrize("name", [name for name in VERSIONED if name != ".gitignore"])
def test_what_dvc_and_prefect_read_is_what_the_repository_itself_has(name: str) -> None:
    assert (TEMPLATES / VERSIONED[name]).read_text() == (ROOT / name).read_text()


def test_the_comment_on_each_setting_is_there() -> None:
    lines = (TEMPLATES / "params.yaml.j2").read_text().splitlines()
    settings = [line for line in lines if ": " in line and not line.lstrip().startswith(("#", "{%", "-"))]
    bare = [line.partition(":")[0].strip() for line in settings if "#" not in line]
    assert bare == ["weights", "crop", "flip", "noise", "learning_rate"]  # told of above them


def test_the_deployment_finds_its_flow_beside_files_of_the_same_names(tmp_path: Path) -> None:
    (deployment,) = yaml.safe_load((TEMPLATES / "prefect.yaml").read_text())["deployments"]
    write_own_tasks(tmp_path)
    shutil.copy(tmp_path / "tasks" / "__init__.py", tmp_path / "flows.py")
    load = (
        f"from prefect.flows import load_flow_from_entrypoint as load; print(load({deployment['entrypoint']!r}).name)"
    )
    assert run(tmp_path, sys.executable, "-c", load) == "night\n"
