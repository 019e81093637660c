"""The figures of docs/results.md and the picture of the README, from the last night.

    python examples/avatars/build/results.py        # in the project's folder, after `make demo`

Prints the table in Markdown and writes docs/pictures/domains.png: the same portraits in the source domain (first
row) and in every adapted one, in the order of prompts.csv.
"""

from pathlib import Path

import torch
from PIL import Image

from nada.checkpoints import load_generator
from nada.images import grid, save_png, to_u8
from nada.latents import draw_ws, seeded_rng
from tasks.params import load_params
from tasks.prompts import load_prompts
from tasks.rowcache import ADAPTED_DIR, WEIGHTS_NAME, read_record

NUM_PORTRAITS, SEED, MAGNIFY = 12, 3, 1
PICTURE = Path("docs/pictures/domains.png")
COLUMNS = {
    "distance to true target": ("frechet_to_reference", "{:.3f}"),
    "unadapted": ("frechet_source_to_reference", "{:.3f}"),
    "found by the judge": ("retrieval_accuracy", "{:.0%}"),
    "variety kept": ("structure_ratio", "{:.0%}"),
    "portraits kept": ("consistency", "{:.2f}"),
    "directional": ("directional_similarity", "{:.2f}"),
}


def table(domains: list[str]) -> str:
    """One row a domain, with what is left of the distance to the true target."""
    lines = ["| domain | left | " + " | ".join(COLUMNS) + " | seconds |", "|---" * (len(COLUMNS) + 3) + "|"]
    for domain in domains:
        record = read_record(domain)
        scores = {name: score["value"] for name, score in record["scores"].items()}
        left = scores["frechet_to_reference"] / scores["frechet_source_to_reference"]
        cells = [pattern.format(scores[name]) for name, pattern in COLUMNS.values()]
        lines.append(f"| {domain} | {left:.0%} | {' | '.join(cells)} | {record['seconds']['total']:.0f} |")
    return "\n".join(lines)


@torch.no_grad()
def picture(source_path: Path, domains: list[str]) -> Image.Image:
    """The same latents through the source and every domain, a row each."""
    source = load_generator(source_path)
    ws = draw_ws(NUM_PORTRAITS, source, seeded_rng(SEED))
    generators = [source, *(load_generator(ADAPTED_DIR / domain / WEIGHTS_NAME) for domain in domains)]
    sheet = grid(torch.cat([to_u8(generator.synthesis(ws, noise="const")) for generator in generators]), NUM_PORTRAITS)
    return sheet.resize((sheet.width * MAGNIFY, sheet.height * MAGNIFY), Image.Resampling.NEAREST)


def main() -> None:
    params = load_params()
    domains = [row.domain for row in load_prompts(Path(params.night.prompts), params)]
    save_png(picture(Path(params.generator.weights), domains), PICTURE)
    print(table(domains))


if __name__ == "__main__":
    main()
