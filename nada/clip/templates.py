"""The prompt templates that CLIP's authors wrote for ImageNet, as StyleGAN-NADA uses them.

Read from the text of open_clip's file: nothing of it is executed, and open_clip, whose import takes seconds, not
imported. A plan may need no more of it.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from nada.errors import GuideError

NAME = "OPENAI_IMAGENET_TEMPLATES"
WAY_OUT = "install the open_clip_torch that pyproject.toml asks for"
PLURAL_TEMPLATE = "a photo of many {}."  # the one of the 80 that StyleGAN-NADA leaves out


def fill(prompt: str) -> list[str]:
    """The prompt in every template, whatever characters it holds.

    >>> fill("sketch")[0]
    'a bad photo of a sketch.'
    """
    return [template.replace("{}", prompt) for template in templates()]


@cache
def templates() -> tuple[str, ...]:
    """79 sentences with one `{}` each.

    Raises:
        GuideError: the installed open_clip writes them in another way.
    """
    written = read_templates(open_clip_folder() / "zero_shot_metadata.py")
    return tuple(template for template in written if template != PLURAL_TEMPLATE)


@cache
def open_clip_folder() -> Path:
    """Where open_clip is installed, found without importing it."""
    spec = find_spec("open_clip")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def read_templates(path: Path) -> list[str]:
    """The sentences that a Python file's tuple of `lambda c: f'a photo of {c}.'` makes of `{}`.

    Raises:
        GuideError: there is no such tuple, or something else in it.
    """
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Tuple(elts=entries)) if name == NAME:
                return [_sentence(entry, f"{path}:{entry.lineno}") for entry in entries]
    raise GuideError(f"{path}: no tuple {NAME}; {WAY_OUT}")


def _sentence(entry: ast.expr, where: str) -> str:
    match entry:
        case ast.Lambda(args=ast.arguments(args=[ast.arg(arg=name)]), body=ast.JoinedStr(values=parts)):
            sentence = "".join(_words(part, name, where) for part in parts)
            if sentence.count("{}") == 1:
                return sentence
    raise GuideError(f"{where}: no template with one place for a prompt; {WAY_OUT}")


def _words(part: ast.expr, name: str, where: str) -> str:
    match part:
        case ast.Constant(value=str(words)):
            return words
        case ast.FormattedValue(value=ast.Name(id=used), conversion=-1, format_spec=None) if used == name:
            return "{}"
    raise GuideError(f"{where}: a template of more than words and a prompt; {WAY_OUT}")
