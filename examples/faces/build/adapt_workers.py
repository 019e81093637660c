"""Adapts generators against a guide while that is trained, and hands back what they got with its true closeness.

    python adapt_workers.py GENERATOR TABLE FOLDER --lite 0 --seed 21 --seconds 425 --device cuda

FOLDER holds `guide.pt`, written anew by `train_clip.py` every 20 steps, and gets `attempt_SEED_NUMBER.pt`: a style,
the source's pictures, those of three moments of an adaptation, and how near each is. A guide that never sees what it
rewards is satisfied by patterns that no near miss of ours looks like. Several workers run beside one training.
"""

from __future__ import annotations

import argparse
import copy
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from clip_model import Captions, FaceClip, load_clip, views
from filters import FILTERS
from near_misses import closeness
from styles import SIDE_PX, shrink, stylise
from torch import Tensor
from torch.nn import functional as F

from nada.atomic import replacing
from nada.checkpoints import load_generator
from nada.generators.mobilestylegan.network import MobileStyleGAN

GUIDE = "guide.pt"
STEPS = (16, 32, 64)
PARTS = {
    "all": ("",),
    "fine": ("b32.", "b64.", "b128.", "torgb."),
    "last": ("b64.", "b128.", "torgb."),
    "rgb": ("torgb.",),
}
"""Which convolutions learn; drawn with these chances:"""
CHANCES = ("all", "all", "fine", "fine", "last", "rgb")
RATES, RGB_RATES = (2e-4, 4e-4, 8e-4), (2e-3, 5e-3)
BATCH, NUM_HELD, PSI, SATURATION = 4, 24, 0.9, 0.1
RANGE = 1.5  # pictures are kept as bytes of [-1.5, 1.5]
ADAPTED_FROM_ONE_GUIDE = 4


def weights_of(generator: MobileStyleGAN, part: str) -> list[Tensor]:
    """The filters and biases of a part: no style, no noise, no wavelets."""
    names = tuple(f"synthesis.{start}" for start in PARTS[part])
    return [
        parameter
        for name, parameter in generator.named_parameters()
        if name.startswith(names) and ("conv" in name or "torgb" in name) and "affine" not in name
    ]


def adapt(
    source: MobileStyleGAN,
    guide: FaceClip,
    direction: Tensor,
    held: Tensor,
    moments: Sequence[int],
    rate: float,
    part: str,
    rng: torch.Generator,
) -> list[Tensor]:
    """StyleGAN-NADA: pictures [N, 3, H, W] of ws `held` [N, L, W_DIM] at some moments, of which the last is the end."""
    target = copy.deepcopy(source)
    weights = weights_of(target, part)
    for weight in weights:
        weight.requires_grad_(True)
    optimizer = torch.optim.Adam(weights, lr=rate, betas=(0.0, 0.99))
    shots = []
    for step in range(1, moments[-1] + 1):
        with torch.no_grad():
            ws = source.mapping(torch.randn(BATCH, source.z_dim, generator=rng, device=rng.device), PSI)
            emb_source = guide.embed_images(views(shrink(source.synthesis(ws)), rng))
        img = target.synthesis(ws)
        edit = guide.embed_images(views(shrink(img), rng)) - emb_source
        loss = 1 - (F.normalize(edit, dim=-1, eps=1e-2) @ direction).mean()
        loss = loss + SATURATION * ((img.abs() - 1).clamp_min(0) ** 2).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step in moments:
            with torch.no_grad():
                shots.append(torch.cat([shrink(target.synthesis(ws)) for ws in held.split(BATCH)]))
    return shots


@dataclass(frozen=True)
class Attempt:
    """What an adaptation came to."""

    style: str
    source: Tensor
    """[N, 3, H, W]."""
    shots: Tensor
    """[moments, N, 3, H, W]."""
    closeness: Tensor
    """[moments, N]."""

    def save(self, path: Path) -> None:
        """Pictures as bytes."""
        parts = (self.style, _bytes(self.source), _bytes(self.shots), self.closeness.cpu())
        with replacing(path) as partial:
            torch.save(parts, partial)

    @classmethod
    def load(cls, path: Path, device: str) -> Attempt:
        """What `save` wrote."""
        style, source, shots, near = torch.load(path, weights_only=True)
        return cls(
            style, *(part.to(device).float() / 255 * 2 * RANGE - RANGE for part in (source, shots)), near.to(device)
        )


def _bytes(img: Tensor) -> Tensor:
    return ((img.clamp(-RANGE, RANGE) + RANGE) / (2 * RANGE) * 255).round().byte().cpu()


def attempt(
    source: MobileStyleGAN, guide: FaceClip, captions: Captions, chance: random.Random, rng: torch.Generator
) -> Attempt:
    """Adapt toward a style by chance, with a part, a rate and a length by chance."""
    style = chance.choice(list(FILTERS))
    with torch.no_grad():
        direction = captions.direction(guide, style)
        z = torch.randn(NUM_HELD, source.z_dim, generator=rng, device=rng.device)
        psi = 0.5 + 0.5 * torch.rand(NUM_HELD, 1, 1, generator=rng, device=rng.device)
        held = source.mapping.w_avg.lerp(source.mapping(z), psi)
        img = torch.cat([shrink(source.synthesis(ws)) for ws in held.split(BATCH)]).clamp(-1, 1)
    steps, part = chance.choice(STEPS), chance.choice(CHANCES)
    rate = chance.choice(RGB_RATES if part == "rgb" else RATES)
    shots = adapt(source, guide, direction, held, (steps // 4, steps // 2, steps), rate, part, rng)
    truth = stylise(style, img, rng, jitter=0)
    near = torch.stack([closeness(shot.clamp(-1, 1), img, truth) for shot in shots])
    return Attempt(style, img, torch.stack(shots), near)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", type=Path, help=f"of 256 px, by nada; its pictures are seen at {SIDE_PX} px")
    parser.add_argument("table", type=Path, help="from sentence_embeddings.py")
    parser.add_argument("folder", type=Path, help="shared with train_clip.py")
    parser.add_argument("--lite", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True, help="another for each worker")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    source = load_generator(args.generator).to(args.device)
    assert isinstance(source, MobileStyleGAN)
    captions, chance = Captions(args.table, args.device, args.seed), random.Random(args.seed)
    rng = torch.Generator(args.device).manual_seed(args.seed)
    ends, number = time.monotonic() + args.seconds, 0
    while time.monotonic() < ends:
        if not (args.folder / GUIDE).exists():
            time.sleep(0.5)
            continue
        guide = load_clip(args.folder / GUIDE, args.lite, args.device).requires_grad_(False)
        for _ in range(ADAPTED_FROM_ONE_GUIDE):
            done = attempt(source, guide, captions, chance, rng)
            done.save(args.folder / f"attempt_{args.seed}_{number}.pt")
            number += 1


if __name__ == "__main__":
    main()
