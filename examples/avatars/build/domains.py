"""The domains of the bundled night, each with a target prompt and images that truly are it."""

from dataclasses import dataclass
from pathlib import Path

from captions import PLAIN
from filters import FILTERS, Images
from styles import SOURCE_STYLE, load_images

SOURCE_PROMPT = "cartoon portrait"


@dataclass(frozen=True)
class Domain:
    """A row of the night: its slug, its target prompt, and the style and treatment of its true images."""

    slug: str
    target: str
    style: str = SOURCE_STYLE
    treatment: str = PLAIN


DOMAINS = (
    Domain("pencil-sketch", "pencil sketch", treatment="pencil"),
    Domain("black-and-white", "black and white portrait", treatment="bw"),
    Domain("sepia", "sepia portrait", treatment="sepia"),
    Domain("mosaic", "mosaic", treatment="mosaic"),
    Domain("negative", "photo negative", treatment="negative"),
    Domain("pop-art", "pop art poster", treatment="popart"),
    Domain("neon", "neon lights", treatment="neon"),
    Domain("blue", "blue portrait", treatment="blue"),
    Domain("red", "red portrait", treatment="red"),
    Domain("night", "portrait at night", treatment="night"),
    Domain("robot", "robot", style="bottts"),
    Domain("pixel-art", "pixel art", style="pixelArt"),
    Domain("ink-drawing", "ink drawing", style="lorelei"),
    Domain("doodle", "doodle", style="croodles"),
    Domain("emoji", "emoji", style="funEmoji"),
)
"""Every domain that has true images; the first column of `prompts.csv` chooses among them."""


def true_images(domain: Domain, data_path: Path, count: int) -> Images:
    """The first `count` images that truly belong to a domain, [count, 64, 64, 3] bytes."""
    images = load_images(domain.style, data_path)[:count]
    return images if domain.treatment == PLAIN else FILTERS[domain.treatment](images)
