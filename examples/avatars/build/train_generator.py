"""Trains the bundled source generator: a 64 px StyleGAN2 that draws big-ears portraits.

Method: regression instead of a game. A portrait is known by its attributes (hair, eyes, colours...). Each class
of each attribute owns a vector, w is their sum, and the synthesis network learns to draw the rendered picture
(L1 at three scales and on differences between neighbouring pixels, more where eyes, mouth and nose are). Then
the mapping network is *constructed* so that z ~ N(0, I) becomes the w of one portrait (`staircase.py`).
Truncated w must draw the same picture, so that samples at psi 0.7 are no blends. Noise strengths stay zero.
Convolutions run in bfloat16, the last tenth of the images in float32.

    node render.mjs bigEars 24000 100000 DATA/source_train "$(cat source.json)"
    python train_generator.py fit DATA/source_train WORK
    python train_generator.py export DATA/source_train WORK ../weights/generator.safetensors
    python check_generator.py DATA/source_train ../weights/generator.safetensors SHEET.png --clip ../clip

`fit` writes WORK/fit.pt every minute and continues from it; WORK/log.csv holds, per minute, the images seen, images
per second, and the mean absolute error on held-out portraits: everywhere, around the eyes, around the mouth.

Measured on one core with AVX-512 bfloat16: rendering 90 s; training 31 minutes on a shared core (65 images a second
while it was free, so about 20 minutes alone); export 17 s. Held-out error of [-1, 1] by images seen: 0.142 at 4k,
0.050 at 12k, 0.015 at 26k, 0.010 at 51k, 0.0050 at 72k (0.6 grey levels; eyes 0.0105, mouth 0.0080). The bundled
weights differ from these commands in their history: truncation joined at 30k images, and until 51k the learning rate
followed longer schedules (340k, then 120k images).
Legend: N batch, A attributes, K classes of all attributes, L style layers, W_DIM latent width.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from muon import Muon
from portraits import ATTRIBUTES, Portraits, detail_weights, load_portraits
from staircase import install, share_blended
from torch import Tensor, nn

from nada.checkpoints.canonical import save_generator
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config

CONFIG = StyleGAN2Config(
    z_dim=64, w_dim=128, resolution=64, channel_base=2048, channel_max=128, mapping_layers=2, conv_clamp=None
)
NUM_HELD_OUT = 500
BATCH = 16
LEARNING_RATE = 0.012  # of vectors and small matrices, by Adam
MATRIX_LEARNING_RATE = 0.1  # of convolutions and affine layers, by Muon
LEAST_MATRIX = 16  # rows and columns that make a weight a matrix
WARM_UP_IMAGES = 2_000
DECAY_FROM = 0.35  # share of the images after which the learning rate falls, as a cosine, to zero
FLOAT32_FROM = 0.9  # share of the images after which bfloat16's rounding would limit the error
EMA_STEPS = 400  # time constant of the averaged weights
LEAST_PSI = 0.6  # pictures must not change when w is truncated down to this
DETAIL_GAIN = 4.0
CHECKPOINT_SECONDS = 60
BLEND_SAMPLES = 20_000
REGIONS = {"all": (0, 64, 0, 64), "eyes": (30, 40, 16, 48), "mouth": (46, 56, 22, 42)}  # rows, columns


class Painter(nn.Module):
    """Attributes -> picture: an embedding of the classes and the synthesis network."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.generator = StyleGAN2(CONFIG)
        rows = torch.nn.init.orthogonal_(torch.empty(num_classes, CONFIG.w_dim))
        self.embedding = nn.Parameter(rows * math.sqrt(CONFIG.w_dim / len(ATTRIBUTES)))  # unit variance of w
        self.generator.requires_grad_(False).synthesis.requires_grad_(True)
        for name, parameter in self.generator.synthesis.named_parameters():
            if name.endswith("noise_strength"):
                parameter.requires_grad_(False)

    def centred(self, sizes: list[int]) -> Tensor:
        """The embedding with zero mean over the classes of each attribute, [K, W_DIM]."""
        return torch.cat([rows - rows.mean(dim=0) for rows in self.embedding.split(sizes)])

    def forward(self, columns: Tensor, sizes: list[int], psi: Tensor | None = None) -> Tensor:
        """Columns of the classes, [N, A], and truncation, [N] -> img [N, 3, H, W]."""
        w = self.centred(sizes)[columns].sum(dim=1)
        if psi is not None:
            w = w * psi[:, None].to(w.dtype)
        img = self.generator.synthesis(w[:, None].expand(-1, self.generator.num_ws, -1), "none")
        assert isinstance(img, Tensor)
        return img


