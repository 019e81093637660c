"""Train a CLIP of faces: contrastively, on edits, on near misses, on adversarial steps, and on what adaptations got.

    python train_clip.py GENERATOR TABLE LITE0.pt FOLDER OUT.pt --lite 0 --seed 12 --seconds 405 --device cuda

FOLDER is shared with `adapt_workers.py`, several of which run at the same time; without them it is a plain training.
The start is what `backbone_weights.py` wrote, or a CLIP of an earlier round. Weights are averaged.
Legend: S styles of a batch, N pictures, D width of the embeddings, H W pixels; pictures are in [-1, 1].
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from adapt_workers import GUIDE, Attempt
from clip_model import Captions, FaceClip, Style, load_clip, save_clip, views
from filters import FILTERS
from near_misses import KINDS, closeness, near_miss
from styles import Bank, draw_faces, stylise
from torch import Tensor
from torch.nn import functional as F

from nada.checkpoints import load_generator
from nada.generators.mobilestylegan.network import MobileStyleGAN

NUM_FACES, PER_STYLE = 10_000, 1500
NUM_MIXTURES = 2  # of the styles of a batch
FALSE, OTHER = "false", "other"
MISSES = (*KINDS, FALSE, FALSE, FALSE, OTHER, OTHER)
"""Near misses, the true picture of somebody else, and this face in another style."""

OF_AN_ATTEMPT, ATTEMPTS_KEPT = 6, 6  # pictures in a batch, and attempts of a style
CAPTION_NOISE = 0.02
CONTRASTIVE, EDIT, NEAR, TOO_KIND = 0.5, 2.0, 4.0, 0.3  # weights of the losses; the last of promising too much
WEIGHT_DECAY, BETAS, HEAD_FACTOR, GRADIENT_NORM = 0.02, (0.9, 0.98), 3, 1.0
WARM_UP, FLOOR = 60, 0.03
ATTACK_WARM_UP = 200
EMA = 0.995
PUBLISHED_EVERY, LISTENED_EVERY, TOLD_EVERY = 20, 5, 100


@dataclass(frozen=True)
class Batch:
    """Views of faces, of true pictures, and of what is near them, with the captions."""

    faces: Tensor
    """The first are those of `true`, the rest those of attempts; as many as `misses`."""
    true: Tensor
    misses: Tensor
    closeness: Tensor
    """Of the misses, [N]."""
    style: Tensor
    """Of the misses, as a number among the batch's; the first are those of `true`."""
    captions: tuple[Tensor, Tensor, Tensor]
    """Sentences of the styles, of photographs, and of the other styles, [K, 384] each."""


