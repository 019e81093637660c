"""What CLIPs of faces know: every style among all, edits along texts, and words that no picture was shown with.

    python evaluate_clip.py FACES ../clip/nada-faces-guide ../clip/nada-faces-judge

They are loaded as a night loads them. `right` is the share of a style's true pictures whose nearest prompt, among those
of every style and the photo's, is its own; `edit` the mean cosine of picture edits (true picture less photo) with the
text edit. A held-out word is right where the nearest prompt is its kin's.
Legend: N pictures, K prompts, D width of the embeddings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from captions import HELD_OUT, WORDS
from filters import FILTERS, apply
from torch import Tensor
from torch.nn import functional as F

from nada.checkpoints import load_generator
from nada.clip.loading import load_clip
from nada.clip.model import ClipModel
from nada.config import ClipConfig
from nada.generators.mobilestylegan.network import MobileStyleGAN

NUM_FACES, SEED, PSI, BATCH = 24, 20_260_101, 0.7, 8
SOURCE = "photo"
PROMPTS = {style: WORDS[style][0] for style in (SOURCE, *FILTERS)}


def draw_photos(generator: MobileStyleGAN, num: int) -> Tensor:
    """Pictures [N, 3, H, W] in [0, 1], of as many levels as files hold."""
    z = torch.randn(num, generator.z_dim, generator=torch.Generator().manual_seed(SEED))
    img = torch.cat([generator.synthesis(generator.mapping(part, PSI)) for part in z.split(BATCH)])
    return ((img.clamp(-1, 1) + 1) * 127.5).round() / 255


def embed_prompts(clip: ClipModel) -> Tensor:
    """[K, D], unit norm."""
    return torch.stack([clip.class_embedding(prompt) for prompt in PROMPTS.values()])


def share_right(emb: Tensor, prompts: Tensor, style: str) -> float:
    """Of embeddings [N, D] of a style's pictures, those that are nearest to its prompt."""
    return float(((emb @ prompts.T).argmax(dim=1) == list(PROMPTS).index(style)).float().mean())


def wrong_words(clip: ClipModel) -> list[str]:
    """Held-out words that lie nearest to the prompt of another style than their kin's, with that style."""
    prompts, wrong = embed_prompts(clip), []
    for style, words in HELD_OUT.items():
        for word in words:
            nearest = list(PROMPTS)[int((prompts @ clip.class_embedding(word)).argmax())]
            if nearest != style:
                wrong.append(f"{word} ({nearest})")
    return wrong


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", type=Path)
    parser.add_argument("clips", type=Path, nargs="+", help="their files, without .json and .safetensors")
    args = parser.parse_args()
    generator = load_generator(args.generator)
    assert isinstance(generator, MobileStyleGAN)
    configs = [(stem, ClipConfig(name=stem.name, weights=f"{stem}.safetensors")) for stem in args.clips]
    clips = [load_clip(config, str(stem.parent), antialias=True, device="cpu") for stem, config in configs]
    prompts = [embed_prompts(clip) for clip in clips]
    photos = draw_photos(generator, NUM_FACES)
    sources = [clip.embed_images(photos * 2 - 1) for clip in clips]
    print("| style |" + "".join(f" {clip.name}: right | edit |" for clip in clips))
    print("|---|" + "---:|---:|" * len(clips))
    found = (f" {share_right(source, known, SOURCE):.2f} | |" for source, known in zip(sources, prompts, strict=True))
    print(f"| {SOURCE} |" + "".join(found))
    for style in FILTERS:
        true = apply(style, photos, torch.Generator().manual_seed(SEED)) * 2 - 1
        row = f"| {style} |"
        for clip, known, source in zip(clips, prompts, sources, strict=True):
            emb = clip.embed_images(true)
            edit = F.normalize(emb - source, dim=1) @ clip.text_direction(PROMPTS[SOURCE], PROMPTS[style])
            row += f" {share_right(emb, known, style):.2f} | {edit.mean():.3f} |"
        print(row, flush=True)
    num_words = sum(len(words) for words in HELD_OUT.values())
    for clip in clips:
        wrong = wrong_words(clip)
        print(f"{clip.name}: {num_words - len(wrong)} of {num_words} held-out words right; wrong: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
