"""From named tensors to a generator: the architecture is read off the shapes, never asked for.

Legend: Z and W_DIM latent widths, R resolution in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nada.errors import CheckpointError, shown
from nada.generators.registry import Architecture, Network, make_network, parse_architecture

USUAL_CHANNEL_BASES = (32768, 16384, 65536)  # config-f, its half, StyleGAN3-R; where the shapes leave a choice
FILTER_TOLERANCE = 1e-5
SHAPED_LIKE: Mapping[Any, Any] = {
    torch.randn: torch.empty,
    torch.outer: lambda x, y: torch.empty(len(x), len(y)),
    torch.Tensor.div: lambda x, _: x,
}
"""What networks draw and scale their weights by -> what gives a tensor of the same shape."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A generator, and what its file says beside it."""

    generator: Network
    networks: tuple[str, ...]
    """The named networks in the file."""
    chosen: str = ""
    """The one that is read, where several are there."""
    supplied: tuple[str, ...] = ()
    """What the file lacks and what stands in its place, a sentence each."""
    is_usual: bool = True
    """The tools of its format open the file as it is."""


def infer_config(path: Path, state: Mapping[str, Tensor], conv_clamp: float | None) -> Architecture:
    """The architecture of a StyleGAN2 in NVIDIA's tensor names.

    Args:
        path: the file, for messages.
        state: every tensor by name.
        conv_clamp: the one setting that no shape shows.

    Raises:
        CheckpointError: the shapes are not those of a StyleGAN2.
    """
    blocks = block_fields(path, state)
    fields = {"family": "stylegan2", "conv_clamp": conv_clamp, **mapping_fields(path, state), **blocks}
    return parse_architecture(path, fields)


def mapping_fields(path: Path, state: Mapping[str, Tensor]) -> dict[str, int]:
    """`z_dim`, `w_dim` and `mapping_layers`, from the shapes of the mapping network.

    Raises:
        CheckpointError: there is none, or one whose layers differ in width.
    """
    first = state.get("mapping.fc0.weight")
    if first is None or first.ndim != 2:
        raise CheckpointError(f"{path}: no mapping network; expected a StyleGAN2 or StyleGAN3 generator")
    layers = [state[name] for name in state if re.fullmatch(r"mapping\.fc\d+\.weight", name)]
    widths = {layer.shape[0] for layer in layers if layer.ndim == 2}
    if len(widths) > 1:
        listed = shown(sorted(widths)).strip("[]")
        raise CheckpointError(
            f"{path}: the mapping network's layers are {listed} wide; only one width for all is supported, that of w "
            "(layer_features and mapping_fmaps at their defaults)"
        )
    return {"z_dim": first.shape[1], "w_dim": first.shape[0], "mapping_layers": len(layers)}


def conv_widths(state: Mapping[str, Tensor], pattern: str) -> dict[str, int]:
    """Output channels of the convolutions whose names fit, by the pattern's group."""
    found = {match[1]: state[match[0]] for match in (re.fullmatch(pattern, name) for name in state) if match}
    return {key: weight.shape[0] for key, weight in found.items() if weight.ndim == 4}


def block_fields(path: Path, state: Mapping[str, Tensor]) -> dict[str, int]:
    """`resolution` of the last block's features, `channel_base` and `channel_max`, from the blocks' convolutions.

    Raises:
        CheckpointError: no block, or widths that no such pair gives.
    """
    widths = {int(r): width for r, width in conv_widths(state, r"synthesis\.b(\d{1,4})\.conv1\.weight").items()}
    if not widths:
        raise CheckpointError(f"{path}: no synthesis blocks; expected a StyleGAN2 generator")
    bounds = [Bounds(f"at {r} px", width, width * r, (width + 1) * r - 1) for r, width in sorted(widths.items())]
    return {"resolution": max(widths), **channel_fields(path, bounds)}


@dataclass(frozen=True)
class Bounds:
    """The channel_base that give a layer its width; more where the width is channel_max."""

    where: str
    width: int
    lowest: int
    highest: int


def channel_fields(path: Path, layers: Sequence[Bounds]) -> dict[str, int]:
    """`channel_base` and `channel_max` that give every layer its width.

    Raises:
        CheckpointError: no such pair exists.
    """
    channel_max = max(layer.width for layer in layers)
    lowest = max(layer.lowest for layer in layers)
    highest = min(
        (layer.highest for layer in layers if layer.width < channel_max), default=max(lowest, *USUAL_CHANNEL_BASES)
    )
    if lowest > highest:
        shown = ", ".join(f"{layer.width} {layer.where}" for layer in layers)
        raise CheckpointError(f"{path}: unusual channels ({shown}); no channel_base and channel_max give these")
    usual = [base for base in USUAL_CHANNEL_BASES if lowest <= base <= highest]
    return {"channel_base": (usual or [lowest])[0], "channel_max": channel_max}


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
            raise CheckpointError(f"{path}: {shown(name)} is no plain tensor of floats ({kind}); the file is damaged")
        claimed_bytes += tensor.numel() * tensor.element_size()
    held_bytes = path.stat().st_size
    if claimed_bytes > held_bytes:
        raise CheckpointError(
            f"{path}: its tensors claim {claimed_bytes} bytes, the file has {held_bytes}; fetch it again"
        )


def tensors_of(generator: Network) -> dict[str, Tensor]:
    """Every tensor by name, ready to be written."""
    return {name: tensor.detach().contiguous().cpu() for name, tensor in generator.state_dict().items()}


class Undrawn(TorchFunctionMode):
    """Within it weights have shapes and are not computed, for which torch, on "meta", imports a compiler: a second."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return SHAPED_LIKE.get(func, func)(*args, **(kwargs or {}))


def build(path: Path, config: Architecture, state: Mapping[str, Tensor]) -> Network:
    """The generator with these tensors, each checked, in evaluation mode and without gradients.

    Raises:
        CheckpointError: tensors are missing, unknown, of another shape, or not finite.
    """
    with torch.device("meta"), Undrawn():  # shapes alone: no memory until the tensors are known to fit
        generator = make_network(config)
    expected = generator.state_dict()
    missing = [name for name in expected if name not in state]
    unknown = sorted(set(state) - set(expected))
    size = f"a {config.resolution} px {type(generator).__name__} generator"
    for problem, names in (("missing", missing), ("unknown", unknown)):
        if names:
            raise CheckpointError(f"{path}: {len(names)} keys {problem} (first: {shown(names[0])}); expected {size}")
    tensors, fixed = {}, config.fixed_tensors()
    for name, want in expected.items():
        if state[name].shape != want.shape:
            shapes = f"{shown(list(state[name].shape))}; expected {list(want.shape)}"
            raise CheckpointError(f"{path}: {shown(name)} has shape {shapes}")
        # Copied: views into a shared storage could not be saved again.
        tensors[name] = state[name].detach().to(torch.float32, copy=True).contiguous()
        if not tensors[name].isfinite().all():
            raise CheckpointError(f"{path}: {shown(name)} holds NaN or infinite values; the file is damaged")
        if name.endswith("magnitude_ema") and tensors[name] <= 0:  # every activation is divided by its root
            raise CheckpointError(f"{path}: {shown(name)} is {tensors[name].item():g}; a mean square is above 0")
        if name in fixed and not torch.allclose(tensors[name], fixed[name], rtol=0, atol=FILTER_TOLERANCE):
            raise CheckpointError(f"{path}: {shown(name)} is not the low-pass filter that its architecture has")
    generator.load_state_dict(tensors, assign=True)
    return generator.eval().requires_grad_(False)
