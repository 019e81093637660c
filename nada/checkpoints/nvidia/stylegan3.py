"""The architecture of a StyleGAN3 in NVIDIA's tree of modules.

Shapes show its widths, attributes and arguments the rest; the filters that follow must be those in the file, and the
factors of every layer those that it states.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nada.checkpoints.architecture import Bounds, channel_fields, conv_widths, mapping_fields
from nada.checkpoints.pickles.module_tree import ModuleTree, conv_clamp, stated
from nada.errors import CheckpointError, shown
from nada.generators.registry import Architecture, parse_architecture
from nada.generators.stylegan3 import StyleGAN3Config

SETTINGS = (
    "num_critical", "first_cutoff", "first_stopband", "last_stopband_rel", "margin_size", "output_scale",
    "filter_size", "lrelu_upsampling",
)  # fmt: skip
"""What no shape shows; NVIDIA's defaults hold where the file says nothing."""


def infer_stylegan3(tree: ModuleTree, state: Mapping[str, Tensor]) -> Architecture:
    """The architecture, checked against what the layers say of themselves; `build` then compares the filters.

    Raises:
        CheckpointError: shapes or attributes that no StyleGAN3 has.
    """
    widths = conv_widths(state, r"synthesis\.(L\d{1,2}_\d{1,4}_\d{1,4})\.weight")
    names = sorted(widths, key=lambda name: int(name[1:].split("_")[0]))
    if len(names) < 2:
        raise CheckpointError(f"{tree.path}: {len(names)} layers; expected those of a StyleGAN3 generator")
    fields: dict[str, Any] = {
        "family": "stylegan3",
        "resolution": int(names[-1].split("_")[1]),
        "num_layers": len(names) - 1,
        "conv_kernel": state[f"synthesis.{names[0]}.weight"].shape[-1],
        "use_radial_filters": any(name.endswith("down_filter") and f.ndim == 2 for name, f in state.items()),
        "conv_clamp": conv_clamp(tree),
        **mapping_fields(tree.path, state),
        **{key: value for key in SETTINGS if (value := _setting(tree, key)) is not None},
    }
    draft = parse_architecture(tree.path, fields)  # its cut-offs do not depend on the channels
    assert isinstance(draft, StyleGAN3Config)
    bounds = [_bounds(name, widths[name], draft.cutoff(index)) for index, name in enumerate(names[:-1])]
    config = parse_architecture(tree.path, {**fields, **channel_fields(tree.path, bounds)})
    assert isinstance(config, StyleGAN3Config)
    _check_stated(tree, config)
    return config


def _setting(tree: ModuleTree, key: str) -> Any:
    """A setting as the synthesis network states it, else as the generator's arguments do; None: neither does."""
    synthesis = tree.modules.get("synthesis", tree.root)
    found = stated([synthesis], key) or stated([tree.root], key)
    return next(iter(found), None)


def _bounds(name: str, width: int, cutoff: float) -> Bounds:
    """Bases for which round(base / 2 / cutoff) is the width."""
    lowest, highest = 2 * cutoff * (width - 0.5), 2 * cutoff * (width + 0.5)
    return Bounds(f"in {name}", width, math.floor(lowest) + 1, math.ceil(highest) - 1)


def _check_stated(tree: ModuleTree, config: StyleGAN3Config) -> None:
    """Refuse what would render other pictures without showing in any tensor.

    Raises:
        CheckpointError: a layer states another factor or frequency than the architecture gives it.
    """
    expected: dict[str, dict[str, float]] = {
        "input": {"bandwidth": config.cutoff(0), "sampling_rate": config.sampling_rate(0)},
        **{layer.name: {"up_factor": layer.up, "down_factor": layer.down} for layer in config.layers()},
    }
    for name, settings in expected.items():
        for key, value in settings.items():
            for given in stated(tree.matching(f"synthesis.{name}"), key):
                if not isinstance(given, int | float) or not math.isclose(given, value):
                    raise CheckpointError(
                        f"{tree.path}: 'synthesis.{name}' has {key} {shown(given)}; its architecture gives {value:g}"
                    )
