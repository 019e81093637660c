"""`dvc repro` sees what `nada plan` sees: the project's own stages on the tiny world, with the real DVC."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from safetensors.torch import load_file, save_file

from tasks.store import versioning
from tests.e2e.test_dvc_restores_weights import ROOT, call, commit, domains, dvc, forget_identity, no_identity
from tests.plain_night import NIGHT, logged
from tests.project import BROKEN, HEADER, ROBOT, SKETCH, make_project

__all__ = ["no_identity"]

ZIPPED = SKETCH.replace("world/truth", "world/truth.zip")
LATE = "late,portrait,oil painting,style,"
SET_UP = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore")
SKIPPED = "Stage '{}' didn't change, skipping"
ENDS_BADLY = 255  # how dvc ends when a stage does


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Iterator[Path]:
    """A checkout whose two rows are finished and committed."""
    folder = tmp_path_factory.mktemp("dvc") / "checkout"
    make_checkout(folder, tiny_world)
    with pytest.MonkeyPatch.context() as patch:
        forget_identity(folder.parent, patch)
        prompts(folder, ZIPPED, ROBOT)
        dvc(folder, "repro")
        assert logged(folder) == [NIGHT, "sketch", "robot"]
        commit(folder)
        yield folder


@pytest.fixture
def checkout(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "checkout", symlinks=True))


def make_checkout(folder: Path, world: Path) -> None:
    """The tiny project under git and DVC, with the project's own stages."""
    folder.mkdir()
    make_project(folder, world)
    with ZipFile(folder / "world" / "truth.zip", "w") as file:
        for picture in sorted((folder / "world" / "truth").iterdir()):
            file.write(picture, picture.name)
    for name in SET_UP:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages(), sort_keys=False))
    (folder / ".gitignore").write_text((ROOT / ".gitignore").read_text() + "night.log\n")
    call(folder, "git", "init", "--quiet")


def stages() -> dict[str, Any]:
    """This project's stages, with a night that costs little."""
    declared: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    declared["stages"]["night"]["cmd"] = "python -m tests.plain_night"
    return declared


def prompts(folder: Path, *rows: str, name: str = "prompts.csv") -> None:
    (folder / name).write_text("\n".join([HEADER, *rows]) + "\n")


def files(folder: Path, domain: str) -> dict[str, bytes]:
    """All that is known of a row, its place among the night's prompts aside."""
    row = folder / "weights" / "adapted" / domain
    return {path.name: path.read_bytes() for path in row.iterdir() if path.name != "retrieval.json"}


def test_rows_that_are_finished_are_versioned_and_what_failed_or_was_left_is_tried_again_alone(checkout: Path) -> None:
    finished = {domain: files(checkout, domain) for domain in ("robot", "sketch")}
    prompts(checkout, BROKEN, ZIPPED, LATE, ROBOT)
    (checkout / "left.txt").write_text("late")
    said = dvc(checkout, "repro", expect=ENDS_BADLY)
    assert logged(checkout) == [NIGHT, "broken"]
    for domain in ("broken", "late"):
        assert f"{domain}: not made from the inputs of now" in said
    commit(checkout)
    versioning.push(checkout)

    clone = checkout.parent / "clone"
    call(checkout.parent, "git", "clone", "--quiet", str(checkout), str(clone))
    versioning.prepare_checkout(clone)
    dvc(clone, "pull")
    assert {domain for domain in domains(clone) if domain[0] != "_"} == set(finished)
    (clone / "left.txt").unlink()
    dvc(clone, "repro", expect=ENDS_BADLY)
    assert logged(clone) == [NIGHT, "broken", "late"]
    dvc(clone, "repro", expect=ENDS_BADLY)
    assert logged(clone) == [NIGHT, "broken"]
    assert {domain: files(clone, domain) for domain in finished} == finished

    prompts(clone, ZIPPED, LATE, ROBOT)
    dvc(clone, "repro")
    assert logged(clone) == [NIGHT]
    said = dvc(clone, "repro")
    assert all(SKIPPED.format(stage) in said for stage in ("pretrained", "prepared", "night", "complete"))
    assert logged(clone) == []


def test_a_second_repro_runs_no_night_and_status_names_the_inputs_alone(checkout: Path) -> None:
    said = dvc(checkout, "repro")
    assert all(SKIPPED.format(stage) in said for stage in ("pretrained", "prepared", "night", "complete"))
    assert logged(checkout) == []
    assert dvc(checkout, "status").split() == ["inputs:", "always", "changed"]


def test_a_row_that_is_added_while_a_night_runs_is_made_by_the_next_repro(checkout: Path) -> None:
    prompts(checkout, ZIPPED)
    prompts(checkout, ZIPPED, LATE, name="next.csv")
    said = dvc(checkout, "repro", expect=ENDS_BADLY)
    assert "late: not made from the inputs of now" in said
    assert logged(checkout) == [NIGHT]
    dvc(checkout, "repro")
    assert logged(checkout) == [NIGHT, "late"]
    assert SKIPPED.format("night") in dvc(checkout, "repro")


def test_replaced_pictures_are_judged_with_and_a_replaced_clip_trains(checkout: Path) -> None:
    made = (checkout / "weights/adapted/sketch/row.json").read_bytes()
    with ZipFile(checkout / "world/truth.zip") as file:
        names = file.namelist()
        pictures = {name: file.read(name) for name in names}
    with ZipFile(checkout / "world/truth.zip", "w") as file:
        for name in names[1:]:
            file.writestr(name, pictures[name])
    dvc(checkout, "repro")
    assert logged(checkout) == [NIGHT]
    assert (checkout / "weights/adapted/sketch/row.json").read_bytes() == made
    scores = (checkout / "weights/adapted/sketch/metrics.json").read_text()
    assert "7 images of the target domain" in scores

    clip = checkout / "world/tiny-guide.safetensors"
    tensors = load_file(clip)
    save_file({**tensors, "visual.proj": -tensors["visual.proj"]}, clip)
    dvc(checkout, "repro")
    assert logged(checkout) == [NIGHT, "sketch", "robot"]
