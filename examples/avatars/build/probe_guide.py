"""Can a guide teach a picture-to-picture network a new domain from words alone? A test without any generator.

    python probe_guide.py --held-out DATA --guide CLIP/a [CLIP/b ...] --judge CLIP/j --sheet probe.png

A small convolutional network that starts as the identity is trained on the directional loss with independent views
of source and result, as the night's generator will be. Printed for each domain: the loss, the mean absolute
difference to the true image (filters only; in brackets that of the untouched source) in [-1, 1] pixels, and the
share of results that the judge finds to be the target. The sheet shows source, result and truth.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from captions import PLAIN
from dataset import augment
from domains import DOMAINS, SOURCE_PROMPT, Domain, true_images
from evaluate_clip import Loaded
from PIL import Image
from styles import load_images
from torch import Tensor, nn
from torch.nn import functional as F

NUM_IMAGES, NUM_SHOWN, BATCH, PAINTER_WIDTH = 64, 10, 8, 32


class Painter(nn.Module):
    """Adds to an image [N, 3, H, W] what three convolutions say; the last starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 5, padding=2, padding_mode="reflect"),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 5, padding=4, dilation=2, padding_mode="reflect"),
            nn.LeakyReLU(0.2),
        )
        self.head = nn.Conv2d(width, 3, 3, padding=1, padding_mode="reflect")
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, img: Tensor) -> Tensor:
        added: Tensor = self.head(self.body(img))
        return img + added


def pixels(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1


def text_direction(guide: Loaded, target: str) -> Tensor:
    return F.normalize((guide.embed_prompt(target) - guide.embed_prompt(SOURCE_PROMPT)).mean(dim=0), dim=0)


def paint(guides: list[Loaded], domain: Domain, img: Tensor, steps: int, lr: float) -> tuple[Painter, float]:
    """Train a painter towards a domain; returns it with its mean loss over the last 20 steps."""
    torch.manual_seed(0)
    painter, rng = Painter(PAINTER_WIDTH), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(painter.parameters(), lr=lr, betas=(0.0, 0.99))
    directions = [text_direction(guide, domain.target) for guide in guides]
    losses = []
    for step in range(steps):
        chosen = img[torch.randperm(len(img), generator=rng)[:BATCH]]
        view_source, view_target = augment(chosen, rng), augment(painter(chosen), rng)
        loss = torch.zeros(())
        for guide, direction in zip(guides, directions, strict=True):
            with torch.no_grad():
                emb_source = guide.embed_pixels(view_source)
            edit = guide.embed_pixels(view_target) - emb_source
            loss = loss + (1 - F.cosine_similarity(edit, direction[None])).mean() / len(guides)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps)
        losses.append(float(loss.detach()))
    return painter, sum(losses[-20:]) / 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--guide", type=Path, nargs="+", required=True, help="paths without ending, used together")
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--domains", nargs="*", default=[domain.slug for domain in DOMAINS])
    parser.add_argument("--sheet", type=Path, required=True, help="PNG that receives the pictures")
    args = parser.parse_args()
    guides, judge = [Loaded(stem) for stem in args.guide], Loaded(args.judge)
    source = load_images("source", args.held_out)[:NUM_IMAGES]
    img = pixels(source)
    prompts = [SOURCE_PROMPT, *(domain.target for domain in DOMAINS)]
    classes = F.normalize(torch.stack([judge.embed_prompt(prompt).mean(dim=0) for prompt in prompts]), dim=-1)
    rows = [np.concatenate(list(source[:NUM_SHOWN]), axis=1)]
    for index, domain in enumerate(DOMAINS, start=1):
        if domain.slug not in args.domains:
            continue
        painter, loss = paint(guides, domain, img, args.steps, args.lr)
        with torch.no_grad():
            result = painter(img).clamp(-1, 1)
            found = (judge.embed_pixels(result) @ classes.T).argmax(dim=1) == index
        truth = pixels(true_images(domain, args.held_out, NUM_IMAGES))
        far = f"{(result - truth).abs().mean():.3f} ({(img - truth).abs().mean():.3f})"
        distance = far if domain.treatment != PLAIN else "-"
        print(f"{domain.slug:16s} loss {loss:.3f} distance {distance} found {found.float().mean():.2f}", flush=True)
        shown = ((result[:NUM_SHOWN] + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        rows += [np.concatenate(list(shown), axis=1)]
        rows += [np.concatenate(list(true_images(domain, args.held_out, NUM_SHOWN)), axis=1)[::2, ::2]]
        rows[-1] = np.pad(rows[-1], ((0, 0), (0, rows[0].shape[1] - rows[-1].shape[1]), (0, 0)))
    Image.fromarray(np.concatenate(rows)).save(args.sheet)


if __name__ == "__main__":
    main()
