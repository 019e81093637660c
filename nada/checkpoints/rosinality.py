"""rosinality's `.pt` of StyleGAN2: `{g_ema, latent_avg, ...}`, with other names for the same tensors.

One table pairs the names; only dimensions of size one and the gain of the low-pass filters differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints.architecture import Reading, build, check_tensors, infer_config
from nada.checkpoints.pickles.torch_file import load_torch
from nada.checkpoints.supplied import (
    MEAN_MEASURED,
    MEAN_W,
    NOISE_DRAWN,
    NOT_AVERAGED,
    drawn_noise,
    measure_mean_w,
)
from nada.errors import CheckpointError, shown
from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2
from nada.generators.stylegan3 import StyleGAN3

UPSAMPLING_GAIN = 4.0  # rosinality stores the filter of an upsampling layer with its gain, NVIDIA without
MAX_DOUBLINGS = 9  # from 4 to 2048 px
PLACES = ("g_ema", "state_dict", "g")
"""Where files keep a generator, the averaged one first; `state_dict` is an encoder's, with its generator (pSp, e4e)."""
PREFIXES = ("", "module.", "decoder.", "module.decoder.")
"""What may stand before each of its names: torch's DataParallel, and the part of an encoder's network."""
FIRST_NAME, MEAN_NAME, NOISE_PREFIX = "input.input", "latent_avg", "noises."


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
    """Read the averaged generator, or what else the file has of one; what it may lack is supplied and told.

    Raises:
        CheckpointError: unsafe, truncated, or not rosinality's StyleGAN2.
    """
    content = load_torch(path)
    place, prefix, theirs = _find(path, content)
    check_tensors(path, theirs)
    to_rgbs = sum(1 for name in theirs if re.fullmatch(r"to_rgbs\.\d+\.bias", name))
    depth = sum(1 for name in theirs if re.fullmatch(r"style\.\d+\.weight", name))
    if to_rgbs > MAX_DOUBLINGS:
        raise CheckpointError(f"{path}: {to_rgbs} toRGB layers above 4 px; expected at most {MAX_DOUBLINGS}")
    table = name_table(4 << to_rgbs, depth)
    known = {pair.theirs: pair for pair in table}
    has_noise = any(name.startswith(NOISE_PREFIX) for name in theirs)
    optional = [name for name in known if name == MEAN_NAME or (name.startswith(NOISE_PREFIX) and not has_noise)]
    missing = [name for name in known if name not in theirs and name not in optional]
    unknown = sorted(set(theirs) - set(known))
    for problem, names in (("missing", missing), ("unknown", unknown)):
        if names:
            size = f"a {4 << to_rgbs} px StyleGAN2 generator of rosinality's"
            raise CheckpointError(f"{path}: {len(names)} keys {problem} (first: {shown(names[0])}); expected {size}")
    state = {known[name].ours: known[name].to_ours(tensor) for name, tensor in theirs.items()}
    config = infer_config(path, state, conv_clamp=None)
    lacks_mean = MEAN_W not in state
    noise = {} if has_noise else drawn_noise(config)
    mean_w = torch.zeros(config.w_dim)  # until it is measured
    generator = build(path, config, {**config.fixed_tensors(), **noise, MEAN_W: mean_w, **state})
    if lacks_mean:
        measure_mean_w(generator)
    told = {NOT_AVERAGED: place == "g", MEAN_MEASURED: lacks_mean, NOISE_DRAWN: not has_noise}
    supplied = tuple(sentence for sentence, is_so in told.items() if is_so)
    return Reading(
        generator=generator,
        networks=_networks(content),
        chosen=place,
        supplied=supplied,
        is_usual=place == PLACES[0] and not prefix and has_noise,
    )


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


def _find(path: Path, content: Any) -> tuple[str, str, dict[str, Tensor]]:
    """Where the generator is, what stands before its names, and its tensors, `latent_avg` among them if it is there."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}; expected a dict with 'g_ema'")
    for place in (*PLACES, ""):
        state = content.get(place) if place else content
        prefix = _prefix(state) if isinstance(state, Mapping) else None
        if isinstance(state, Mapping) and (prefix is not None or place == PLACES[0]):
            break
    else:
        found = ", ".join(shown(key) for key in islice(content, 6)) or "nothing"
        raise CheckpointError(f"{path}: no 'g_ema' in the file (found {found}); expected rosinality's StyleGAN2")
    start = prefix or ""
    tensors = {
        str(name).removeprefix(start): tensor
        for name, tensor in state.items()
        if isinstance(tensor, Tensor) and str(name).startswith(start)
    }
    if isinstance(latent_avg := content.get(MEAN_NAME), Tensor):
        rows = latent_avg.reshape(-1, *latent_avg.shape[-1:]) if latent_avg.numel() else latent_avg[None]
        if (rows == rows[:1]).all():  # encoders keep it once for each row of ws; rows that differ are no mean w
            tensors[MEAN_NAME] = rows[0]
    return place, start, tensors


def _prefix(state: Mapping[Any, Any]) -> str | None:
    """What every name of the generator begins with; None: there is none."""
    for prefix in PREFIXES:
        if f"{prefix}{FIRST_NAME}" in state:
            return prefix
    return None


def _networks(content: Any) -> tuple[str, ...]:
    """Names of the state dicts in the file; a bare one has none."""
    tables = {id(table): table for table in content.values() if isinstance(table, Mapping)}  # many names may have one
    found = {key for key, table in tables.items() if any(isinstance(value, Tensor) for value in table.values())}
    return tuple(str(name) for name, table in content.items() if id(table) in found)
