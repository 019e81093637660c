"""rosinality's `.pt` of StyleGAN2: `{g_ema, latent_avg, ...}`, with other names for the same tensors.

One table pairs the names; only dimensions of size one and the gain of the low-pass filters differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints.architecture import Reading, build, check_tensors, infer_config
from nada.checkpoints.pickles.torch_file import load_torch
from nada.errors import CheckpointError, shown
from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2
from nada.generators.stylegan3 import StyleGAN3

UPSAMPLING_GAIN = 4.0  # rosinality stores the filter of an upsampling layer with its gain, NVIDIA without
MEAN_LATENTS = 10_000  # samples behind a mean w that the file does not hold
MEAN_SEED = 0
MAX_DOUBLINGS = 9  # from 4 to 2048 px


@dataclass(frozen=True)
class Pair:
    """One tensor under both names; theirs has `leading` and `trailing` further dimensions of size one."""

    ours: str
    theirs: str
    leading: int = 0
    trailing: int = 0
    gain: float = 1.0

    def to_ours(self, tensor: Tensor) -> Tensor:
        """Their tensor in our shape and scale; a shape that does not fit is left for the check that follows."""
        end = tensor.ndim - self.trailing
        outer = (*tensor.shape[: self.leading], *tensor.shape[end:])
        if end >= self.leading and set(outer) <= {1}:
            tensor = tensor.reshape(tensor.shape[self.leading : end])
        return tensor / self.gain if self.gain != 1 else tensor

    def to_theirs(self, tensor: Tensor) -> Tensor:
        """Our tensor in their shape and scale."""
        return tensor.reshape((1,) * self.leading + tuple(tensor.shape) + (1,) * self.trailing) * self.gain


def name_table(resolution: int, mapping_layers: int) -> list[Pair]:
    """Every tensor that both formats hold, `latent_avg` among them."""
    pairs = [Pair("mapping.w_avg", "latent_avg"), Pair("synthesis.b4.const", "input.input", leading=1)]
    for i in range(mapping_layers):
        pairs += [Pair(f"mapping.fc{i}.{part}", f"style.{i + 1}.{part}") for part in ("weight", "bias")]
    pairs += [*_conv("b4.conv1", "conv1", 0), *_to_rgb("b4.torgb", "to_rgb1")]
    for j in range(resolution.bit_length() - 3):
        block = f"b{8 << j}"
        pairs += _conv(f"{block}.conv0", f"convs.{2 * j}", 2 * j + 1)
        pairs += _conv(f"{block}.conv1", f"convs.{2 * j + 1}", 2 * j + 2)
        pairs += _to_rgb(f"{block}.torgb", f"to_rgbs.{j}")
        for ours, theirs in (("conv0.", f"convs.{2 * j}.conv.blur"), ("", f"to_rgbs.{j}.upsample")):
            filter_name = f"synthesis.{block}.{ours}resample_filter"
            pairs.append(Pair(filter_name, f"{theirs}.kernel", gain=UPSAMPLING_GAIN))
    return pairs


def _conv(ours: str, theirs: str, index: int) -> Iterator[Pair]:
    yield from _modulated(ours, theirs)
    yield Pair(f"synthesis.{ours}.bias", f"{theirs}.activate.bias")
    yield Pair(f"synthesis.{ours}.noise_strength", f"{theirs}.noise.weight", leading=1)
    yield Pair(f"synthesis.{ours}.noise_const", f"noises.noise_{index}", leading=2)


def _to_rgb(ours: str, theirs: str) -> Iterator[Pair]:
    yield from _modulated(ours, theirs)
    yield Pair(f"synthesis.{ours}.bias", f"{theirs}.bias", leading=1, trailing=2)


def _modulated(ours: str, theirs: str) -> Iterator[Pair]:
    yield Pair(f"synthesis.{ours}.weight", f"{theirs}.conv.weight", leading=1)
    for part in ("weight", "bias"):
        yield Pair(f"synthesis.{ours}.affine.{part}", f"{theirs}.conv.modulation.{part}")


def read_rosinality(path: Path) -> Reading:
    """Read `g_ema`; a mean w that is missing is measured on 10,000 fixed latents.

    Raises:
        CheckpointError: unsafe, truncated, or not rosinality's StyleGAN2.
    """
    content = load_torch(path)
    theirs = _tensors(path, content)
    check_tensors(path, theirs)
    to_rgbs = sum(1 for name in theirs if re.fullmatch(r"to_rgbs\.\d+\.bias", name))
    depth = sum(1 for name in theirs if re.fullmatch(r"style\.\d+\.weight", name))
    if to_rgbs > MAX_DOUBLINGS:
        raise CheckpointError(f"{path}: {to_rgbs} toRGB layers above 4 px; expected at most {MAX_DOUBLINGS}")
    table = name_table(4 << to_rgbs, depth)
    known = {pair.theirs: pair for pair in table}
    missing = [name for name in known if name not in theirs and name != "latent_avg"]
    unknown = sorted(set(theirs) - set(known))
    for problem, names in (("missing", missing), ("unknown", unknown)):
        if names:
            size = f"a {4 << to_rgbs} px StyleGAN2 generator of rosinality's"
            raise CheckpointError(f"{path}: {len(names)} keys {problem} (first: {shown(names[0])}); expected {size}")
    state = {known[name].ours: known[name].to_ours(tensor) for name, tensor in theirs.items()}
    config = infer_config(path, state, conv_clamp=None)
    for name, kernel in config.fixed_tensors().items():  # those that their layers have no use for
        state.setdefault(name, kernel)
    is_mean_known = "mapping.w_avg" in state
    state.setdefault("mapping.w_avg", torch.zeros(config.w_dim))
    generator = build(path, config, state)
    if not is_mean_known:
        generator.mapping.w_avg.copy_(_mean_w(generator))
    return Reading(generator=generator, networks=_networks(content), is_mean_measured=not is_mean_known)


def save_rosinality(path: Path, generator: Network) -> None:
    """Write `{g_ema, latent_avg}`: every tensor that their Generator's strict `load_state_dict` asks for.

    There is no place in it for `conv_clamp`: see `nada.checkpoints.conversion`.

    Raises:
        CheckpointError: not a StyleGAN2.
        OutputError: the file cannot be written.
    """
    if not isinstance(generator, StyleGAN2):
        others = ".safetensors or .pkl" if isinstance(generator, StyleGAN3) else ".safetensors"
        raise CheckpointError(f"{path}: rosinality's format holds StyleGAN2 alone; write {others}")
    ours = generator.state_dict()
    table = name_table(generator.resolution, generator.config.mapping_layers)
    state = {pair.theirs: pair.to_theirs(ours[pair.ours].detach().cpu()).contiguous() for pair in table}
    latent_avg = state.pop("latent_avg")
    with replacing(path) as partial, partial.open("wb") as file:  # given a path, torch would write its name, too
        torch.save({"g_ema": state, "latent_avg": latent_avg}, file)


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    """The averaged generator's tensors in their names, `latent_avg` included where the file has it."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}; expected a dict with 'g_ema'")
    state = content.get("g_ema", content if "input.input" in content else None)
    if not isinstance(state, Mapping):
        found = ", ".join(shown(key) for key in list(content)[:6]) or "nothing"
        raise CheckpointError(f"{path}: no 'g_ema' in the file (found {found}); expected rosinality's StyleGAN2")
    tensors = {str(name): tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    latent_avg = content.get("latent_avg")
    if isinstance(latent_avg, Tensor):
        tensors["latent_avg"] = latent_avg.reshape(-1) if latent_avg.shape[:-1].numel() == 1 else latent_avg
    return tensors


def _networks(content: Any) -> tuple[str, ...]:
    """Names of the state dicts in the file; a bare one has none."""
    tables = {str(name): table for name, table in content.items() if isinstance(table, Mapping)}
    return tuple(name for name, table in tables.items() if any(isinstance(value, Tensor) for value in table.values()))


@torch.no_grad()
def _mean_w(generator: Network) -> Tensor:
    """The mean of w over fixed latents, [W_DIM]: what training would have tracked."""
    rng = torch.Generator().manual_seed(MEAN_SEED)
    z = torch.randn(MEAN_LATENTS, generator.z_dim, generator=rng)
    return generator.mapping.to_w(z).mean(dim=0)
