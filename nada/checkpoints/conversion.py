"""What a conversion changes: measured on images, and said in sentences.

Legend: N images, R resolution in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nada.generators.registry import Architecture, Network
from nada.generators.stylegan2 import StyleGAN2Config
from nada.generators.stylegan3 import StyleGAN3Config
from nada.images import to_u8
from nada.latents import draw_z, seeded_rng

ROSINALITY_CHANNELS = 512  # up to 32 px
ROSINALITY_CHANNEL_BASE = 16384  # times their channel_multiplier, which is 1 or 2, above


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """How far a generator is from the one it was converted from."""

    image_difference: float
    """Largest absolute difference of a channel's value, of images in [-1, 1]."""
    byte_difference: int
    """The same once rounded to bytes, in 0 to 255."""
    is_bit_equal: bool
    """Every tensor is equal, bit by bit."""
    lost: tuple[str, ...]
    """What the way did not keep, a sentence each."""


@torch.no_grad()
def conversion_report(before: Network, after: Network, num_latents: int = 8, seed: int = 0) -> ConversionReport:
    """Compare two generators on the same latents, with the noise maps that are stored in them.

    Args:
        before: the generator that was converted.
        after: what came out, of the same latent width.
        num_latents: N images are compared, one at a time.
        seed: of the latents.
    """
    rng = seeded_rng(seed)
    image_difference, byte_difference = 0.0, 0
    for _ in range(num_latents):
        z = draw_z(1, before, rng)
        img, img_after = (generator.synthesis(generator.mapping(z), noise="const") for generator in (before, after))
        difference = (to_u8(img).int() - to_u8(img_after).int()).abs().max()
        image_difference = max(image_difference, (img - img_after).abs().max().item())
        byte_difference = max(byte_difference, int(difference))
    ours, theirs = before.state_dict(), after.state_dict()
    same_shapes = {name: t.shape for name, t in ours.items()} == {name: t.shape for name, t in theirs.items()}
    return ConversionReport(
        image_difference=image_difference,
        byte_difference=byte_difference,
        is_bit_equal=same_shapes and all(torch.equal(ours[name], theirs[name]) for name in ours),
        lost=tuple(_differences(before.config, after.config, same_shapes)),
    )


def information_lost(config: Architecture, format: str) -> list[str]:
    """What a format has no place for, or its tools no use, a sentence each."""
    if format == "nvidia" and not isinstance(config, StyleGAN2Config | StyleGAN3Config):
        return ["nvidia: its format holds StyleGAN2 and StyleGAN3 alone."]
    if format != "rosinality":
        return []
    if not isinstance(config, StyleGAN2Config):
        return ["rosinality: its format holds StyleGAN2 alone."]
    found = []
    if config.conv_clamp is not None:
        found.append(f"rosinality: conv_clamp {config.conv_clamp:g} is lost; larger activations are no longer clamped.")
    if not _is_usual_for_rosinality(config):
        found.append("rosinality: its Generator class builds other widths than these; change its table of channels.")
    return found


def _is_usual_for_rosinality(config: StyleGAN2Config) -> bool:
    """Whether their class, built with size, style_dim, n_mlp and channel_multiplier, has these shapes."""
    wide = [ROSINALITY_CHANNEL_BASE * multiplier for multiplier in (1, 2)]
    sizes = [4 << i for i in range(config.resolution.bit_length() - 2)]
    return config.z_dim == config.w_dim and any(
        all(config.channels(size) == (ROSINALITY_CHANNELS if size <= 32 else base // size) for size in sizes)
        for base in wide
    )


def _differences(before: Architecture, after: Architecture, same_shapes: bool) -> list[str]:
    old, new = before.model_dump(), after.model_dump()
    equivalent = {"channel_base", "channel_max"} if same_shapes else set()  # several give the same widths
    fields = [name for name in old if name not in equivalent]
    return [f"{name} was {old[name]!r} and is {new.get(name)!r}." for name in fields if old[name] != new.get(name)]
