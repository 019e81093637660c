"""Seconds that one core takes to draw a picture, and to embed it, by the sizes of the networks. Imports no torch.

Fitted on one thread of a server's core: StyleGAN2 of 64, 256 and 1024 px, StyleGAN3 and MobileStyleGAN of 256 px,
ViT-B/32 and small CLIPs (benchmarks/README.md). Each is within a factor of two of what was measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from nada.config import ClipConfig
from tasks.store.pretrained import METADATA_KEY

SECONDS_PER_MILLION_FEATURES = 0.016
"""Of StyleGAN2: memory, rather than arithmetic, limits it where pictures are large."""
FAMILY_FACTORS = {"stylegan2": 1.0, "stylegan3": 12.0, "mobilestylegan": 0.6}
"""Beside a StyleGAN2 of the same resolution and widths."""
SECONDS_PER_GFLOP = 0.02
LEAST_EMBEDDING_SECONDS = 0.004
TIMM_GFLOPS = 3.0  # of a network that only timm knows, at 224 px: those that guide here are small
USUAL_PX = 224
USUAL_GFLOPS = 8.7  # ViT-B/32, where nothing is known


@cache
def drawing_seconds(path: Path) -> float:
    """Of one picture, by a generator in the canonical format, without gradients."""
    try:
        with safe_open(path, framework="np") as file:
            config: dict[str, Any] = json.loads(file.metadata()[METADATA_KEY])["config"]
        resolution, base, most = (int(config[key]) for key in ("resolution", "channel_base", "channel_max"))
        factor = FAMILY_FACTORS[config["family"]]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        resolution, base, most, factor = 256, 32768, 512, 1.0
    return factor * SECONDS_PER_MILLION_FEATURES * num_features(resolution, base, most) / 1e6


def num_features(resolution: int, channel_base: int, channel_max: int) -> int:
    """Numbers that the convolutions of a StyleGAN2 put out for one picture: two for each resolution.

    >>> num_features(8, 64, 8)    # 4 px: 8 channels, 8 px: 8
    1280
    """
    sizes = [4 << i for i in range(resolution.bit_length() - 2)]
    return sum(2 * min(channel_base // size, channel_max) * size**2 for size in sizes)


def embedding_seconds(clip: ClipConfig, config_dir: str | None) -> float:
    """Of one picture, by the image tower of a CLIP."""
    vision = _architecture(clip.name, config_dir).get("vision_cfg", {})
    try:
        gflops = image_gflops(vision)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        gflops = USUAL_GFLOPS
    return max(LEAST_EMBEDDING_SECONDS, SECONDS_PER_GFLOP * gflops)


def image_gflops(vision: Mapping[str, Any]) -> float:
    """Of one picture, by open_clip's `vision_cfg`.

    >>> round(image_gflops({"image_size": 224, "layers": 12, "width": 768, "patch_size": 32}), 1)
    8.6
    """
    size = int(vision.get("image_size", USUAL_PX))
    if "timm_model_name" in vision:
        return TIMM_GFLOPS * (size / USUAL_PX) ** 2
    layers, width = vision["layers"], int(vision["width"])
    if isinstance(layers, list):  # a ResNet: as RN50, whose 16 blocks of width 64 take 12 GFLOP
        return 12 * sum(layers) / 16 * (width / 64) ** 2 * (size / USUAL_PX) ** 2
    tokens = (size // int(vision["patch_size"])) ** 2 + 1
    return int(layers) * (24 * tokens * width**2 + 4 * tokens**2 * width) / 1e9


@cache
def _architecture(name: str, config_dir: str | None) -> Mapping[str, Any]:
    """The JSON of an architecture, of the project's or open_clip's own, which is found without importing it."""
    spec = find_spec("open_clip")
    ours = [] if config_dir is None else [Path(config_dir)]
    theirs = [] if spec is None else [Path(folder, "model_configs") for folder in spec.submodule_search_locations or []]
    for folder in (*ours, *theirs):
        try:
            found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}
