"""A CLIP of faces: an EfficientNet-Lite for pictures, two layers on a sentence encoder's numbers for texts.

Legend: N pictures, K captions, D width of the embeddings, H W pixels; pictures are in [-1, 1].
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from backbone_weights import build_backbone
from torch import Tensor, nn
from torch.nn import functional as F

from nada.atomic import replacing

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
WIDTH, SENTENCE_WIDTH, TEXT_WIDTH = 256, 384, 512
START_SCALE, MOST_SCALE = 2.7, 50
CROP, NOISE = 0.78, 0.06  # smallest side of a view, strongest noise
Style = str | tuple[str, str]
"""A filter, or a colour over a drawing."""


class FaceClip(nn.Module):
    """Pictures and captions into one space."""

    mean: Tensor
    std: Tensor

    def __init__(self, lite: int) -> None:
        super().__init__()
        self.trunk = build_backbone(lite)
        self.proj = nn.Linear(self.trunk.num_features, WIDTH, bias=False)
        nn.init.normal_(self.proj.weight, std=self.trunk.num_features**-0.5)
        self.text = _text_layers()
        self.log_scale = nn.Parameter(torch.tensor(START_SCALE))
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def embed_images(self, img: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, D], unit norm."""
        x = (((img + 1) / 2 - self.mean) / self.std).to(memory_format=torch.channels_last)
        with torch.autocast(img.device.type, torch.bfloat16, enabled=img.is_cuda):
            emb_raw = self.proj(self.trunk(x))
        return F.normalize(emb_raw.float(), dim=-1)

    def embed_texts(self, sentences: Tensor) -> Tensor:
        """Numbers of the sentence encoder [K, 384] -> [K, D], unit norm."""
        return F.normalize(self.text(sentences), dim=-1)

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied with in the contrastive loss."""
        return self.log_scale.exp().clamp(max=MOST_SCALE)


def _text_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(SENTENCE_WIDTH, TEXT_WIDTH), nn.GELU(), nn.Linear(TEXT_WIDTH, WIDTH))


def text_head(path: Path) -> nn.Sequential:
    """What a file of `save_clip` does with the sentence encoder's numbers, not normalised."""
    state, layers = torch.load(path, weights_only=True, map_location="cpu"), _text_layers()
    start = "text."
    layers.load_state_dict({name.removeprefix(start): t for name, t in state.items() if name.startswith(start)})
    return layers


def save_clip(clip: FaceClip, path: Path) -> None:
    """In float16, whole or not at all."""
    state = clip.state_dict().items()
    with replacing(path) as partial:
        torch.save({name: (t.half() if t.is_floating_point() else t).cpu() for name, t in state}, partial)


def load_clip(path: Path, lite: int, device: str) -> FaceClip:
    """Of a file of `save_clip`; of `backbone_weights.py` where only the trunk is known.

    In evaluation mode even where it is trained: the statistics of the batch norms stay those of ImageNet.
    """
    clip, state = FaceClip(lite), torch.load(path, weights_only=True, map_location="cpu")
    if "conv_stem.weight" in state:
        clip.trunk.load_state_dict(state)
    else:
        clip.load_state_dict(state)
    return clip.to(device, memory_format=torch.channels_last).eval()


def views(img: Tensor, rng: torch.Generator) -> Tensor:
    """A random crop of each picture, half of them mirrored, with some noise."""
    num, device = len(img), img.device
    side = CROP + (1 - CROP) * torch.rand(num, generator=rng, device=device)
    centre = (1 - side)[:, None] * (2 * torch.rand(num, 2, generator=rng, device=device) - 1)
    theta = torch.zeros(num, 2, 3, device=device)
    theta[:, 0, 0] = torch.where(torch.rand(num, generator=rng, device=device) < 0.5, -side, side)
    theta[:, 1, 1], theta[:, :, 2] = side, centre
    grid = F.affine_grid(theta, list(img.shape), align_corners=False)
    cropped = F.grid_sample(img, grid, padding_mode="reflection", align_corners=False)
    strength = NOISE * torch.rand(num, 1, 1, 1, generator=rng, device=device)
    return cropped + strength * torch.randn(cropped.shape, generator=rng, device=device)


class Captions:
    """The table of `sentence_embeddings.py`: rows of each style's captions."""

    def __init__(self, path: Path, device: str, seed: int) -> None:
        table = torch.load(path, weights_only=True)
        self.rows: dict[Style, list[list[int]]] = {**table["captions"], **table["mixtures"]}
        self.mixtures: list[tuple[str, str]] = list(table["mixtures"])
        self.emb = table["emb"].float().to(device)
        self.rng = random.Random(seed)

    def pick(self, styles: list[Style]) -> Tensor:
        """A caption of each style, [K, 384]: a wording by chance, and a sentence of it."""
        return self.emb[[self.rng.choice(self.rng.choice(self.rows[style])) for style in styles]]

    def mean(self, clip: FaceClip, style: Style) -> Tensor:
        """The mean embedding over a style's captions, [D], not normalised."""
        return clip.embed_texts(self.emb[[row for rows in self.rows[style] for row in rows]]).mean(dim=0)

    def direction(self, clip: FaceClip, style: Style) -> Tensor:
        """From photographs to a style, as nada draws it, [D], unit norm."""
        return F.normalize(self.mean(clip, style) - self.mean(clip, "photo"), dim=0)
