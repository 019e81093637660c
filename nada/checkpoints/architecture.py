"""From named tensors to a generator: the architecture is read off the shapes, never asked for.

Legend: Z and W_DIM latent widths, R resolution in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nada.errors import CheckpointError
from nada.families import Architecture, Network, make_network, parse_architecture

USUAL_CHANNEL_BASES = (32768, 16384)  # config-f and its half; where the shapes leave a choice
FILTER_TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A generator, and what its file says beside it."""

    generator: Network
    networks: tuple[str, ...]
    """The named networks in the file."""
    is_mean_measured: bool = False
    """The file holds no mean w: it was measured."""


def infer_config(path: Path, state: Mapping[str, Tensor], conv_clamp: float | None) -> Architecture:
    """The architecture of a StyleGAN2 in NVIDIA's tensor names.

    Args:
        path: the file, for messages.
        state: every tensor by name.
        conv_clamp: the one setting that no shape shows.

    Raises:
        CheckpointError: the shapes are not those of a StyleGAN2.
    """
    depth = sum(1 for name in state if re.fullmatch(r"mapping\.fc\d+\.weight", name))
    convs = {name: re.fullmatch(r"synthesis\.b(\d{1,4})\.conv1\.weight", name) for name in state}
    channels = {int(match[1]): state[name].shape[0] for name, match in convs.items() if match}
    first = state.get("mapping.fc0.weight")
    if first is None or first.ndim != 2 or not channels:
        raise CheckpointError(f"{path}: no mapping network and synthesis blocks; expected a StyleGAN2 generator")
    channel_base, channel_max = infer_channels(path, channels)
    fields = {
        "family": "stylegan2",
        "z_dim": first.shape[1],
        "w_dim": first.shape[0],
        "resolution": max(channels),
        "channel_base": channel_base,
        "channel_max": channel_max,
        "mapping_layers": depth,
        "conv_clamp": conv_clamp,
    }
    return parse_architecture(path, fields)


def infer_channels(path: Path, channels: Mapping[int, int]) -> tuple[int, int]:
    """(channel_base, channel_max) with min(channel_base // r, channel_max) feature maps at each resolution r.

    Raises:
        CheckpointError: no such pair exists.
    """
    channel_max = max(channels.values())
    # Every resolution bounds the base: from below, and from above where it has less than the maximum.
    lowest = max(width * resolution for resolution, width in channels.items())
    highest = min(
        ((width + 1) * resolution - 1 for resolution, width in channels.items() if width < channel_max),
        default=max(lowest, *USUAL_CHANNEL_BASES),
    )
    if lowest > highest:
        listed = ", ".join(f"{width} at {resolution} px" for resolution, width in sorted(channels.items()))
        raise CheckpointError(f"{path}: unusual channels ({listed}); expected min(base // resolution, max)")
    usual = [base for base in USUAL_CHANNEL_BASES if lowest <= base <= highest]
    return (usual or [lowest])[0], channel_max


def check_tensors(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not plain numbers in memory, or claim more of them than the file can hold.

    Call it before anything is computed: a file of a few bytes may describe tensors of any size.

    Raises:
        CheckpointError: sparse, quantised, integer or oversized tensors.
    """
    claimed_bytes = 0
    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or not tensor.dtype.is_floating_point:
            kind = f"{tensor.dtype} on {tensor.device}"
            raise CheckpointError(f"{path}: {name!r} is no plain tensor of floats ({kind}); the file is damaged")
        claimed_bytes += tensor.numel() * tensor.element_size()
    held_bytes = path.stat().st_size
    if claimed_bytes > held_bytes:
        raise CheckpointError(
            f"{path}: its tensors claim {claimed_bytes} bytes, the file has {held_bytes}; fetch it again"
        )


def tensors_of(generator: Network) -> dict[str, Tensor]:
    """Every tensor by name, ready to be written."""
    return {name: tensor.detach().contiguous().cpu() for name, tensor in generator.state_dict().items()}


def build(path: Path, config: Architecture, state: Mapping[str, Tensor]) -> Network:
    """The generator with these tensors, each checked, in evaluation mode and without gradients.

    Raises:
        CheckpointError: tensors are missing, unknown, of another shape, or not finite.
    """
    with torch.device("meta"):  # shapes alone: no memory until the tensors are known to fit
        generator = make_network(config)
    expected = generator.state_dict()
    missing = [name for name in expected if name not in state]
    unknown = sorted(set(state) - set(expected))
    size = f"a {config.resolution} px {type(generator).__name__} generator"
    for problem, names in (("missing", missing), ("unknown", unknown)):
        if names:
            raise CheckpointError(f"{path}: {len(names)} keys {problem} (first: {names[0]!r}); expected {size}")
    tensors, fixed = {}, config.fixed_tensors()
    for name, want in expected.items():
        if state[name].shape != want.shape:
            shapes = f"{list(state[name].shape)}; expected {list(want.shape)}"
            raise CheckpointError(f"{path}: {name!r} has shape {shapes}")
        # Copied: views into a shared storage could not be saved again.
        tensors[name] = state[name].detach().to(torch.float32, copy=True).contiguous()
        if not tensors[name].isfinite().all():
            raise CheckpointError(f"{path}: {name!r} holds NaN or infinite values; the file is damaged")
        if name in fixed and not torch.allclose(tensors[name], fixed[name], rtol=0, atol=FILTER_TOLERANCE):
            raise CheckpointError(f"{path}: {name!r} is not the low-pass filter that its architecture has")
    generator.load_state_dict(tensors, assign=True)
    return generator.eval().requires_grad_(False)
