"""The prompt templates that CLIP's authors wrote for ImageNet, as StyleGAN-NADA uses them."""

from __future__ import annotations

from nada.openclip import open_clip

PLURAL_TEMPLATE = "a photo of many {}."  # the one of the 80 that StyleGAN-NADA leaves out

TEMPLATES: tuple[str, ...] = tuple(
    template for template in (fill("{}") for fill in open_clip.OPENAI_IMAGENET_TEMPLATES) if template != PLURAL_TEMPLATE
)
"""79 sentences with one `{}` each."""


def fill(prompt: str) -> list[str]:
    """The prompt in every template, whatever characters it holds.

    >>> fill("sketch")[0]
    'a bad photo of a sketch.'
    """
    return [template.replace("{}", prompt) for template in TEMPLATES]
