"""A style that no caption names, so that no CLIP here was ever told of it: two inks over a halftone.

    python two_inks.py                # writes ../style/two-inks.zip

The pictures are of the last held-out portraits of `../references/source.zip`; the same input gives the same bytes.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from filters import Images, _bytes, _edges, _luma
from make_references import write_zip
from PIL import Image

NUM_PICTURES = 10
INK, PAPER = (14, 78, 92), (255, 176, 150)
OUTLINE = 90
"""Strength of an edge, of 255, that is all ink."""
AVATARS = Path(__file__).parents[1]


def two_inks(images: Images) -> Images:
    """Dark tones in teal, light ones in salmon, diagonal lines where it is neither, and every edge in teal."""
    height, width = images.shape[1:3]
    lines = (np.add.outer(np.arange(height), np.arange(width)) % 4 < 2).astype(np.float32)[None, ..., None]
    tone = _luma(images)[..., None] / 255
    tone = np.clip(1.25 * tone - 0.22 * lines * (1 - tone), 0, 1)
    edge = np.minimum(_edges(images)[..., None] / OUTLINE, 1)
    ink, paper = (np.array(colour, dtype=np.float32) for colour in (INK, PAPER))
    return _bytes((ink + tone * (paper - ink)) * (1 - edge) + ink * edge)


def main() -> None:
    with zipfile.ZipFile(AVATARS / "references" / "source.zip") as archive:
        names = sorted(archive.namelist())[-NUM_PICTURES:]
        portraits = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names])
    (AVATARS / "style").mkdir(exist_ok=True)
    write_zip(two_inks(portraits), AVATARS / "style" / "two-inks.zip")


if __name__ == "__main__":
    main()
