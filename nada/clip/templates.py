"""The prompt templates that CLIP's authors wrote for ImageNet, as StyleGAN-NADA uses them.

Read from open_clip's file without importing open_clip, which takes seconds: a plan may need no more of it.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

PLURAL_TEMPLATE = "a photo of many {}."  # the one of the 80 that StyleGAN-NADA leaves out


def _written() -> tuple[Callable[[str], str], ...]:
    spec = find_spec("open_clip")
    assert spec is not None and spec.submodule_search_locations
    content = runpy.run_path(str(Path(spec.submodule_search_locations[0]) / "zero_shot_metadata.py"))
    templates: tuple[Callable[[str], str], ...] = content["OPENAI_IMAGENET_TEMPLATES"]
    return templates


TEMPLATES: tuple[str, ...] = tuple(
    template for template in (fill("{}") for fill in _written()) if template != PLURAL_TEMPLATE
)
"""79 sentences with one `{}` each."""


def fill(prompt: str) -> list[str]:
    """The prompt in every template, whatever characters it holds.

    >>> fill("sketch")[0]
    'a bad photo of a sketch.'
    """
    return [template.replace("{}", prompt) for template in TEMPLATES]