def regression_loss(img: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """L1 at full, half and quarter size, and on horizontal and vertical differences, each weighted per pixel."""
    error = img - wanted
    loss = (error.abs() * weights).mean()
    for scale in (2, 4):
        loss = loss + 0.5 * (F.avg_pool2d(error, scale).abs() * F.avg_pool2d(weights, scale)).mean()
    across = (error[..., 1:] - error[..., :-1]).abs() * weights[..., 1:]
    down = (error[..., 1:, :] - error[..., :-1, :]).abs() * weights[..., 1:, :]
    return loss + 0.5 * (across.mean() + down.mean())


def learning_rate_factor(images: int, total: int) -> float:
    """Linear warm-up, constant, then a half cosine to zero."""
    progress = max(0.0, (images / total - DECAY_FROM) / (1 - DECAY_FROM))
    return min(1.0, images / WARM_UP_IMAGES) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


@torch.no_grad()
def held_out_errors(painter: Painter, held_out: Portraits) -> dict[str, float]:
    """Mean absolute error by region, in units of the [-1, 1] picture."""
    index = torch.arange(len(held_out))
    sizes = held_out.classes.sizes
    img = torch.cat([painter(held_out.columns[part], sizes) for part in index.split(100)]).clamp(-1, 1)
    error = (img - held_out.images(index)).abs()
    return {name: float(error[:, :, a:b, c:d].mean()) for name, (a, b, c, d) in REGIONS.items()}


class Fit:
    """Everything that a restart needs: live and averaged weights, optimiser, images seen."""

    def __init__(self, num_classes: int) -> None:
        torch.manual_seed(0)
        self.live, self.averaged = Painter(num_classes), Painter(num_classes)
        self.averaged.load_state_dict(self.live.state_dict())
        self.trained = {name: p for name, p in self.live.named_parameters() if p.requires_grad}
        self.shadow = dict(self.averaged.named_parameters())
        matrices = [p for p in self.trained.values() if p.ndim > 1 and min(p.flatten(1).shape) >= LEAST_MATRIX]
        matrices = [p for p in matrices if p is not self.live.embedding]
        vectors = [p for p in self.trained.values() if not any(p is matrix for matrix in matrices)]
        self.adam = torch.optim.Adam(vectors, LEARNING_RATE, betas=(0.9, 0.99))
        self.muon = Muon(matrices, MATRIX_LEARNING_RATE)
        self.parts = (self.live, self.averaged, self.adam, self.muon)
        self.images = 0

    def save(self, path: Path) -> None:
        partial = path.with_name(path.name + ".partial")
        torch.save({"images": self.images, "parts": [part.state_dict() for part in self.parts]}, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.images = state["images"]
        for part, values in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(values)

    def step(self, columns: Tensor, wanted: Tensor, weights: Tensor, sizes: list[int], bfloat16: bool) -> None:
        """One step of the optimisers, and of the average."""
        rng = torch.Generator().manual_seed(self.images)
        psi = (LEAST_PSI + (2 - LEAST_PSI) * torch.rand(len(columns), generator=rng)).clamp(max=1)  # mostly 1
        if bfloat16:
            half = {name: p.bfloat16() for name, p in self.live.named_parameters()}
            half |= {name: b.bfloat16() for name, b in self.live.named_buffers()}
            img = torch.func.functional_call(self.live, half, (columns, sizes, psi)).float()
        else:
            img = self.live(columns, sizes, psi)
        loss = regression_loss(img, wanted, weights)
        self.live.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        self.muon.step()
        self.images += len(columns)
        with torch.no_grad():
            steps = self.images / BATCH
            pace = 1 / min(EMA_STEPS, 1 + steps / 10)
            for name, p in self.trained.items():
                self.shadow[name].lerp_(p, pace)


def run_fit(data_path: Path, work: Path, total: int) -> None:
    """Train, from the last checkpoint if there is one."""
    portraits = load_portraits(data_path)
    train, held_out = portraits.split(NUM_HELD_OUT)
    weights, sizes = detail_weights(train, DETAIL_GAIN), train.classes.sizes
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / "fit.pt"
    fit = Fit(sum(sizes))
    if checkpoint.exists():
        fit.load(checkpoint)
    started, saved = time.monotonic(), time.monotonic()
    first = fit.images
    while fit.images < total:
        factor = learning_rate_factor(fit.images, total)
        fit.adam.param_groups[0]["lr"] = factor * LEARNING_RATE
        fit.muon.param_groups[0]["lr"] = factor * MATRIX_LEARNING_RATE
        rng = torch.Generator().manual_seed(fit.images)  # the same batches whatever was interrupted
        index = torch.randint(len(train), (BATCH,), generator=rng)
        fit.step(train.columns[index], train.images(index), weights, sizes, fit.images < FLOAT32_FROM * total)
        if time.monotonic() - saved > CHECKPOINT_SECONDS or fit.images >= total:
            saved = time.monotonic()
            fit.save(checkpoint)
            rate = (fit.images - first) / (saved - started)
            row = {"images": fit.images, "per_second": rate, **held_out_errors(fit.averaged, held_out)}
            with (work / "log.csv").open("a", newline="") as file:
                csv.writer(file).writerow(row.values())
            print(" ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)


@torch.no_grad()
def rescale_kernels(generator: StyleGAN2) -> None:
    """Bring the kernels back to unit variance, as at their start; demodulation undoes any such scale.

    Muon lets them grow about fivefold, which would make every later learning rate five times smaller.
    """
    for layer in generator.conv_layers():
        kernel = layer.weights[0]
        kernel.div_(kernel.square().mean().sqrt())


def run_export(data_path: Path, work: Path, out: Path) -> None:
    """Write the averaged weights with their constructed mapping as a canonical generator."""
    classes = load_portraits(data_path).classes
    fit = Fit(sum(classes.sizes))
    fit.load(work / "fit.pt")
    generator = fit.averaged.generator.requires_grad_(False)
    embedding = fit.averaged.centred(classes.sizes).detach()
    install(generator, embedding, classes)
    rescale_kernels(generator)
    save_generator(out, generator)
    print(f"{out}: {sum(p.numel() for p in generator.parameters())} parameters after {fit.images} images")
    print(f"samples that blend two portraits: {share_blended(generator, embedding, classes, BLEND_SAMPLES):.2%}")


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("fit", "export"):
        command = commands.add_parser(name)
        command.add_argument("data", type=Path, help="path of the rendered portraits, without its ending")
        command.add_argument("work", type=Path, help="folder of the checkpoint and the log")
        if name == "fit":
            command.add_argument("--images", type=int, default=72_000)
        else:
            command.add_argument("out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if args.command == "fit":
        run_fit(args.data, args.work, args.images)
    else:
        run_export(args.data, args.work, args.out)


if __name__ == "__main__":
    main()
