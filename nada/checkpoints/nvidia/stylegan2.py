"""NVIDIA's `.pkl` of StyleGAN2 and StyleGAN3, from stylegan2-ada-pytorch or from stylegan3's repository.

A pickled dict whose `G_ema` is a tree of modules. Our tensors bear the same names, so reading is walking the tree;
the architecture follows from shapes and the modules' attributes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from nada.checkpoints.architecture import Reading, build, check_tensors, infer_config
from nada.checkpoints.nvidia.stylegan3 import infer_stylegan3
from nada.checkpoints.nvidia.tensorflow import NETWORK, is_tensorflow, read_tensorflow
from nada.checkpoints.pickles.allowlist import InertModule, closed
from nada.checkpoints.pickles.module_tree import ModuleTree, conv_clamp, listed, stated, table
from nada.checkpoints.pickles.restricted import load_pickle
from nada.checkpoints.pickles.torch_file import LOAD_STORAGE, load_storage
from nada.checkpoints.supplied import MEAN_MEASURED, MEAN_W, NO_NOISE, measure_mean_w
from nada.errors import CheckpointError, shown
from nada.generators.mapping_network import MAPPING_LR_MULTIPLIER
from nada.generators.registry import Architecture


def read_nvidia(path: Path) -> Reading:
    """Read `G_ema`, the averaged generator.

    Raises:
        CheckpointError: unsafe, truncated, or a generator that is not supported; says which and what helps.
    """
    content = load_pickle(path, {LOAD_STORAGE: load_storage, NETWORK: closed})
    if is_tensorflow(content):
        return read_tensorflow(path, content)
    if not isinstance(content, dict) or not isinstance(content.get("G_ema"), InertModule):
        keys = [shown(key) for key in islice(content, 6)] if isinstance(content, dict) else []
        found = ", ".join(keys) or f"a {type(content).__name__}"
        raise CheckpointError(f"{path}: no 'G_ema' in the pickle (found {found}); expected NVIDIA's StyleGAN format")
    tree = ModuleTree.walk(path, content["G_ema"])
    is_stylegan3 = "synthesis.input" in tree.modules
    if not (is_stylegan3 or "synthesis.b4" in tree.modules) or "mapping" not in tree.modules:
        raise CheckpointError(
            f"{path}: 'G_ema' is a {shown(tree.root.class_name)}; expected a StyleGAN2 or 3 generator"
        )
    _refuse_unsupported(tree)
    state = tree.tensors()
    check_tensors(path, state)
    config = (infer_stylegan3 if is_stylegan3 else infer_stylegan2)(tree, state)
    lacks_mean = MEAN_W not in state and stated([tree.modules["mapping"]], "w_avg_beta") == {None}
    noiseless = {} if is_stylegan3 else _without_noise(tree, config)
    mean = {MEAN_W: torch.zeros(config.w_dim)} if lacks_mean else {}
    generator = build(path, config, {**state, **noiseless, **mean})
    if lacks_mean:
        measure_mean_w(generator)
    networks = [name for name, net in content.items() if isinstance(net, InertModule) and table(net, "_modules")]
    told = {MEAN_MEASURED: lacks_mean, NO_NOISE: bool(noiseless)}
    supplied = tuple(sentence for sentence, is_so in told.items() if is_so)
    return Reading(generator=generator, networks=tuple(networks), chosen="G_ema", supplied=supplied)


def _without_noise(tree: ModuleTree, config: Architecture) -> dict[str, Tensor]:
    """Noise of no strength for the layers that say `use_noise` False: they were built without its tensors."""
    found: dict[str, Tensor] = {}
    for layer in config.style_layers():
        name, side = f"synthesis.{layer.name}", layer.resolution
        if stated(tree.matching(re.escape(name)), "use_noise") == {False}:
            found |= {f"{name}.noise_strength": torch.zeros([]), f"{name}.noise_const": torch.zeros(side, side)}
    return found


def infer_stylegan2(tree: ModuleTree, state: Mapping[str, Tensor]) -> Architecture:
    """The architecture of a StyleGAN2."""
    return infer_config(tree.path, state, conv_clamp(tree))


def _refuse_unsupported(tree: ModuleTree) -> None:
    """Everything that would load and render wrong pictures is refused by name."""
    path, root = tree.path, tree.root
    c_dim = stated([root, tree.modules["mapping"]], "c_dim") - {0, None}
    if c_dim:
        limit = "only unconditional generators can be adapted"
        raise CheckpointError(f"{path}: class-conditional generator (c_dim {listed(c_dim)}); {limit}")
    img_channels = stated([root], "img_channels") - {3}
    if img_channels:
        raise CheckpointError(f"{path}: {listed(img_channels)} image channels; expected 3 (RGB)")
    architecture = stated([root, *tree.matching(r"synthesis\..*")], "architecture") - {"skip"}
    if architecture:
        limit = "only 'skip', the default, is supported"
        raise CheckpointError(f"{path}: generator of architecture {listed(architecture)}; {limit}")
    layers = tree.matching(r"mapping\.fc.*")
    activation = stated([*tree.matching(r"synthesis\.b\d+\.conv\d"), *layers], "activation") - {"lrelu"}
    if activation:
        raise CheckpointError(f"{path}: activation {listed(activation)}; only 'lrelu', the default, is supported")
    rates = stated(layers, "bias_gain")
    if any(not isinstance(rate, float) or not math.isclose(rate, MAPPING_LR_MULTIPLIER) for rate in rates):
        limit = f"only {MAPPING_LR_MULTIPLIER}, the default, is supported"
        raise CheckpointError(f"{path}: mapping with lr_multiplier {listed(rates)}; {limit}")
