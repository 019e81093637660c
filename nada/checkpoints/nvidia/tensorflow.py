"""NVIDIA's pickles from before PyTorch: StyleGAN2 and stylegan2-ada of TensorFlow, read without TensorFlow.

A tuple `(G, D, Gs)` of networks; each has the arguments that it was built with, variables as numpy arrays, and two
components of the same kind. Kernels are stored [K, K, I, O] and matrices [I, O], so all are turned round; the kernel
of a layer that doubles the resolution is mirrored, and the bias of a style lacks the one that is added to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from nada.checkpoints.architecture import Reading, build, check_tensors, infer_config
from nada.checkpoints.pickles.allowlist import MAX_DIMENSIONS, Closed, InertDtype
from nada.errors import CheckpointError, shown
from nada.generators.mapping_network import MAPPING_LR_MULTIPLIER

NETWORK = "dnnlib.tflib.network.Network"
"""The class of a network; `Closed` answers to it."""
NAMES = ("G", "D", "Gs")
SIDES = ("resolution_w", "resolution_h")
"""Arguments of a fork for pictures of any shape; a generator of square ones is like any other."""
VERSION = 4  # of the networks; StyleGAN's have 3
ONLY: dict[str, Any] = {
    "label_size": 0,
    "num_channels": 3,
    "architecture": "skip",
    "use_noise": True,
    "normalize_latents": True,
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "mapping_lrmul": MAPPING_LR_MULTIPLIER,
    "resample_kernel": [1, 3, 3, 1],
}
"""Arguments of which one value is supported, the default."""
NEUTRAL = {
    "latent_size", "dlatent_size", "resolution", "fmap_base", "fmap_decay", "fmap_min", "fmap_max", "num_fp16_res",
    *SIDES, "mapping_layers", "mapping_fmaps", "label_fmaps", "w_avg_beta", "dlatent_avg_beta", "truncation_psi",
    "truncation_cutoff", "truncation_psi_val", "truncation_cutoff_val", "style_mixing_prob", "structure",
    "conditioning", "fused_modconv", "randomize_noise", "dtype", "func_name", "is_training", "is_validation",
    "conv_clamp",
}  # fmt: skip
"""Arguments that shapes show too, or that concern training alone; and `conv_clamp`, which is taken over."""


def is_tensorflow(content: Any) -> TypeGuard[tuple[Closed, Closed, Closed]]:
    """Whether a pickle's content is a tuple of three such networks."""
    return isinstance(content, tuple) and len(content) == len(NAMES) and all(isinstance(n, Closed) for n in content)


def read_tensorflow(path: Path, content: tuple[Closed, Closed, Closed]) -> Reading:
    """Read `Gs`, the averaged generator.

    Raises:
        CheckpointError: no StyleGAN2, or one that is not supported; says which.
    """
    network = content[NAMES.index("Gs")].state
    version = network.get("version") if isinstance(network, Mapping) else network
    if not isinstance(network, Mapping) or not _is(version, VERSION):
        raise CheckpointError(f"{path}: TensorFlow network of version {shown(version)}; StyleGAN2's have {VERSION}")
    arguments = network.get("static_kwargs")
    _refuse_unsupported(path, arguments if isinstance(arguments, Mapping) else {})
    variables = _variables(path, network)
    sizes = [
        int(match[1]) for match in map(re.compile(r"synthesis/(\d{1,4})x\1/ToRGB/weight").fullmatch, variables) if match
    ]
    depth = sum(1 for name in variables if re.fullmatch(r"mapping/Dense\d+/weight", name))
    if not sizes:
        raise CheckpointError(f"{path}: no StyleGAN2 of configuration E or F; only those are supported")
    if max(sizes) & (max(sizes) - 1):
        raise CheckpointError(f"{path}: pictures of {max(sizes)} px; only powers of two are supported")
    table = list(variable_table(max(sizes), depth))
    missing = [pair.theirs for pair in table if pair.theirs not in variables]
    if missing:
        raise CheckpointError(f"{path}: {len(missing)} variables missing (first: {missing[0]!r}); expected a StyleGAN2")
    state = {pair.ours: pair.to_ours(path, variables[pair.theirs]) for pair in table}
    check_tensors(path, state)
    clamp = arguments.get("conv_clamp") if isinstance(arguments, Mapping) else None
    config = infer_config(path, state, clamp if isinstance(clamp, int | float) else None)
    generator = build(path, config, {**config.fixed_tensors(), **state})
    return Reading(generator=generator, networks=NAMES, chosen="Gs")


@dataclass(frozen=True)
class Variable:
    """One tensor under both names."""

    ours: str
    theirs: str
    dimensions: int
    turn: Callable[[Tensor], Tensor]

    def to_ours(self, path: Path, value: Tensor) -> Tensor:
        """Their tensor in our order.

        Raises:
            CheckpointError: it has another number of dimensions.
        """
        if value.ndim != self.dimensions:
            raise CheckpointError(f"{path}: {self.theirs!r} has shape {shown(list(value.shape))}")
        return self.turn(value)


