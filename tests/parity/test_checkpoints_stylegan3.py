"""NVIDIA's pickles of StyleGAN3: recorded outputs through the file, architectures, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nada.checkpoints import read_any
from nada.errors import CheckpointError
from nada.generators.stylegan3 import StyleGAN3, StyleGAN3Config
from tests.checkpoint_files import (
    GOLDEN_CONFIGS,
    Persistent,
    as_nvidia_dict,
    golden_arrays,
    golden_state,
    nvidia_tree,
    write_nvidia,
)
from tests.conftest import TINY3, tiny_stylegan3

TOLERANCE = 1e-5  # of the largest value
WIDTHS = {"channel_base", "channel_max"}  # several give the same shapes


def tree_of(name: str) -> Persistent:
    config = GOLDEN_CONFIGS[name]
    assert isinstance(config, StyleGAN3Config)
    return nvidia_tree(golden_state(name), config=config)


@torch.no_grad()
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["nv3t_32px", "nv3r_32px"])
def test_images_from_a_pickle_match_the_reference(tmp_path: Path, name: str, protocol: int):
    generator = read_any(write_nvidia(tmp_path / "golden.pkl", as_nvidia_dict(tree_of(name)), protocol))
    recorded = golden_arrays(name)
    img = generator.synthesis(generator.mapping(recorded["z"], 0.7))
    assert (img - recorded["img_psi0.7"]).abs().max() < TOLERANCE * recorded["img_psi0.7"].abs().max()
    assert generator.config.model_dump(exclude=WIDTHS) == GOLDEN_CONFIGS[name].model_dump(exclude=WIDTHS)
    assert all(torch.equal(tensor, generator.state_dict()[key]) for key, tensor in golden_state(name).items())


@pytest.mark.parametrize(
    "changes",
    [
        {"mapping_layers": 1, "z_dim": 5, "w_dim": 7},
        {"conv_clamp": None, "output_scale": 1.0, "margin_size": 3},
        {"num_layers": 5, "num_critical": 1, "first_cutoff": 1.5, "first_stopband": 3.0, "last_stopband_rel": 1.5},
        {"filter_size": 4, "lrelu_upsampling": 4, "conv_kernel": 1, "use_radial_filters": True},
        {"resolution": 64, "channel_base": 256, "channel_max": 9},
    ],
)
def test_architecture_follows_from_shapes_and_attributes(tmp_path: Path, changes: dict[str, Any]):
    config = StyleGAN3Config.model_validate({**TINY3.model_dump(), **changes})
    tree = nvidia_tree(StyleGAN3(config).state_dict(), config=config)
    read = read_any(write_nvidia(tmp_path / "tiny.pkl", as_nvidia_dict(tree))).config
    assert isinstance(read, StyleGAN3Config)
    assert [read.channels(layer) for layer in range(read.num_layers)] == [
        config.channels(layer) for layer in range(config.num_layers)
    ]
    assert read.model_dump(exclude=WIDTHS) == config.model_dump(exclude=WIDTHS)


def test_weights_frozen_in_training_are_read_from_the_buffers(tmp_path: Path):
    generator = tiny_stylegan3()
    tree = nvidia_tree(generator.state_dict(), config=TINY3)
    layer = tree.state["_modules"]["mapping"].state["_modules"]["fc0"].state
    layer["_buffers"].update({name: parameter.data for name, parameter in layer["_parameters"].items()})
    layer["_parameters"].clear()
    read = read_any(write_nvidia(tmp_path / "tiny.pkl", as_nvidia_dict(tree))).state_dict()
    assert all(torch.equal(tensor, read[key]) for key, tensor in generator.state_dict().items())


def changed(module: str = "", **attributes: Any) -> dict[str, Any]:
    """The tiny generator with other attributes in one of its modules."""
    tree = part = nvidia_tree(tiny_stylegan3().state_dict(), config=TINY3)
    for name in module.split(".") if module else []:
        part = part.state["_modules"][name]
    part.state.update(attributes)
    return as_nvidia_dict(tree)


def with_tensor(name: str, tensor: torch.Tensor) -> dict[str, Any]:
    """The tiny generator with another tensor in the place of one of its own."""
    return as_nvidia_dict(nvidia_tree({**tiny_stylegan3().state_dict(), name: tensor}, config=TINY3))


L0 = "L0_20_16"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(c_dim=10), "class-conditional generator (c_dim 10); only unconditional generators can be adapted"),
        (changed("mapping", c_dim=3), "class-conditional generator (c_dim 3); only unconditional generators"),
        (changed(img_channels=1), "1 image channels; expected 3 (RGB)"),
        (changed("mapping.fc0", activation="relu"), "activation 'relu'; only 'lrelu', the default, is supported"),
        (changed(f"synthesis.{L0}", conv_clamp=9), "layers clamp differently (256.0, 9); expected one conv_clamp"),
        (changed(f"synthesis.{L0}", up_factor=4), f"'synthesis.{L0}' has up_factor 4; its architecture gives 2"),
        (changed("synthesis.input", bandwidth=3.0), "'synthesis.input' has bandwidth 3.0; its architecture gives 2"),
        (changed("synthesis.input", bandwidth="x"), "'synthesis.input' has bandwidth 'x'; its architecture gives 2"),
        (changed("synthesis", num_critical=9), "architecture: num_critical is 9; it must be below"),
        (changed("synthesis", margin_size="a"), "architecture: 'margin_size' is 'a'; expected a whole number"),
        (changed("synthesis", margin_size=4), "21 keys missing (first: 'synthesis.L0_24_16"),
        (changed("synthesis", _init_kwargs={"last_stopband_rel": 1.3}), "'synthesis.L"),
        (changed("synthesis", _modules={"input": Persistent("SynthesisInput")}), "0 layers; expected those of a Style"),
        (changed("mapping", _modules={}), "no mapping network; expected a StyleGAN2 or StyleGAN3 generator"),
        (with_tensor(f"synthesis.{L0}.magnitude_ema", torch.zeros([])), f"'synthesis.{L0}.magnitude_ema' is 0; a mean"),
        (with_tensor(f"synthesis.{L0}.up_filter", torch.ones(12) / 12), f"'synthesis.{L0}.up_filter' is not the low-"),
        (with_tensor(f"synthesis.{L0}.weight", torch.zeros(8)), "19 keys missing (first: "),
    ],
)  # fmt: skip
def test_unsupported_generators_are_refused_with_the_reason(tmp_path: Path, content: Any, message: str):
    path = write_nvidia(tmp_path / "tiny.pkl", content)
    with pytest.raises(CheckpointError) as err:
        read_any(path)
    assert str(err.value).removeprefix(f"{path}: ").startswith(message)


def test_another_number_of_channels_is_refused(tmp_path: Path):
    state = tiny_stylegan3().state_dict()
    odd = {name.replace("L1_20_16", "L1_20_99"): tensor for name, tensor in state.items()}
    tree = nvidia_tree(odd, config=TINY3)
    with pytest.raises(CheckpointError, match=r"keys missing \(first: "):
        read_any(write_nvidia(tmp_path / "tiny.pkl", as_nvidia_dict(tree)))
