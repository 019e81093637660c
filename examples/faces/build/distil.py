"""Distils a MobileStyleGAN into one of smaller pictures: its first blocks, two narrower ones, and a toRGB of its own.

The pictures of the whole generator, averaged to 256 px, are the targets of the smaller one at the same w, and half as
large again those of a second toRGB, which is thrown away afterwards. The narrow blocks begin as the first channels of
the whole's. Toward both targets: L1 of pixels, of means of 4x4, of gradients, and of the features of the first stages
of EfficientNet-Lite0. Written is what differs, in float16 (`nada.checkpoints.openvino.smaller`).

    python distil.py WHEEL LITE0.pt PART.safetensors --device cuda --sheet SHEET.png

Weights are of very different sizes, as demodulation was folded into them; the block that is kept learns at a tenth.
Legend: N batch, C channels, L style layers, R resolution in pixels, W_DIM latent width.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from backbone_weights import build_backbone
from PIL import Image
from torch import Tensor, nn

from nada.checkpoints import read_any
from nada.checkpoints.openvino.smaller import compose, save_part
from nada.generators.mobilestylegan.network import MobileStyleGAN
from nada.generators.mobilestylegan.ops import inverse_haar
from nada.images import from_u8, to_u8
from nada.latents import draw_ws, seeded_rng

CHANNEL_BASE = 16384
"""Of the smaller generator: half of the whole's, so that its last two blocks have half the channels."""

LOWEST_PSI = 0.4  # pairs are drawn at psi from here to 1
NUM_HELD_OUT = 64
RENDERED_AT_ONCE = 16
BATCH = 24
RGB_RATE, KEPT_RATE, NARROW_RATE = 2e-3, 2e-4, 2e-3  # of Adam
WARM_UP = 100
EMA = 0.999
COARSE_PX, GRADIENTS, FEATURES = 4, 0.5, 0.25  # a side of the means; weights of the last two losses
NUM_STAGES = 4
Features = Callable[[Tensor], list[Tensor]]


class FirstStages(nn.Module):
    """EfficientNet-Lite0 up to its fourth stage: what every stage puts out for pictures in [-1, 1]."""

    def __init__(self, weights_path: Path) -> None:
        super().__init__()
        self.net = build_backbone(0)
        self.net.load_state_dict(torch.load(weights_path, weights_only=True))
        self.eval().requires_grad_(False)

    def forward(self, img: Tensor) -> list[Tensor]:
        with torch.autocast(img.device.type, torch.bfloat16, enabled=img.is_cuda):
            found = [self.net.bn1(self.net.conv_stem(img))]
            for stage in list(self.net.blocks)[:NUM_STAGES]:
                found.append(stage(found[-1]))
        return found


@torch.no_grad()
def draw_pairs(whole: MobileStyleGAN, count: int, px: int, seed: int) -> tuple[Tensor, Tensor]:
    """w [N, W_DIM] at random psi, and the whole generator's pictures of them averaged, [N, 3, R, R] bytes."""
    rng = seeded_rng(seed)
    psi = (LOWEST_PSI + (1 - LOWEST_PSI) * torch.rand(count, 1, generator=rng)).to(whole.mapping.w_avg.device)
    w = whole.mapping.w_avg.lerp(draw_ws(count, whole, rng)[:, 0], psi)
    parts = (whole.synthesis(_rows(whole, part)) for part in w.split(RENDERED_AT_ONCE))
    return w, torch.cat([to_u8(F.interpolate(part, size=px, mode="area")) for part in parts])


def first_blocks(whole: MobileStyleGAN, px: int, channel_base: int = CHANNEL_BASE) -> MobileStyleGAN:
    """The whole's first blocks, those of fewer channels cut to the first of them, and a toRGB whose style is one."""
    narrow = type(whole.config)(**{**whole.config.model_dump(), "resolution": px, "channel_base": channel_base})
    size, channels = px // 2, narrow.channels(px // 2)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in MobileStyleGAN(narrow).state_dict().items()}
    blocks = tuple(f"synthesis.b{size}." for size in narrow.sizes[-2:])
    part = {
        name: tensor[tuple(slice(side) for side in shapes[name])].cpu()
        for name, tensor in whole.state_dict().items()
        if name.startswith(blocks)
    }
    rgb = {
        "weight": 0.02 * torch.randn(12, channels, 1, 1, generator=seeded_rng(0)),
        "bias": torch.zeros(12),
        "affine.weight": torch.zeros(channels, whole.w_dim),
        "affine.bias": torch.full((channels,), math.sqrt(channels)),  # toRGB divides by that
    }
    part |= {f"synthesis.torgb.{name}": tensor for name, tensor in rgb.items()}
    return compose(Path(f"the first blocks up to b{size}"), whole.cpu(), part)


