"""`nada doctor` names what is missing with the command that brings it, and writes nothing."""

from __future__ import annotations

import shlex
import socket
import sys
from importlib import metadata
from pathlib import Path

import pytest

from flows.cli.project.health_view import finding_lines
from tasks.health import machine
from tasks.health.finding import missing
from tests.project import PARAMS, Project, project

__all__ = ["project"]


def states(out: str) -> dict[str, str]:
    """Part -> state, of lines that begin with one."""
    cells = [line.split() for line in out.splitlines() if line.startswith("  ") and line[2] != " "]
    return {part: state for state, part, *_ in cells}


def test_a_project_whose_files_are_there_can_run(project: Project) -> None:
    before = sorted(project.folder.rglob("*"))
    outcome = project.nada("doctor")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.endswith("A night can run: nada plan shows what it would do.\n")
    found = states(outcome.out)
    assert "missing" not in found.values()
    assert {"devices", "disk", "Python", "DVC", "git", "MLflow", "Prefect", "settings", "rows"} < found.keys()
    assert max(map(len, outcome.out.splitlines())) <= 80 + len(str(project.folder))
    assert sorted(project.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("right", "wrong", "part", "remedy"),
    [
        ("world/generator.safetensors", "weights/stylegan2-ffhq-1024x1024.pkl", "generator", "nada weights fetch ffhq"),
        ("world/generator.safetensors", "none.pkl", "generator", "write where it is under generator.weights"),
        ("world/tiny-guide.safetensors", "world/packed.safetensors", "guide", "gzip -dk world/packed.safetensors.gz"),
        ("world/tiny-judge.safetensors", "none.safetensors", "judge", "write where it is, as weights, in params.yaml"),
        ("device: cpu", "device: cuda:7", "workers", "night.device: auto takes what is there"),
        ("  num_images: 16", "  num_imags: 16", "settings", "edit params.yaml"),
        ("  num_images: 16", "  num_images: 16\n  lpips: nets", "lpips", "write 'web' as judge.lpips"),
    ],
)
def test_what_is_missing_comes_with_what_brings_it(
    project: Project, right: str, wrong: str, part: str, remedy: str
) -> None:
    Path("world/packed.safetensors.gz").touch()
    Path("params.yaml").write_text(PARAMS.replace(right, wrong))
    outcome = project.nada("doctor")
    assert outcome.status == 1
    assert states(outcome.out)[part] == "MISSING"
    assert f" {remedy}" in outcome.out
    assert outcome.out.endswith("No night can run yet: 1 thing missing.\n")


@pytest.mark.parametrize(("lock", "state"), [("", "MISSING"), ('{"write": {"we', "MISSING"), ('{"read": {}}', "note")])
def test_a_lock_file_that_a_killed_dvc_left_torn_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, lock: str, state: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    for name, text in {".dvc/config": "", "dvc.yaml": "", ".dvc/tmp/rwlock": lock}.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    out = project.nada("doctor").out
    assert states(out)["DVC"] == state
    assert ("rm .dvc/tmp/rwlock" in out) == (state == "MISSING")


def test_what_fetches_a_published_tag_works_beside_any_torch(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from nada.clip.open_clip_import import open_clip

    guides = PARAMS.replace("weights: world/tiny-guide.safetensors", "weights: openai").replace(
        "tiny-guide", "ViT-B-32"
    )
    Path("params.yaml").write_text(guides)
    monkeypatch.setattr("tasks.health.tags.is_here", lambda name, tag: False)
    (line,) = (line for line in project.nada("doctor").out.splitlines() if "create_model" in line)
    program, option, code, *_ = shlex.split(line)
    fetched: list[tuple[str, str]] = []
    monkeypatch.setattr(open_clip, "create_model", lambda *names: fetched.append(names))
    monkeypatch.setitem(sys.modules, "open_clip", None)  # by itself it fails beside a CPU build
    exec(code, {})
    assert (program, option, fetched) == ("python", "-c", [("ViT-B-32", "openai")])


def test_rows_that_cannot_be_used_are_told(project: Project) -> None:
    project.prompts("sketch,portrait,")
    assert states(project.nada("doctor").out)["rows"] == "MISSING"


def test_a_folder_that_is_no_project_is_told_how_to_become_one(project: Project) -> None:
    Path("params.yaml").unlink()
    outcome = project.nada("doctor")
    assert outcome.status == 1 and "nada init my-library, then cd my-library" in outcome.out


def test_a_prefect_that_does_not_answer_keeps_a_night_from_running_and_an_mlflow_does_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
        assert states(project.nada("doctor").out)["Prefect"] == "ok"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
    outcome = project.nada("doctor")
    found = states(outcome.out)
    assert (found["Prefect"], found["MLflow"], outcome.status) == ("MISSING", "note", 1)
    assert "secret" not in outcome.out


def test_a_package_of_another_version_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"nada": "0.1.0", "torch": "1.0"}
    monkeypatch.setattr(metadata, "requires", lambda _: ["torch>=2.13,<2.14", "typer>=0.29", "ray; extra == 'ray'"])

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    found = next(one for one in machine.look_at_machine() if one.part == "packages")
    assert (found.state, found.says) == ("missing", "torch 1.0, typer is not there")
    assert found.remedy == "pip install 'torch<2.14,>=2.13' 'typer>=0.29'"


def test_a_long_finding_is_wrapped_below_itself_and_its_command_is_not() -> None:
    finding = missing("guide", "word " * 40, "command " * 20)
    *said, remedy = [line.plain for line in finding_lines(finding, 80)]
    assert max(map(len, said)) <= 80 and len(said) > 2
    assert {line[:25].strip() for line in said[1:]} == {""}
    assert remedy.strip() == ("command " * 20).strip()
