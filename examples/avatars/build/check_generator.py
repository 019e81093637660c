"""Judges the exported generator against rendered portraits, and draws a contact sheet.

    python check_generator.py DATA/source_train ../weights/generator.safetensors SHEET.png --clip ../clip

Prints, as JSON: in how many samples each background, hair and skin colour appears; and the Frechet distance between
samples and portraits, beside the one between as many other portraits, in the space of the portraits' principal
components of pixels and (with --clip) in the judge's feature space.
Legend: N images, H W pixels.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch
from portraits import ATTRIBUTES, load_portraits
from torch import Tensor

from nada.checkpoints.canonical import load_generator
from nada.clip.loading import load_clip
from nada.config import ClipConfig
from nada.generators.stylegan2 import StyleGAN2
from nada.images import grid, save_png, to_u8
from nada.judge.features import embed_images_batched
from nada.judge.set_distances import frechet_distance

NUM_COMPONENTS = 64
NEAR = 0.06  # of [-1, 1]: a pixel this close to a colour has it
COLOUR_ATTRIBUTES = ("primaryBackgroundColor", "hairColor", "skinColor")
JUDGE = "nada-avatars-judge"
SHEET_COLUMNS, SHEET_SAMPLES, SHEET_PORTRAITS = 20, 100, 40
BATCH = 50


@torch.no_grad()
def draw(generator: StyleGAN2, num: int, psi: float, seed: int) -> Tensor:
    """`num` samples, img [N, 3, H, W] in [-1, 1]."""
    z = torch.randn(num, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    return torch.cat([generator(part, psi, noise="const") for part in z.split(BATCH)]).clamp(-1, 1)


def colour_shares(img: Tensor, hexes: tuple[str, ...]) -> dict[str, float]:
    """Share of images in which each colour, of all `hexes`, covers the most pixels."""
    palette = torch.tensor([[int(name[i : i + 2], 16) for i in (1, 3, 5)] for name in hexes]) / 127.5 - 1
    best = []
    for part in img.split(BATCH):
        is_near = (part[:, None] - palette[None, :, :, None, None]).abs().amax(dim=2) < NEAR  # [n, colours, H, W]
        best.append(is_near.sum(dim=(2, 3)).argmax(dim=1))
    counts = torch.bincount(torch.cat(best), minlength=len(hexes)) / len(img)
    return {name: round(float(share), 4) for name, share in zip(hexes, counts, strict=True)}


def pixel_distances(img: Tensor, real: Tensor, other: Tensor) -> tuple[float, float]:
    """Frechet distances img-other and real-other over the principal components of both sets of portraits."""
    flat = torch.cat([real, other]).flatten(1)
    mean = flat.mean(dim=0)
    torch.manual_seed(0)  # the low-rank decomposition draws its start
    basis = torch.pca_lowrank(flat - mean, NUM_COMPONENTS, center=False)[2]
    ours, first, second = (((x.flatten(1) - mean) @ basis).double().numpy() for x in (img, real, other))
    return frechet_distance(ours, second), frechet_distance(first, second)


def judge_distances(img: Tensor, real: Tensor, other: Tensor, clip_dir: Path) -> tuple[float, float]:
    """The same two distances between the judge's embeddings."""
    config = ClipConfig(name=JUDGE, weights=str(clip_dir / f"{JUDGE}.safetensors"))
    judge = load_clip(config, str(clip_dir), antialias=False, device="cpu")
    ours, first, second = (embed_images_batched(judge, to_u8(x), BATCH) for x in (img, real, other))
    return frechet_distance(ours, second), frechet_distance(first, second)


def main() -> None:
    """Print the figures and draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="path of the rendered portraits, without its ending")
    parser.add_argument("generator", type=Path)
    parser.add_argument("sheet", type=Path, help="picture to write: samples above, portraits below")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--psi", type=float, default=1.0)
    parser.add_argument("--clip", type=Path, help="folder of the judge")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    portraits = load_portraits(args.data)
    img = draw(load_generator(args.generator), args.samples, args.psi, seed=1)
    chosen = torch.randperm(len(portraits), generator=torch.Generator().manual_seed(0))[: 2 * args.samples]
    real, other = (portraits.images(part) for part in chosen.chunk(2))
    names = dict(zip(ATTRIBUTES, portraits.classes.names, strict=True))
    report: dict[str, object] = {"samples": len(img), "psi": args.psi}
    report["frechet_pixels"], report["frechet_pixels_of_portraits"] = pixel_distances(img, real, other)
    if args.clip:
        report["frechet_judge"], report["frechet_judge_of_portraits"] = judge_distances(img, real, other, args.clip)
    report["colours"] = {key: colour_shares(img, names[key]) for key in COLOUR_ATTRIBUTES}
    print(json.dumps(report, indent=1))
    sheet = torch.cat([img[:SHEET_SAMPLES], real[:SHEET_PORTRAITS]])
    save_png(grid(to_u8(sheet), SHEET_COLUMNS), args.sheet)


if __name__ == "__main__":
    main()
