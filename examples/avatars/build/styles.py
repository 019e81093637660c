"""The drawing styles of the avatars world, and how they are rendered to disk.

    python styles.py --data /path/to/data            # the training images
    python styles.py --data /path/to/data --held-out # the images kept aside for references and checks

Each style becomes STYLE.rgb (N x 64 x 64 x 3 bytes) and STYLE.jsonl (attributes, one line an image). Seeds of
training and held-out images never meet: the former count from 0, the latter from HELD_OUT_FIRST_SEED.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
SIZE_PX = 64
HELD_OUT_FIRST_SEED = 9_000_000
NUM_HELD_OUT = 500
HELD_OUT_STRIDE = 97
"""Step between held-out seeds: portraits of neighbouring seeds are alike, and few images must be varied."""

SOURCE_STYLE = "source"
"""The restricted big-ears portraits that the source generator learns (`source.json`)."""

NUM_TRAIN: dict[str, int] = {
    SOURCE_STYLE: 6000,
    "bigEars": 2500,
    "adventurer": 2500,
    "avataaars": 2500,
    "bigSmile": 2000,
    "bottts": 3000,
    "croodles": 3000,
    "dylan": 2000,
    "funEmoji": 2500,
    "lorelei": 2500,
    "micah": 2000,
    "miniavs": 2000,
    "notionists": 2500,
    "openPeeps": 2500,
    "personas": 2500,
    "pixelArt": 3000,
    "thumbs": 2500,
    "toonHead": 2000,
}


def options_of(style: str) -> tuple[str, str]:
    """The renderer's name of a style and its options as JSON."""
    if style != SOURCE_STYLE:
        return style, "{}"
    return "bigEars", (HERE / "source.json").read_text(encoding="utf-8")


def render(style: str, count: int, first_seed: int, stride: int, data_path: Path) -> None:
    """Render `count` images of a style into `data_path`, about 4 ms each; an existing file is kept."""
    out = data_path / style
    expected_bytes = count * SIZE_PX * SIZE_PX * 3
    images_path = out.with_suffix(".rgb")
    if images_path.exists() and images_path.stat().st_size == expected_bytes:
        return
    name, options = options_of(style)
    data_path.mkdir(parents=True, exist_ok=True)
    command = ["node", str(HERE / "render.mjs"), name, str(count), str(first_seed), str(out), options, str(stride)]
    subprocess.run(command, check=True)


def load_images(style: str, data_path: Path) -> NDArray[np.uint8]:
    """Images of one style, [N, 64, 64, 3], mapped from disk."""
    images = np.memmap(data_path / f"{style}.rgb", dtype=np.uint8, mode="r")
    return images.reshape(-1, SIZE_PX, SIZE_PX, 3)


def load_attributes(style: str, data_path: Path) -> list[dict[str, object]]:
    """Attributes of each image of one style, in the order of `load_images`."""
    lines = (data_path / f"{style}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder that receives the images")
    parser.add_argument("--held-out", action="store_true", help="render the held-out images")
    parser.add_argument("--styles", nargs="*", default=list(NUM_TRAIN), help="only these styles")
    args = parser.parse_args()
    for style in args.styles:
        count = NUM_HELD_OUT if args.held_out else NUM_TRAIN[style]
        first_seed = HELD_OUT_FIRST_SEED if args.held_out else 0
        stride = HELD_OUT_STRIDE if args.held_out else 1
        render(style, count, first_seed, stride, args.data)
        print(f"{style}: {count} images")


if __name__ == "__main__":
    main()
