"""Pictures that a generator makes when it flatters a guide: what the guides must learn to reject.

    python negatives.py --data DATA --generator ../weights/generator.safetensors     # about a minute

Writes DATA/broken.rgb: portraits by copies of the source generator whose weights are randomly disturbed. They lie on
the very manifold on which an adaptation moves, so a guide that knows them as `broken` cannot be won over by them.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nada.checkpoints import load_generator
from nada.generators.stylegan2 import StyleGAN2
from nada.images import to_u8
from nada.latents import draw_ws, seeded_rng

NUM_COPIES, PER_COPY = 320, 12
BROKEN = "broken"
LEAST, MOST = 0.03, 0.5
"""Disturbance of a layer's weights, in units of their own standard deviation."""


def disturbed(source: StyleGAN2, rng: torch.Generator) -> StyleGAN2:
    """A copy in which some convolutions, toRGB layers and biases were moved at random, coarse ones more rarely."""
    generator = copy.deepcopy(source)
    share = 0.2 + 0.6 * torch.rand((), generator=rng)
    layers = [weights for layer in generator.conv_layers() for weights in layer.weights] + generator.rgb_weights()
    for weight in layers:
        if torch.rand((), generator=rng) < share:
            amount = LEAST * (MOST / LEAST) ** torch.rand((), generator=rng)
            scale = weight.std() if weight.numel() > 1 and weight.ndim > 1 else torch.tensor(0.5)
            weight.data.add_(amount * scale * torch.randn(weight.shape, generator=rng))
    return generator


def miscoloured(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """An image [H, W, 3] in [0, 255] under a random mixing of its channels, a tone curve and a tint."""
    mix = np.eye(3) * rng.uniform(0.3, 1.0) + rng.normal(0, 0.3, (3, 3))
    mixed = np.clip((values / 255 - 0.5) @ mix.T + 0.5 + rng.normal(0, 0.15, 3), 0, 1)
    return np.asarray(255 * mixed ** np.exp(rng.normal(0, 0.4)), dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training images")
    parser.add_argument("--generator", type=Path, required=True, help="the source generator")
    args = parser.parse_args()
    source, rng = load_generator(args.generator), seeded_rng(0)
    images = []
    with torch.no_grad():
        for _ in range(NUM_COPIES):
            generator = disturbed(source, rng)
            images.append(to_u8(generator.synthesis(draw_ws(PER_COPY, generator, rng), noise="none")))
    pixels = torch.cat(images).permute(0, 2, 3, 1).contiguous().numpy()
    (args.data / f"{BROKEN}.rgb").write_bytes(pixels.tobytes())
    print(f"{len(pixels)} images by {NUM_COPIES} disturbed generators")


if __name__ == "__main__":
    main()