class TwoSizes(nn.Module):
    """The smaller generator, and a second toRGB on the features of the block before the last."""

    def __init__(self, student: MobileStyleGAN) -> None:
        super().__init__()
        self.student = student
        *_, self.kept, self.narrow, self.last = student.config.sizes
        self.half_rgb = nn.Conv2d(student.config.channels(self.narrow), 12, 1)
        nn.init.normal_(self.half_rgb.weight, std=0.02)

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures of half the size, and of the whole."""
        features: list[Tensor] = []
        block = self.student.synthesis.block(self.narrow)
        handle = block.conv1.register_forward_hook(lambda _module, _inputs, output: features.append(output))
        img: Tensor = self.student.synthesis(_rows(self.student, w))
        handle.remove()
        return inverse_haar(self.half_rgb(features[0])), img

    def groups(self) -> list[dict[str, object]]:
        """What learns, the fixed noise too, and its rates; that of styles is as if their weights were not scaled."""
        synthesis = self.student.synthesis
        rgb = [*self.half_rgb.parameters(), synthesis.torgb.weight, synthesis.torgb.bias]
        kept = synthesis.block(self.kept)
        found: list[dict[str, object]] = [{"params": rgb, "lr": RGB_RATE}]
        blocks = ((kept.conv0, KEPT_RATE), (kept.conv1, KEPT_RATE))
        blocks += ((synthesis.block(self.narrow), NARROW_RATE), (synthesis.block(self.last), NARROW_RATE))
        for block, rate in blocks:
            for name, tensor in [*block.named_parameters(), *block.named_buffers()]:
                gain = math.sqrt(self.student.w_dim) if name.endswith("affine.weight") else 1
                found.append({"params": [tensor], "lr": rate * gain})
        return found


def train(net: TwoSizes, w: Tensor, img_u8: Tensor, features: Features, steps: int, seed: int) -> Iterator[float]:
    """Everything at once on random batches; averaged weights at the end. Yields the loss of every step."""
    rng, groups = seeded_rng(seed), net.groups()
    learned: list[Tensor] = [tensor for group in groups for tensor in group["params"]]  # type: ignore[attr-defined]
    for tensor in learned:
        tensor.requires_grad_(True)
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    rates = [group["lr"] for group in optimizer.param_groups]
    averaged = [tensor.detach().clone() for tensor in learned]
    for step in range(steps):
        done = step / steps
        decay = min(1, (step + 1) / WARM_UP) * math.sqrt(1 - done) * min(1, 2 * (1 - done))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * decay
        chosen = torch.randint(len(w), (BATCH,), generator=rng).to(w.device)
        img = from_u8(img_u8[chosen])
        half, whole = net(w[chosen])
        loss = distance(half, F.interpolate(img, size=half.shape[-1], mode="area"), features)
        loss = loss + distance(whole, img, features)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averaged, learned, 1 - min(EMA, step / (step + 20)))
        yield float(loss.detach())
    with torch.no_grad():
        for tensor, mean in zip(learned, averaged, strict=True):
            tensor.requires_grad_(False).copy_(mean)


def distance(img: Tensor, target: Tensor, features: Features) -> Tensor:
    """L1 of pixels, of coarse means, of gradients, and of features as a share of the target's."""
    apart = img - target
    across, down = apart[..., 1:] - apart[..., :-1], apart[..., 1:, :] - apart[..., :-1, :]
    loss = apart.abs().mean() + F.avg_pool2d(apart, COARSE_PX).abs().mean()
    loss = loss + GRADIENTS * (across.abs().mean() + down.abs().mean())
    for found, wanted in zip(features(img), features(target), strict=True):
        loss = loss + FEATURES * (found - wanted).abs().mean() / wanted.abs().mean()
    return loss


@torch.no_grad()
def psnr(student: MobileStyleGAN, w: Tensor, img_u8: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture, [N] in dB."""
    drawn = torch.cat([student.synthesis(_rows(student, one)) for one in w.split(1)])
    return 10 * torch.log10(4 / (drawn.clamp(-1, 1) - from_u8(img_u8)).square().mean(dim=(1, 2, 3)))


def _rows(generator: MobileStyleGAN, w: Tensor) -> Tensor:
    return w[:, None].expand(-1, generator.num_ws, -1)


@torch.no_grad()
def write_sheet(path: Path, student: MobileStyleGAN, w: Tensor, img_u8: Tensor) -> None:
    """The whole generator's pictures above, the smaller one's below."""
    drawn = torch.cat([to_u8(student.synthesis(_rows(student, one))) for one in w.split(1)])
    rows = torch.cat([torch.cat(list(imgs), dim=-1) for imgs in (img_u8, drawn)], dim=-2)
    Image.fromarray(rows.permute(1, 2, 0).cpu().numpy()).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("lite0", type=Path, help="from backbone_weights.py")
    parser.add_argument("part", type=Path, help="the file to write")
    parser.add_argument("--px", type=int, default=256, help="a side of the smaller pictures")
    parser.add_argument("--pairs", type=int, default=28_192)
    parser.add_argument("--steps", type=int, default=3280)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheet", type=Path, help="a PNG of held-out pairs")
    args = parser.parse_args()

    whole = read_any(args.wheel)
    if not isinstance(whole, MobileStyleGAN):
        parser.error(f"{args.wheel}: expected a MobileStyleGAN")
    net = TwoSizes(first_blocks(whole, args.px)).to(args.device)
    w, img_u8 = draw_pairs(whole.to(args.device), NUM_HELD_OUT + args.pairs, args.px, args.seed)
    held_out = w[:NUM_HELD_OUT], img_u8[:NUM_HELD_OUT]
    features = FirstStages(args.lite0).to(args.device)
    for step, loss in enumerate(train(net, w[NUM_HELD_OUT:], img_u8[NUM_HELD_OUT:], features, args.steps, args.seed)):
        if step % 500 == 0:
            print(f"{step}: {loss:.3f}", flush=True)
    decibels = psnr(net.student, *held_out)
    print(f"{decibels.mean():.1f} dB on {NUM_HELD_OUT} held-out pictures, {decibels.min():.1f} to {decibels.max():.1f}")
    save_part(args.part, whole.cpu(), net.student.cpu())
    if args.sheet:
        write_sheet(args.sheet, net.student, *(part[:8].cpu() for part in held_out))


if __name__ == "__main__":
    main()
