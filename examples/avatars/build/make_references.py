"""Write the true images of each domain, for the distance between what was made and what was meant.

    python make_references.py --held-out DATA --out ../references

One zip of lossless WebP files a domain, 400 portraits from seeds that no training saw, and `source.zip` with the
untouched ones. The same input gives the same bytes.
"""

import argparse
import io
import zipfile
from pathlib import Path

from domains import DOMAINS, Domain, true_images
from filters import Images
from PIL import Image

NUM_REFERENCES = 400
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
NOT_BUNDLED = (
    "mosaic", "pop-art", "blue", "night", "doodle", "emoji", "negative", "robot", "pixel-art", "ink-drawing",
)  # fmt: skip
"""Domains with true images that the bundled night leaves out."""


def write_zip(images: Images, path: Path) -> None:
    """Images [N, H, W, 3] as 000.webp, 001.webp, ... in an uncompressed zip, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for index, image in enumerate(images):
            encoded = io.BytesIO()
            Image.fromarray(image).save(encoded, "WEBP", lossless=True, method=6, quality=100)
            archive.writestr(zipfile.ZipInfo(f"{index:03d}.webp", FIXED_DATE), encoded.getvalue())
    partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, required=True, help="folder of held-out images (styles.py)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    bundled = [domain for domain in DOMAINS if domain.slug not in NOT_BUNDLED]
    for domain in [Domain("source", ""), *bundled]:
        path = args.out / f"{domain.slug}.zip"
        write_zip(true_images(domain, args.held_out, NUM_REFERENCES), path)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
