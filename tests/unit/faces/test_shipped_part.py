"""The part that comes with the project, without the wheel that it belongs to."""

from __future__ import annotations

from pathlib import Path

import torch

from nada.checkpoints.openvino.smaller import read_part
from nada.generators.mobilestylegan.network import MobileStyleGAN, MobileStyleGANConfig

PART = Path(__file__).parents[3] / "tasks" / "download" / "parts" / "mobilestylegan-ffhq-256.part.safetensors"


def shapes(**config: int) -> dict[str, torch.Size]:
    with torch.device("meta"):
        generator = MobileStyleGAN(MobileStyleGANConfig.model_validate(config))
    return {name: tensor.shape for name, tensor in generator.state_dict().items()}


def test_the_part_and_the_published_network_make_a_whole_generator() -> None:
    part, whole = read_part(PART), shapes(resolution=1024)
    assert {tensor.dtype for tensor in part.values()} == {torch.float16}
    for name, shape in shapes(resolution=256, channel_base=16384).items():
        assert shape == (part[name].shape if name in part else whole[name]), name
