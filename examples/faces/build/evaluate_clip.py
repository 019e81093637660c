"""What a CLIP of faces can do: every style among all, edits along texts, and words that it never read.

python evaluate_clip.py GENERATOR TABLE OUT.pt --lite 0
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from clip_model import Captions, load_clip
from filters import FILTERS
from styles import draw_faces, stylise
from torch.nn import functional as F

from nada.checkpoints import load_generator
from nada.generators.mobilestylegan.network import MobileStyleGAN
from nada.images import from_u8

NUM_FACES, SEED = 64, 99
WHICH_SENTENCE = 2  # the word alone


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("generator", "table", "clip"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--lite", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    source, clip = load_generator(args.generator).to(args.device), load_clip(args.clip, args.lite, args.device)
    assert isinstance(source, MobileStyleGAN)
    captions, rng = Captions(args.table, args.device, SEED), torch.Generator(args.device).manual_seed(SEED)
    faces = from_u8(draw_faces(source, NUM_FACES, rng))
    styles = ["photo", *FILTERS]
    texts = torch.stack([F.normalize(captions.mean(clip, style), dim=0) for style in styles])
    photos = clip.embed_images(faces)
    print("| style | right | edit |\n|---|---:|---:|")
    for number, style in enumerate(styles[1:], start=1):
        emb = clip.embed_images(stylise(style, faces, rng, jitter=0))
        right = ((emb @ texts.T).argmax(dim=1) == number).float().mean()
        edit = (F.normalize(emb - photos, dim=-1) @ captions.direction(clip, style)).mean()
        print(f"| {style} | {right:.2f} | {edit:.2f} |")
    for style, words in captions.held_out.items():
        for rows in words:
            emb_text = F.normalize(clip.embed_texts(captions.emb[rows]).mean(dim=0), dim=0)
            print(f"{captions.texts[rows[WHICH_SENTENCE]]} ({style}): {styles[int((texts @ emb_text).argmax())]}")


if __name__ == "__main__":
    main()
