"""NVIDIA's `.pkl` of StyleGAN2, from stylegan2-ada-pytorch or from stylegan3's repository.

A pickled dict whose `G_ema` is a tree of modules, each kept as class name and attributes. Our tensors bear the
same names, so reading is walking the tree; the architecture follows from shapes and the modules' attributes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nada.checkpoints.architecture import Reading, build, check_tensors, infer_config
from nada.checkpoints.inert import SHOWN_CHARACTERS, InertModule
from nada.checkpoints.restricted_pickle import load_pickle
from nada.errors import CheckpointError
from nada.mapping import MAPPING_LR_MULTIPLIER

MAX_MODULES = 1000  # a 1024 px generator has 79; a damaged tree may contain itself


def read_nvidia(path: Path) -> Reading:
    """Read `G_ema`, the averaged generator.

    Raises:
        CheckpointError: unsafe, truncated, or a generator that is not supported; says which and what helps.
    """
    content = load_pickle(path)
    if not isinstance(content, dict) or not isinstance(content.get("G_ema"), InertModule):
        keys = [repr(key)[:SHOWN_CHARACTERS] for key in content][:6] if isinstance(content, dict) else []
        found = ", ".join(keys) or f"a {type(content).__name__}"
        raise CheckpointError(f"{path}: no 'G_ema' in the pickle (found {found}); expected NVIDIA's StyleGAN2 format")
    generator: InertModule = content["G_ema"]
    modules = _walk(path, generator)
    _refuse_unsupported(path, generator, modules)
    state = {
        f"{prefix}.{name}": tensor
        for prefix, module in modules.items()
        for group in ("_parameters", "_buffers")
        for name, tensor in _table(module, group).items()
        if isinstance(tensor, Tensor)
    }
    check_tensors(path, state)
    config = infer_config(path, state, _conv_clamp(path, generator, modules))
    networks = [name for name, net in content.items() if isinstance(net, InertModule) and _table(net, "_modules")]
    return Reading(generator=build(path, config, state), networks=tuple(networks))


def _walk(path: Path, root: InertModule) -> dict[str, InertModule]:
    """Every module below the root by its dotted name."""
    found: dict[str, InertModule] = {}
    waiting = [("", root)]
    while waiting:
        prefix, module = waiting.pop()
        for name, child in _table(module, "_modules").items():
            if isinstance(child, InertModule):
                found[f"{prefix}{name}"] = child
                waiting.append((f"{prefix}{name}.", child))
        if len(found) > MAX_MODULES:
            raise CheckpointError(f"{path}: more than {MAX_MODULES} modules in 'G_ema'; the file is damaged")
    return found


def _table(module: InertModule, key: str) -> Mapping[Any, Any]:
    """One of a module's tables of parameters, buffers or modules; empty where it has none."""
    table = module.state.get(key)
    return table if isinstance(table, Mapping) else {}


def _refuse_unsupported(path: Path, generator: InertModule, modules: Mapping[str, InertModule]) -> None:
    """Everything that would load and render wrong pictures is refused by name."""
    if "synthesis.input" in modules:
        raise CheckpointError(f"{path}: a StyleGAN3 generator; it is not supported yet, use a StyleGAN2")
    if "synthesis.b4" not in modules or "mapping" not in modules:
        raise CheckpointError(f"{path}: 'G_ema' is a {generator.class_name!r}; expected a StyleGAN2 generator")
    c_dim = _stated([generator, modules["mapping"]], "c_dim") - {0, None}
    if c_dim:
        limit = "only unconditional generators can be adapted"
        raise CheckpointError(f"{path}: class-conditional generator (c_dim {_listed(c_dim)}); {limit}")
    img_channels = _stated([generator], "img_channels") - {3}
    if img_channels:
        raise CheckpointError(f"{path}: {_listed(img_channels)} image channels; expected 3 (RGB)")
    architecture = _stated([generator, *_synthesis(modules)], "architecture") - {"skip"}
    if architecture:
        limit = "only 'skip', the default, is supported"
        raise CheckpointError(f"{path}: generator of architecture {_listed(architecture)}; {limit}")
    convs = [module for name, module in modules.items() if re.fullmatch(r"synthesis\.b\d+\.conv\d", name)]
    layers = [module for name, module in modules.items() if name.startswith("mapping.fc")]
    activation = _stated([*convs, *layers], "activation") - {"lrelu"}
    if activation:
        raise CheckpointError(f"{path}: activation {_listed(activation)}; only 'lrelu', the default, is supported")
    rates = _stated(layers, "bias_gain")
    if any(not isinstance(rate, float) or not math.isclose(rate, MAPPING_LR_MULTIPLIER) for rate in rates):
        limit = f"only {MAPPING_LR_MULTIPLIER}, the default, is supported"
        raise CheckpointError(f"{path}: mapping with lr_multiplier {_listed(rates)}; {limit}")


def _conv_clamp(path: Path, generator: InertModule, modules: Mapping[str, InertModule]) -> float | None:
    """The limit of activations, as each layer states it; else as the generator's arguments do; else none."""
    stated = _stated(_synthesis(modules), "conv_clamp") or _stated([generator], "conv_clamp") or {None}
    if len(stated) > 1:
        raise CheckpointError(f"{path}: layers clamp differently ({_listed(stated)}); expected one conv_clamp")
    clamp = stated.pop()
    if clamp is not None and not isinstance(clamp, int | float):
        raise CheckpointError(f"{path}: conv_clamp is {clamp!r}; expected a number or None")
    return None if clamp is None else float(clamp)


def _synthesis(modules: Mapping[str, InertModule]) -> list[InertModule]:
    return [module for name, module in modules.items() if name.startswith("synthesis.")]


def _stated(modules: Iterable[InertModule], key: str) -> set[Any]:
    """Every value of a setting: an attribute of a module, else among the arguments it was built with."""
    found = set()
    for module in modules:
        arguments = module.state.get("_init_kwargs")
        arguments = arguments if isinstance(arguments, Mapping) else {}
        nested = [table for table in arguments.values() if isinstance(table, Mapping)]  # synthesis_kwargs
        for table in (module.state, arguments, *nested):
            if key in table:
                value = table[key]
                found.add(value if isinstance(value, str | int | float | None) else f"a {type(value).__name__}")
                break
    return found


def _listed(values: set[Any]) -> str:
    return ", ".join(sorted(repr(value) for value in values))
