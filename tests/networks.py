"""Published feature networks with random weights, in files of the right shape."""

from __future__ import annotations

import io
from pathlib import Path

import torch

import nada.clip.open_clip_import  # noqa: F401  # before torch-fidelity imports torchvision
from nada.judge.spaces.efficientnet import ARCHITECTURE
from nada.judge.spaces.lpips import VGG_INDICES, VGG_STAGES
from tasks.download.judge_weights import LPIPS_HEADS, VGG16


def write_inception(path: Path) -> None:
    """torch-fidelity's Inception v3 as it initialises itself."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Untrained(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *args: object, **kwargs: object) -> None:
            """Keep the weights of the constructor."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    made = Untrained("untrained", ["2048"], feature_extractor_weights_path=nothing)
    state = made.state_dict()
    for tensor in state.values():
        if tensor.ndim > 1:
            torch.nn.init.kaiming_normal_(tensor)  # or the features vanish on the way through so many layers
    torch.save(state, path)


def write_efficientnet(path: Path) -> None:
    """timm's EfficientNet-Lite2 as it initialises itself, without classifier."""
    from nada.clip.open_clip_import import open_clip

    torch.manual_seed(0)
    made = open_clip.timm_model.timm.create_model(ARCHITECTURE, num_classes=0)
    torch.save(made.state_dict(), path)


def write_lpips(folder: Path) -> None:
    """VGG-16 and LPIPS heads, under their published names."""
    torch.manual_seed(0)
    widths = [width for stage in VGG_STAGES for width in stage]
    vgg = {}
    for index, before, width in zip(VGG_INDICES, [3, *widths], widths, strict=False):
        vgg[f"features.{index}.weight"] = torch.nn.init.kaiming_normal_(torch.empty(width, before, 3, 3))
        vgg[f"features.{index}.bias"] = torch.zeros(width)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, stage[-1], 1, 1) for i, stage in enumerate(VGG_STAGES)}
    torch.save(vgg, folder / VGG16.file)
    torch.save(heads, folder / LPIPS_HEADS.file)
