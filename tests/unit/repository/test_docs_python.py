"""What the pages on methods and photos say in Python runs as it stands, but for how long."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]
SHORTER = {
    "docs/methods.md": {
        "iterations=300": "iterations=1",
        "num_images=20": "num_images=1, num_samples=100, max_resolution=8, layers='rgb'",
        "beta=0.35": "beta=0",
    },
    "docs/photos.md": {"nada.InversionConfig()": "nada.InversionConfig(w_steps=2, plus_steps=1)"},
}
DRAWN = {"adapted.png", "light.png", "mapped.png", "edited.png", "moved.png"}


def run(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL))
    for long, short in SHORTER[page].items():
        assert long in code
        code = code.replace(long, short)
    for name in ("params.yaml", "examples"):
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)
    exec(compile(code, page, "exec"), {})


def test_every_method_runs_as_its_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("docs/methods.md", tmp_path, monkeypatch)
    pictures = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    assert pictures.keys() == DRAWN
    assert len(set(pictures.values())) == len(DRAWN)  # each is another edit
    assert len(capsys.readouterr().out.splitlines()) == 4  # a step of each that trains


def test_a_photo_is_inverted_as_its_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "me.jpg")
    run("docs/photos.md", tmp_path, monkeypatch)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["w", "w", "w+"]
