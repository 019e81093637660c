"""The night over photographs that `make faces` runs."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tasks.config.params import load_params
from tasks.config.prompts import load_prompts

FACES = Path(__file__).parents[3] / "examples" / "faces"
ALL = [line.split(",")[0] for line in (FACES / "prompts.csv").read_text(encoding="utf-8").splitlines()[1:]]
FETCHED = "../../weights/mobilestylegan-ffhq-256.safetensors"


def write_pictures(path: Path) -> None:
    """Two in a zip."""
    picture = BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("0.png", "1.png"):
            archive.writestr(name, picture.getvalue())


def test_its_settings_and_every_row_are_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (FACES / "params.yaml").read_text(encoding="utf-8")
    assert FETCHED in settings
    (tmp_path / "generator.safetensors").touch()
    (tmp_path / "params.yaml").write_text(settings.replace(FETCHED, "generator.safetensors"), encoding="utf-8")
    (tmp_path / "clip").symlink_to(FACES / "clip")
    for folder in ("references", "truth"):  # as `make photographs` draws them
        (tmp_path / folder).mkdir()
        for domain in ALL:
            write_pictures(tmp_path / folder / f"{domain}.zip")
    monkeypatch.chdir(tmp_path)
    params = load_params(Path("params.yaml"))
    rows = load_prompts(FACES / params.night.prompts, params)
    assert (
        [row.domain for row in rows] == ALL and len(rows) >= 8 and {row.recipe for row in rows} == set(params.recipes)
    )


def test_make_fetches_the_generator_that_it_names() -> None:
    makefile = (FACES.parents[1] / "Makefile").read_text(encoding="utf-8")
    assert f"nada weights fetch {Path(FETCHED).stem}" in makefile
