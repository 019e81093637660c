"""The sentences that a prompt is put in are open_clip's, read without running its file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nada.clip.open_clip_import import open_clip
from nada.clip.templates import PLURAL_TEMPLATE, fill, read_templates, templates
from nada.errors import GuideError


def test_the_templates_are_those_of_open_clip_but_the_plural_one() -> None:
    theirs = [fill("{}") for fill in open_clip.OPENAI_IMAGENET_TEMPLATES]
    assert len(templates()) == 79
    assert [text for text in theirs if text != PLURAL_TEMPLATE] == list(templates())


def test_every_template_has_one_place_for_a_prompt() -> None:
    assert all(template.count("{}") == 1 and "many" not in template for template in templates())


def test_a_prompt_with_braces_is_filled_in_as_it_stands() -> None:
    assert fill("{0} {}")[0] == "a bad photo of a {0} {}."


def test_reading_the_templates_imports_nothing_of_open_clip() -> None:
    code = "import sys; from nada.clip.templates import fill; fill('a'); sys.exit('open_clip' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_of_the_file_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "metadata.py"
    path.write_text("OPENAI_IMAGENET_TEMPLATES = (lambda name: f'the {name}',)\nraise SystemExit(3)\n")
    assert read_templates(path) == ["the {}"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "metadata.py: no tuple OPENAI_IMAGENET_TEMPLATES;"),
        ("OPENAI_IMAGENET_TEMPLATES = read()", "metadata.py: no tuple OPENAI_IMAGENET_TEMPLATES;"),
        ("OPENAI_IMAGENET_TEMPLATES = (\n'a photo of {}',)", "metadata.py:2: no template with one place for a prompt;"),
        ("OPENAI_IMAGENET_TEMPLATES = (lambda c: f'a photo',)", "metadata.py:1: no template with one place"),
        ("OPENAI_IMAGENET_TEMPLATES = (lambda c: f'{c} {c}',)", "metadata.py:1: no template with one place"),
        ("OPENAI_IMAGENET_TEMPLATES = (lambda c: 'a ' + c,)", "metadata.py:1: no template with one place"),
        (
            "OPENAI_IMAGENET_TEMPLATES = (lambda c: f'a {c!r}',)",
            "metadata.py:1: a template of more than words",
        ),
        (
            "OPENAI_IMAGENET_TEMPLATES = (lambda c: f'a {d}',)",
            "metadata.py:1: a template of more than words",
        ),
        (
            "OPENAI_IMAGENET_TEMPLATES = (lambda c: f'a {c:>9}',)",
            "metadata.py:1: a template of more than words",
        ),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "metadata.py"
    path.write_text(content)
    with pytest.raises(GuideError, match=re.escape(problem)):
        read_templates(path)
