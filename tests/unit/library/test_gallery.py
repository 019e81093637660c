"""`nada gallery`: a folder of plain files, whole or as it was, never over anything else; ONNX by its command."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nada.errors import OutputError
from tasks.gallery.build import MARK, Gallery, check_out
from tasks.library.latents import Shown
from tasks.store import row_folder
from tests.conftest import tiny_generator
from tests.project import Project, project
from tests.records import publish_made

__all__ = ["project"]

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
REGISTRY = """\
noise-16:
  addresses: [http://127.0.0.1:1/generator.safetensors]
  file: generator.safetensors
  family: stylegan2
  format: nada
  resolution: 16
  dataset: Noise
  licence: CC0 & more
  terms: be kind
"""


@pytest.fixture
def domains(project: Project) -> Project:
    for index, name in enumerate(("sepia", "sketch")):
        publish_made(name, tiny_generator(index + 1))
    (project.folder / "weights" / "registry.yaml").write_text(REGISTRY)
    return project


def test_a_gallery_holds_a_page_and_the_pictures_that_nada_sample_draws(domains: Project) -> None:
    outcome = domains.nada("gallery", "--count", "3", "--title", "Two & more")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[1] == "site/index.html"
    page = Path("site/index.html").read_text()
    named = set(re.findall(r"pictures/[\w-]+\.webp", page))
    assert named == {f"pictures/{name}-{at}.webp" for name in ("_source-0", "sepia", "sketch") for at in range(3)}
    assert named == {str(path.relative_to("site")) for path in Path("site/pictures").iterdir()}
    assert "Two &amp; more" in page
    assert "noise-16</b> (Noise). Licence of its weights: CC0 &amp; more. Terms: be kind." in page
    assert not re.search(r"(src|href)=.?(https?:)?//", page)
    domains.nada("sample", "sketch", "--count", "3", "--folder", "drawn")
    for at in range(3):
        with Image.open(f"site/pictures/sketch-{at}.webp") as ours, Image.open(f"drawn/{at:06d}.png") as drawn:
            assert ours.size == drawn.size == (16, 16)
            levels = [np.asarray(one.convert("L"), float) for one in (ours, drawn)]
            assert np.abs(levels[0] - levels[1]).mean() < 12  # WebP's own loss, of noise


def test_other_peoples_texts_stay_texts(domains: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    making = row_folder.read_making("sketch")
    hostile = making.model_copy(update={"row": replace(making.row, source=HOSTILE, target=HOSTILE)})
    monkeypatch.setattr("tasks.gallery.build.find_making", lambda name: hostile)
    list(Gallery(Path("params.yaml"), ["sketch"], Path("site"), HOSTILE, Shown(count=1, seed=0, psi=0.7), "cpu"))
    page = Path("site/index.html").read_text()
    assert page.count("<script>") == 1 == page.count("</script>")
    assert "<img src=x" not in page
    assert "&lt;/script&gt;" in page


def test_an_earlier_gallery_is_replaced_whole_and_nothing_else_is(domains: Project) -> None:
    domains.nada("gallery", "--count", "2")
    assert domains.nada("gallery", "sketch", "--count", "1").status == 0
    assert json.loads(Path("site", MARK).read_text())["domains"] == ["sketch"]
    assert sorted(path.name for path in Path("site/pictures").iterdir()) == ["_source-0-0.webp", "sketch-0.webp"]
    Path("notes").mkdir()
    Path("notes/mine.txt").write_text("mine")
    refused = domains.nada("gallery", "--out", "notes")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == (
        "--out: notes: holds files and is no gallery (nada-gallery.json is missing); choose another folder\n"
    )
    assert [path.name for path in Path("notes").iterdir()] == ["mine.txt"]
    with pytest.raises(OutputError, match="the folder you stand in"):
        check_out(Path())


@pytest.mark.parametrize("mine", [".git/config", "CNAME", "pictures/me.png"])
def test_what_else_lies_in_a_gallery_is_never_lost(domains: Project, mine: str) -> None:
    domains.nada("gallery", "sketch", "--count", "1")
    path = Path("site", mine)
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = sorted((path, path.stat().st_mtime_ns) for path in Path("site").rglob("*"))
    refused = domains.nada("gallery", "sepia", "--count", "1")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == (
        f"--out: site: holds '{mine.removesuffix('/config')}', which is no gallery's and would be lost; choose another "
        "folder, and copy the gallery from there\n"
    )
    assert sorted((path, path.stat().st_mtime_ns) for path in Path("site").rglob("*")) == before


def test_one_that_breaks_off_leaves_the_earlier_one(domains: Project) -> None:
    domains.nada("gallery", "--count", "1")
    before = sorted((path.name, path.stat().st_mtime_ns) for path in Path("site").rglob("*"))
    making = iter(Gallery(Path("params.yaml"), [], Path("site"), "Cut", Shown(count=1, seed=1, psi=0.7), "cpu"))
    next(making)
    making.close()  # type: ignore[attr-defined]
    assert sorted((path.name, path.stat().st_mtime_ns) for path in Path("site").rglob("*")) == before
    assert not [path for path in Path().iterdir() if path.name.startswith(".site")]


def test_a_damaged_domain_is_left_out_and_told_of_and_refused_where_it_is_named(domains: Project) -> None:
    (domains.folder / "weights/adapted/sketch/generator.safetensors").write_bytes(b"cut")
    outcome = domains.nada("gallery", "--count", "1")
    assert outcome.status == 0
    assert outcome.err.startswith("sketch: left out; ")
    assert json.loads(Path("site", MARK).read_text())["domains"] == ["sepia"]
    assert domains.nada("gallery", "sketch").status == 2


def test_onnx_is_exported_by_its_suffix_or_its_name(domains: Project) -> None:
    said = domains.nada("weights", "export", "sketch", "--to", "onnx")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("sketch.onnx  onnx, opset 18, ")
    assert "onnxruntime's pictures are within " in said.out
    assert domains.nada("weights", "export", "sketch", "sketch.onnx").status == 2  # it is there
    assert domains.nada("weights", "convert", "world/generator.safetensors", "source.onnx").status == 0
    assert domains.nada("weights", "export", "--all", "all", "--to", "onnx").status == 0
    assert sorted(path.name for path in Path("all").iterdir()) == ["sepia.onnx", "sketch.onnx"]
