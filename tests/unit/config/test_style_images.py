"""Pictures to learn from: what is refused before a night, a line each."""

from __future__ import annotations

import zipfile
from pathlib import Path

from PIL import Image

from tasks.plan.planning import make_plan
from tests.methods.dream import dream
from tests.plans import change, plan
from tests.project import Project, project

__all__ = ["dream", "project"]

HEADER = "domain,source,target,method,recipe,style_images,reference_images"


def write_style(name: str, num: int = 3) -> str:
    """A folder of pictures that no reference has."""
    Path(name).mkdir()
    for index in range(num):
        Image.new("RGB", (16, 16), (250, index, 3)).save(Path(name, f"{index}.png"))
    return name


def write_row(cells: str) -> None:
    Path("prompts.csv").write_text(f"{HEADER}\nown,portrait,{cells}\n")


def refused(project: Project, cells: str) -> str:
    """The one line that planning answers."""
    write_row(cells)
    outcome = project.nada("plan", "--no-preflight")
    assert (outcome.status, outcome.out) == (2, ""), outcome
    line, end = outcome.err.split("\n")
    assert end == ""
    return line.removeprefix("prompts.csv:2: ")


def test_pictures_stand_in_the_place_of_a_target(project: Project) -> None:
    write_style("style")
    write_row(",,style,style,world/truth")
    (row,) = plan().rows
    assert (row.row.target, row.row.aim, row.style and row.style.num_images) == ("", "pictures of style", 3)
    outcome = project.nada("plan")
    assert outcome.status == 0 and "pictures of style" in outcome.out


def test_what_lies_beside_the_pictures_is_told(project: Project) -> None:
    Path(write_style("style"), "notes.txt").write_text("of what?")
    write_row("sketch,,style,style,")
    outcome = project.nada("plan", "--no-preflight")
    assert "style: 3 pictures are read; left out: 1 .txt (notes.txt) (own)" in outcome.out.replace("\n", " ")


def test_too_few_too_many_and_none_are_one_line_each(project: Project, dream: None) -> None:
    write_style("many", 101), Path("empty").mkdir(), Path("notes.txt").write_text("no picture")
    expected = "expected files that end in .png, .jpg, .jpeg, .webp, .bmp, .jpe, .jfif, .tif, .tiff, .gif, .avif"
    zip_or_folder = "expected a folder or a .zip of images"
    assert refused(project, ",,style,many,") == "'style_images' holds 101 images; 100 at most, so choose some"
    assert refused(project, ",,style,empty,") == f"'style_images': empty: no images in it; {expected}"
    assert refused(project, ",,style,absent,") == f"'style_images': absent: no such file or folder; {zip_or_folder}"
    told = f"'style_images': notes.txt: not a whole zip (File is not a zip file); {zip_or_folder}"
    assert refused(project, ",,style,notes.txt,") == told
    assert refused(project, "robot,dream,,many,") == (
        "'style_images' is 'many'; 'dream' learns from no pictures, so leave it empty"
    )
    assert refused(project, ",,style,,") == (
        "'target' is empty; every row needs domain, source and target, or style_images in the target's place"
    )


def test_a_broken_picture_is_named(project: Project) -> None:
    write_style("style")
    Path("style/1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert refused(project, ",,style,style,").startswith("'style_images': style/1.png: not a readable image; expected ")


def test_a_picture_that_is_also_a_reference_is_named_with_it(project: Project) -> None:
    write_style("style")
    with zipfile.ZipFile("truth.zip", "w") as archive:
        archive.write("style/0.png", "a/first.png")
        archive.writestr("a/second.png", Path("style/1.png").read_bytes()[:-1] + b"!")  # as long, and another
        archive.write("world/truth/0.png", "third.png")
    line = "'style_images' holds a reference: style/0.png is truth.zip/a/first.png, by which it is judged"
    assert refused(project, ",,style,style,truth.zip") == f"{line}; remove one of the two"
    Path("style/0.png").unlink()
    write_row(",,style,style,world/truth")
    assert plan().rows[0].style is not None


def test_a_text_that_has_a_share_cannot_be_missing(project: Project) -> None:
    write_style("style")
    change("  style:\n    iterations: 4", "  style:\n    iterations: 4\n    style_weight: 0.5")
    line = "'target' is empty, and adapt.style_weight 0.5 leaves it a share; write a text, or set 1"
    assert refused(project, ",,style,style,") == line
    write_row("robot,,style,style,")
    assert plan().rows[0].row.target == "robot"


def test_names_that_lead_out_of_a_zip_lead_nowhere(project: Project) -> None:
    Image.new("RGB", (16, 16), "teal").save("teal.png")
    with zipfile.ZipFile("style.zip", "w") as archive:
        for name in ("../../evil.png", "/tmp/evil.png"):
            archive.write("teal.png", name)
    write_row(",,style,style.zip,")
    before = sorted(Path().rglob("*"))
    (row,) = make_plan(Path("params.yaml")).rows
    assert row.style is not None and row.style.num_images == 2
    assert not [path for path in set(Path().rglob("*")) - set(before) if path.suffix == ".png"]


def test_the_pictures_are_in_the_key_by_what_they_hold(project: Project) -> None:
    def key() -> tuple[str, str]:
        keys = plan().rows[0].keys
        return keys.making, keys.evaluation

    write_style("style"), write_style("moved")
    write_row(",,style,style,")
    by_pictures = key()
    write_row(",,style,moved,")
    assert key() == by_pictures
    write_row("robot,,style,style,")
    named = key()
    assert named[0] == by_pictures[0] and named[1] != by_pictures[1]  # a name trains nothing, and is judged
    change("  style:\n    iterations: 4", "  style:\n    iterations: 4\n    style_weight: 0.5")
    half = key()
    write_row("red robot,,style,style,")
    before = key()[0]
    assert len({half[0], before, named[0]}) == 3
    Image.new("RGB", (16, 16), "teal").save("style/2.png")
    assert key()[0] != before


def test_a_texture_without_pictures_of_it_is_refused(project: Project) -> None:
    change("recipes:\n", "recipes:\n  woven:\n    texture_weight: 2\n")
    write_style("style")
    assert refused(project, "sketch,,woven,,") == (
        "adapt.texture_weight asks for 'style_images' that show it; name some, or set 0"
    )
    write_row("sketch,,woven,style,")
    assert project.nada("plan", "--no-preflight").status == 0