class Batches:
    """What the training draws."""

    def __init__(
        self, bank: Bank, captions: Captions, folder: Path, num_styles: int, num_faces: int, seed: int
    ) -> None:
        self.bank, self.captions, self.folder, self.rng = bank, captions, folder, bank.rng
        self.num_styles, self.num_faces, self.chance = num_styles, num_faces, random.Random(seed)
        self.attempts: dict[str, list[Attempt]] = {name: [] for name in FILTERS}
        self.heard = 0

    def listen(self) -> None:
        """Take in what the workers wrote."""
        for path in sorted(self.folder.glob("attempt_*.pt")):
            found = Attempt.load(path, str(self.rng.device))
            path.unlink()
            self.attempts[found.style] = [*self.attempts[found.style], found][-ATTEMPTS_KEPT:]
            self.heard += 1

    @torch.no_grad()
    def draw(self) -> Batch:
        """Styles by chance, each with its near misses and, where there is one, an attempt at it."""
        styles: list[Style] = self.chance.sample(list(FILTERS), self.num_styles - NUM_MIXTURES)
        styles += self.chance.sample(self.captions.mixtures, NUM_MIXTURES)
        pairs = [self.bank.draw(style, self.num_faces) for style in styles]
        misses = torch.cat([self._misses(face, true) for face, true in pairs])
        faces, true = (torch.cat(imgs) for imgs in zip(*pairs, strict=True))
        own = torch.arange(len(styles), device=faces.device).repeat_interleave(self.num_faces)
        parts = [(faces, misses, closeness(misses.clamp(-1, 1), faces, true), own)]
        for number, style in enumerate(styles):
            if known := self.attempts.get(style) if isinstance(style, str) else None:
                parts.append(self._of_attempt(self.chance.choice(known), number))
        all_faces, all_misses, near, rows = (torch.cat(part) for part in zip(*parts, strict=True))
        seen = views(torch.cat([all_faces, true, all_misses]), self.rng)
        others: list[Style] = [name for name in FILTERS if name not in styles]
        words = (self._said(styles), self._said(["photo"] * len(styles)), self._said(others))
        first, second = len(all_faces), len(all_faces) + len(true)
        return Batch(seen[:first], seen[first:second], seen[second:], near, rows, words)

    def _misses(self, faces: Tensor, true: Tensor) -> Tensor:
        kind = self.chance.choice(MISSES)
        if kind == FALSE:
            return true.roll(1, 0)
        if kind == OTHER:
            return stylise(self.chance.choice(list(FILTERS)), faces, self.rng, jitter=1)
        return near_miss(faces, true, kind, self.rng).clamp(-1.5, 1.5)

    def _of_attempt(self, attempt: Attempt, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        device, count = self.rng.device, OF_AN_ATTEMPT
        moment = torch.randint(len(attempt.shots), (count,), generator=self.rng, device=device)
        face = torch.randint(len(attempt.source), (count,), generator=self.rng, device=device)
        rows = torch.full((count,), number, device=device)
        return attempt.source[face], attempt.shots[moment, face], attempt.closeness[moment, face], rows

    def _said(self, styles: list[Style]) -> Tensor:
        emb = self.captions.pick(styles)
        noise = torch.randn(emb.shape, generator=self.rng, device=emb.device)
        return F.normalize(emb + CAPTION_NOISE * noise, dim=-1)


def losses(clip: FaceClip, img: Tensor, batch: Batch, texts: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
    """All of a batch, `whole` among them.

    Args:
        clip: whose they are.
        img: the batch's faces, true pictures and misses, perhaps disturbed, [N, 3, H, W].
        batch: what they are.
        texts: embeddings of its captions, [K, D] each.
    """
    wanted, photo, others = texts
    face, true, miss = clip.embed_images(img).split([len(batch.faces), len(batch.true), len(batch.misses)])
    own, paired = batch.style[: len(true)], face[: len(true)]
    photos = paired[::4]
    logits = clip.scale * torch.cat([true, photos]) @ torch.cat([wanted, photo[:1], others]).T
    labels = torch.cat([own, own.new_full((len(photos),), len(wanted))])
    contrastive = F.cross_entropy(logits, labels)
    direction = F.normalize(wanted - photo, dim=-1)
    edit = 1 - (F.normalize(true - paired, dim=-1, eps=1e-2) * direction[own]).sum(dim=-1).mean()
    promised = (F.normalize(miss - face, dim=-1, eps=1e-1) * direction[batch.style]).sum(dim=-1)
    error = promised - batch.closeness
    near = (error**2).mean() + TOO_KIND * error.clamp_min(0).mean()
    whole = CONTRASTIVE * contrastive + EDIT * edit + NEAR * near
    return {"whole": whole, "contrastive": contrastive, "edit": edit, "near": near, "error": error.abs().mean()}


def attacked(clip: FaceClip, batch: Batch, radius: float, num_steps: int, rng: torch.Generator) -> Tensor:
    """The batch's pictures, moved by up to `radius` (L2) to where the loss is larger; how far is by chance."""
    img = torch.cat([batch.faces, batch.true, batch.misses])
    with torch.no_grad():
        texts = embed_all(clip, batch)
    moved = torch.zeros_like(img)
    clip.requires_grad_(False)
    for _ in range(num_steps):
        moved.requires_grad_(True)
        (gradient,) = torch.autograd.grad(losses(clip, img + moved, batch, texts)["whole"], moved)
        stride = radius if num_steps == 1 else 1.5 * radius / num_steps
        moved = moved.detach() + stride * gradient / _norms(gradient)
        moved = moved * (radius / _norms(moved)).clamp(max=1)
    clip.requires_grad_(True)
    return img + moved * torch.rand(len(img), 1, 1, 1, generator=rng, device=rng.device).sqrt()


def embed_all(clip: FaceClip, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Its captions."""
    wanted, photo, others = batch.captions
    return clip.embed_texts(wanted), clip.embed_texts(photo), clip.embed_texts(others)


def _norms(img: Tensor) -> Tensor:
    return img.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]


def train(
    clip: FaceClip, batches: Batches, seconds: float, rate: float, radius: float, attack_steps: int
) -> Iterator[dict[str, float]]:
    """Until the time is over; yields the losses of every step, and leaves the averaged weights in `clip`."""
    heads = [*clip.proj.parameters(), *clip.text.parameters(), clip.log_scale]
    groups = [{"params": list(clip.trunk.parameters())}, {"params": heads}]
    optimizer = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, betas=BETAS)
    parameters = list(clip.parameters())
    averaged = [parameter.detach().clone() for parameter in parameters]
    started, step = time.monotonic(), 0
    while (done := (time.monotonic() - started) / seconds) < 1:
        if step % PUBLISHED_EVERY == 0:
            save_clip(clip, batches.folder / GUIDE)
        if step % LISTENED_EVERY == 0:
            batches.listen()
        now = rate * min(1, (step + 1) / WARM_UP) * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2)
        for group, factor in zip(optimizer.param_groups, (1, HEAD_FACTOR), strict=True):
            group["lr"] = now * factor
        batch = batches.draw()
        img = torch.cat([batch.faces, batch.true, batch.misses])
        if radius > 0:
            img = attacked(clip, batch, radius * min(1, (step + 1) / ATTACK_WARM_UP), attack_steps, batches.rng)
        found = losses(clip, img, batch, embed_all(clip, batch))
        optimizer.zero_grad(set_to_none=True)
        found["whole"].backward()
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averaged, parameters, 1 - min(EMA, step / (step + 15)))
        step += 1
        yield {name: float(loss.detach()) for name, loss in found.items()}
    with torch.no_grad():
        torch._foreach_copy_(parameters, averaged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("generator", "table", "start", "folder", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--lite", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--radius", type=float, default=5.0, help="of adversarial steps; 0: none")
    parser.add_argument("--attack-steps", type=int, default=2)
    parser.add_argument("--styles", type=int, default=16, help="of a batch")
    parser.add_argument("--faces", type=int, default=10, help="of a style in a batch")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    source = load_generator(args.generator).to(args.device)
    assert isinstance(source, MobileStyleGAN)
    captions = Captions(args.table, args.device, args.seed)
    faces_u8 = draw_faces(source, NUM_FACES, torch.Generator(args.device).manual_seed(args.seed * 31 + 5))
    rng = torch.Generator(args.device).manual_seed(args.seed)
    bank = Bank(faces_u8, captions.mixtures, PER_STYLE, rng)
    batches = Batches(bank, captions, args.folder, args.styles, args.faces, args.seed)
    clip = load_clip(args.start, args.lite, args.device)
    for step, found in enumerate(train(clip, batches, args.seconds, args.rate, args.radius, args.attack_steps), 1):
        if step % TOLD_EVERY == 0:
            told = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
            print(f"{step}: {told}; {batches.heard} attempts", flush=True)
    save_clip(clip, args.out)


if __name__ == "__main__":
    main()
