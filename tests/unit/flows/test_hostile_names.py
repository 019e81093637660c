"""Whatever files are named, and whatever is typed for a name: it is told in lines that nothing obeys."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.project import Outcome, Project, project

__all__ = ["project"]

EVIL = "a\x1b[2J\x1b]0;title\x07\u202egnp\nb"
ENDLESS = "x" * 5000
COMMANDS = [
    ["plan", "--no-preflight", "--params"],
    ["plan", "--no-preflight"],
    ["plan", "--no-preflight", "--only"],
    ["weights", "inspect"],
    ["weights", "export"],
    ["weights", "fetch"],
    ["weights", "list"],
    ["weights", "convert", "world/generator.safetensors"],
    ["compare"],
    ["sample"],
    ["verify"],
]


def is_shown(outcome: Outcome) -> bool:
    return all(line.isprintable() for line in (outcome.out + outcome.err).split("\n"))


@pytest.mark.parametrize("name", [EVIL, ENDLESS, f"{EVIL}.pkl", "x/" * 3000, "a\udcff"], ids=range(5))
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_obeys_a_name_or_breaks_off_at_it(command: list[str], name: str, project: Project) -> None:
    outcome = project.nada(*command, name)
    assert outcome.status in (0, 1, 2) and is_shown(outcome)


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("suffix", [".heic", ".png"])
def test_names_of_pictures_are_shown_whether_they_are_left_out_or_refused(
    project: Project, kind: str, suffix: str
) -> None:
    Image.new("RGB", (16, 16)).save("picture.png")
    content = Path("picture.png").read_bytes()
    if kind == "folder":
        Path("set").mkdir()
        for name in ("0.png", "1.png"):
            Path("set", name).write_bytes(content)
        Path("set", f"{EVIL}{suffix}").write_bytes(b"no picture")
    else:
        with zipfile.ZipFile("set", "w") as archive:
            for name in ("0.png", "1.png"):
                archive.writestr(name, content)
            archive.writestr(f"{EVIL}{suffix}", b"no picture")
    project.prompts("sketch,portrait,pencil sketch,style,set")
    outcome = project.nada("plan", "--no-preflight")
    name = f"a\\x1b[2J\\x1b]0;title\\x07\\u202egnp\\nb{suffix}"
    if suffix == ".png":
        told = f"prompts.csv:2: 'reference_images': set/{name}: not a readable image; expected "
        assert (outcome.status, outcome.err.count(told)) == (2, 1)
    else:
        assert outcome.status == 0
        assert f"set: 2 pictures are read; left out: 1 .heic ({name}) (sketch)" in outcome.out
    assert is_shown(outcome)
