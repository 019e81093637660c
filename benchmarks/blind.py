"""A sheet of finished rows for a person who has not seen their names, and its key in another file.

    python benchmarks/blind.py                                      # in the project's folder: every finished row
    python benchmarks/blind.py sepia neon robot --seed 3 --sheet BLIND.png --key BLIND.json

Rows are numbered in a random order, the same latents in each; below stand sixteen choices in another random order: the
domains' names, and others to fill up. Show the sheet alone, and ask for each row: which of the choices is it, and how
well, from 1 (nothing of it) to 5 (plainly)? Open the key afterwards.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from nada.atomic import replacing
from nada.images import BACKGROUND, grid, save_png
from tasks.config.params import load_params
from tasks.config.project import HERE
from tasks.library.domains import finished_domains, open_domain
from tasks.library.sample import labelled, samples

NUM_CHOICES = 16
COLUMNS = 4  # of choices below the sheet
LINE_PX = 24
DECOYS = (
    "pencil sketch", "charcoal", "ink drawing", "engraving", "watercolour", "oil painting", "pastel", "crayon",
    "cartoon", "comic", "pop art", "campaign poster", "pixel art", "mosaic", "sepia", "black and white", "negative",
    "neon", "thermal camera", "night", "blueprint", "chalk on a blackboard", "stone", "statue", "bronze", "zombie",
    "robot", "stained glass", "blue", "red", "green", "faded photo",
)  # fmt: skip
"""What a domain may be taken for; a list of choices has no two names for one thing, as far as words tell."""


@dataclass(frozen=True)
class Quiz:
    """Which row is what, and what may be chosen."""

    seed: int
    order: list[str]
    """The domains, first row first."""
    choices: list[str]

    @classmethod
    def draw(cls, domains: Sequence[str], seed: int) -> Quiz:
        """Shuffle rows and choices; the order of the domains asked for does not matter.

        Raises:
            ValueError: there are none, or more than choices.
        """
        if not 0 < len(domains) <= NUM_CHOICES:
            raise ValueError(f"{len(domains)} domains; expected 1 to {NUM_CHOICES}, name those that shall be shown")
        rng = random.Random(seed)
        order = rng.sample(sorted(domains), len(domains))
        names = [name_of(domain) for domain in order]
        others = [decoy for decoy in DECOYS if not any(decoy in name or name in decoy for name in names)]
        choices = names + rng.sample(others, NUM_CHOICES - len(names))
        rng.shuffle(choices)
        return cls(seed, order, choices)

    def key(self) -> str:
        """The answers, as JSON."""
        rows = {str(number): name_of(domain) for number, domain in enumerate(self.order, start=1)}
        return json.dumps({"seed": self.seed, "rows": rows, "choices": self.choices}, indent=1) + "\n"


def name_of(domain: str) -> str:
    """A domain as a person would call it, without the number of a seed.

    >>> name_of("pencil-sketch-0")
    'pencil sketch'
    """
    return re.sub("-[0-9]+$", "", domain).replace("-", " ").replace("_", " ")


def with_choices(sheet: Image.Image, choices: Sequence[str]) -> Image.Image:
    """The sheet with the choices below it, in columns."""
    font = ImageFont.load_default(LINE_PX * 2 // 3)
    column_px = max(sheet.width // COLUMNS, math.ceil(max(font.getlength(choice) for choice in choices)) + LINE_PX)
    lines = math.ceil(len(choices) / COLUMNS)
    whole = Image.new("RGB", (column_px * COLUMNS, sheet.height + (lines + 1) * LINE_PX), BACKGROUND)
    whole.paste(sheet, (0, 0))
    draw = ImageDraw.Draw(whole)
    for index, choice in enumerate(choices):
        place = (LINE_PX / 2 + index % COLUMNS * column_px, sheet.height + (index // COLUMNS + 0.5) * LINE_PX)
        draw.text(place, choice, fill="black", font=font)
    return whole


def main() -> None:
    """Draw the quiz, and write sheet and key."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domains", nargs="*", help="finished rows (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of orders and latents")
    parser.add_argument("--num", type=int, default=8, help="pictures of a row (default 8)")
    parser.add_argument("--params", type=Path, default=HERE.params)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheet", type=Path, default=Path("BLIND.png"), help="what to show")
    parser.add_argument("--key", type=Path, default=Path("BLIND.json"), help="what to keep to oneself")
    args = parser.parse_args()
    try:
        quiz = Quiz.draw(args.domains or finished_domains(), args.seed)
    except ValueError as err:
        parser.error(str(err))
    psi, rows = load_params(args.params).samples.truncation_psi, []
    for domain in quiz.order:
        generator = open_domain(domain, args.params, args.device)
        rows.append(grid(torch.cat(list(samples(generator, args.num, args.seed, psi))), args.num))
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    save_png(with_choices(labelled(numbers, rows), quiz.choices), args.sheet)
    with replacing(args.key) as partial:
        partial.write_text(quiz.key())


if __name__ == "__main__":
    main()