def variable_table(resolution: int, mapping_layers: int) -> Iterator[Variable]:
    """Every variable of the generator but the filters."""
    yield Variable("mapping.w_avg", "dlatent_avg", 1, _as_is)
    yield Variable("synthesis.b4.const", "synthesis/4x4/Const/const", 4, lambda value: value[0])
    for i in range(mapping_layers):
        yield Variable(f"mapping.fc{i}.weight", f"mapping/Dense{i}/weight", 2, lambda value: value.T)
        yield Variable(f"mapping.fc{i}.bias", f"mapping/Dense{i}/bias", 1, _as_is)
    for size in (4 << i for i in range(resolution.bit_length() - 2)):
        theirs = f"synthesis/{size}x{size}"
        first_noise = 2 * size.bit_length() - 7  # 0 is the only one of 4 px
        if size == 4:
            yield from _conv("b4.conv1", f"{theirs}/Conv", 0, _kernel)
        else:
            yield from _conv(f"b{size}.conv0", f"{theirs}/Conv0_up", first_noise, _mirrored_kernel)
            yield from _conv(f"b{size}.conv1", f"{theirs}/Conv1", first_noise + 1, _kernel)
        yield from _modulated(f"b{size}.torgb", f"{theirs}/ToRGB", _kernel)


def _conv(ours: str, theirs: str, noise: int, turn: Callable[[Tensor], Tensor]) -> Iterator[Variable]:
    yield from _modulated(ours, theirs, turn)
    yield Variable(f"synthesis.{ours}.noise_strength", f"{theirs}/noise_strength", 0, _as_is)
    yield Variable(f"synthesis.{ours}.noise_const", f"synthesis/noise{noise}", 4, lambda value: value[0, 0])


def _modulated(ours: str, theirs: str, turn: Callable[[Tensor], Tensor]) -> Iterator[Variable]:
    yield Variable(f"synthesis.{ours}.weight", f"{theirs}/weight", 4, turn)
    yield Variable(f"synthesis.{ours}.bias", f"{theirs}/bias", 1, _as_is)
    yield Variable(f"synthesis.{ours}.affine.weight", f"{theirs}/mod_weight", 2, lambda value: value.T)
    yield Variable(f"synthesis.{ours}.affine.bias", f"{theirs}/mod_bias", 1, lambda value: value + 1)


def _as_is(value: Tensor) -> Tensor:
    return value


def _kernel(value: Tensor) -> Tensor:
    return value.permute(3, 2, 0, 1)


def _mirrored_kernel(value: Tensor) -> Tensor:
    return _kernel(value.flip(0, 1))


def _refuse_unsupported(path: Path, arguments: Mapping[Any, Any]) -> None:
    """Everything that would load and render wrong pictures is refused by name."""
    for name, value in arguments.items():
        if name not in ONLY and name not in NEUTRAL:
            raise CheckpointError(f"{path}: TensorFlow network with argument {shown(name)}, which no StyleGAN2 has")
        if name in ONLY and not _is(value, ONLY[name]):
            raise CheckpointError(f"{path}: {name} is {shown(value)}; only {ONLY[name]!r}, the default, is supported")
    sides = [arguments.get(name, arguments.get("resolution")) for name in SIDES]
    if not _is(*sides):
        raise CheckpointError(
            f"{path}: pictures of {shown(sides[0])} x {shown(sides[1])} px; only square ones are supported"
        )


def _is(value: Any, expected: Any) -> bool:
    """Whether plain values are equal; what is none, such as a tensor, is equal to nothing."""
    kinds = (bool, int, float, str, list, type(None))
    return isinstance(value, kinds) and isinstance(expected, kinds) and value == expected


def _variables(path: Path, network: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The variables of a network and of its components, by name; what is no array of float32 is left out.

    Raises:
        CheckpointError: together they claim more than the file holds.
    """
    components = network.get("components")
    parts = {"": network}
    for name in ("mapping", "synthesis"):
        part = components.get(name) if isinstance(components, Mapping) else None
        if isinstance(part, Closed) and isinstance(part.state, Mapping):
            parts[f"{name}/"] = part.state
    found = {}
    bytes_left = path.stat().st_size  # the bytes of one array may stand in many
    for prefix, part in parts.items():
        pairs = part.get("variables")
        for pair in pairs if isinstance(pairs, list) else []:
            if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str):
                name, value = pair
                bytes_left -= _array_bytes(value)
                if bytes_left < 0:
                    raise CheckpointError(f"{path}: its arrays claim more bytes than the file has; fetch it again")
                if (tensor := open_array(value)) is not None:
                    found[f"{prefix}{name}"] = tensor
    return found


def _array_bytes(value: Any) -> int:
    match value.state if isinstance(value, Closed) else None:
        case (_, _, _, _, bytes(content)):
            return len(content)
    return 0


def open_array(value: Any) -> Tensor | None:
    """A closed numpy array of float32, or a number, as a tensor; None: it is neither."""
    if isinstance(value, float):
        return torch.tensor(value, dtype=torch.float32)
    match value.state if isinstance(value, Closed) else None:
        case (int(), tuple(shape), InertDtype(code="f4", state=(_, "<", *_)), False, bytes(content)):
            pass
        case _:
            return None
    if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        return None
    if 4 * math.prod(shape) != len(content) or not content:
        return None
    return torch.frombuffer(bytearray(content), dtype=torch.float32).reshape(shape)
